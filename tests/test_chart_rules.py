"""The rules and dashboards of the chart: by default those of prometheus/ and grafana/, else changed as told."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart_files import dashboards
from generate import ALERTS, ALERTS_FILE, DISTRIBUTED_FILE, FOLDER, OPTIONAL_FILE, RECORDS_FILE
from support.helm import of_kind, render, rendered
from support.prometheus import tool
from support.rule_cases import CASES

pytestmark = pytest.mark.helm

Group = Mapping[str, Any]

MEBIBYTE = 2**20
LONGEST_MINUTES = 60


def groups(found: Any) -> list[Group]:
    rules: list[Group] = of_kind(found, "PrometheusRule")["spec"]["groups"]
    return rules


def written(*names: str) -> list[Group]:
    """Return the groups of files below prometheus/rules."""
    return [group for name in names for group in yaml.safe_load((FOLDER / name).read_text("utf-8"))["groups"]]


def alerts(found: Any) -> dict[str, Mapping[str, Any]]:
    return {rule["alert"]: rule for group in groups(found) for rule in group["rules"] if "alert" in rule}


def promtool(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [tool("promtool"), *words], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_by_default_the_rules_are_those_of_the_files() -> None:
    assert groups(rendered("servicemonitor")) == written(RECORDS_FILE, ALERTS_FILE)


@pytest.mark.parametrize("collected", [True, False])
@pytest.mark.parametrize("told", [True, False, None])
def test_what_is_of_distributed_mode_comes_where_it_is_asked_for(collected: bool, told: bool | None) -> None:
    section = {"enabled": True, "distributed": told}
    values = {"collector": {"distributed": collected}, "prometheusRule": section, "dashboards": section}
    found = render(values | {"grafanaDashboard": section})
    comes = collected if told is None else told
    files = (RECORDS_FILE, ALERTS_FILE, DISTRIBUTED_FILE) if comes else (RECORDS_FILE, ALERTS_FILE)
    assert groups(found) == written(*files)
    names = {name for name in dashboards() if comes or "distributed" not in name}
    assert of_kind(found, "ConfigMap")["data"].keys() == names
    assert sum(one["kind"] == "GrafanaDashboard" for one in found) == len(names)


def test_an_alert_that_is_off_is_turned_on() -> None:
    optional = written(OPTIONAL_FILE)
    on = {rule["alert"]: {"enabled": True} for group in optional for rule in group["rules"]}
    values = {"prometheusRule": {"enabled": True, "alerts": on}}
    assert groups(render(values)) == written(RECORDS_FILE, ALERTS_FILE, OPTIONAL_FILE)


def test_each_alert_can_be_turned_off() -> None:
    off = {alert.full_name: {"enabled": False} for alert in ALERTS}
    values = {"prometheusRule": {"enabled": True, "distributed": True, "alerts": off}}
    records = [group for group in written(DISTRIBUTED_FILE) if "record" in group["rules"][0]]
    assert groups(render(values)) == written(RECORDS_FILE) + records


def test_each_alert_has_the_severity_wait_and_thresholds_that_it_is_given() -> None:
    given: dict[str, dict[str, Any]] = {
        alert.full_name: {
            "enabled": True,
            "severity": "page",
            "for": "17m",
            # Numbers that no rule holds otherwise, and that are told apart where an alert has two.
            **(
                {"thresholds": {name: 7_001 + place for place, name in enumerate(alert.thresholds)}}
                if alert.thresholds
                else {}
            ),
        }
        for alert in ALERTS
    }
    rules = {"enabled": True, "distributed": True, "alerts": given, "alertLabels": {"team": "ai"}}
    found = alerts(render({"prometheusRule": rules}))
    assert set(found) == set(given)
    for alert in ALERTS:
        rule = found[alert.full_name]
        assert rule["for"] == "17m"
        assert rule["labels"] == {"severity": "page", "team": "ai"}
        words = {name: str(value) for name, value in given[alert.full_name].get("thresholds", {}).items()}
        assert words.keys() == alert.thresholds.keys()
        text = f"{alert.expr}\n{alert.description}".replace("@job", "localai-p2p")
        for name, value in words.items():
            text = text.replace(f"@{name}", value)
        assert f"{rule['expr']}\n{rule['annotations']['description']}" == text


def test_the_operators_changes_and_no_others_are_made() -> None:
    before, after = alerts(rendered("servicemonitor")), alerts(rendered("rules"))
    assert set(before) - set(after) == {"LocalAIP2PHostFlapping"}
    assert set(after) - set(before) == {"LocalAIP2PDuplicateNodesOnHost"}
    changed = {name for name in before if name in after and before[name]["expr"] != after[name]["expr"]}
    assert changed == {
        "LocalAIP2PExporterAbsent",
        "LocalAIP2PExporterDown",
        "LocalAIP2PCapacityDropped",
        "LocalAIP2PDeadNodesPileUp",
    }
    assert after["LocalAIP2PExporterAbsent"]["expr"] == 'absent_over_time(up{job="p2p"}[3m])'
    assert "> (1 + 0) *" in after["LocalAIP2PDeadNodesPileUp"]["expr"]
    assert after["LocalAIP2PNoWorkersOnline"]["for"] == "10m"
    for name, rule in after.items():
        assert rule["annotations"]["runbook_url"] == f"https://wiki.example.org/p2p#{name.lower()}"


@pytest.mark.prometheus
@pytest.mark.parametrize("name", ["servicemonitor", "rules"])
def test_promtool_finds_nothing(name: str, tmp_path: Path) -> None:
    (tmp_path / "rules.json").write_text(json.dumps({"groups": groups(rendered(name))}), "utf-8")
    said = promtool(tmp_path, "check", "rules", "--lint=all", "--lint-fatal", "rules.json")
    assert "SUCCESS" in said


@pytest.mark.prometheus
def test_the_shipped_rules_fire_as_those_of_the_files_do(tmp_path: Path) -> None:
    found = render({"prometheusRule": {"distributed": True}}, "servicemonitor")
    (tmp_path / "rules.json").write_text(json.dumps({"groups": groups(found)}), "utf-8")
    # Those that take no story of an hour or more: that the rules are the same, another test holds.
    quick = [case for case in CASES if case.series and case.minutes <= LONGEST_MINUTES and not case.optional]
    documents = [json.loads(case.document()) for case in quick]
    assert {name for case in quick for name in case.fired}
    tests = {
        **documents[0],
        "rule_files": ["rules.json"],
        "tests": [test for one in documents for test in one["tests"]],
    }
    (tmp_path / "test.json").write_text(json.dumps(tests), "utf-8")
    promtool(tmp_path, "test", "rules", "test.json")


@pytest.mark.prometheus
def test_a_changed_threshold_changes_what_fires(tmp_path: Path) -> None:
    (tmp_path / "rules.json").write_text(json.dumps({"groups": groups(rendered("rules"))}), "utf-8")

    def nodes(count: int, host: str) -> list[Mapping[str, str]]:
        labels = f'role="worker",backend="llama_cpp",host="{host}",cluster="home"'
        return [
            {"series": f'localai_p2p_node_online{{id="{host}-{one}",{labels}}}', "values": "1x60"}
            for one in range(count)
        ]

    expected = {
        "exp_labels": {
            "severity": "info",
            "team": "ai",
            "cluster": "home",
            "role": "worker",
            "backend": "llama_cpp",
            "host": "five",
        },
        "exp_annotations": {
            "summary": "A host runs several nodes of a kind.",
            "description": "home: the host five runs 5 worker nodes of one kind.",
            "runbook_url": "https://wiki.example.org/p2p#localaip2pduplicatenodesonhost",
        },
    }
    asked = {"eval_time": "50m", "alertname": "LocalAIP2PDuplicateNodesOnHost", "exp_alerts": [expected]}
    test = {"interval": "1m", "input_series": [*nodes(4, "four"), *nodes(5, "five")], "alert_rule_test": [asked]}
    (tmp_path / "test.json").write_text(json.dumps({"rule_files": ["rules.json"], "tests": [test]}), "utf-8")
    promtool(tmp_path, "test", "rules", "test.json")


def test_the_dashboards_arrive_as_they_are() -> None:
    section = {"distributed": True}
    shipped = of_kind(render({"dashboards": section}, "servicemonitor"), "ConfigMap")
    assert shipped["data"] == dashboards()
    assert any("{{" in text for text in dashboards().values()), "no legend that a template could have eaten"
    assert len(json.dumps(shipped).encode()) < MEBIBYTE
    found = render({"grafanaDashboard": section}, "gateway")
    made = {one["metadata"]["name"]: one["spec"] for one in found if one["kind"] == "GrafanaDashboard"}
    assert made.keys() == {f"p2p-localai-p2p-exporter-{name.removesuffix('.json')}" for name in dashboards()}
    for name, text in dashboards().items():
        spec = made[f"p2p-localai-p2p-exporter-{name.removesuffix('.json')}"]
        assert json.loads(spec["json"]) == json.loads(text)
        assert spec["instanceSelector"] == {"matchLabels": {"dashboards": "grafana"}}


def test_the_sidecar_finds_the_dashboards() -> None:
    shipped = of_kind(rendered("servicemonitor"), "ConfigMap")
    assert shipped["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert shipped["metadata"]["annotations"] == {"grafana_folder": "LocalAI"}
    names = {"label": "board", "labelValue": "yes", "folder": "P2P", "folderAnnotation": "place"}
    other = of_kind(render({"dashboards": {"enabled": True, **names}}), "ConfigMap")
    assert other["metadata"]["labels"]["board"] == "yes"
    assert other["metadata"]["annotations"] == {"place": "P2P"}
    assert "annotations" not in of_kind(render({"dashboards": {"enabled": True}}), "ConfigMap")["metadata"]
