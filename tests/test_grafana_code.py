"""Grafana's own libraries read the dashboard: what its panels say, in which colour, and how they are drawn."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from generate import ALERTS, FILES, FOLDER
from rulebook import Severity
from support.asking import Answer, Asking
from support.dashboard import P2P, SHEETS, Sheet
from support.facts import Facts
from support.grafana import Json
from support.interpolation import Window
from support.panel_numbers import AGE_TOLERANCE_SECONDS
from support.prometheus import impatient
from support.scene import CLUSTER, EXPECTED, RANGE_SECONDS, STEP_SECONDS, Past, scene
from support.shown import (
    BUILD,
    Shown,
    Texts,
    compiler_complaints,
    document,
    drawable,
    drawn,
    nothing,
    raw_of,
    shown,
    typed,
    words_of,
)

# Not a test of Prometheus too: what Grafana shows does not depend on which one answered.
pytestmark = [pytest.mark.grafana, pytest.mark.heavy]

DASHBOARD = P2P.dashboard
FILE = P2P.board.file
NOW = Window(1_800_000_000 - RANGE_SECONDS, 1_800_000_000)

COLUMNS = {
    "Nodes": [
        *("Host", "Node", "Role", "Backend", "Status", "Last seen", "Changes in 1 h", "Listed by"),
        *("LocalAI that lists it", "Cluster"),
    ],
    "Nodes whose clock is wrong": ["Host", "Its clock", "Role", "Cluster", "Node"],
    "Instances": [
        *("Instance", "P2P", "LocalAI", "API generation", "Read from", "Network", "Exporter", "Certificate"),
        *("Job", "Cluster"),
    ],
}


def vector(ref: str, *series: tuple[Mapping[str, str], float]) -> Answer:
    """Return an answer of now."""
    result = [{"metric": dict(labels), "value": [NOW.end, str(value)]} for labels, value in series]
    return Answer(ref, 30, {"resultType": "vector", "result": result})


def shown_of(title: str, *answers: Answer) -> Texts:
    """Return what a panel shows of these answers, the other queries having none."""
    panel = DASHBOARD.panel(title)
    given = {one.ref: one for one in [*nothing(panel), *answers]}
    (texts,) = shown(document(DASHBOARD, NOW, [(panel, given.values())]))
    return texts


def complaints_of(dashboard: str) -> str:
    (BUILD / "dashboard.ts").write_text(typed(dashboard), "utf-8")
    return compiler_complaints("tsconfig.dashboard.json")


def test_our_programs_are_typed() -> None:
    assert compiler_complaints("tsconfig.json") == ""


@pytest.mark.parametrize("sheet", SHEETS, ids=str)
def test_grafana_knows_everything_in_the_dashboard(sheet: Sheet) -> None:
    assert complaints_of(sheet.board.file.read_text("utf-8")) == ""


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('"cellHeight": "sm"', '"cellHeigth": "sm"'),
        ('"cellHeight": "sm"', '"cellHeight": "tiny"'),
        ('"graphTooltip": 1', '"graphToolTip": 1'),
        ('"colorMode": "value"', '"colorMode": "foreground"'),
        ('"lineInterpolation": "stepAfter"', '"lineInterpolation": "step"'),
        ('"id": "custom.cellOptions"', '"id": "custom.cellOption"'),
        ('"id": "mappings"', '"id": "mapping"'),
    ],
)
def test_what_grafana_does_not_know_is_named(right: str, wrong: str) -> None:
    text = FILE.read_text("utf-8")
    assert right in text
    assert "error TS" in complaints_of(text.replace(right, wrong, 1))


@pytest.mark.parametrize(
    ("title", "answers", "expected"),
    [
        ("LocalAI API", [vector("A", ({"cluster": "home"}, 1))], Shown("up", "green")),
        ("LocalAI API", [vector("A", ({"cluster": "home"}, 0))], Shown("down", "red")),
        ("Workers", [vector("A", ({}, 7))], Shown("7", "green")),
        ("Workers", [vector("A", ({}, 0))], Shown("0", "text")),
        ("Workers", [vector("B", ({}, 2))], Shown("2", "red")),
        ("Workers", [vector("C", ({}, 9))], Shown("9", "text")),
        ("Known, but offline", [vector("A", ({}, 49))], Shown("49", "text")),
        ("Known, but offline", [vector("A", ({}, 50))], Shown("50", "orange")),
        ("Oldest living heartbeat", [vector("A", ({}, 19.3))], Shown("19 s", "green")),
        ("Oldest living heartbeat", [vector("A", ({}, 30))], Shown("30 s", "orange")),
        ("Oldest living heartbeat", [vector("A", ({}, 40))], Shown("40 s", "red")),
        ("Alerts firing", [vector("D", ({}, 0))], Shown("none", "green")),
        ("Alerts firing", [vector("A", ({"alertname": "LocalAIP2PAPIUnreachable"}, 1))], Shown("1", "red")),
        ("Alerts firing", [vector("B", ({"alertname": "LocalAIP2PHostLost"}, 2))], Shown("2", "orange")),
        ("Alerts firing", [vector("C", ({"alertname": "LocalAIP2PDeadNodesPileUp"}, 1))], Shown("1", "blue")),
    ],
)
def test_a_number_has_its_text_and_colour(title: str, answers: list[Answer], expected: Shown) -> None:
    (value,) = shown_of(title, *answers).values
    assert (value.text, value.colour) == (expected.text, expected.colour)


def test_alerts_go_by_their_short_names() -> None:
    (value,) = shown_of("Alerts firing", vector("B", ({"alertname": "LocalAIP2PHostLost"}, 1))).values
    assert value.title == "HostLost"


@pytest.mark.parametrize("sheet", SHEETS, ids=str)
def test_without_data_every_panel_has_words_of_its_own(sheet: Sheet) -> None:
    panels = sheet.dashboard.panels
    read = document(sheet.dashboard, NOW, [(panel, nothing(panel)) for panel in panels])
    words = {texts.title: texts.instead for texts in shown(read)}
    assert words == {panel.title: panel.json["fieldConfig"]["defaults"]["noValue"] for panel in panels}


def test_units_and_transformations_that_grafana_does_not_know_are_named() -> None:
    panel = DASHBOARD.panel("Nodes")
    text = json.dumps(panel.json)
    assert '"id": "unit", "value": "s"' in text
    wrong = json.loads(text.replace('"value": "s"', '"value": "secs"').replace('"id": "merge"', '"id": "merged"'))
    (texts,) = shown(document(DASHBOARD, NOW, [(replace(panel, json=wrong), nothing(panel))]))
    assert texts.unknown == ("secs", "merged")


@dataclass(frozen=True)
class Live:
    """What lives, at one moment.

    Attributes:
        read: the panels with Prometheus's answers.
        texts: what each shows, by its title.
        facts: what is true.
        point: what was so at the last point of graphs.
    """

    read: Json
    texts: Mapping[str, Texts]
    facts: Facts
    point: Facts


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Live:
    past, folder = Past(tmp_path_factory.mktemp("past")), tmp_path_factory.mktemp("live")
    with scene(folder, past, {"ruled": [impatient(FOLDER / name, folder) for name in FILES]}) as lives:
        lives.wait_for_a_point(STEP_SECONDS)
        server = lives.servers["ruled"]
        now = lives.quiet_moment(server, STEP_SECONDS)
        window = Window(now - RANGE_SECONDS, now)
        asking = Asking(DASHBOARD, server, window, {})
        read = document(DASHBOARD, window, [(panel, tuple(asking.answers(panel))) for panel in DASHBOARD.panels])
        facts, point = (Facts(lives.truth.nodes(moment)) for moment in (now, now // STEP_SECONDS * STEP_SECONDS))
        return Live(read, {texts.title: texts for texts in shown(read)}, facts, point)


def test_nothing_shows_that_grafana_does_not_know(live: Live) -> None:
    assert [texts.unknown for texts in live.texts.values() if texts.unknown] == []


def test_no_reader_meets_a_label_or_a_query(live: Live) -> None:
    for texts in live.texts.values():
        assert raw_of(texts) == [], texts.title


def test_tables_have_their_columns_in_order(live: Live) -> None:
    assert {texts.title: list(texts.columns) for texts in live.texts.values() if texts.type == "table"} == COLUMNS


def test_no_cell_of_a_node_is_empty(live: Live) -> None:
    for row in live.texts["Nodes"].rows:
        empty = {title for title, cell in row.items() if not cell.text}
        assert empty == ({"Backend"} if row["Role"].text == "federated" else set()), row["Node"].text


def test_each_node_has_a_row_with_its_verdict_in_words_and_colour(live: Live) -> None:
    rows = live.texts["Nodes"].rows
    labels = [tuple(row[title].text for title in ("Role", "Backend", "Host", "Node")) for row in rows]
    verdicts = [(row["Status"].text, row["Status"].colour) for row in rows]
    statuses = {
        row: ("online", "green") if online else ("offline", "red") for row, online in live.facts.statuses().items()
    }
    assert sorted(zip(labels, verdicts, strict=True)) == sorted(statuses.items())


def test_the_age_of_each_living_node_reads_in_seconds(live: Live) -> None:
    texts = {row["Node"].text: row["Last seen"].text for row in live.texts["Nodes"].rows}
    young = {name: ages for (_, _, _, name), ages in live.facts.ages().items() if min(ages) >= 0 and max(ages) < 55}
    assert young
    for node, ages in young.items():
        assert re.fullmatch(r"\d+ s", texts[node]), (node, texts[node])
        seconds = int(texts[node].removesuffix(" s"))
        assert any(abs(seconds - age) <= AGE_TOLERANCE_SECONDS + 0.5 for age in ages), (node, seconds, ages)


@pytest.mark.parametrize(("title", "role"), [("Workers", "worker"), ("Federated", "federated")])
def test_how_many_are_online_missing_and_expected(live: Live, title: str, role: str) -> None:
    missing = live.facts.missing(role)
    assert {value.title: (value.text, value.colour) for value in live.texts[title].values} == {
        "online": (str(live.facts.online(role)), "green"),
        **({"missing": (str(missing), "red")} if missing else {}),
        "expected": (str(EXPECTED[role]), "text"),
    }


def test_how_many_are_known_but_offline(live: Live) -> None:
    (value,) = live.texts["Known, but offline"].values
    assert (value.text, value.colour) == (str(live.facts.offline), "text")


def test_a_host_without_an_online_node_is_offline_in_red(live: Live) -> None:
    lines = {name.strip(): values[-1] for name, values in live.texts["Hosts"].series.items()}
    for (role, backend, host), count in live.point.online_by_host().items():
        value = lines[f"{CLUSTER} {host} {role} {backend}".strip()]
        assert (value.text, value.colour) == ((str(count), "green") if count else ("offline", "red")), host


def test_alerts_have_the_colour_of_their_severity(live: Live) -> None:
    colours = {value.title: value.colour for value in live.texts["Alerts firing"].values}
    severities = {Severity.CRITICAL: "red", Severity.WARNING: "orange", Severity.INFO: "blue"}
    assert colours
    assert colours == {alert.name: severities[alert.severity] for alert in ALERTS if alert.name in colours}


def test_a_node_leads_to_its_host_alone(live: Live) -> None:
    for row in live.texts["Nodes"].rows:
        (link,) = row["Host"].links
        assert link.startswith("/d/localai-p2p?var-datasource=prometheus&")
        assert f"&var-host={row['Host'].text}&from={live.read['from']}&to={live.read['to']}" in link


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_every_panel_is_drawn_with_its_words(live: Live, theme: str, tmp_path: Path) -> None:
    picture = tmp_path / "panels.png"
    for panel in drawn(drawable(live.read), picture, theme):
        missing = [
            word
            for word in words_of(live.texts[panel.title], DASHBOARD.panel(panel.title))
            if word.strip() not in panel.lines
        ]
        assert not missing, f"{panel.title} shows no {missing}, but {panel.lines}"
        assert _colours(live.texts[panel.title]) <= {colour for colour, count in panel.colours.items() if count >= 10}
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_panel_without_data_is_drawn_with_its_words(tmp_path: Path) -> None:
    read = document(DASHBOARD, NOW, [(panel, nothing(panel)) for panel in DASHBOARD.panels])
    for panel in drawn(drawable(read), tmp_path / "panels.png"):
        words = DASHBOARD.panel(panel.title).json["fieldConfig"]["defaults"]["noValue"]
        assert set(panel.lines) - set(COLUMNS.get(panel.title, ())) == {words}


def test_the_offline_nodes_are_drawn_first(live: Live, tmp_path: Path) -> None:
    nodes = [one for one in live.read["panels"] if one["panel"]["title"] == "Nodes"]
    (panel,) = drawn({**live.read, "panels": nodes}, tmp_path / "nodes.png")
    verdicts = [line for line in panel.lines if line in ("offline", "online")]
    assert "offline" in verdicts
    assert verdicts == sorted(verdicts)


def _colours(texts: Texts) -> set[str | None]:
    """Return what must be painted on a panel's charts: the colours of its lines at their ends; points make no line."""
    return {values[-1].colour for values in texts.series.values() if len(values) > 2}
