"""The rules: the generator writes them, Prometheus takes them, and each alert fires when it should, and only then."""

import re
import subprocess
from pathlib import Path

import promql_parser
import pytest
import yaml
from generate import ALERTS, FILES, FOLDER, rules_file
from rulebook import FAMILY, PREFIX, RUNBOOK, Alert, Group, Record
from support.prometheus import tool
from support.rule_cases import CASES
from support.rules import METRICS, RULES, Case, promtool

from exporter import collector, fleetcollector, owncollector
from exporter.durations import parse_duration

ROOT = Path(__file__).parent.parent
DEFINED = {one.name for one in (*collector.DEFINITIONS, *fleetcollector.DEFINITIONS, *owncollector.DEFINITIONS)}
NAMES = {alert.name for alert in ALERTS}


def filled(rule: Record | Alert) -> str:
    return rule.expr if isinstance(rule, Record) else rule.filled(rule.expr)


@pytest.mark.prometheus
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_exactly_these_alerts_fire(case: Case, tmp_path: Path) -> None:
    wrong = promtool(case, tmp_path)
    assert not wrong, wrong


def test_every_alert_has_its_cases_and_its_text() -> None:
    assert {name for case in CASES for name in case.fired} == NAMES, "alerts without a case in which they fire"
    assert {name for case in CASES for name in case.spares.split()} == NAMES, "alerts without a near miss"
    assert {case.text.alert for case in CASES if case.text} == NAMES, "alerts whose text nobody has read"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_means_what_it_says(case: Case) -> None:
    assert not case.fired & set(case.spares.split())
    assert not set(case.passing.split()) & set(case.spares.split())
    ends = [when[1] if isinstance(when, tuple) else when for when in case.firing]
    assert max(ends) <= case.minutes


def test_every_alert_has_its_section_in_the_runbook() -> None:
    runbook = (ROOT / "docs" / "runbook.md").read_text("utf-8")
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", runbook, re.DOTALL | re.MULTILINE))
    assert sorted(sections) == sorted(alert.full_name for alert in ALERTS)
    for name, text in sections.items():
        assert re.findall(r"^\*\*(.+?)\*\*", text, re.MULTILINE) == ["Means.", "Confirm.", "Do."], name
    for alert in ALERTS:
        assert alert.runbook_url == f"{RUNBOOK}#{alert.full_name.lower()}"


def test_the_runbook_asks_for_metrics_that_are_there() -> None:
    runbook = (ROOT / "docs" / "runbook.md").read_text("utf-8")
    assert set(re.findall(r"localai_(?:p2p|distributed)_\w+", runbook)) <= DEFINED
    queries = re.findall(r"```promql\n(.*?)```", runbook, re.DOTALL)
    assert queries
    for query in queries:
        promql_parser.parse(query)


def test_rules_read_metrics_that_are_there() -> None:
    assert METRICS <= DEFINED
    recorded = {rule.name for rule in RULES if isinstance(rule, Record)}
    read = {name for rule in RULES for name in re.findall(r"\bcluster\w*:[\w:]+", rule.expr)}
    assert read == recorded, "recorded for nobody, or read and not recorded"


@pytest.mark.parametrize(("name", "groups"), FILES.items(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_rule_file_is_what_the_generator_writes(name: str, groups: tuple[Group, ...]) -> None:
    text = (FOLDER / name).read_text("utf-8")
    assert text == rules_file(groups), f"prometheus/rules/{name} is behind: ./run docs"
    written = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    for rule, read in zip([rule for group in groups for rule in group.rules], written, strict=True):
        assert read["expr"] == filled(rule)
        if isinstance(rule, Alert):
            assert read["labels"] == {"severity": rule.severity}
            assert read["for"] == rule.hold
            assert read["annotations"] == {
                "summary": rule.summary,
                "description": rule.filled(rule.description),
                "runbook_url": rule.runbook_url,
            }


def test_there_is_no_other_rule_file() -> None:
    assert {str(file.relative_to(FOLDER)) for file in FOLDER.rglob("*.yml")} == set(FILES)


@pytest.mark.prometheus
def test_promtool_finds_nothing() -> None:
    files = [str(FOLDER / name) for name in FILES]
    words = [tool("promtool"), "check", "rules", "--lint=all", "--lint-fatal", *files]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_an_expression_keeps_to_the_conventions(rule: Record | Alert) -> None:
    expr = filled(rule)
    promql_parser.parse(expr)  # the grammar of Prometheus 3
    assert all(by.startswith("cluster") for by in re.findall(r"\b(?:by|on) \(([^)]*)\)", expr))
    assert all(parse_duration(window) >= 180 for window in re.findall(r"\[(\w+)[:\]]", expr))
    if isinstance(rule, Alert):
        assert set(rule.thresholds) <= set(re.findall(r"@(\w+)", rule.expr)), "a threshold that changes nothing"
        assert "{{" not in rule.summary
        assert "{{" in rule.description
    else:
        assert re.fullmatch(r"cluster\w*:localai_(p2p|distributed)_\w+:\w+", rule.name)


def test_an_age_alone_alerts_nobody_before_120_seconds() -> None:
    # Negative ages apart, which no healthy node has.
    for rule in RULES:
        for bound in re.findall(r"(?:last_seen|heartbeat)_age_seconds\[\w+\]\)\)? [<>]=? (\S+)", filled(rule)):
            assert float(bound) < 0 or float(bound) >= 120


def test_names_are_unique() -> None:
    names = [rule.name for rule in RULES]
    groups = [group.name for groups in FILES.values() for group in groups]
    assert len(set(names)) == len(names)
    assert len(set(groups)) == len(groups)
    for alert in ALERTS:
        assert alert.full_name.startswith((PREFIX, f"{FAMILY}Distributed")), alert.name
        assert alert.full_name.endswith(alert.name)
