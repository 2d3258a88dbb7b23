"""The chart's containers, run: the exporter takes their command lines, and their probes and scrape answer."""

import argparse
import re
import signal
import ssl
import threading
import time
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Certificate
from support.helm import CI, Object, Values, of_kind, render, rendered
from support.own import KEY, PASSWORD, make_keys, own_objects
from support.pod import Container, Entries, containers, write
from support.processes import PATIENCE_SECONDS, nobody
from support.prometheus import free_port

from exporter.arguments import add_flags, load_settings
from exporter.flags import FLAGS
from exporter.settings import Settings, Target
from exporter.simulator import Simulator, parse_scenario

pytestmark = pytest.mark.helm

Given = Mapping[tuple[str, str], Entries]

NOT_IN_A_POD = {
    "web.systemd-socket": "a container has no systemd that would hand it a socket",
    "web.enable-lifecycle": "the file of the targets is a mounted one, and read again by itself",
}
"""Flags without a value, and why."""

OF_TARGETS = ("config.file", "config.shard")
"""Flags that exclude those of a single LocalAI: tests/test_chart_targets.py."""

FLAG_VALUES: Mapping[str, tuple[Values, str]] = {
    "localai.url": ({"localai": {"url": "https://{{ .Release.Name }}.example.org/v"}}, "https://p2p.example.org/v"),
    "localai.api-key-file": (
        {"localai": {"auth": {"existingSecret": {"name": "key"}}}},
        "/etc/localai-p2p-exporter/api-key/api-key",
    ),
    "localai.tls-ca-file": (
        {"localai": {"tls": {"ca": {"existingConfigMap": {"name": "ca"}}}}},
        "/etc/localai-p2p-exporter/ca/ca.crt",
    ),
    "localai.tls-cert-file": (
        {"localai": {"tls": {"clientCertificate": {"existingSecret": "client"}}}},
        "/etc/localai-p2p-exporter/client/tls.crt",
    ),
    "localai.tls-key-file": ({}, "/etc/localai-p2p-exporter/client/tls.key"),
    "localai.tls-insecure": ({"localai": {"tls": {"insecure": True}}}, ""),
    "localai.proxy-url": ({"localai": {"proxyUrl": "http://proxy:3128"}}, "http://proxy:3128"),
    "localai.max-response-bytes": ({"localai": {"maxResponseBytes": 123_456_789_012}}, "123456789012"),
    "poll.interval": ({"poll": {"interval": "30s"}}, "30s"),
    "poll.timeout": ({"poll": {"timeout": "20s"}}, "20s"),
    "poll.stale-after": ({"poll": {"staleAfter": "5m"}}, "5m"),
    "node.retention": ({"node": {"retention": "7d"}}, "7d"),
    "node.limit": ({"node": {"limit": 0}}, "0"),
    "expect.workers": ({"expect": {"workers": 0}}, "0"),
    "expect.federated": ({"expect": {"federated": 1_000_000_000}}, "1000000000"),
    "expect.host": ({"expect": {"hosts": ['"gpu", 1']}}, '"gpu", 1'),
    "collector.token": ({"collector": {"token": True}}, ""),
    "collector.distributed": ({"collector": {"distributed": True}}, ""),
    "web.listen-address": ({"web": {"port": 9100}}, ":9100"),
    "web.health-address": ({"web": {"healthPort": 9101}}, ":9101"),
    "web.telemetry-path": ({"web": {"telemetryPath": "/p2p"}}, "/p2p"),
    "web.config.file": (
        {"web": {"config": {"existingSecret": {"name": "web", "key": "web.yml"}}}},
        "/etc/localai-p2p-exporter/web/config/web.yml",
    ),
    "web.disable-exporter-metrics": ({"web": {"disableExporterMetrics": True}}, ""),
    "log.level": ({"log": {"level": "warn"}}, "warn"),
    "log.format": ({"log": {"format": "json"}}, "json"),
}
"""For each flag values that give it, and what it then has."""


