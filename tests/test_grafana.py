"""The reader of dashboards: it fills in as Grafana does, and sees which names stand for nothing."""

import copy
from typing import Any

import promql_parser
import pytest
from support.asking import Series
from support.fields import unknown_in_annotation, unknown_in_panel
from support.grafana import Dashboard
from support.interpolation import Choice, Window, interpolated, seconds_variables

SIX_HOURS = Window(1_800_000_000.0, 1_800_021_600.0)

DOCUMENT: dict[str, Any] = {
    "panels": [
        {
            "type": "row",
            "panels": [
                {
                    "type": "table",
                    "title": "Nodes",
                    "targets": [
                        {"refId": "A", "expr": "online", "instant": True, "format": "table"},
                        {"refId": "B", "expr": "age", "instant": True, "format": "table"},
                    ],
                    "transformations": [
                        {"id": "merge", "options": {}},
                        {"id": "filterFieldsByName", "options": {"include": {"names": ["host", "Value #A"]}}},
                        {
                            "id": "organize",
                            "options": {
                                "indexByName": {"host": 0, "Value #A": 1},
                                "renameByName": {"host": "Host", "Value #A": "Status"},
                                "excludeByName": {},
                            },
                        },
                    ],
                    "options": {"sortBy": [{"displayName": "Status", "desc": True}]},
                    "fieldConfig": {
                        "defaults": {},
                        "overrides": [
                            {
                                "matcher": {"id": "byName", "options": "Host"},
                                "properties": [
                                    {
                                        "id": "links",
                                        "value": [{"url": "/d/x?${cluster:queryparam}&${__url_time_range}"}],
                                    }
                                ],
                            }
                        ],
                    },
                }
            ],
        },
        {
            "type": "timeseries",
            "title": "Alerts",
            "interval": "2m",
            "targets": [
                {"refId": "A", "expr": "ALERTS", "range": True, "legendFormat": "{{alertname}} {{backend}}"},
                {"refId": "B", "expr": "quiet", "range": True, "legendFormat": "none"},
            ],
            "transformations": [{"id": "renameByRegex", "options": {"regex": "LocalAI(.+)", "renamePattern": "$1"}}],
            "options": {},
            "fieldConfig": {
                "defaults": {"links": [{"url": "/d/y?var-alert=${__field.labels.alertname}"}]},
                "overrides": [
                    {"matcher": {"id": "byRegexp", "options": "/^Down/"}, "properties": []},
                    {"matcher": {"id": "byName", "options": "none"}, "properties": []},
                    {"matcher": {"id": "byFrameRefID", "options": "A"}, "properties": []},
                ],
            },
        },
        {"type": "text", "title": "Words"},
    ],
    "templating": {
        "list": [
            {"type": "datasource", "name": "datasource", "query": "prometheus"},
            {"type": "query", "name": "cluster", "query": {"query": "label_values(up, cluster)"}, "multi": True},
            {"type": "query", "name": "job", "query": "label_values(job)", "includeAll": True, "allValue": ".+"},
        ]
    },
    "annotations": {
        "list": [
            {"builtIn": 1, "name": "Annotations & Alerts"},
            {"name": "Changes", "expr": "changes", "step": "30s", "titleFormat": "{{change}}", "tagKeys": "role,job"},
        ]
    },
}
NODES = {
    "A": (Series({"host": "a"}, {0: 1}), Series({"host": "b"}, {0: 0})),
    "B": (Series({"host": "a"}, {0: 12.5}),),
}
ALERTS = {"A": (Series({"alertname": "LocalAIDown", "role": "federated"}, {0: 1, 20: 2}),), "B": ()}


def changed(*path: str | int, to: object) -> Dashboard:
    """The dashboard with another value at one place."""
    document = copy.deepcopy(DOCUMENT)
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return Dashboard.of(document)


def test_what_a_dashboard_asks() -> None:
    dashboard = Dashboard.of(DOCUMENT)
    assert [(panel.title, len(panel.queries)) for panel in dashboard.panels] == [("Nodes", 2), ("Alerts", 2)]
    assert [query.instant for panel in dashboard.panels for query in panel.queries] == [True, True, False, False]
    assert dashboard.panel("Alerts").least_step == 120
    assert [(one.name, one.query, one.several, one.all_value) for one in dashboard.variables] == [
        ("cluster", "label_values(up, cluster)", True, ""),
        ("job", "label_values(job)", True, ".+"),
    ]
    (annotation,) = dashboard.annotations
    assert (annotation.query.expr, annotation.query.least_step) == ("changes", 30)
    assert ALERTS["A"][0].last == 2


def test_a_query_for_now_and_over_time_is_two() -> None:
    both = changed("panels", 1, "targets", 0, "instant", to=True).panel("Alerts")
    assert [(query.ref, query.instant) for query in both.queries] == [("A", True), ("A", False), ("B", False)]


