"""The objects of the chart find each other, are restricted, and are named as the operator wants."""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from support.helm import (
    CI,
    NAMESPACE,
    Object,
    every,
    of_kind,
    render,
    rendered,
)

pytestmark = pytest.mark.helm

LABELS = {
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/version",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/part-of",
    "helm.sh/chart",
}


def pods(found: Any) -> Iterator[Mapping[str, Any]]:
    """Give every Pod's metadata and spec: the Deployment's and the test's."""
    for one in found:
        if one["kind"] == "Deployment":
            yield one["spec"]["template"]
        elif one["kind"] == "Pod":
            yield one


@pytest.mark.parametrize("name", CI)
def test_what_selects_pods_selects_the_exporters_and_not_the_tests(name: str) -> None:
    found = rendered(name)
    deployment = of_kind(found, "Deployment")
    carried = deployment["spec"]["template"]["metadata"]["labels"].items()
    tested = of_kind(found, "Pod")["metadata"]["labels"].items()
    selectors = [deployment["spec"]["selector"]["matchLabels"]]
    for one in found:
        if one["kind"] in ("ServiceMonitor", "PodMonitor", "PodDisruptionBudget"):
            selectors.append(one["spec"]["selector"]["matchLabels"])
        elif one["kind"] == "Service":
            selectors.append(one["spec"]["selector"])
        elif one["kind"] == "NetworkPolicy":
            selectors.append(one["spec"]["podSelector"]["matchLabels"])
            admitted = one["spec"]["ingress"][1]["from"][0]["podSelector"]["matchLabels"]
            assert admitted.items() <= tested
    for selector in selectors:
        assert selector.items() <= carried
        assert not selector.items() <= tested
        assert not any(key.startswith("helm.sh/") or key.endswith("/version") for key in selector)
    assert dict(carried)["app.kubernetes.io/name"] != "local-ai"


def words_of(container: Mapping[str, Any]) -> dict[str, str]:
    """Return a container's flags, without the dashes, with their values."""
    return dict(word.removeprefix("--").partition("=")[::2] for word in container["args"])


