"""The dashboard: generated, whole, and asking for what the exporter exports."""

import itertools
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from dashboard import FILE, text
from generate import ALERTS
from look import BAD
from records import UP
from rulebook import RUNBOOK
from support.dashboard import (
    DASHBOARD,
    DOCUMENT,
    IN_VARIABLES,
    PANELS,
    QUERIES,
    VARIABLES,
    Asked,
    elements,
    filled,
)
from support.exemptions import UNSHOWN
from support.grafana import Panel, legend_labels
from support.interpolation import names
from support.prometheus import tool
from support.promql import SERIES, labels, metric, parsed, selectors
from support.rules import METRICS

RULES_OWN = {"ALERTS", UP.name}
ANNOTATIONS: list[dict[str, Any]] = DOCUMENT["annotations"]["list"]
NOT_OURS = {*RULES_OWN, "scrape_duration_seconds", "process_resident_memory_bytes"}
READ = {metric(selector) for asked in QUERIES for selector in selectors(parsed(asked.query.expr))} - NOT_OURS

each_query = pytest.mark.parametrize("asked", QUERIES, ids=lambda asked: asked.place)
each_panel = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])

CHOICES: dict[str, dict[str, tuple[str, ...]]] = {
    "all": {},
    "one each": {
        "cluster": ("home.lab",),
        "job": ("localai-p2p",),
        "instance": ("10.0.0.1:10040",),
        "role": ("worker",),
        "host": ("gpu-01.home.lab",),
    },
    "two each": dict.fromkeys(VARIABLES, ("a.b", "(c)")),
}


def test_the_file_is_what_the_program_writes() -> None:
    assert FILE.read_text("utf-8") == text(), "grafana/localai-p2p.json is behind: ./run docs"
    assert text() == text()


def test_the_dashboard_as_a_whole() -> None:
    assert DOCUMENT["uid"] == "localai-p2p"
    assert DOCUMENT["schemaVersion"] == 42
    assert DOCUMENT["time"] == {"from": "now-6h", "to": "now"}
    assert DOCUMENT["refresh"] == "30s"
    assert DOCUMENT["graphTooltip"] == 1
    assert DOCUMENT["timezone"] == "browser"
    assert [row["title"] for row in elements() if row["type"] == "row"] == [
        "Overview",
        "Membership",
        "Nodes",
        "Trust",
        "Exporter",
    ]
    assert [row["title"] for row in elements() if row.get("collapsed")] == ["Exporter"]
    assert not any("placement" in one for one in ANNOTATIONS + DOCUMENT["links"])


def test_every_metric_is_shown_or_ruled_on_or_exempt_with_a_reason() -> None:
    assert READ | METRICS | set(UNSHOWN) == set(SERIES)
    assert not set(UNSHOWN) & (READ | METRICS), "exempt without need"
    assert all(UNSHOWN.values())


