"""The StatefulSet on a real control plane: its Pods share the targets, and a further one takes its own alone."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from chart_values import CHART
from support.cluster import Cluster
from support.helm import MAJORS, RELEASE
from support.web import fetch

from exporter.shard import Shard

pytestmark = [pytest.mark.helm, pytest.mark.heavy, pytest.mark.cluster]

NAMES = [f"cluster-{number}" for number in range(20)]


def sharing(shards: int) -> Mapping[str, Any]:
    """Return values with these targets and so many Pods; none of them is reached, which is no matter here."""
    targets = [{"name": name, "url": "http://127.0.0.1:1"} for name in NAMES]
    return {"targets": {"config": {"targets": targets}, "shards": shards}, "resources": None}


def shares(cluster: Cluster, namespace: str, shards: int) -> dict[str, list[str]]:
    """Return which targets each Pod lists, by its name, once so many of them are ready."""

    def are_ready() -> bool:
        (one,) = cluster.api.items(f"/apis/apps/v1/namespaces/{namespace}/statefulsets")
        status = one.get("status", {})
        return bool(
            status.get("observedGeneration") == one["metadata"]["generation"]
            and status.get("updatedReplicas") == status.get("readyReplicas") == status.get("replicas") == shards
        )

    cluster.wait(are_ready)
    found = {}
    for pod in cluster.api.items(f"/api/v1/namespaces/{namespace}/pods"):
        reply = fetch(f"http://{pod['status']['podIP']}:10040", "/sd")
        found[pod["metadata"]["name"]] = [group["labels"]["instance"] for group in json.loads(reply.body)]
    return found


@pytest.mark.parametrize("major", MAJORS)
def test_pods_share_the_targets(major: str, cluster: Cluster, home: Callable[[str], None]) -> None:
    namespace = f"shards-{major}"
    home(namespace)
    before = cluster.api.inventory()
    there = (RELEASE, CHART, "--namespace", namespace, "--values", "-")
    for command, shards in (("install", 2), ("upgrade", 3)):
        cluster.helm(major, command, *there, values=sharing(shards))
        assert shares(cluster, namespace, shards) == {
            f"{RELEASE}-localai-p2p-exporter-{index}": [name for name in NAMES if Shard(index, shards).holds(name)]
            for index in range(shards)
        }
    cluster.helm(major, "uninstall", RELEASE, "--namespace", namespace)
    cluster.wait_until_restored(before)