@pytest.mark.parametrize("name", CI)
def test_ports_are_those_that_the_exporter_listens_on(name: str) -> None:
    found = rendered(name)
    container = of_kind(found, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    words = words_of(container)
    assert words["web.listen-address"] == f":{ports['metrics']}"
    assert words.get("web.health-address") == (f":{ports['health']}" if "health" in ports else None)
    probed = "health" if "web.config.file" in words else "metrics"
    assert container["livenessProbe"]["httpGet"] == {"path": "/-/healthy", "port": probed}
    assert container["readinessProbe"]["httpGet"] == {"path": "/-/ready", "port": probed}
    assert probed in ports


def service_of(found: Any) -> tuple[str, Mapping[str, Any]]:
    """Return the Service's name and its port."""
    service = of_kind(found, "Service")
    (port,) = service["spec"]["ports"]
    return service["metadata"]["name"], port


def backends(one: Object) -> list[Any]:
    """Return where an Ingress or an HTTPRoute sends requests."""
    if one["kind"] == "Ingress":
        return [rule["http"]["paths"][0]["backend"]["service"] for rule in one["spec"]["rules"]]
    return [backend for rule in one["spec"]["rules"] for backend in rule["backendRefs"]]


@pytest.mark.parametrize("name", CI)
def test_what_leads_to_a_port_leads_to_the_metrics(name: str) -> None:
    found = rendered(name)
    path = words_of(of_kind(found, "Deployment")["spec"]["template"]["spec"]["containers"][0])["web.telemetry-path"]
    for one in found:
        spec = one.get("spec", {})
        if one["kind"] == "Service":
            assert [(port["name"], port["targetPort"]) for port in spec["ports"]] == [("metrics", "metrics")]
        elif one["kind"] in ("ServiceMonitor", "PodMonitor"):
            (endpoint,) = spec.get("endpoints") or spec["podMetricsEndpoints"]
            assert (endpoint["port"], endpoint["path"]) == ("metrics", path)
        elif one["kind"] == "ScrapeConfig":
            service, port = service_of(found)
            assert [static["targets"] for static in spec["staticConfigs"]] == [[f"{service}.llm.svc:{port['port']}"]]
            assert spec["metricsPath"] == path
        elif one["kind"] == "NetworkPolicy":
            assert [rule["ports"] for rule in spec["ingress"][:2]] == [[{"port": "metrics"}]] * 2
        elif one["kind"] in ("Ingress", "HTTPRoute"):
            service, port = service_of(found)
            named = {"port": {"name": port["name"]}} if one["kind"] == "Ingress" else {"port": port["port"]}
            assert all(backend == {"name": service, **named} for backend in backends(one))


@pytest.mark.parametrize("name", CI)
def test_a_monitor_selects_the_service_where_it_is(name: str) -> None:
    found = rendered(name)
    for one in found:
        if one["kind"] in ("ServiceMonitor", "PodMonitor"):
            assert one["spec"]["namespaceSelector"] == {"matchNames": [NAMESPACE]}
        if one["kind"] == "ServiceMonitor":
            service = of_kind(found, "Service")
            assert one["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()


def test_targets_have_the_job_of_the_rules_and_the_cluster() -> None:
    for way, kind in (("serviceMonitor", "ServiceMonitor"), ("podMonitor", "PodMonitor")):
        spec = of_kind(render({way: {"enabled": True}, "scrape": {"cluster": "home"}}), kind)["spec"]
        (endpoint,) = spec.get("endpoints") or spec["podMetricsEndpoints"]
        assert endpoint["relabelings"] == [
            {"targetLabel": "job", "replacement": "localai-p2p"},
            {"targetLabel": "cluster", "replacement": "home"},
        ]
    (static,) = of_kind(rendered("scrapeconfig"), "ScrapeConfig")["spec"]["staticConfigs"]
    assert static["labels"] == {"job": "localai-p2p", "cluster": "home"}
    annotated = of_kind(rendered("annotations"), "Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert annotated == {
        "example.org/owner": "ai",
        "prometheus.io/scrape": "true",
        "prometheus.io/scheme": "http",
        "prometheus.io/port": "10040",
        "prometheus.io/path": "/p2p/metrics",
    }


@pytest.mark.parametrize("name", CI)
def test_every_pod_is_restricted_and_more(name: str) -> None:
    for pod in pods(rendered(name)):
        spec = pod["spec"]
        ids = {key: spec["securityContext"].get(key) for key in ("runAsUser", "runAsGroup", "fsGroup")}
        assert set(ids.values()) == ({None} if name == "openshift" else {65_532})
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        ours = [one for one in spec["containers"] if one["name"] != "sidecar"]
        for container in spec["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert not any("hostPort" in port for port in container.get("ports", []))
        for container in ours:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert set(container["resources"]) == {"requests", "limits"}
            assert set(container["resources"]["limits"]) == {"memory"}
            mounts = [one for one in container.get("volumeMounts", []) if one["mountPath"] != "/tmp"]  # noqa: S108 - a path of full
            assert all(one["readOnly"] and "subPath" not in one for one in mounts)
        for volume in spec.get("volumes", []):
            assert {"secret", "configMap", "emptyDir"} & set(volume)
            assert volume.get("secret", {"defaultMode": 0o440})["defaultMode"] == 0o440


def test_there_are_no_rights_and_no_token() -> None:
    assert not [one for one in every() if "rbac" in one["apiVersion"]]
    accounts = [one for one in every() if one["kind"] == "ServiceAccount"]
    assert accounts
    assert all(one["automountServiceAccountToken"] is False for one in accounts)


@pytest.mark.parametrize("name", CI)
def test_every_object_has_the_recommended_labels_and_a_namespace(name: str) -> None:
    for one in rendered(name):
        if one["metadata"]["name"].endswith(("-more", "-text")):  # the operator's own
            continue
        assert one["metadata"]["namespace"]
        assert set(one["metadata"]["labels"]) >= LABELS, one["kind"]
        if name == "full":
            assert one["metadata"]["labels"]["team"] == "ai"


def test_names_are_those_that_the_operator_chose() -> None:
    def names(**values: object) -> set[str]:
        return {one["metadata"]["name"] for one in render(values)}

    assert names() == {"p2p-localai-p2p-exporter", "p2p-localai-p2p-exporter-test"}
    assert names(nameOverride="watch") == {"p2p-watch", "p2p-watch-test"}
    assert names(nameOverride="p2p") == {"p2p", "p2p-test"}
    assert names(fullnameOverride="x" * 63) == {"x" * 63, "x" * 58 + "-test"}


@pytest.mark.parametrize(
    ("values", "image"),
    [
        ({}, "localai-p2p-exporter:0.1.0"),
        ({"image": {"registry": "r.example.org"}}, "r.example.org/localai-p2p-exporter:0.1.0"),
        ({"image": {"registry": "r"}, "global": {"imageRegistry": "g/"}}, "g/localai-p2p-exporter:0.1.0"),
        ({"image": {"repository": "ai/p2p", "tag": "edge"}}, "ai/p2p:edge"),
        ({"image": {"tag": "edge", "digest": f"sha256:{'0' * 64}"}}, f"localai-p2p-exporter@sha256:{'0' * 64}"),
    ],
)
def test_the_image_is_the_one_that_the_operator_pushed(values: Mapping[str, Any], image: str) -> None:
    for pod in pods(render(values)):
        assert {container["image"] for container in pod["spec"]["containers"]} == {image}


def test_pull_secrets_of_both_places_are_used_once() -> None:
    both = {"imagePullSecrets": [{"name": "a"}, {"name": "b"}], "global": {"imagePullSecrets": [{"name": "b"}]}}
    for pod in pods(render(both)):
        assert pod["spec"]["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}]


def annotations(values: Mapping[str, Any]) -> Mapping[str, str]:
    metadata: Mapping[str, Any] = of_kind(render(values), "Deployment")["spec"]["template"]["metadata"]
    found: Mapping[str, str] = metadata.get("annotations", {})
    return found


def test_pods_start_anew_when_what_the_chart_wrote_changes_and_only_then() -> None:
    def inline(key: str, pem: str) -> Mapping[str, str]:
        return annotations({"localai": {"auth": {"apiKey": key}, "tls": {"ca": {"pem": pem}}}})

    first = inline("one", "a")
    assert set(first) == {"checksum/secret", "checksum/configmap"}
    assert inline("one", "a") == first
    assert inline("two", "a")["checksum/secret"] != first["checksum/secret"]
    assert inline("two", "a")["checksum/configmap"] == first["checksum/configmap"]
    assert inline("one", "b")["checksum/configmap"] != first["checksum/configmap"]
    assert not annotations({"localai": {"auth": {"existingSecret": {"name": "rotated"}}}})


def test_a_line_break_behind_an_inline_key_is_no_part_of_it() -> None:
    secret = of_kind(render({"localai": {"auth": {"apiKey": "sk-one\n"}}}), "Secret")
    assert secret["data"] == {"api-key": b64encode(b"sk-one").decode()}


def test_a_new_chart_alone_starts_no_pod_anew() -> None:
    labels = of_kind(rendered("default"), "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert set(labels) == LABELS - {"helm.sh/chart"}


def test_the_network_policy_sees_the_pods_ports() -> None:
    spec = of_kind(render({"networkPolicy": {"enabled": True}}), "NetworkPolicy")["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    to_localai, to_dns = spec["egress"]
    assert to_localai == {
        "ports": [{"port": 8080}],
        "to": [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "local-ai"}}}],
    }
    assert to_dns["ports"] == [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
    (prometheus,) = spec["ingress"][0]["from"]
    assert prometheus["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "monitoring"}
    assert prometheus["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "prometheus"}
    anywhere = of_kind(rendered("full"), "NetworkPolicy")["spec"]
    assert not any("to" in rule for rule in anywhere["egress"])
    assert "from" not in anywhere["ingress"][0]


def test_a_drain_is_never_held_up() -> None:
    for name in ("podmonitor", "full"):
        spec = of_kind(rendered(name), "PodDisruptionBudget")["spec"]
        assert {key: spec[key] for key in spec if key != "selector"} == {"maxUnavailable": 1}


def test_recreating_has_no_rolling_update() -> None:
    assert of_kind(rendered("full"), "Deployment")["spec"]["strategy"] == {"type": "Recreate"}
    rolling = of_kind(rendered("default"), "Deployment")["spec"]["strategy"]
    assert rolling == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def kinds(found: list[Object]) -> set[str]:
    return {one["kind"] for one in found}


def test_what_depends_on_the_cluster_is_off() -> None:
    assert kinds(list(rendered("default"))) == {"Deployment", "Pod", "Service", "ServiceAccount"}
