"""The real prometheus-operator: what it makes of the chart's objects is what a real Prometheus runs."""

import base64
import gzip
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart_values import CHART
from support.cluster import Cluster
from support.helm import CI, RELEASE, Values, of_kind, rendered
from support.prometheus import Prometheus, configured, free_port, started, tool

from exporter.simulator import Simulator, parse_scenario

pytestmark = [pytest.mark.helm, pytest.mark.heavy, pytest.mark.cluster]

NAMESPACE, MONITORING = "operated", "monitoring"
LABEL = {"release": "kube-prometheus-stack"}
POLLED: Values = {"poll": {"interval": "500ms"}}
SCRAPED: Values = {"interval": "1s", "scrapeTimeout": "1s", "labels": LABEL}

JOBS = {
    "serviceMonitor": f"serviceMonitor/{NAMESPACE}/p2p-localai-p2p-exporter/0",
    "podMonitor": f"podMonitor/{NAMESPACE}/p2p-localai-p2p-exporter/0",
    "scrapeConfig": f"scrapeConfig/{NAMESPACE}/p2p-localai-p2p-exporter",
}
"""How the operator names the scrape job of each of the chart's ways, by the value that chooses the way."""

VARIABLES = {"POD_NAME": "prometheus-stack-0", "SHARD": "0"}
"""What the operator's reloader puts in on its way from the Secret to Prometheus."""


@pytest.fixture(scope="module", autouse=True)
def _operator(
    cluster: Cluster, home: Callable[[str], None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Run the operator, with a Prometheus that selects as kube-prometheus-stack's does, and whose replica is ours."""
    home(NAMESPACE)
    spec: dict[str, Any] = {
        "replicas": 0,
        "evaluationInterval": "1s",
        "apiserverConfig": {
            "host": cluster.plane.url,
            "authorization": {"credentialsFile": str(cluster.plane.token)},
            "tlsConfig": {"caFile": str(cluster.plane.authority)},
        },
    }
    for kind in ("serviceMonitor", "podMonitor", "probe", "scrapeConfig", "rule"):
        spec |= {f"{kind}Selector": {"matchLabels": LABEL}, f"{kind}NamespaceSelector": {}}
    metadata = {"name": "stack", "namespace": MONITORING}
    cluster.api.create(
        {"apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus", "metadata": metadata, "spec": spec}
    )
    url = f"http://127.0.0.1:{free_port()}"
    listening = f"--web.listen-address={url.removeprefix('http://')}"
    words = ["env", f"KUBECONFIG={cluster.plane.kubeconfig}", tool("operator"), listening]
    with started(words, tmp_path_factory.mktemp("operator") / "log", url, "/healthz"):
        yield


@pytest.fixture
def localai() -> Iterator[Simulator]:
    """Give the LocalAI behind http://local-ai, which is there before anybody asks it."""
    with Simulator(parse_scenario("worker gpu-1\nworker gpu-2"), port=80) as running:
        yield running


@contextmanager
def operated(cluster: Cluster, folder: Path, job: str, values: Values, name: str = "default") -> Iterator[Prometheus]:
    """Install a release, and run Prometheus with what the operator writes of it.

    Args:
        cluster: where.
        folder: for Prometheus's files.
        job: how the operator names the only scrape job that it shall write.
        values: over those of a file of ci/.
        name: of that file.
    """
    words = ("--namespace", NAMESPACE, "--values", CI[name], "--values", "-")
    cluster.helm("4", "install", RELEASE, CHART, *words, values=values)
    try:
        cluster.wait_until_available(NAMESPACE)
        ruled = "prometheusRule" in values
        cluster.wait(lambda: jobs(written(cluster)) == [job] and bool(rule_files(cluster)) == ruled)
        configuration = written(cluster)
        assert configuration["rule_files"] == ["/etc/prometheus/rules/prometheus-stack-rulefiles-0/*.yaml"]
        for file, content in rule_files(cluster).items():
            (folder / f"rules-{file}").write_text(content, "utf-8")
        configuration["rule_files"] = [str(folder / "rules-*.yaml")]
        with configured(folder, configuration) as prometheus:
            prometheus.wait(lambda: prometheus.value("localai_p2p_up") == 1)
            yield prometheus
    finally:
        cluster.helm("4", "uninstall", RELEASE, "--namespace", NAMESPACE)


def written(cluster: Cluster) -> dict[str, Any]:
    """Return the configuration that the operator has written by now, as its reloader hands it to Prometheus."""
    secret = cluster.api.find(f"/api/v1/namespaces/{MONITORING}/secrets/prometheus-stack")
    if not secret:
        return {}
    text = gzip.decompress(base64.b64decode(secret["data"]["prometheus.yaml.gz"])).decode()
    for name, value in VARIABLES.items():
        text = text.replace(f"$({name})", value)
    configuration: dict[str, Any] = yaml.safe_load(text)
    return configuration


def jobs(configuration: Mapping[str, Any]) -> list[str]:
    """Return the names of a configuration's scrape jobs."""
    return [job["job_name"] for job in configuration.get("scrape_configs", [])]


def rule_files(cluster: Cluster) -> dict[str, str]:
    """Return the files of rules that the operator has written by now, by their names below the mounted folder."""
    found = cluster.api.find(f"/api/v1/namespaces/{MONITORING}/configmaps/prometheus-stack-rulefiles-0")
    files: dict[str, str] = (found or {}).get("data", {})
    return files


@pytest.mark.usefixtures("localai")
@pytest.mark.parametrize("way", JOBS)
def test_every_way_of_the_operator_finds_the_pod(way: str, cluster: Cluster, tmp_path: Path) -> None:
    values = {**POLLED, way: {**SCRAPED, "enabled": True}, "scrape": {"cluster": "home"}}
    with operated(cluster, tmp_path, JOBS[way], values) as prometheus:
        (target,) = prometheus.ask("query", query="localai_p2p_up")["data"]["result"]
        assert (target["metric"]["job"], target["metric"]["cluster"]) == ("localai-p2p", "home")
        assert prometheus.by("host", 'localai_p2p_host_nodes_online{role="worker"}') == {"gpu-1": 1, "gpu-2": 1}


def test_an_alert_fires_when_localai_dies(cluster: Cluster, localai: Simulator, tmp_path: Path) -> None:
    # The alert that fires soonest: the others want minutes without one good poll.
    alert = "LocalAIP2PPollsFailing"
    soon = {"alerts": {alert: {"for": "0s", "thresholds": {"share": 0.01}}}}
    values = {**POLLED, "serviceMonitor": SCRAPED, "prometheusRule": soon}
    with operated(cluster, tmp_path, JOBS["serviceMonitor"], values, "servicemonitor") as prometheus:
        assert rules_of(prometheus) == rules_of_the_chart()
        assert not firing(prometheus)
        localai.close()
        prometheus.wait(lambda: alert in firing(prometheus))


def rules_of(prometheus: Prometheus) -> dict[str, list[str]]:
    """Return the names of the rules that Prometheus runs, by group."""
    groups = prometheus.ask("rules")["data"]["groups"]
    return {group["name"]: [rule["name"] for rule in group["rules"]] for group in groups}


def rules_of_the_chart() -> dict[str, list[str]]:
    """Return the names of the rules that the chart makes, by group."""
    groups = of_kind(rendered("servicemonitor"), "PrometheusRule")["spec"]["groups"]
    return {group["name"]: [rule.get("alert") or rule["record"] for rule in group["rules"]] for group in groups}


def firing(prometheus: Prometheus) -> set[str]:
    """Return the alerts that fire."""
    alerts = prometheus.ask("alerts")["data"]["alerts"]
    return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}
