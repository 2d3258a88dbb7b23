"""What a start loads, and in which thread: the first page waits for no more than it needs."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, Self

import pytest
from support import loading
from support.processes import PATIENCE_SECONDS, command, environment, nobody, recorded, replaying, serving

import exporter

LOADING = (sys.executable, "-P", str(Path(loading.__file__)))

LIBRARIES = ("requests", "urllib3", "charset_normalizer", "certifi", "idna", "http.cookiejar")
ASKING = (
    "exporter.client",
    "exporter.adapter",
    "exporter.localai",
    "exporter.decode",
    "exporter.model",
    "exporter.poller",
)
"""What asks LocalAI, and what that is made with."""

OTHER_COMMANDS = (
    "exporter.doctor",
    "exporter.healthcheck",
    "exporter.manual",
    "exporter.simulator",
    "exporter.textfile",
)
WEB_CONFIGURATION = ("exporter.gate", "exporter.webguard", "bcrypt", "yaml")
MANY = ("exporter.many", "exporter.targets", "exporter.schedule", "exporter.crew", "exporter.reload", "exporter.probe")
DISTRIBUTED = ("exporter.distributed", "exporter.rows", "exporter.fleetpoller", "exporter.fleetcollector")
LOOKING = ("exporter.page", "exporter.api", "exporter.clusterview", "exporter.advice")
"""What only people look at."""

SERVING = ("prometheus_client", "exporter.app", "exporter.server", "exporter.collector", "exporter.exposition")


class Start(NamedTuple):
    """What a start was like.

    Attributes:
        began: by module, the thread that began to load it.
        turn: seconds for which a thread keeps the interpreter while another one wants it.
    """

    began: Mapping[str, str]
    turn: float

    @classmethod
    def of(cls, written: str) -> Self:
        """Read it from what the program wrote."""
        return cls(**json.loads(written.splitlines()[-1]))


def loaded(arguments: Sequence[str]) -> Mapping[str, str]:
    done = subprocess.run(
        [*LOADING, *command(*arguments)],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert "Traceback" not in done.stderr
    return Start.of(done.stdout).began


def source(module: str) -> str:
    spec = find_spec(module)
    assert spec
    assert spec.origin
    return Path(spec.origin).read_text("utf-8")


@pytest.fixture(scope="module")
def start() -> Start:
    """A server's, until it had served pages and polled."""
    with (
        replaying(recorded("v4.7.1/cluster")) as localai,
        serving("--localai.url", localai.url, under=LOADING) as served,
    ):
        for encoding in ("identity", "gzip"):
            request = urllib.request.Request(f"{served.url}/metrics", headers={"Accept-Encoding": encoding})
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
                assert answer.status == 200
        served.log_until("LocalAI answers")
        served.process.terminate()
        written = served.finish()
        assert served.process.returncode == 0
    return Start.of(written)


@pytest.fixture(scope="module")
def served(start: Start) -> Mapping[str, str]:
    """What that server loaded."""
    return start.began


@pytest.mark.parametrize("module", LIBRARIES + ASKING)
def test_what_asks_localai_is_loaded_by_the_thread_that_asks(module: str, served: Mapping[str, str]) -> None:
    assert served[module] == "poller"


@pytest.mark.parametrize("module", SERVING)
def test_what_serves_is_loaded_before_the_threads_that_serve(module: str, served: Mapping[str, str]) -> None:
    assert served[module] == "MainThread"


def test_no_dataclass_is_made_before_the_threads_that_serve(served: Mapping[str, str]) -> None:
    ours = [name for name, thread in served.items() if name.startswith("exporter.") and thread == "MainThread"]
    assert "exporter.settings" in ours
    assert [name for name in ours if "@dataclass" in source(name)] == []
    assert "@dataclass" in source("exporter.model")


def test_a_page_loads_nothing(served: Mapping[str, str]) -> None:
    assert [module for module, thread in served.items() if thread not in ("MainThread", "poller")] == []


def test_a_scrape_does_not_wait_for_the_loop(start: Start) -> None:
    scrape_seconds = 0.001  # about what a small page takes, in which the interpreter changes hands many times
    assert start.turn < scrape_seconds / 5


@pytest.mark.parametrize("module", OTHER_COMMANDS + WEB_CONFIGURATION + DISTRIBUTED + MANY + LOOKING)
def test_a_server_never_loads_what_it_was_not_told_to_use(module: str, served: Mapping[str, str]) -> None:
    assert module not in served
    assert find_spec(module), "there is no such module any more"


@pytest.mark.parametrize(
    ("arguments", "needless"),
    [
        (("--version",), LIBRARIES + ASKING + SERVING + OTHER_COMMANDS + WEB_CONFIGURATION),
        (("healthcheck",), LIBRARIES + ASKING + SERVING + WEB_CONFIGURATION + MANY),
        (("doctor",), SERVING + WEB_CONFIGURATION + MANY),
        (("once",), (*WEB_CONFIGURATION, *MANY, "exporter.doctor", "exporter.healthcheck", "exporter.simulator")),
    ],
    ids=["version", "healthcheck", "doctor", "once"],
)
def test_a_command_loads_its_own_parts_alone(arguments: Sequence[str], needless: Sequence[str]) -> None:
    with nobody() as url:
        flags = ["--localai.url", url] if arguments[0] in ("doctor", "once") else []
        threads = loaded([*arguments, *flags])
    assert "exporter.cli" in threads
    assert set(threads) & set(needless) == set()


def test_what_asks_many_is_loaded_by_threads_that_ask(tmp_path: Path) -> None:
    with replaying(recorded("v4.7.1/cluster")) as localai:
        file = tmp_path / "targets.yml"
        file.write_text(f"targets: [{{name: home, url: '{localai.url}'}}]")
        with serving("--config.file", str(file), under=LOADING) as served:
            served.log_until("LocalAI answers")
            served.process.terminate()
            threads = Start.of(served.finish()).began
    assert {threads[module].partition("-")[0] for module in LIBRARIES + ASKING} == {"poller"}
    assert {threads[module] for module in (*SERVING, "yaml", "exporter.many")} == {"MainThread"}


def test_a_library_that_cannot_be_loaded_ends_the_program(tmp_path: Path) -> None:
    (tmp_path / "requests.py").write_text("raise ImportError('s3cret')\n")
    path = f"{tmp_path}:{Path(exporter.__file__).parents[1]}"
    with serving(variables={"PYTHONPATH": path}) as served:
        written = served.finish()
    assert served.process.returncode == 1
    assert 'msg="the poll loop died" error=ImportError at=requests.py:1' in written
    assert "s3cret" not in written