def merged(parts: list[Values]) -> dict[str, Any]:
    """Return one tree of several."""
    found: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            found[key] = merged([found.get(key, {}), value]) if isinstance(value, Mapping) else value
    return found


def exporter_of(found: Any) -> Mapping[str, Any]:
    """Return the `spec` of the Pods of the Deployment."""
    spec: Mapping[str, Any] = of_kind(found, "Deployment")["spec"]["template"]["spec"]
    return spec


def parsed(words: list[str], variables: Mapping[str, str]) -> Settings:
    """Return what the exporter's own parser makes of a command line."""
    assert words[0] == "serve"
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_flags(parser)
    return load_settings(vars(parser.parse_args(words[1:])), variables)


def test_every_flag_has_a_value() -> None:
    assert {*FLAG_VALUES, *NOT_IN_A_POD, *OF_TARGETS} == {flag.name for flag in FLAGS}
    args = exporter_of(render(merged([values for values, _ in FLAG_VALUES.values()])))["containers"][0]["args"]
    assert sorted(args) == sorted(
        ["serve", *(f"--{name}={text}" if text else f"--{name}" for name, (_, text) in FLAG_VALUES.items())]
    )


def test_the_defaults_of_the_values_are_those_of_the_program() -> None:
    args = exporter_of(rendered("default"))["containers"][0]["args"]
    assert parsed(args, {}) == Settings(target=Target(url="http://local-ai"))


def test_a_value_that_is_not_given_is_left_to_the_program() -> None:
    nothing = {"poll": {"interval": ""}, "node": {"retention": "", "limit": None}, "localai": {"maxResponseBytes": ""}}
    args = exporter_of(render(nothing))["containers"][0]["args"]
    assert parsed(args, {}) == Settings(target=Target(url="http://local-ai"))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Certificate]:
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def given(keys: Mapping[str, Certificate]) -> Given:
    return own_objects(keys)


@pytest.fixture
def localai() -> Iterator[Simulator]:
    with Simulator(parse_scenario("worker gpu-1\nworker gpu-2\nfederated gateway")) as running:
        yield running


def near(url: str, name: str = "default", values: Values | None = None) -> list[Object]:
    """Return what a file of ci/ makes, but for LocalAI's address, and ports that are free."""
    web = {"port": free_port(), "healthPort": free_port()}
    return render(merged([values or {}, {"localai": {"url": url, "proxyUrl": ""}, "web": web}]), name)


def scrape(container: Container, context: ssl.SSLContext | None, password: str = "") -> str:
    """Return the page that Prometheus would get at the port and path of the Pod."""
    (path,) = (word.partition("=")[2] for word in container.words if word.startswith("--web.telemetry-path="))
    scheme = "https" if context else "http"
    request = urllib.request.Request(f"{scheme}://127.0.0.1:{container.port('metrics')}{path}")
    if password:
        request.add_header("Authorization", f"Basic {b64encode(f'scraper:{password}'.encode()).decode()}")
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize("name", [name for name in CI if name != "targets"])
def test_a_container_runs_with_its_own_command_line_and_files(
    name: str,
    localai: Simulator,
    given: Given,
    keys: Mapping[str, Certificate],
    tmp_path: Path,
) -> None:
    key = {"existing-secret": KEY, "full": KEY, "inline-secret": "sk-only-for-this-test"}.get(name)
    if key:
        localai.apply(f"key {key}")
    found = near(localai.url, name)
    exporter = containers(exporter_of(found), found, given, tmp_path / "files")[0]
    context, password = None, ""
    if name == "tls":
        context = ssl.create_default_context(cafile=keys["ca"].cert_file)
        context.load_cert_chain(keys["client"].cert_file, keys["client"].key_file)
    elif name == "full":
        password = PASSWORD
    with exporter.running(tmp_path / "log") as process:
        assert exporter.probe("livenessProbe")
        page = scrape(exporter, context, password)
        assert "\nlocalai_p2p_up 1.0\n" in page
        assert 'localai_p2p_nodes_online{backend="llama_cpp",role="worker"} 2.0\n' in page
        if name in ("tls", "full"):
            # The server wants a certificate or a password, which the kubelet does not have.
            with pytest.raises(OSError):  # noqa: PT011 - HTTPError and SSLError are both
                scrape(exporter, ssl.create_default_context(cafile=keys["ca"].cert_file) if name == "tls" else None)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
    log = (tmp_path / "log").read_text("utf-8")
    assert "this variable is none of the exporter's" not in log
    assert KEY not in log


