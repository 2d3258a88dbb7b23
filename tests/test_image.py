"""The Dockerfile, the image that comes of it, and a container as a cluster runs it."""

import json
import os
import re
import select
import shutil
import signal
import subprocess
import time
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from support.containers import RUNTIME, Engine
from support.exposition import Exposition
from support.processes import installed, status
from support.prometheus import free_port

from exporter import __version__
from exporter.simulator import Simulator, parse_scenario

ROOT = Path(__file__).parent.parent
DOCKERFILE = ROOT / "Dockerfile"
TEXT = DOCKERFILE.read_text("utf-8")

IMAGE = "localhost/exporter"
EPOCH = 1_700_000_000
ENTRYPOINT = ["python3", "-m", "exporter"]
USER = 65532

CLUSTER = """
release v4.7.1
host gateway-1
worker rack-01
worker rack-02
key opens-sesame
"""


def test_hadolint_finds_nothing() -> None:
    words = [installed("hadolint"), "--failure-threshold=style", str(DOCKERFILE)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_one_version() -> None:
    assert re.findall(r"^ARG VERSION=(\S+)$", TEXT, re.MULTILINE) == [__version__]


def test_the_builder_is_given_what_the_dockerfile_copies_and_nothing_else() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", TEXT, re.MULTILINE)
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert ignored[1] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == {name for line in copied for name in line.split()}


def test_what_builds_the_wheel_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (backend,) = project["build-system"]["requires"]
    assert project["dependency-groups"]["build"] == [backend]
    pins = {name: _pins(ROOT / "requirements" / f"{name}.txt") for name in ("build", "run", "dev")}
    assert backend.partition(">")[0] in dict(pins["build"])
    assert pins["build"] | pins["run"] <= pins["dev"]


def _pins(lock: Path) -> set[tuple[str, str]]:
    return set(re.findall(r"^([\w.-]+)==(\S+) ", lock.read_text("utf-8"), re.MULTILINE))


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    # Not pytest's own: it would keep a gigabyte of the last three runs each.
    with TemporaryDirectory() as folder:
        engine = Engine(Path(folder))
        engine.build(ROOT, IMAGE, EPOCH, REVISION="0123456789abcdef", SOURCE="https://example.org/exporter")
        yield engine


def inspected(engine: Engine, image: str) -> Mapping[str, Any]:
    (found,) = json.loads(engine.podman("image", "inspect", image))
    assert isinstance(found, dict)
    return found


@pytest.mark.heavy
def test_what_the_image_says_of_itself(engine: Engine) -> None:
    image = inspected(engine, IMAGE)
    config = image["Config"]
    assert config["User"] == f"{USER}:{USER}"
    assert config["Entrypoint"] == ENTRYPOINT
    assert "Cmd" not in config
    assert config["ExposedPorts"].keys() == {"10040/tcp"}
    assert image["Healthcheck"]["Test"] == ["CMD", *ENTRYPOINT, "healthcheck"]
    prefix = "org.opencontainers.image."
    labels = {name.removeprefix(prefix): text for name, text in config["Labels"].items() if name.startswith(prefix)}
    assert labels.pop("title") == "localai-p2p-exporter"
    assert labels.pop("description")
    assert labels == {
        "version": __version__,
        "revision": "0123456789abcdef",
        "source": "https://example.org/exporter",
        "licenses": "Apache-2.0",
        "base.name": RUNTIME,
    }


@pytest.mark.heavy
def test_it_is_one_small_layer(engine: Engine) -> None:
    base, image = inspected(engine, RUNTIME), inspected(engine, IMAGE)
    assert image["RootFS"]["Layers"][:-1] == base["RootFS"]["Layers"]
    assert image["Size"] - base["Size"] < 12 * 2**20


@pytest.mark.heavy
def test_another_build_of_the_same_source_is_the_same_image(engine: Engine, tmp_path: Path) -> None:
    context = tmp_path / "elsewhere"
    context.mkdir()
    for name in (".dockerignore", "Dockerfile", "LICENSE", "README.md", "pyproject.toml"):
        shutil.copyfile(ROOT / name, context / name)  # at another time than the checkout's
    for name in ("exporter", "requirements"):
        shutil.copytree(ROOT / name, context / name, copy_function=shutil.copyfile)
    (context / "exporter" / "__pycache__").mkdir(exist_ok=True)
    (context / "exporter" / "__pycache__" / "left.pyc").write_text("not to be copied", "utf-8")
    engine.build(context, f"{IMAGE}:again", EPOCH, REVISION="0123456789abcdef", SOURCE="https://example.org/exporter")
    first, second = inspected(engine, IMAGE), inspected(engine, f"{IMAGE}:again")
    # Not its hash: buildah notes the name of its own working container in it.
    for part in ("RootFS", "Config", "Healthcheck", "Created", "History"):
        assert first[part] == second[part], part


@pytest.mark.heavy
def test_a_container_serves_the_truth_without_any_privilege(engine: Engine) -> None:
    port = free_port()
    with Simulator(parse_scenario(CLUSTER)) as localai:
        given = {
            "LOCALAI_URL": localai.url,
            "LOCALAI_API_KEY": "opens-sesame",
            "P2P_EXPORTER_WEB_LISTEN_ADDRESS": f"127.0.0.1:{port}",
        }
        variables = [f"--env={name}={text}" for name, text in given.items()]
        with engine.serving("serving", *variables, IMAGE) as served:
            served.log_until("LocalAI answers")
            page = Exposition(served.read("/metrics"))
            assert page.value("up") == 1
            assert page.value("nodes_online", role="worker", backend="llama_cpp") == 2
            assert "process_start_time_seconds" in page.names()

            pid = int(engine.podman("inspect", "--format={{.State.Pid}}", "serving"))
            said = status(Path(f"/proc/{pid}/status").read_text("utf-8"))
            assert said["Uid"].split() == said["Gid"].split() == [str(USER)] * 4
            assert {int(said[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
            assert (said["NoNewPrivs"], said["Seccomp"]) == ("1", "2")
            mounts = [line.split() for line in Path(f"/proc/{pid}/mountinfo").read_text("utf-8").splitlines()]
            assert ["ro" in one[5].split(",") for one in mounts if one[4] == "/"] == [True]

            assert engine.ended("healthcheck", "run", "serving").returncode == 0

            ending = os.pidfd_open(pid)
            os.kill(pid, signal.SIGTERM)
            asked = time.monotonic()
            assert select.select([ending], [], [], 2.0)[0], f"still there {time.monotonic() - asked:.1f} s later"
            os.close(ending)
            assert "msg=stopped" in served.finish()
            assert served.process.returncode == 0


@pytest.mark.heavy
def test_where_nothing_serves_there_is_no_health(engine: Engine) -> None:
    variable = f"--env=P2P_EXPORTER_WEB_LISTEN_ADDRESS=127.0.0.1:{free_port()}"
    assert engine.run(variable, IMAGE, "healthcheck").returncode == 1


@pytest.mark.heavy
def test_it_starts_from_byte_code_and_without_a_shell(engine: Engine) -> None:
    done = engine.run("--env=PYTHONVERBOSE=1", IMAGE, "--version")
    assert (done.returncode, done.stdout) == (0, f"localai-p2p-exporter {__version__}\n")
    loaded = set(re.findall(r"^# code object from '?(/app/[^']+?)'?$", done.stderr, re.MULTILINE))
    assert loaded
    assert {path.rpartition(".")[2] for path in loaded} == {"pyc"}
    assert engine.run("--entrypoint=/bin/sh", IMAGE, "-c", "true").returncode == 127
