"""The dashboards: generated, whole, and asking for what the exporter exports."""

import itertools
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import distributed_alerts
import promql_parser
import pytest
from generate import ALERTS
from look import BAD
from records import UP
from rulebook import RUNBOOK
from support.dashboard import DISTRIBUTED, P2P, SHEETS, Asked, Sheet
from support.exemptions import UNSHOWN
from support.grafana import Panel, legend_labels
from support.interpolation import names
from support.prometheus import tool
from support.promql import SERIES, labels, metric, parsed, selectors
from support.rules import METRICS

RULES_OWN = {"ALERTS", UP.name, distributed_alerts.UP.name}
NOT_OURS = {*RULES_OWN, "scrape_duration_seconds", "process_resident_memory_bytes"}
QUERIES = [(sheet, asked) for sheet in SHEETS for asked in sheet.queries]
READ = {metric(selector) for _, asked in QUERIES for selector in selectors(parsed(asked.query.expr))} - NOT_OURS

each_sheet = pytest.mark.parametrize("sheet", SHEETS, ids=str)
each_query = pytest.mark.parametrize(("sheet", "asked"), QUERIES, ids=lambda one: getattr(one, "place", str(one)))
each_panel = pytest.mark.parametrize(
    "panel", [pytest.param(panel, id=f"{sheet}-{panel['title']}") for sheet in SHEETS for panel in sheet.panels]
)

NARROWING = {
    P2P: ["cluster", "job", "instance", "role", "host"],
    DISTRIBUTED: ["cluster", "job", "instance", "name", "model"],
}
"""The variables of each dashboard."""
BESIDE = {P2P: [], DISTRIBUTED: ["name"]}
"""Those that do not narrow the ones after them."""
CHOICES: dict[str, dict[str, tuple[str, ...]]] = {
    "all": {},
    "one each": {
        "cluster": ("home.lab",),
        "job": ("localai-p2p",),
        "instance": ("10.0.0.1:10040",),
        "role": ("worker",),
        "host": ("gpu-01.home.lab",),
        "name": ("gpu-01.home.lab",),
        "model": ("llama-3.1",),
    },
    "two each": dict.fromkeys(["role", "host", *NARROWING[DISTRIBUTED]], ("a.b", "(c)")),
}


@each_sheet
def test_the_file_is_what_the_program_writes(sheet: Sheet) -> None:
    text = sheet.board.text()
    assert sheet.board.file.read_text("utf-8") == text, f"grafana/{sheet.board.file.name} is behind: ./run docs"
    assert sheet.board.text() == text


def test_each_dashboard_has_its_name() -> None:
    assert [sheet.board.file.name for sheet in SHEETS] == ["localai-p2p.json", "localai-distributed.json"]


@pytest.mark.parametrize(
    ("sheet", "rows"),
    [
        (P2P, ["Overview", "Membership", "Nodes", "Trust", "Exporter"]),
        (DISTRIBUTED, ["Overview", "Nodes", "Capacity", "Models", "Exporter"]),
    ],
    ids=str,
)
def test_the_dashboard_as_a_whole(sheet: Sheet, rows: list[str]) -> None:
    document = sheet.document
    assert document["uid"] == sheet.board.uid
    assert document["schemaVersion"] == 42
    assert document["time"] == {"from": "now-6h", "to": "now"}
    assert document["refresh"] == "30s"
    assert document["graphTooltip"] == 1
    assert document["timezone"] == "browser"
    assert [row["title"] for row in sheet.elements() if row["type"] == "row"] == rows
    assert [row["title"] for row in sheet.elements() if row.get("collapsed")] == ["Exporter"]
    assert not any("placement" in one for one in document["annotations"]["list"] + document["links"])


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


@each_sheet
def test_links_lead_to_the_runbook(sheet: Sheet) -> None:
    sections = {alert.full_name.lower() for alert in ALERTS}
    linked = re.findall(rf"\({re.escape(RUNBOOK)}#(\w+)\)", sheet.board.text())
    assert linked
    assert set(linked) <= sections
    assert all(one["url"].startswith(RUNBOOK.rpartition("/")[0]) for one in sheet.document["links"])


