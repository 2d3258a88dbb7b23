"""The chart with several LocalAIs: their file in the Pod, and the StatefulSet whose Pods share them."""

import json
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.helm import KUBERNETES, NAMESPACE, Object, Values, objects, of_kind, render, rendered, template
from support.helm import helm as run_helm
from support.manifests import judge
from support.own import KEY
from support.pod import Container, Entries, containers, write
from support.processes import PATIENCE_SECONDS
from support.prometheus import free_port
from support.web import fetch

from exporter.shard import Shard
from exporter.simulator import Simulator, parse_scenario
from exporter.targets import parse_targets

pytestmark = pytest.mark.helm

GIVEN: Mapping[tuple[str, str], Entries] = {("Secret", "local-ai-key"): {"api-key": KEY.encode()}}
NAMES = [f"cluster-{number}" for number in range(12)]
FULL_NAME = "p2p-localai-p2p-exporter"


def named(names: Sequence[str], url: str = "http://local-ai") -> Values:
    """Return values with these targets, all of one LocalAI."""
    return {"targets": {"config": {"targets": [{"name": name, "url": url} for name in names]}}}


def shared(shards: int, **values: object) -> list[Object]:
    """Return what is rendered where so many share the targets."""
    given: dict[str, Any] = {**named(NAMES), **values}
    given["targets"] = {**given["targets"], "shards": shards}
    return render(given, "targets")


def workload(found: Sequence[Object]) -> Object:
    (one,) = (one for one in found if one["kind"] in ("Deployment", "StatefulSet"))
    return one


def args(found: Sequence[Object]) -> list[str]:
    words: list[str] = workload(found)["spec"]["template"]["spec"]["containers"][0]["args"]
    return words


def test_the_file_takes_the_place_of_every_flag_on_one_localai() -> None:
    assert args(rendered("targets")) == [
        "serve",
        "--config.file=/etc/localai-p2p-exporter/targets/targets.yml",
        "--web.listen-address=:10040",
        "--web.telemetry-path=/metrics",
        "--log.level=info",
        "--log.format=logfmt",
    ]


def test_the_file_is_one_that_the_exporter_takes(tmp_path: Path) -> None:
    text = of_kind(rendered("targets"), "ConfigMap")["data"]["targets.yml"]
    key = tmp_path / "secrets" / "local-ai-key" / "api-key"
    key.parent.mkdir(parents=True)
    key.write_text(KEY)
    (tmp_path / "targets").mkdir()
    first, second = parse_targets(text.encode(), tmp_path / "targets" / "targets.yml")
    assert (first.name, dict(first.labels)) == ("home", {"cluster": "home"})
    assert (second.name, dict(second.labels)) == ("eu-1", {"site": "frankfurt", "cluster": "eu"})
    assert first.target.poll_interval == second.target.poll_interval == 30.0


def test_a_file_of_the_operators_own_is_mounted_whole() -> None:
    found = render(
        {"localai": {"url": ""}, "targets": {"existingConfigMap": {"name": "theirs", "key": "all.yml"}}}, "default"
    )
    assert "--config.file=/etc/localai-p2p-exporter/targets/all.yml" in args(found)
    (volume,) = workload(found)["spec"]["template"]["spec"]["volumes"]
    assert volume == {"name": "targets", "configMap": {"name": "theirs"}}
    assert "ConfigMap" not in {one["kind"] for one in found}


def test_prometheus_asks_for_the_list_and_scrapes_the_exporter_besides() -> None:
    spec = of_kind(rendered("targets"), "ScrapeConfig")["spec"]
    address = f"{FULL_NAME}.{NAMESPACE}.svc:10040"
    (discovery,) = spec["httpSDConfigs"]
    assert discovery["url"] == f"http://{address}/sd"
    assert discovery["basicAuth"] == spec["basicAuth"]
    assert [static["targets"] for static in spec["staticConfigs"]] == [[address]]
    assert spec["relabelings"] == [{"targetLabel": "job", "replacement": "localai-p2p"}]


@pytest.mark.parametrize("kubernetes", KUBERNETES)
@pytest.mark.parametrize("major", ["3", "4"])
def test_every_kubernetes_takes_the_pods_that_share_the_targets(kubernetes: str, major: str) -> None:
    values = {**named(NAMES), "localai": {"url": ""}, "scrapeConfig": {"enabled": True}}
    values["targets"] = {**values["targets"], "shards": 3, "secrets": ["local-ai-key"]}
    for one in objects(run_helm(major, *template(kubernetes), "--values", "-", values=values)):
        judge(one, kubernetes)