def last_success(page: str) -> float:
    """Return when LocalAI was last understood, in Unix seconds."""
    (text,) = re.findall(r"^localai_p2p_exporter_last_poll_success_timestamp_seconds (\S+)$", page, re.MULTILINE)
    return float(text)


def test_a_rotated_key_is_read_without_a_restart(localai: Simulator, given: Given, tmp_path: Path) -> None:
    localai.apply(f"key {KEY}")
    found = near(localai.url, "existing-secret", {"poll": {"interval": "200ms"}})
    exporter = containers(exporter_of(found), found, given, tmp_path / "files")[0]
    with exporter.running(tmp_path / "log"):
        localai.apply("key sk-rotated")
        write(exporter.folders["api-key"], {"api-key": b"sk-rotated\n"})
        rotated = time.time()
        while last_success(scrape(exporter, None)) <= rotated:
            assert time.time() < rotated + PATIENCE_SECONDS
            # Nobody is told that a poll has ended: one has to look.
            threading.Event().wait(0.05)


def asking(found: list[Object], given: Given, folder: Path) -> dict[str, Container]:
    """Return the containers of the Pod of `helm test`, by name; the Service's name stands for the loopback address."""
    service = of_kind(found, "Service")
    port = exporter_of(found)["containers"][0]["ports"][0]["containerPort"]
    made = {one.spec["name"]: one for one in containers(of_kind(found, "Pod")["spec"], found, given, folder)}
    asked = f"{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    words = made["exporter"].words
    assert words[-1] == f"--web.listen-address={asked}"
    return made | {"exporter": replace(made["exporter"], words=[*words[:-1], f"--web.listen-address=127.0.0.1:{port}"])}


def test_the_helm_test_passes_as_localai_and_the_exporter_are_up(
    localai: Simulator, given: Given, tmp_path: Path
) -> None:
    localai.apply(f"key {KEY}")
    found = near(localai.url, "existing-secret", {"poll": {"timeout": "9s"}})
    exporter = containers(exporter_of(found), found, given, tmp_path / "files")[0]
    test = asking(found, given, tmp_path / "test")
    with exporter.running(tmp_path / "log"):
        assert {name: one.run().returncode for name, one in test.items()} == {"localai": 0, "exporter": 0}
        localai.apply("key another")
        refused = test["localai"].run()
        assert refused.returncode == 1
        assert "localai_p2p_up 0.0" in refused.stdout
        assert "auth" in refused.stderr


def test_the_helm_test_fails_as_localai_or_the_exporter_is_down(given: Given, tmp_path: Path) -> None:
    with nobody() as url:
        test = asking(near(url), given, tmp_path)
        assert {name: one.run().returncode for name, one in test.items()} == {"localai": 1, "exporter": 1}


def test_the_helm_test_leaves_the_exporter_out_where_it_wants_a_certificate() -> None:
    def names(found: Any) -> list[str]:
        return [one["name"] for one in of_kind(found, "Pod")["spec"]["containers"]]

    assert names(rendered("default")) == ["localai", "exporter"]
    assert names(rendered("tls")) == ["localai"]
    assert names(rendered("podmonitor")) == ["localai"]
    assert "Pod" not in {one["kind"] for one in render({"tests": {"enabled": False}})}


def test_the_pod_of_the_helm_test_is_made_for_it_alone_and_goes_when_it_succeeds() -> None:
    annotations = of_kind(rendered("default"), "Pod")["metadata"]["annotations"]
    assert annotations == {"helm.sh/hook": "test", "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded"}