@each_sheet
def test_ids_and_titles_are_unique(sheet: Sheet) -> None:
    for key in ("id", "title"):
        panels = [panel[key] for panel in sheet.panels]
        assert len(set(panels)) == len(panels)
    ids = [one["id"] for one in sheet.elements()]
    assert len(set(ids)) == len(ids)


@each_sheet
def test_nothing_overlaps_and_no_line_has_a_gap(sheet: Sheet) -> None:
    cells = [
        (column, line)
        for place in (one["gridPos"] for one in sheet.elements())
        for column in range(place["x"], place["x"] + place["w"])
        for line in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert set(cells) == set(itertools.product(range(24), range(max(line for _, line in cells) + 1)))


@each_sheet
def test_every_variable_is_used(sheet: Sheet) -> None:
    used = set().union(*(names(asked.query.expr) for asked in sheet.queries))
    assert used - {"__range", "__rate_interval"} == set(sheet.variables)


@each_sheet
def test_a_variable_narrows_those_after_it(sheet: Sheet) -> None:
    before: list[str] = []
    for asked in sheet.in_variables:
        assert re.findall(r"\$(\w+)", asked.query.expr) == [name for name in before if name not in BESIDE[sheet]]
        before.append(asked.place.removeprefix("$"))
    assert before == NARROWING[sheet]


@each_sheet
def test_all_finds_targets_without_a_cluster(sheet: Sheet) -> None:
    patterns = {name: variable.all_value for name, variable in sheet.variables.items()}
    assert patterns == dict.fromkeys(NARROWING[sheet], ".+") | {"cluster": ".*"}
    chosen = [one["current"]["value"] for one in sheet.document["templating"]["list"] if one["type"] == "query"]
    assert chosen == [["$__all"]] * len(sheet.variables)


@each_query
def test_a_selector_is_narrowed_by_every_variable_that_fits(sheet: Sheet, asked: Asked) -> None:
    found = selectors(parsed(asked.query.expr))
    assert found
    used = [{matcher.value.rstrip("|") for matcher in selector.matchers.matchers} for selector in found]
    for selector, values in zip(found, used, strict=True):
        if asked not in sheet.in_variables:
            assert {"$cluster"} <= values
            assert selector.name in RULES_OWN or {"$job", "$instance"} <= values
        for label in NARROWING[sheet][3:]:
            if label in SERIES.get(metric(selector), ()) and any(f"${label}" in others for others in used):
                assert f"${label}" in values, selector


@each_query
def test_the_labels_of_a_legend_are_left_by_its_query(sheet: Sheet, asked: Asked) -> None:
    assert asked in sheet.queries
    assert legend_labels(asked.query.legend) <= labels(parsed(asked.query.expr))


@each_sheet
def test_an_annotation_has_its_query_in_both_places(sheet: Sheet) -> None:
    for annotation in sheet.document["annotations"]["list"]:
        assert annotation["target"]["expr"] == annotation["expr"]
        assert annotation["target"]["interval"] == annotation["step"]


@pytest.mark.parametrize(
    "panel",
    [one for sheet in SHEETS for one in sheet.dashboard.panels if one.json["type"] == "table"],
    ids=lambda one: one.title,
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
def test_a_query_is_grammatical_in_prometheus_3(sheet: Sheet, asked: Asked, chosen: dict[str, tuple[str, ...]]) -> None:
    expr = sheet.filled(asked.query, chosen)
    assert "$" not in expr
    promql_parser.parse(expr)


@pytest.mark.prometheus
@pytest.mark.parametrize("chosen", CHOICES.values(), ids=CHOICES)
def test_every_query_is_grammatical_in_prometheus_2(chosen: dict[str, tuple[str, ...]], tmp_path: Path) -> None:
    rules = [
        {"record": f"q{place}", "expr": sheet.filled(asked.query, chosen)}
        for place, (sheet, asked) in enumerate(QUERIES)
    ]
    file = tmp_path / "queries.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}), "utf-8")  # JSON is YAML
    done = subprocess.run([tool("promtool"), "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
