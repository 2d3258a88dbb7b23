"""compose.yaml as Docker Compose reads it, and its services as processes on the very files that it mounts."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.dashboard import P2P, SHEETS
from support.processes import command, installed
from support.prometheus import Prometheus, free_port, started, tool

ROOT = Path(__file__).parent.parent
GO_MODULE = ROOT / "tests" / "tools" / "prometheus3" / "go.mod"

Service = Mapping[str, Any]


@pytest.fixture(scope="module")
def services() -> Mapping[str, Service]:
    words = [installed("docker-compose"), "--file", str(ROOT / "compose.yaml"), "config", "--format", "json"]
    document: Mapping[str, Any] = json.loads(subprocess.check_output(words, text=True))
    found: Mapping[str, Service] = document["services"]
    return found


def inside(service: Service, path: str) -> Path:
    """Return the file of this checkout that a container sees at a path."""
    for volume in service["volumes"]:
        if Path(path).is_relative_to(volume["target"]):
            return Path(volume["source"]) / Path(path).relative_to(volume["target"])
    raise AssertionError(f"{path} is not mounted")


def test_what_is_mounted_is_there_and_stays_as_it_is(services: Mapping[str, Service]) -> None:
    mounted = [volume for service in services.values() for volume in service.get("volumes", ())]
    assert mounted
    for volume in mounted:
        assert Path(volume["source"]).exists(), volume["source"]
        assert (volume["type"], volume["read_only"]) == ("bind", True), volume["source"]


def test_no_other_machine_reaches_it(services: Mapping[str, Service]) -> None:
    for name, service in services.items():
        assert {port["host_ip"] for port in service["ports"]} == {"127.0.0.1"}, name


def test_images_are_pinned(services: Mapping[str, Service]) -> None:
    images = {name: service["image"] for name, service in services.items() if "build" not in service}
    assert images.keys() == {"prometheus", "alertmanager", "grafana"}
    for image in images.values():
        assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+\.\d+", image), image
    # Prometheus 3.13.0 is the Go module's v0.313.0.
    tested = re.search(r"github\.com/prometheus/prometheus v0\.3(\d{2})\.(\d+)", GO_MODULE.read_text("utf-8"))
    assert tested
    assert images["prometheus"] == f"prom/prometheus:v3.{tested[1]}.{tested[2]}"
    libraries = json.loads((ROOT / "tests" / "grafana" / "package.json").read_text("utf-8"))["dependencies"]
    assert images["grafana"] == f"grafana/grafana:{libraries['@grafana/ui']}"


def test_the_exporters_container_may_do_nothing(services: Mapping[str, Service]) -> None:
    exporter = services["exporter"]
    assert exporter["read_only"]
    assert exporter["cap_drop"] == ["ALL"]
    assert exporter["security_opt"] == ["no-new-privileges:true"]
    assert Path(exporter["build"]["context"]) == ROOT
    assert (ROOT / exporter["build"]["dockerfile"]).exists()


def test_grafana_finds_prometheus_and_the_dashboards(services: Mapping[str, Service]) -> None:
    grafana = services["grafana"]
    provisioned = {kind: inside(grafana, f"/etc/grafana/provisioning/{kind}") for kind in ("dashboards", "datasources")}

    (sources,) = (yaml.safe_load(file.read_text("utf-8")) for file in provisioned["datasources"].iterdir())
    assert sources.keys() == {"apiVersion", "datasources"}
    (source,) = sources["datasources"]
    # Grafana drops a word that it does not know without a word of its own.
    assert source.keys() == {"name", "type", "access", "url", "isDefault", "jsonData"}
    assert source["jsonData"].keys() == {"httpMethod", "timeInterval"}
    for sheet in SHEETS:
        (chosen,) = (one["query"] for one in sheet.document["templating"]["list"] if one["type"] == "datasource")
        assert source["type"] == chosen
    assert source["url"] == f"http://prometheus:{services['prometheus']['ports'][0]['target']}"
    scraping = yaml.safe_load(inside(services["prometheus"], "/etc/prometheus/prometheus.yml").read_text("utf-8"))
    assert source["jsonData"]["timeInterval"] == scraping["global"]["scrape_interval"]

    (providers,) = (yaml.safe_load(file.read_text("utf-8")) for file in provisioned["dashboards"].iterdir())
    assert providers.keys() == {"apiVersion", "providers"}
    (provider,) = providers["providers"]
    assert provider.keys() == {"name", "type", "options"}
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    folder = Path(provider["options"]["path"])
    mounted = [Path(volume["target"]) for volume in grafana["volumes"]]
    found = [inside(grafana, str(file)) for file in mounted if file.parent == folder]
    assert sorted(found) == sorted(sheet.board.file for sheet in SHEETS)
    assert Path(home).parent == folder
    assert inside(grafana, home) == P2P.board.file


class Machine:
    """Runs the services as processes: a container's files lie in a folder, its name is a port of this machine."""

    def __init__(self, services: Mapping[str, Service], folder: Path) -> None:
        self._services = services
        self._folder = folder
        self._ports = {name: free_port() for name in services}

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._ports[name]}"

    def _local(self, text: str) -> str:
        for name, service in self._services.items():
            (port,) = service["ports"]
            text = re.sub(rf"\b{name}:{port['target']}\b", f"127.0.0.1:{self._ports[name]}", text)
        return text

    def place(self, name: str) -> list[str]:
        """Copy what is mounted into a service's container, and return its command."""
        root = self._folder / name
        for volume in self._services[name]["volumes"]:
            source, target = Path(volume["source"]), root / volume["target"].lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
            for file in target.rglob("*") if target.is_dir() else (target,):
                if file.is_file():
                    file.write_text(self._local(file.read_text("utf-8")), "utf-8")
        return [word.replace("=/", f"={root}/") for word in self._services[name]["command"]]

    def start(self, name: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
        """Run a service of the Prometheus project until the end of the block."""
        program = {"alertmanager": "prometheus-alertmanager"}.get(name, name)
        address = f"--web.listen-address=127.0.0.1:{self._ports[name]}"
        return started([tool(program), *self.place(name), address], self._folder / f"{name}.log", self.url(name))

    def start_exporter(self) -> AbstractContextManager[subprocess.Popen[bytes]]:
        """Run the exporter until the end of the block."""
        service = self._services["exporter"]
        (port,) = service["ports"]
        variables = [
            f"{name}={text.replace(':' + str(port['target']), self.url('exporter').removeprefix('http://'))}"
            for name, text in service["environment"].items()
        ]
        words = ["env", *variables, *command(*service["command"])]
        return started(words, self._folder / "exporter.log", self.url("exporter"))


@pytest.fixture
def machine(services: Mapping[str, Service], tmp_path: Path) -> Machine:
    return Machine(services, tmp_path)


@pytest.fixture
def server(machine: Machine) -> Iterator[Prometheus]:
    """The Prometheus, with its Alertmanager and the exporter beside it."""
    with ExitStack() as stack:
        stack.enter_context(machine.start_exporter())
        stack.enter_context(machine.start("alertmanager"))
        yield Prometheus(machine.url("prometheus"), stack.enter_context(machine.start("prometheus")))


@pytest.mark.prometheus
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("prometheus", ("promtool", "check", "config", "etc/prometheus/prometheus.yml")),
        ("alertmanager", ("amtool", "check-config", "etc/alertmanager/alertmanager.yml")),
    ],
)
def test_its_own_tool_accepts_a_configuration(
    machine: Machine, tmp_path: Path, name: str, words: tuple[str, ...]
) -> None:
    machine.place(name)
    program, *arguments = words
    done = subprocess.run([tool(program), *arguments], cwd=tmp_path / name, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


@pytest.mark.prometheus
def test_the_demo_reaches_the_dashboards(server: Prometheus, machine: Machine) -> None:
    server.wait(lambda: server.value("localai_p2p_up") == server.value("localai_distributed_up") == 1)
    assert server.by("cluster", "up") == {"demo": 1}
    # What a dashboard's variables choose from: without it none of its panels shows anything.
    for sheet in SHEETS:
        for asked in sheet.in_variables:
            assert server.query(sheet.filled(asked.query, {})), asked.place

    (manager,) = server.ask("alertmanagers")["data"]["activeAlertmanagers"]
    assert manager["url"].startswith(f"{machine.url('alertmanager')}/")

    def rules() -> list[Mapping[str, Any]]:
        return [rule for group in server.ask("rules")["data"]["groups"] for rule in group["rules"]]

    server.wait(lambda: all(rule["health"] != "unknown" for rule in rules()))
    assert {rule["health"] for rule in rules()} == {"ok"}
    files = {Path(group["file"]).name for group in server.ask("rules")["data"]["groups"]}
    assert files == {file.name for file in (ROOT / "prometheus" / "rules").glob("*.yml")}