@each_panel
def test_a_panel_has_all_that_it_must_have(panel: dict[str, Any]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["unit"]
    assert defaults["noValue"]
    steps = defaults["thresholds"]["steps"]
    assert steps[0]["value"] is None
    assert [step["value"] for step in steps[1:]] == sorted(step["value"] for step in steps[1:])
    assert "Do: " in panel["description"]


@each_panel
def test_a_panel_explains_red_where_it_has_it(panel: dict[str, Any]) -> None:
    has = f'"{BAD}"' in json.dumps(panel["fieldConfig"])
    assert has == bool(re.search(r"\b[Rr]ed\b", panel["description"]))


def test_links_lead_to_the_runbook() -> None:
    sections = {alert.full_name.lower() for alert in ALERTS}
    linked = re.findall(rf"\({re.escape(RUNBOOK)}#(\w+)\)", text())
    assert linked
    assert set(linked) <= sections
    assert all(one["url"].startswith(RUNBOOK.rpartition("/")[0]) for one in DOCUMENT["links"])


def test_ids_and_titles_are_unique() -> None:
    for key in ("id", "title"):
        panels = [panel[key] for panel in PANELS]
        assert len(set(panels)) == len(panels)
    ids = [one["id"] for one in elements()]
    assert len(set(ids)) == len(ids)


def test_nothing_overlaps_and_no_line_has_a_gap() -> None:
    cells = [
        (column, line)
        for place in (one["gridPos"] for one in elements())
        for column in range(place["x"], place["x"] + place["w"])
        for line in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert set(cells) == set(itertools.product(range(24), range(max(line for _, line in cells) + 1)))


def test_every_variable_is_used() -> None:
    used = set().union(*(names(asked.query.expr) for asked in QUERIES))
    assert used - {"__range", "__rate_interval"} == set(VARIABLES)


def test_a_variable_narrows_those_after_it() -> None:
    before: list[str] = []
    for asked in IN_VARIABLES:
        assert re.findall(r"\$(\w+)", asked.query.expr) == before
        before.append(asked.place.removeprefix("$"))
    assert before == ["cluster", "job", "instance", "role", "host"]


def test_all_finds_targets_without_a_cluster() -> None:
    patterns = {name: variable.all_value for name, variable in VARIABLES.items()}
    assert patterns == {"cluster": ".*", "job": ".+", "instance": ".+", "role": ".+", "host": ".+"}
    chosen = [one["current"]["value"] for one in DOCUMENT["templating"]["list"] if one["type"] == "query"]
    assert chosen == [["$__all"]] * len(VARIABLES)


@each_query
def test_a_selector_is_narrowed_by_every_variable_that_fits(asked: Asked) -> None:
    found = selectors(parsed(asked.query.expr))
    assert found
    used = [{matcher.value.rstrip("|") for matcher in selector.matchers.matchers} for selector in found]
    for selector, values in zip(found, used, strict=True):
        if asked not in IN_VARIABLES:
            assert {"$cluster"} <= values
            assert selector.name in RULES_OWN or {"$job", "$instance"} <= values
        for label in ("role", "host"):
            if label in SERIES.get(metric(selector), ()) and any(f"${label}" in others for others in used):
                assert f"${label}" in values, selector


@each_query
def test_the_labels_of_a_legend_are_left_by_its_query(asked: Asked) -> None:
    assert legend_labels(asked.query.legend) <= labels(parsed(asked.query.expr))


def test_an_annotation_has_its_query_in_both_places() -> None:
    for annotation in ANNOTATIONS:
        assert annotation["target"]["expr"] == annotation["expr"]
        assert annotation["target"]["interval"] == annotation["step"]


@pytest.mark.parametrize(
    "panel", [one for one in DASHBOARD.panels if one.json["type"] == "table"], ids=lambda one: one.title
)
def test_the_columns_of_a_table_come_from_its_queries(panel: Panel) -> None:
    columns = dict(panel.transformations)["organize"]["renameByName"]
    brought = set().union(*(labels(parsed(query.expr)) for query in panel.queries))
    assert set(columns) <= brought | {f"Value #{query.ref}" for query in panel.queries}
    titles = {name for matcher, name in panel.overrides if matcher == "byName"} | {
        one["displayName"] for one in panel.json["options"].get("sortBy", [])
    }
    assert titles <= set(columns.values())
    assert all(target["format"] == "table" and target["instant"] for target in panel.json["targets"])


@pytest.mark.parametrize("chosen", CHOICES.values(), ids=CHOICES)
@each_query
def test_a_query_is_grammatical_in_prometheus_3(asked: Asked, chosen: dict[str, tuple[str, ...]]) -> None:
    expr = filled(asked.query, chosen)
    assert "$" not in expr
    promql_parser.parse(expr)


@pytest.mark.prometheus
@pytest.mark.parametrize("chosen", CHOICES.values(), ids=CHOICES)
def test_every_query_is_grammatical_in_prometheus_2(chosen: dict[str, tuple[str, ...]], tmp_path: Path) -> None:
    rules = [{"record": f"q{place}", "expr": filled(asked.query, chosen)} for place, asked in enumerate(QUERIES)]
    file = tmp_path / "queries.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}), "utf-8")  # JSON is YAML
    done = subprocess.run([tool("promtool"), "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
