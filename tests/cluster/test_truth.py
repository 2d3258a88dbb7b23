"""A release in a cluster: what it shows is what LocalAI says, whoever asks."""

import base64
import json
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chart_values import CHART
from support.cluster import Cluster
from support.helm import CI, MAJORS, RELEASE, run
from support.own import KEY
from support.prometheus import configured

from exporter.simulator import Simulator, parse_scenario

pytestmark = [pytest.mark.helm, pytest.mark.heavy, pytest.mark.cluster]

NAMESPACE = "truth"
VALUES = {
    "localai": {"auth": {"existingSecret": {"name": "local-ai-key"}}},
    "poll": {"interval": "500ms"},
}


@pytest.fixture(scope="module", autouse=True)
def _release(cluster: Cluster, home: Callable[[str], None]) -> None:
    home(NAMESPACE)
    words = ("--namespace", NAMESPACE, "--values", CI["default"], "--values", "-")
    cluster.helm("4", "install", RELEASE, CHART, *words, values=VALUES)
    cluster.wait_until_available(NAMESPACE)
    cluster.wait(lambda: cluster.addresses(NAMESPACE))


@pytest.fixture
def localai() -> Iterator[Simulator]:
    """Give the LocalAI behind http://local-ai."""
    with Simulator(parse_scenario("worker gpu-1\nworker gpu-2\nfederated gateway"), port=80) as running:
        running.apply(f"key {KEY}")
        yield running


def page(cluster: Cluster) -> str:
    """Return what the Pod behind the Service shows."""
    (address,) = cluster.addresses(NAMESPACE)
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def online_by_localai(localai: Simulator) -> dict[str, int]:
    """Return how many nodes LocalAI itself says are online, by role."""
    request = urllib.request.Request(f"{localai.url}/api/p2p/stats", headers={"Authorization": f"Bearer {KEY}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        stats = json.load(answer)
    return {
        "worker": sum(counts["online"] for name, counts in stats.items() if name.endswith("workers")),
        "federated": stats["federated"]["online"],
    }


def shows(cluster: Cluster, *lines: str) -> bool:
    """Whether the Pod's page has these lines now."""
    return set(lines) <= set(page(cluster).splitlines())


def test_the_pod_shows_what_localai_says(cluster: Cluster, localai: Simulator) -> None:
    cluster.wait(lambda: shows(cluster, "localai_p2p_up 1.0"))
    assert shows(
        cluster,
        'localai_p2p_nodes{backend="llama_cpp",role="worker"} 2.0',
        'localai_p2p_nodes_online{backend="llama_cpp",role="worker"} 2.0',
    )
    localai.apply("worker gpu-3")
    cluster.wait(lambda: shows(cluster, 'localai_p2p_nodes_online{backend="llama_cpp",role="worker"} 3.0'))


def test_a_rotated_key_is_read_without_a_restart(cluster: Cluster, localai: Simulator) -> None:
    cluster.wait(lambda: shows(cluster, "localai_p2p_up 1.0"))
    start = process_start(page(cluster))
    secret = f"/api/v1/namespaces/{NAMESPACE}/secrets/local-ai-key"
    for key in ("sk-rotated", KEY):
        localai.apply(f"key {key}")
        cluster.wait(lambda: shows(cluster, "localai_p2p_up 0.0"))
        cluster.api.merge(secret, {"data": {"api-key": base64.b64encode(key.encode()).decode()}})
        cluster.wait(lambda: shows(cluster, "localai_p2p_up 1.0"))
    assert process_start(page(cluster)) == start


def process_start(text: str) -> str:
    """Return the line of a page that says when the process was started."""
    (line,) = (line for line in text.splitlines() if line.startswith("process_start_time_seconds "))
    return line


@pytest.mark.parametrize("major", MAJORS)
def test_the_helm_test_passes_while_localai_is_up(major: str, cluster: Cluster, localai: Simulator) -> None:
    said = cluster.helm(major, "test", RELEASE, "--namespace", NAMESPACE)
    assert "Succeeded" in said
    assert localai.requests


@pytest.mark.parametrize("major", MAJORS)
def test_the_helm_test_fails_while_localai_is_down(major: str, cluster: Cluster) -> None:
    done = run(major, "test", RELEASE, "--namespace", NAMESPACE, "--kubeconfig", cluster.plane.kubeconfig)
    assert done.returncode != 0
    assert "Failed" in done.stdout + done.stderr
    (test,) = [
        pod
        for pod in cluster.api.items(f"/api/v1/namespaces/{NAMESPACE}/pods")
        if pod["metadata"]["name"].endswith("-test")
    ]
    codes = {one["name"]: one["state"]["terminated"]["exitCode"] for one in test["status"]["containerStatuses"]}
    assert codes == {"localai": 1, "exporter": 0}


def test_prometheus_finds_the_pod(cluster: Cluster, localai: Simulator, tmp_path: Path) -> None:
    found = {"role": "endpointslice", "kubeconfig_file": str(cluster.plane.kubeconfig)}
    kept = {
        "source_labels": ["__meta_kubernetes_service_label_app_kubernetes_io_name"],
        "regex": CHART.name,
        "action": "keep",
    }
    node = {"source_labels": ["__meta_kubernetes_endpointslice_endpoint_node_name"], "target_label": "node"}
    job = {"job_name": "localai-p2p", "kubernetes_sd_configs": [found], "relabel_configs": [kept, node]}
    configuration = {"global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"}, "scrape_configs": [job]}
    with configured(tmp_path, configuration) as prometheus:
        prometheus.wait(lambda: prometheus.value("localai_p2p_up") == 1)
        assert prometheus.by("node", "up") == {"node": 1}
        online = "sum by (role) (localai_p2p_nodes_online)"
        assert prometheus.by("role", online) == online_by_localai(localai)
        localai.apply("worker gpu-3")
        # LocalAI's lists and totals are two answers, between which a node can join.
        hosts = "localai_p2p_host_nodes_online{role='worker'}"
        prometheus.wait(lambda: prometheus.by("host", hosts) == {"gpu-1": 1, "gpu-2": 1, "gpu-3": 1})
        prometheus.wait(lambda: prometheus.by("role", online) == online_by_localai(localai))
