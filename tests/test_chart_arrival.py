"""What the operator gives arrives in the objects, whole and where it belongs."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from chart_values import read_values
from support.helm import CI, of_kind, rendered

pytestmark = pytest.mark.helm

TRANSFORMED = (
    "targets.config",
    "targets.secrets",
    "expect.hosts",
    "ingress.hosts",
    "prometheusRule.alerts",
    "extraManifests",
)
"""Values that arrive as something else, which other tests look at."""


def parts(tree: Any) -> Iterator[Any]:
    """Give every part of a tree, itself included."""
    yield tree
    for part in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from parts(part)


def contained(one: Any, found: list[Any]) -> bool:
    """Whether a part, or for a mapping all of its entries, is among these."""
    if isinstance(one, dict):
        return any(isinstance(part, dict) and one.items() <= part.items() for part in found)
    return one in found


def given(values: Any, path: tuple[str, ...]) -> Any:
    """Return what values say at a path, None for nothing."""
    for key in path:
        values = values.get(key) if isinstance(values, dict) else None
    return values


@pytest.mark.parametrize("name", CI)
def test_what_is_handed_through_arrives_whole(name: str) -> None:
    there = list(parts(list(rendered(name))))
    values = yaml.safe_load(CI[name].read_text("utf-8"))
    for value in read_values():
        part = given(values, value.path)
        if not isinstance(part, dict | list) or value.name in TRANSFORMED:
            continue
        asked = part if isinstance(part, list) else [{key: one for key, one in part.items() if one is not None}]
        for one in asked:
            assert contained(one, there), f"{value.name}: {one}"


def test_single_values_arrive_where_they_belong() -> None:
    deployment = of_kind(rendered("full"), "Deployment")["spec"]
    pod = deployment["template"]["spec"]
    assert (deployment["replicas"], deployment["revisionHistoryLimit"]) == (2, 0)
    assert (pod["priorityClassName"], pod["runtimeClassName"]) == ("monitoring", "gvisor")
    assert pod["terminationGracePeriodSeconds"] == 20
    assert {one["imagePullPolicy"] for one in pod["containers"] if one["name"] == "exporter"} == {"Always"}
    service = of_kind(rendered("full"), "Service")["spec"]
    assert (service["type"], service["ipFamilyPolicy"]) == ("NodePort", "PreferDualStack")
    assert of_kind(rendered("full"), "Ingress")["spec"]["ingressClassName"] == "nginx"
    (endpoint,) = of_kind(rendered("servicemonitor"), "ServiceMonitor")["spec"]["endpoints"]
    assert (endpoint["interval"], endpoint["scrapeTimeout"], endpoint["scheme"]) == ("15s", "10s", "http")
    scraped = of_kind(rendered("scrapeconfig"), "ScrapeConfig")["spec"]
    assert (scraped["scrapeInterval"], scraped["scrapeTimeout"], scraped["scheme"]) == ("30s", "5s", "HTTP")
    board = of_kind(rendered("gateway"), "GrafanaDashboard")["spec"]
    assert (board["folder"], board["allowCrossNamespaceImport"]) == ("LocalAI", True)


def test_the_operators_own_objects_hold_templates() -> None:
    names = {one["metadata"]["name"] for one in rendered("full")}
    assert names >= {"p2p-more", "p2p-exporter-text"}
