"""What the chart says to its users: the notes of `helm install`, and the examples of its README."""

import functools
import json
import re

import pytest
import yaml
from chart_values import CHART
from support.helm import (
    CI,
    NAMESPACE,
    render,
    run,
)

pytestmark = pytest.mark.helm


@functools.cache
def notes(name: str) -> str:
    return run(
        "4", "install", "p2p", CHART, "--namespace", NAMESPACE, "--dry-run=client", "--values", CI[name]
    ).stdout.partition("NOTES:")[2]


@pytest.mark.parametrize(
    ("name", "said", "unsaid"),
    [
        (
            "default",
            (
                "serviceMonitor.labels.release=NAME | helm test p2p --namespace llm | http://127.0.0.1:10040/metrics | "
                "doctor --localai.url=http://local-ai | p2p-localai-p2p-exporter.llm.svc:10040 | No registry is given"
            ),
            "API key stands | replicas ask",
        ),
        ("servicemonitor", "release=kube-prometheus-stack", "Nobody yet | name this one"),
        (
            "podmonitor",
            "monitoring/p2p-localai-p2p-exporter | podMonitor.labels.release | 2 replicas ask",
            "Nobody yet",
        ),
        ("scrapeconfig", "this ScrapeConfig", "Nobody yet"),
        ("annotations", "prometheus.io/scrape on Pods", "Nobody yet"),
        ("inline-secret", "API key stands in the release's values | http://p2p-local-ai every 15s", "sk-only"),
        (
            "targets",
            (
                "Prometheus finds them at p2p-localai-p2p-exporter.llm.svc:10040, path /sd | exec deploy/p2p-localai | "
                "doctor --config.file=/etc/localai-p2p-exporter/targets/targets.yml | http://127.0.0.1:10040/metrics"
            ),
            "asks LocalAI at | --localai.url",
        ),
        ("tls", "credentials of your web configuration", "curl http"),
        ("full", "every 30s", "No registry is given"),
    ],
)
def test_the_notes_say_what_to_do_next(name: str, said: str, unsaid: str) -> None:
    text = notes(name)
    for words in said.split(" | "):
        assert words in text
    for words in unsaid.split(" | "):
        assert words not in text


def test_the_command_of_the_notes_is_the_entry_point_of_the_image() -> None:
    (entry_point,) = re.findall(
        r"^ENTRYPOINT (\[.+\])$", (CHART.parents[1] / "Dockerfile").read_text("utf-8"), re.MULTILINE
    )
    assert f" {' '.join(json.loads(entry_point))} doctor --localai.url=http://local-ai" in notes("default")


@pytest.mark.parametrize("name", CI)
def test_the_notes_never_show_a_secret(name: str) -> None:
    assert "sk-only-for-this-test" not in notes(name)


def test_the_values_to_start_with_render() -> None:
    page = (CHART.parents[1] / "docs" / "getting-started.md").read_text("utf-8")
    (values,) = re.findall(r"```yaml\n# values\.yaml\n(.*?)```", page, re.DOTALL)
    found = {one["kind"]: one for one in render(yaml.safe_load(values))}
    for kind in ("ServiceMonitor", "PrometheusRule"):
        assert found[kind]["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    assert {"Deployment", "ConfigMap"} <= found.keys()


def test_the_examples_of_the_readme_render() -> None:
    text = (CHART / "README.md").read_text("utf-8")
    blocks = [block.partition("```")[0] for block in text.split("```yaml\n")[1:]]
    assert len(blocks) == 4
    for block in blocks:
        assert render(yaml.safe_load(block), "targets" if "targets:" in block else "default")
