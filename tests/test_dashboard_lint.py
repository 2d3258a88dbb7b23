"""The dashboards keep the rules of grafana/dashboard-linter, but for what grafana/.lint lets pass."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.dashboard import P2P, SHEETS, Sheet
from support.dashboard_lint import RULES, Complaint, Document

FILE = Path(__file__).parent.parent / "grafana" / ".lint"
EXCLUSIONS: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text("utf-8"))["exclusions"]


def excluded(rule: str, title: str, complaint: Complaint) -> bool:
    if rule not in EXCLUSIONS:
        return False
    entries = EXCLUSIONS[rule].get("entries")
    return entries is None or {"dashboard": title, "panel": complaint.panel} in entries


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("sheet", SHEETS, ids=str)
def test_a_rule_is_kept(sheet: Sheet, rule: str) -> None:
    assert [one for one in RULES[rule](sheet.document) if not excluded(rule, sheet.board.title, one)] == []


def test_every_exclusion_is_needed_and_has_its_reason() -> None:
    assert set(EXCLUSIONS) <= set(RULES)
    for rule, exclusion in EXCLUSIONS.items():
        assert exclusion["reason"]
        complaints = {(sheet.board.title, one.panel) for sheet in SHEETS for one in RULES[rule](sheet.document)}
        assert complaints
        for entry in exclusion.get("entries", []):
            assert (entry["dashboard"], entry["panel"]) in complaints


def _variable(document: Document, name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = [one for one in document["templating"]["list"] if one["name"] == name]
    return found[0]


def _first(document: Document, key: str, value: object) -> None:
    document["panels"][1][key] = value


def _ask(document: Document, expr: str) -> None:
    document["panels"][1]["targets"][0]["expr"] = expr


BREAKS: dict[str, Callable[[Any], object]] = {
    "template-datasource-rule": lambda document: _variable(document, "datasource").update(name="prom"),
    "template-job-rule": lambda document: _variable(document, "job").update(allValue=".*"),
    "template-instance-rule": lambda document: _variable(document, "instance").update(multi=False),
    "template-label-promql-rule": lambda document: _variable(document, "host").update(query={"query": "up, host"}),
    "template-on-time-change-reload-rule": lambda document: _variable(document, "cluster").update(refresh=1),
    "panel-datasource-rule": lambda document: _first(document, "datasource", {"uid": "mine"}),
    "panel-title-description-rule": lambda document: _first(document, "description", ""),
    "panel-units-rule": lambda document: document["panels"][1]["fieldConfig"]["defaults"].update(unit="parrots"),
    "panel-no-targets-rule": lambda document: _first(document, "targets", []),
    "target-promql-rule": lambda document: _ask(document, "sum("),
    "target-rate-interval-rule": lambda document: _ask(document, "rate(x_total[5m])"),
    "target-job-rule": lambda document: _ask(document, 'up{instance=~"$instance"}'),
    "target-instance-rule": lambda document: _ask(document, 'up{job=~"$job", instance="$instance"}'),
    "target-counter-agg-rule": lambda document: _ask(document, "max_over_time(x_total[5m])"),
    "uneditable-dashboard": lambda document: document.update(editable=True),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_finds_what_breaks_it(rule: str) -> None:
    document = copy.deepcopy(P2P.document)
    BREAKS[rule](document)
    assert [one for one in RULES[rule](document) if one.panel in ("", P2P.document["panels"][1]["title"])]


def test_these_are_the_rules_that_concern_prometheus() -> None:
    assert len(RULES) == 15
    assert set(BREAKS) == set(RULES)