@pytest.mark.parametrize(
    ("choice", "promql"),
    [
        (Choice(("gpu-1.lan",)), r"gpu-1\\.lan"),
        (Choice(("a.b", "c(d)")), r"(a\\.b|c\\(d\\))"),
        (Choice(("a", "b"), pattern=".+"), ".+"),
        (Choice(("back\\slash",)), r"back\\\\slash"),
        (Choice(('a."b"',), several=False), r"a.\"b\""),
    ],
)
def test_values_are_escaped_as_grafana_escapes_them(choice: Choice, promql: str) -> None:
    for form in ("$host", "${host}", "[[host]]"):
        filled = interpolated(f'up{{host=~"{form}"}}', {"host": choice})
        assert filled == f'up{{host=~"{promql}"}}'
        promql_parser.parse(filled)


def test_a_format_is_what_it_says() -> None:
    choices = {"host": Choice(("a.b", "c/d"))}
    forms = ("${host:regex}", "[[host:pipe]]", "${host:raw}")
    assert [interpolated(one, choices) for one in forms] == [r"(a\.b|c\/d)", "a.b|c/d", "a.b,c/d"]
    with pytest.raises(KeyError):
        interpolated("${host:unheard}", choices)


def test_what_nobody_knows_stays() -> None:
    assert interpolated("$hosts ${host2} [[hos]] $host", {"host": Choice(("a",))}) == "$hosts ${host2} [[hos]] a"


@pytest.mark.parametrize(
    ("hours", "least", "step", "rate"),
    [(1, 15, 15, "60s"), (6, 15, 20, "60s"), (24, 15, 60, "75s"), (6, 120, 120, "135s")],
)
def test_steps_are_grafanas(hours: int, least: float, step: int, rate: str) -> None:
    window = Window(0.0, hours * 3600.0)
    assert window.step(least, 1_000) == step
    text = interpolated("$__rate_interval $__interval ${__range} $__range_s", seconds_variables(window, step))
    assert text == f"{rate} {step}s {hours * 3600}s {hours * 3600}"


def test_a_sound_dashboard_names_nothing_unknown() -> None:
    dashboard = Dashboard.of(DOCUMENT)
    variables = ["datasource", "cluster", "job"]
    assert unknown_in_panel(dashboard.panel("Nodes"), NODES, variables) == set()
    assert unknown_in_panel(dashboard.panel("Alerts"), ALERTS, variables) == set()
    (annotation,) = dashboard.annotations
    assert unknown_in_annotation(annotation, (Series({"change": "lost", "role": "worker", "job": "x"}, {}),)) == set()
    assert unknown_in_annotation(annotation, (Series({"change": "lost"}, {}),)) == {"role", "job"}


_OVERRIDE = ("fieldConfig", "overrides")
_TABLE = ("panels", 0, "panels", 0)


@pytest.mark.parametrize(
    ("path", "to", "unknown"),
    [
        ((*_TABLE, "transformations", 1, "options", "include", "names"), ["host", "Value"], {"Value"}),
        ((*_TABLE, "transformations", 2, "options", "renameByName"), {"hosts": "Host"}, {"hosts", "Host", "Status"}),
        ((*_TABLE, *_OVERRIDE, 0, "matcher", "options"), "host", {"host"}),
        ((*_TABLE, "options", "sortBy", 0, "displayName"), "Age", {"Age"}),
        ((*_TABLE, *_OVERRIDE, 0, "properties", 0, "value", 0, "url"), "?${clusters}&$__all_variables", {"clusters"}),
        (("panels", 1, "targets", 0, "legendFormat"), "LocalAIDown {{host}}", {"A: host"}),
        (("panels", 1, *_OVERRIDE, 0, "matcher", "options"), "/^LocalAI/", {"/^LocalAI/"}),
        (("panels", 1, *_OVERRIDE, 2, "matcher", "options"), "C", {"C"}),
        (("panels", 1, "fieldConfig", "defaults", "links", 0, "url"), "?${__field.labels.host}", {"host"}),
    ],
)
def test_a_name_that_stands_for_nothing_is_seen(path: tuple[str | int, ...], to: object, unknown: set[str]) -> None:
    title, answers = ("Nodes", NODES) if path[:4] == _TABLE else ("Alerts", ALERTS)
    dashboard = changed(*path, to=to)
    assert unknown_in_panel(dashboard.panel(title), answers, ["datasource", "cluster", "job"]) == unknown


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("panels", 1, "transformations", 0, "id"), "reduce"),
        (("panels", 1, *_OVERRIDE, 0, "matcher", "id"), "byType"),
    ],
)
def test_what_the_reader_does_not_know_fails(path: tuple[str | int, ...], value: str) -> None:
    with pytest.raises(AssertionError, match="nobody here knows"):
        unknown_in_panel(changed(*path, to=value).panel("Alerts"), ALERTS, [])
