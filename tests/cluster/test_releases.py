"""The chart on a real control plane: every values file of ci/ lives as a release, and leaves nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
from chart_values import CHART
from support.cluster import Cluster, is_true
from support.helm import CI, MAJORS, RELEASE, rendered, run
from support.images import OLDER

from exporter import __version__

pytestmark = [pytest.mark.helm, pytest.mark.heavy, pytest.mark.cluster]


def versions(cluster: Cluster, namespace: str) -> set[str]:
    """Return the versions of the program that a namespace's Pods say of themselves."""
    pods = cluster.api.items(f"/api/v1/namespaces/{namespace}/pods")
    return {pod["metadata"]["labels"]["app.kubernetes.io/version"] for pod in pods}


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize("name", CI)
def test_a_release_lives_and_leaves_nothing(
    name: str, major: str, cluster: Cluster, home: Callable[[str], None], older: Path
) -> None:
    namespace = f"{name}-{major}"
    home(namespace)
    before = cluster.api.inventory()
    there = ("--namespace", namespace, "--values", CI[name])

    cluster.helm(major, "install", RELEASE, older, *there, "--dry-run=server")
    assert cluster.api.inventory() == before

    cluster.helm(major, "install", RELEASE, older, *there)
    cluster.wait_until_available(namespace)
    assert versions(cluster, namespace) == {OLDER}

    cluster.helm(major, "upgrade", RELEASE, CHART, *there)
    cluster.wait_until_available(namespace)
    assert versions(cluster, namespace) == {__version__}
    kinds = {one["kind"]: one for one in rendered(name)}
    if "Service" in kinds:
        wanted = kinds["Deployment"]["spec"]["replicas"]
        cluster.wait(lambda: len(cluster.addresses(namespace)) == wanted)

    cluster.helm(major, "rollback", RELEASE, "1", "--namespace", namespace)
    cluster.wait_until_available(namespace)
    assert versions(cluster, namespace) == {OLDER}

    cluster.helm(major, "uninstall", RELEASE, "--namespace", namespace)
    cluster.wait_until_restored(before)


@pytest.mark.parametrize("major", MAJORS)
def test_a_pod_that_is_not_restricted_is_warned_of_and_never_runs(major: str, cluster: Cluster) -> None:
    namespace = f"lax-{major}"
    cluster.namespace(namespace)
    words = ("--namespace", namespace, "--kubeconfig", cluster.plane.kubeconfig, "--values", CI["default"])
    done = run(major, "install", RELEASE, CHART, *words, "--values", "-", values={"securityContext": None})
    assert done.returncode == 0
    assert "would violate PodSecurity" in done.stderr

    def refused() -> bool:
        (one,) = cluster.api.items(f"/apis/apps/v1/namespaces/{namespace}/deployments")
        return is_true(one, "ReplicaFailure")

    cluster.wait(refused)
    assert not cluster.api.items(f"/api/v1/namespaces/{namespace}/pods")
