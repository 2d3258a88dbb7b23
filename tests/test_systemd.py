"""The units of deploy/systemd: as systemd reads them, as the exporter reads them, and as systemd runs them."""

import re
import shutil
import subprocess
import tomllib
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from support.exposition import Exposition
from support.machine import Machine, wait, with_the_exporter
from support.processes import PATIENCE_SECONDS, installed, serving, status
from support.prometheus import free_port

from exporter.flags import FLAGS
from exporter.simulator import Simulator, parse_scenario

ROOT = Path(__file__).parent.parent
UNITS = ROOT / "deploy" / "systemd"
NAME = "localai-p2p-exporter"
SERVICE, SOCKET = f"{NAME}.service", f"{NAME}.socket"
TEXTS = {str(file.relative_to(UNITS)): file.read_text("utf-8") for file in UNITS.rglob("*") if file.is_file()}

EXPOSURE = 20
"""The most that `systemd-analyze security` may find, of 100: 14 by systemd 252, and later ones ask for more."""

CLUSTER = """
worker rack-01
worker rack-02
key opens-sesame
"""


def values(setting: str) -> list[str]:
    """Return what the units give to a setting, in all of them."""
    return re.findall(rf"^{setting}=(.+)$", "".join(TEXTS.values()), re.MULTILINE)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units in a folder; the service starts the exporter of these tests."""
    folder = tmp_path / "system"
    shutil.copytree(UNITS, folder)
    (started,) = values("ExecStart")
    text = TEXTS[SERVICE].replace(started.split()[0], installed(NAME))
    (folder / SERVICE).write_text(text, "utf-8")
    return folder


def analyzed(*words: str) -> tuple[int, str]:
    done = subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_systemd_understands_every_line(units: Path) -> None:
    assert analyzed("verify", "--man=no", str(units / SERVICE), str(units / SOCKET)) == (0, "")


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_and_would_say_where_it_does_not(units: Path, name: str) -> None:
    text = (units / name).read_text("utf-8")
    (units / name).write_text(f"{text}\n[Service]\nNoSuchSetting=1\n[Socket]\nNoSuchSetting=1\n", "utf-8")
    assert "NoSuchSetting" in analyzed("verify", "--man=no", str(units / SERVICE), str(units / SOCKET))[1]


def test_the_service_is_exposed_to_little(units: Path) -> None:
    words = ("security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE}", str(units / SERVICE))
    code, said = analyzed(*words)
    assert code == 0, said


def test_the_units_say_what_the_exporter_understands() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (started,) = values("ExecStart")
    program, *words = started.split()
    assert Path(program).name in project["project"]["scripts"]
    assert words == ["serve"]
    assert values("ListenStream") == ["10040"]
    assert {text.partition("=")[0] for text in values("Environment")} <= {flag.variable for flag in FLAGS}
    files = values("EnvironmentFile")
    assert files == [f"-/etc/default/{NAME}"]


def test_the_variables_of_the_drop_in_give_the_key(tmp_path: Path) -> None:
    (tmp_path / "api-key").write_text("opens-sesame\n", "utf-8")
    (given,) = (text.replace("%d", str(tmp_path)) for text in values("Environment") if "%d" in text)
    variable, _, path = given.partition("=")
    with (
        Simulator(parse_scenario(CLUSTER)) as localai,
        serving("--localai.url", localai.url, variables={variable: path}) as served,
    ):
        assert "nodes_online=3" in served.log_until("LocalAI answers")


@pytest.fixture(scope="module")
def debian() -> Iterator[Machine]:
    with TemporaryDirectory() as folder:
        machine = with_the_exporter(Path(folder))
        with machine.booted():
            yield machine


class Installed:
    """The units on a machine, as an operator puts them there.

    Attributes:
        port: where the exporter is to serve.
    """

    def __init__(self, machine: Machine, localai: Simulator) -> None:
        self._machine = machine
        self.port = free_port()
        machine.write(f"/etc/{NAME}/api-key", "opens-sesame\n", 0o600)
        # By a name, which has to be found under everything that the unit forbids.
        machine.write("/etc/hosts", "127.0.0.1 localai\n")
        machine.write(f"/etc/default/{NAME}", f"LOCALAI_URL={localai.url.replace('127.0.0.1', 'localai')}\n")

    def setting(self, variable: str, text: str) -> None:
        """Add a variable to those that the operator gives."""
        file = self._machine.root / "etc" / "default" / NAME
        file.write_text(f"{file.read_text('utf-8')}{variable}={text}\n", "utf-8")

    def put(self, *names: str, **overrides: str) -> None:
        """Put these units and drop-ins there; an override is a drop-in of the operator's own for a kind of unit."""
        for name in names:
            self._machine.write(f"/etc/systemd/system/{name}", TEXTS[name])
        for kind, text in overrides.items():
            self._machine.write(f"/etc/systemd/system/{NAME}.{kind}.d/own.conf", text)
        self._machine.run("systemctl", "daemon-reload")

    def systemctl(self, *words: str) -> None:
        self._machine.run("systemctl", *words)

    def show(self, unit: str) -> Mapping[str, str]:
        return self._machine.show(unit)

    def status(self) -> Mapping[str, str]:
        """What the kernel says of the service's process."""
        return status(self._machine.run("cat", f"/proc/{self.show(SERVICE)['MainPID']}/status"))

    def log(self) -> str:
        return self._machine.run("journalctl", "--quiet", "--no-pager", f"--unit={SERVICE}", "--output=cat")

    def page(self) -> Exposition:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=PATIENCE_SECONDS) as answer:
            return Exposition(answer.read().decode())

    def page_soon(self) -> Exposition:
        """Return the page as soon as it is served and says what LocalAI answered."""
        pages: list[Exposition] = []

        def polled() -> bool:
            with suppress(OSError):
                pages.append(self.page())
            return bool(pages) and pages[-1].value("up") is not None

        wait(polled)
        return pages[-1]

    def remove(self) -> None:
        for name in (SOCKET, SERVICE):
            self._machine.run("systemctl", "stop", name)
        for path in (self._machine.root / "etc" / "systemd" / "system").glob(f"{NAME}.*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture
def service(debian: Machine) -> Iterator[Installed]:
    with Simulator(parse_scenario(CLUSTER)) as localai:
        service = Installed(debian, localai)
        service.put(SERVICE, SOCKET, f"{SERVICE}.d/api-key.conf")
        yield service
        service.remove()


@pytest.mark.heavy
def test_systemd_runs_it_with_a_key_and_without_a_privilege(service: Installed) -> None:
    service.setting("P2P_EXPORTER_WEB_LISTEN_ADDRESS", f"127.0.0.1:{service.port}")
    service.systemctl("start", SERVICE)
    page = service.page_soon()
    assert page.value("nodes_online", role="worker", backend="llama_cpp") == 2
    assert "process_start_time_seconds" in page.names()

    said = service.status()
    # Those that systemd makes for a DynamicUser=.
    assert 61184 <= int(said["Uid"].split()[0]) <= 65519
    assert {int(said[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert (said["NoNewPrivs"], said["Seccomp"]) == ("1", "2")
    assert "opens-sesame" not in service.log()

    # It is killed, and there again.
    service.systemctl("kill", "--signal=KILL", SERVICE)
    wait(lambda: service.show(SERVICE)["NRestarts"] == "1")
    assert service.page_soon().value("up") == 1

    service.systemctl("stop", SERVICE)
    assert service.show(SERVICE)["Result"] == "success"
    assert "msg=stopped\n" in service.log()


@pytest.mark.heavy
def test_without_its_key_it_does_not_start(service: Installed) -> None:
    service.setting("P2P_EXPORTER_WEB_LISTEN_ADDRESS", f"127.0.0.1:{service.port}")
    service.put(service=f"[Service]\nLoadCredential=\nLoadCredential=api-key:/etc/{NAME}/none\n")
    with pytest.raises(AssertionError):
        service.systemctl("start", SERVICE)
    assert service.show(SERVICE)["ExecMainStatus"] == "243"  # EXIT_CREDENTIALS of systemd.exec(5)


@pytest.mark.heavy
def test_a_scrape_starts_it_by_its_socket(service: Installed) -> None:
    own = f"[Socket]\nListenStream=\nListenStream=127.0.0.1:{service.port}\n"
    service.put(f"{SERVICE}.d/socket.conf", socket=own)
    service.systemctl("start", SOCKET)
    assert service.show(SERVICE)["ActiveState"] == "inactive"
    for _ in range(2):
        # This very request waits until the exporter is there, and again after it was stopped.
        assert service.page().value("exporter_tls_insecure") == 0
        assert service.show(SERVICE)["ActiveState"] == "active"
        service.systemctl("stop", SERVICE)
