"""One cluster for all tests of this folder."""

import base64
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chart_values import CHART
from support.cluster import Cluster
from support.cluster import cluster as running_cluster
from support.helm import helm
from support.images import OLDER, images
from support.own import make_keys, own_objects


def _definitions() -> list[bytes]:
    """Return the CustomResourceDefinitions of the chart: those in Go modules that variables name, and ours."""
    modules = Path(os.environ["PROMETHEUS_OPERATOR_MODULE"]), Path(os.environ["GATEWAY_API"])
    operator, gateway = modules[0] / "example" / "prometheus-operator-crd", modules[1] / "config" / "crd" / "standard"
    files = sorted([*operator.glob("*.yaml"), *gateway.glob("*.yaml")])
    return [*(file.read_bytes() for file in files), json.dumps(_GRAFANA_DASHBOARD).encode()]  # JSON is YAML


_GRAFANA_DASHBOARD = {
    # There is no module with grafana-operator's definitions here: this one takes whatever it is given.
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "grafanadashboards.grafana.integreatly.org"},
    "spec": {
        "group": "grafana.integreatly.org",
        "names": {"kind": "GrafanaDashboard", "plural": "grafanadashboards"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1beta1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}

_NAMED_BY_VALUES: tuple[dict[str, Any], ...] = (
    {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "monitoring"}, "value": 1},
    {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "gvisor"}, "handler": "runsc"},
)
"""What the values of ci/ expect of the whole cluster."""


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Give a cluster with the definitions that the chart's objects need; LocalAI is expected at http://local-ai."""
    with running_cluster(tmp_path_factory.mktemp("cluster"), images(), {"local-ai": "127.0.0.1"}) as running:
        running.define(_definitions())
        for one in _NAMED_BY_VALUES:
            running.api.create(one)
        for name in ("monitoring", "grafana"):
            running.namespace(name)
        yield running


@pytest.fixture(scope="session")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the chart as a package of a lower version."""
    folder = tmp_path_factory.mktemp("older")
    helm("4", "package", CHART, "--version", OLDER, "--app-version", OLDER, "--destination", folder)
    return folder / f"{CHART.name}-{OLDER}.tgz"


@pytest.fixture(scope="session")
def home(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], None]:
    """Give what makes a namespace with the Secrets and ConfigMaps that the values of ci/ name."""
    own = own_objects(make_keys(tmp_path_factory.mktemp("keys")))

    def make(namespace: str) -> None:
        cluster.namespace(namespace)
        for (kind, name), entries in own.items():
            coded = {key: base64.b64encode(text) if kind == "Secret" else text for key, text in entries.items()}
            data = {key: text.decode() for key, text in coded.items()}
            metadata = {"name": name, "namespace": namespace}
            cluster.api.create({"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": data})

    return make
