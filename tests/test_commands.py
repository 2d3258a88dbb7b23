"""Every command of the documentation: run here, by a test that is named here, or marked as run by none."""

import ast
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import bcrypt
import pytest
from support.certificates import make_authority
from support.processes import PATIENCE_SECONDS, Served, environment, run, serving

from exporter.commands import PROGRAM
from exporter.simulator import Simulator, parse_scenario

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

BLOCK = re.compile(
    r"(?P<mark>^ *\*No test runs this: it needs [^*]+\.\*\n\n)?^(?P<indent> *)```sh\n(?P<body>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)

_SYSTEMD = "tests/test_systemd.py::test_systemd_runs_it_with_a_key_and_without_a_privilege"
_MACHINE = "tests/support/machine.py::with_the_exporter"
_RELEASES = "tests/cluster/test_releases.py::test_a_release_lives_and_leaves_nothing"
_HELM_TEST = "tests/cluster/test_truth.py::test_the_helm_test_passes_while_localai_is_up"
_COMPLETED = "tests/test_completion.py::test_a_tab_completes"

ELSEWHERE: Mapping[str, str] = {
    "./run demo": "tests/test_secrets.py::test_no_core_of_the_demo_would_hold_it",
    "./run test": ".ci/run",
    "./run test tests/test_durations.py": ".ci/run",
    "./run docs": "tests/test_docs.py::test_a_generated_page_says_what_the_code_says",
    "pip install .": "run",
    "python3 -m venv venv": "run",
    "venv/bin/pip install .": "run",
    "docker build --tag localai-p2p-exporter .": "tests/test_image.py::test_what_the_image_says_of_itself",
    "docker run --detach --restart unless-stopped --read-only --cap-drop ALL --publish 10040:10040 "
    "--env LOCALAI_URL=http://192.0.2.10:8080 localai-p2p-exporter": (
        "tests/test_image.py::test_a_container_serves_the_truth_without_any_privilege"
    ),
    "helm install p2p helm/localai-p2p-exporter --values values.yaml": _RELEASES,
    "helm upgrade p2p helm/localai-p2p-exporter --reset-then-reuse-values": _RELEASES,
    "helm test p2p": _HELM_TEST,
    "python3 -m venv /opt/localai-p2p-exporter": _MACHINE,
    "/opt/localai-p2p-exporter/bin/pip install --require-hashes --requirement requirements/run.txt": _MACHINE,
    "/opt/localai-p2p-exporter/bin/pip install --no-deps .": _MACHINE,
    "echo LOCALAI_URL=http://192.0.2.10:8080 >/etc/default/localai-p2p-exporter": _SYSTEMD,
    "cp deploy/systemd/*.service deploy/systemd/*.socket /etc/systemd/system": _SYSTEMD,
    "systemctl daemon-reload": _SYSTEMD,
    "systemctl enable --now localai-p2p-exporter.service": _SYSTEMD,
    "source <(localai-p2p-exporter completion bash)": _COMPLETED,
    'eval "$(localai-p2p-exporter completion zsh)"': _COMPLETED,
    "localai-p2p-exporter completion fish | source": _COMPLETED,
    "promtool check rules prometheus/rules/*.yml": "tests/test_rules.py::test_promtool_finds_nothing",
}
"""Who runs a command, or the same with the addresses of a test: a file, or a function in one."""

PASSWORD = "correct horse"  # noqa: S105 - that of this test
TYPED: Mapping[str, str] = {"install": "sk-1\n", "python": f"{PASSWORD}\n"}
"""What is typed into a program."""


class Command(NamedTuple):
    """One command of a page.

    Attributes:
        page: its name.
        text: in one line, without a comment.
        marked: whether the page says that no test runs it.
    """

    page: str
    text: str
    marked: bool

    @property
    def program(self) -> str:
        """What it starts."""
        return Path(self.text.split()[0]).name


def commands(page: Path) -> Iterator[Command]:
    """Give the commands of a page."""
    for block in BLOCK.finditer(page.read_text("utf-8")):
        for line in re.sub(r"\\\n\s*", "", block["body"]).splitlines():
            text = re.sub(r"(^|\s)\s*# .*$", "", line).strip()
            if text:
                yield Command(page.name, text, bool(block["mark"]))


COMMANDS = [one for page in PAGES for one in commands(page)]
HERE = [one for one in COMMANDS if not one.marked and one.text not in ELSEWHERE]
OURS = [one for one in HERE if one.program == PROGRAM]
OTHERS = [one for one in HERE if one.program != PROGRAM]


def named(one: Command) -> str:
    return f"{one.page}: {one.text[:60]}"


@pytest.fixture(scope="module")
def localai() -> Iterator[Simulator]:
    with Simulator(parse_scenario("worker rack-01\nworker rack-02")) as peer:
        yield peer


class Place:
    """A folder with the files that the pages speak of, and the servers.

    Attributes:
        folder: the folder.
    """

    def __init__(self, folder: Path, localai: Simulator) -> None:
        self.folder = folder
        self._localai = localai.url
        targets = re.findall(
            r"```yaml\n# targets\.yml\n(.*?)```", (ROOT / "docs" / "targets.md").read_text("utf-8"), re.DOTALL
        )
        files = {
            "targets.yml": targets[0].replace("http://localhost:8080", localai.url),
            **dict.fromkeys(("admin.key", "localai.key", "eu-1.key"), "sk-1\n"),
        }
        for name, text in files.items():
            (folder / name).write_text(text, "utf-8")
        shutil.copy(make_authority(folder, "authority").cert_file, folder / "ca.pem")

    def here(self, text: str, served: str = "") -> str:
        """Return a command with this place's addresses and files in it."""
        given = {
            "http://localhost:8080": self._localai,
            "LOCALAI": self._localai,
            "http://localhost:10040": served,
            "EXPORTER": served,
            "127.0.0.1:10040": "127.0.0.1:0",
            "/var/lib/node_exporter": str(self.folder),
            "KEYFILE": f"{self.folder}/admin.key",
            "FILE": f"{self.folder}/targets.yml",
        }
        pattern = "|".join(rf"(?<![\w./]){re.escape(word)}(?!\w)" for word in given)
        text = re.sub(pattern, lambda match: given[match[0]], text)
        return re.sub(r"(?<![\w/.])[\w-]+\.(?:key|pem|yml)\b", lambda match: f"{self.folder}/{match[0]}", text)


@pytest.fixture
def place(tmp_path: Path, localai: Simulator) -> Place:
    return Place(tmp_path, localai)


@pytest.fixture(scope="module")
def served(localai: Simulator) -> Iterator[Served]:
    with serving("--localai.url", localai.url) as one:
        one.log_until("LocalAI answers")
        yield one


@pytest.mark.parametrize("one", OURS, ids=named)
def test_the_exporter_does_as_the_page_says(one: Command, place: Place) -> None:
    words = shlex.split(place.here(one.text))[1:]
    if words[0].startswith("-") and "--config.check" not in words:
        with serving(*words) as started:
            if "https" not in one.text:
                started.log_until("LocalAI answers")
        return
    done = run(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout or (place.folder / "localai_p2p.prom").read_text("utf-8").startswith("# HELP localai_p2p_")


@pytest.mark.parametrize("one", OTHERS, ids=named)
def test_a_command_of_the_machine_does_as_the_page_says(one: Command, place: Place, served: Served) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", place.here(one.text, served.url)],
        cwd=ROOT,
        env={**environment(), "PATH": f"{Path(sys.executable).parent}:{environment()['PATH']}"},
        input=TYPED.get(one.program, ""),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
        start_new_session=True,  # without a terminal, from which a password would be read
    )
    assert done.returncode == 0, done.stderr
    match one.program:
        case "curl":
            assert "localai_p2p_up 1" in done.stdout or "HTTP/1.1 200 OK" in done.stdout
        case "install":
            assert (place.folder / "localai.key").stat().st_mode & 0o777 == 0o600
            assert (place.folder / "localai.key").read_text("utf-8") == "sk-1\n"
        case "python":
            assert bcrypt.checkpw(PASSWORD.encode(), done.stdout.strip().encode())
        case "openssl":
            assert (place.folder / "server.pem").read_text("utf-8").startswith("-----BEGIN CERTIFICATE-----")
        case _:
            pytest.fail("nothing here says what this does")


def test_what_is_run_elsewhere_is_still_there() -> None:
    assert {one.text for one in COMMANDS if not one.marked} >= ELSEWHERE.keys()
    for place in set(ELSEWHERE.values()):
        name, _, function = place.partition("::")
        text = (ROOT / name).read_text("utf-8")
        if function:
            assert function in {node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}, place


def test_a_mark_is_a_marks_whole_sentence() -> None:
    for page in PAGES:
        text = page.read_text("utf-8")
        assert text.count("No test runs this") == sum(bool(block["mark"]) for block in BLOCK.finditer(text)), page


def test_no_command_hides_in_another_kind_of_block() -> None:
    for page in PAGES:
        text = page.read_text("utf-8")
        assert set(re.findall(r"^ *```(\w+)[^\n]*$", text, re.MULTILINE)) <= {"sh", "yaml", "promql"}, page