def test_pods_that_share_the_targets_have_names_and_prometheus_asks_each() -> None:
    found = shared(3)
    stateful = workload(found)
    assert stateful["kind"] == "StatefulSet"
    assert (stateful["spec"]["replicas"], stateful["spec"]["podManagementPolicy"]) == (3, "Parallel")
    assert "strategy" not in stateful["spec"]
    services = {one["metadata"]["name"]: one for one in found if one["kind"] == "Service"}
    assert set(services) == {FULL_NAME, f"{FULL_NAME}-shards"}
    governing = services[stateful["spec"]["serviceName"]]
    assert governing["spec"]["clusterIP"] == "None"
    # One slow LocalAI holds back its Pod's readiness, and is not to hold back the pages of the others.
    assert governing["spec"]["publishNotReadyAddresses"] is True
    carried = stateful["spec"]["template"]["metadata"]["labels"].items()
    assert governing["spec"]["selector"].items() <= carried
    assert stateful["spec"]["selector"]["matchLabels"].items() <= carried
    addresses = [
        f"{stateful['metadata']['name']}-{index}.{governing['metadata']['name']}.{NAMESPACE}.svc:10040"
        for index in range(3)
    ]
    spec = of_kind(found, "ScrapeConfig")["spec"]
    assert [one["url"] for one in spec["httpSDConfigs"]] == [f"http://{address}/sd" for address in addresses]
    assert [static["targets"] for static in spec["staticConfigs"]] == [addresses]


def test_a_service_monitor_sees_each_pod_once() -> None:
    found = shared(3, scrapeConfig={"enabled": False}, serviceMonitor={"enabled": True})
    wanted = of_kind(found, "ServiceMonitor")["spec"]["selector"]["matchLabels"].items()
    selected = [one for one in found if one["kind"] == "Service" and wanted <= one["metadata"]["labels"].items()]
    assert [one["metadata"]["name"] for one in selected] == [FULL_NAME]


def test_long_names_stay_within_what_kubernetes_bears() -> None:
    found = shared(2, fullnameOverride="x" * 63)
    # A label of the Pods is the name, a dash and a hash of ten letters.
    assert len(workload(found)["metadata"]["name"]) <= 52
    assert max(len(one["metadata"]["name"]) for one in found if one["kind"] == "Service") <= 63
    assert workload(shared(1, fullnameOverride="x" * 63))["metadata"]["name"] == "x" * 63


def near(found: list[Object], folder: Path, index: int = 0) -> Container:
    """Return the exporter's container of one Pod."""
    one = workload(found)
    name = f"{one['metadata']['name']}-{index}"
    return containers(one["spec"]["template"]["spec"], found, GIVEN, folder, name=name)[0]


def listed(container: Container) -> list[str]:
    groups = json.loads(fetch(f"http://127.0.0.1:{container.port('metrics')}", "/sd").body)
    return [group["labels"]["instance"] for group in groups]


@pytest.fixture
def localai() -> Iterator[Simulator]:
    with Simulator(parse_scenario("worker gpu-1\nworker gpu-2")) as running:
        running.apply(f"key {KEY}")
        yield running


def until(holds: Any) -> None:
    """Wait for what the exporter does by itself."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end
        threading.Event().wait(0.1)


def test_a_pod_polls_what_its_file_names_and_follows_its_change(localai: Simulator, tmp_path: Path) -> None:
    home = {"name": "home", "url": localai.url, "api_key_file": "../secrets/local-ai-key/api-key"}
    other = {"name": "other", "url": localai.url, "poll_interval": "200ms"}
    found = render({"targets": {"config": {"targets": [home, other]}}, "web": {"port": free_port()}}, "targets")
    container = near(found, tmp_path)
    with container.running(tmp_path / "log") as process:
        url = f"http://127.0.0.1:{container.port('metrics')}"
        assert listed(container) == ["home", "other"]
        assert b"\nlocalai_p2p_up 1.0\n" in fetch(url, "/probe?target=home").body
        assert b'failures_total{reason="auth"} 0.0\n' not in fetch(url, "/probe?target=other").body
        changed = yaml.safe_dump({"targets": [home, {**home, "name": "third"}]}).encode()
        write(container.folders["targets"], {"targets.yml": changed})
        until(lambda: listed(container) == ["home", "third"])
        assert fetch(url, "/probe?target=other").status == 404
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0


def test_pods_share_the_targets_between_them(tmp_path: Path) -> None:
    shares = []
    for index in range(2):
        container = near(shared(2, web={"port": free_port()}), tmp_path / str(index), index)
        assert f"--config.shard={FULL_NAME}-{index}/2" in container.words
        process = container.start(tmp_path / f"log-{index}")
        try:
            until(lambda container=container: container.probe("livenessProbe"))
            shares.append(listed(container))
        finally:
            process.kill()
            process.wait()
    assert sorted(shares[0] + shares[1]) == sorted(NAMES)
    assert shares == [[name for name in NAMES if Shard(index, 2).holds(name)] for index in range(2)]


def test_the_helm_test_says_whether_the_file_is_right(tmp_path: Path) -> None:
    found = render({}, "targets")
    test = containers(of_kind(found, "Pod")["spec"], found, GIVEN, tmp_path)
    (check,) = (one for one in test if one.spec["name"] == "localai")
    assert check.run().returncode == 0
    write(check.folders["targets"], {"targets.yml": b"targets: 1"})
    done = check.run()
    assert done.returncode == 1
    assert "targets must be a list" in done.stderr
