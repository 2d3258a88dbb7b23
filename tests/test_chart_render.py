"""Both Helms render every values file of the chart, for every Kubernetes, to objects that are taken."""

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart_values import CHART
from support.helm import (
    CI,
    KUBERNETES,
    MAJORS,
    MIDDLE,
    every,
    helm,
    objects,
    of_kind,
    render,
    rendered,
)
from support.manifests import REFUSED, judge, validator_of

pytestmark = pytest.mark.helm

TEMPLATES = sorted((CHART / "templates").rglob("*.*"))


@pytest.mark.parametrize("major", MAJORS)
def test_it_is_the_helm_that_it_should_be(major: str) -> None:
    if f"HELM{major}" in os.environ:
        assert helm(major, "version", "--template", "{{.Version}}").startswith(f"v{major}.")
    else:
        assert helm(major, "version", "--template", "{{.Version}}") == {"3": "v3.19.0", "4": "v4.3.1"}[major]


@pytest.mark.parametrize(
    "kubernetes", [one if one == MIDDLE else pytest.param(one, marks=pytest.mark.heavy) for one in KUBERNETES]
)
@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize("name", CI)
def test_lint_finds_nothing_and_every_object_is_taken(name: str, major: str, kubernetes: str) -> None:
    said = helm(major, "lint", "--strict", CHART, "--values", CI[name], "--kube-version", kubernetes)
    assert "[WARNING]" not in said
    found = rendered(name, major, kubernetes)
    assert {one["kind"] for one in found} >= {"Deployment"}
    for one in found:
        judge(one, kubernetes)


@pytest.mark.parametrize("name", CI)
def test_both_helms_make_the_same(name: str) -> None:
    assert sorted(map(json.dumps, rendered(name, "3"))) == sorted(map(json.dumps, rendered(name, "4")))


def test_every_template_is_rendered_by_some_values() -> None:
    sources = set()
    for file in CI.values():
        text = helm("4", "template", "p2p", CHART, "--values", file)
        sources |= {
            line.partition("# Source: localai-p2p-exporter/")[2] for line in text.splitlines() if "# Source" in line
        }
    partials = ("_", "NOTES")
    named = {str(file.relative_to(CHART)) for file in TEMPLATES if not file.name.startswith(partials)}
    assert sources == named


def test_no_template_asks_which_cluster_it_is_rendered_for() -> None:
    for file in TEMPLATES:
        text = file.read_text("utf-8")
        assert ".Capabilities" not in text, file
        assert "lookup" not in text, file


@pytest.mark.parametrize(
    ("kind", "path", "wrong"),
    [
        ("Deployment", ("spec", "template", "spec", "enableServiceLink"), False),
        ("Service", ("spec", "selectors"), {}),
        ("ServiceMonitor", ("spec", "intervall"), "15s"),
        ("PodMonitor", ("spec", "podMetricsEndpoint"), []),
        ("ScrapeConfig", ("spec", "scrapeIntervall"), "15s"),
        ("PrometheusRule", ("spec", "group"), []),
        ("GrafanaDashboard", ("spec", "instances"), {}),
        ("HTTPRoute", ("spec", "parents"), []),
    ],
)
def test_the_judges_see_a_typo(kind: str, path: tuple[str, ...], wrong: object) -> None:
    one: Any = copy.deepcopy(next(one for one in every() if one["kind"] == kind))
    part = one
    for key in path[:-1]:
        part = part[key]
    judge(one, MIDDLE)
    part[path[-1]] = wrong
    with pytest.raises(REFUSED):
        judge(one, MIDDLE)


def test_a_kind_without_a_judge_is_an_error() -> None:
    with pytest.raises(LookupError, match=r"nobody judges example\.org/v1 Unheard"):
        judge({"apiVersion": "example.org/v1", "kind": "Unheard"}, MIDDLE)


@pytest.mark.heavy
def test_the_gateway_apis_own_definition_takes_the_route() -> None:
    folder = Path(os.environ["GATEWAY_API"]) / "config" / "crd" / "standard"
    definition = yaml.safe_load((folder / "gateway.networking.k8s.io_httproutes.yaml").read_text("utf-8"))
    (version,) = [one for one in definition["spec"]["versions"] if one["name"] == "v1"]
    judge = validator_of(version["schema"]["openAPIV3Schema"]["properties"]["spec"])
    judge.validate(of_kind(rendered("gateway"), "HTTPRoute"))


def test_names_that_yaml_would_take_for_something_else_stay_names() -> None:
    values = {
        "fullnameOverride": "on",
        "localai": {
            "auth": {"existingSecret": {"name": "12", "key": "13"}},
            "tls": {
                "ca": {"existingConfigMap": {"name": "14", "key": "15"}},
                "clientCertificate": {"existingSecret": "16"},
            },
        },
        "web": {"config": {"existingSecret": {"name": "17", "key": "18"}, "tlsSecret": "19"}},
        "serviceAccount": {"name": "20"},
        "serviceMonitor": {"enabled": True, "namespace": "21", "interval": "0", "scrapeTimeout": "0"},
        "prometheusRule": {"enabled": True, "alerts": {"LocalAIP2PHostLost": {"for": "0"}}},
        "priorityClassName": "22",
        "runtimeClassName": "23",
        "ingress": {"enabled": True, "className": "24", "hosts": [{"host": "a"}]},
    }
    words: list[str | Path] = ["template", "25", CHART, "--namespace", "26", "--values", CI["default"], "--values", "-"]
    for one in objects(helm("4", *words, values=values)):
        judge(one, MIDDLE)


def test_a_null_leaves_a_part_to_kubernetes() -> None:
    parts = ("livenessProbe", "readinessProbe", "resources", "podSecurityContext", "securityContext")
    found = render({**dict.fromkeys(parts), "strategy": {"rollingUpdate": None}})
    for one in found:
        judge(one, MIDDLE)
    assert of_kind(found, "Deployment")["spec"]["strategy"] == {"type": "RollingUpdate"}
