"""Grafana's own libraries read the dashboard of distributed mode, of a fleet that lives."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from generate import FILES, FOLDER
from support.asking import Asking
from support.dashboard import DISTRIBUTED
from support.fleet_numbers import Fleet
from support.fleet_scene import HOME, fleet_scene
from support.grafana import Json
from support.interpolation import Window
from support.prometheus import impatient
from support.scene import RANGE_SECONDS
from support.shown import Texts, document, drawable, drawn, raw_of, shown, words_of

# As for the other dashboard: what Grafana shows does not depend on which Prometheus answered.
pytestmark = [pytest.mark.grafana, pytest.mark.heavy]

DASHBOARD = DISTRIBUTED.dashboard

COLUMNS = {
    "Nodes": [
        *("Node", "Status", "Heard", "Models", "Requests", "VRAM free", "VRAM", "RAM free", "Disk free"),
        *("GPU", "Type", "Cluster"),
    ],
    "Models": ["Model", "Loaded", "At least", "At most", "Room", "Tries in vain", "Cluster"],
}

COLOURS = {
    "healthy": "green",
    "draining": "orange",
    "pending": "orange",
    "unknown": "orange",
    "registering": "super-light-blue",
    "offline": "red",
    "unhealthy": "red",
}


@dataclass(frozen=True)
class Live:
    """What lives, at one moment.

    Attributes:
        read: the panels with Prometheus's answers.
        texts: what each shows, by its title.
        fleet: what is true.
    """

    read: Json
    texts: Mapping[str, Texts]
    fleet: Fleet


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Live:
    folder = tmp_path_factory.mktemp("live")
    with fleet_scene(folder, [impatient(FOLDER / name, folder) for name in FILES]) as lives:
        now = lives.moment()
        window = Window(now - RANGE_SECONDS, now)
        asking = Asking(DASHBOARD, lives.server, window, {})
        read = document(DASHBOARD, window, [(panel, tuple(asking.answers(panel))) for panel in DASHBOARD.panels])
        texts = {texts.title: texts for texts in shown(read)}
        return Live(read, texts, Fleet(lives.listing(now), now))


def test_nothing_shows_that_grafana_does_not_know(live: Live) -> None:
    assert [texts.unknown for texts in live.texts.values() if texts.unknown] == []


def test_no_reader_meets_a_label_or_a_query(live: Live) -> None:
    assert {title: raw for title, texts in live.texts.items() if (raw := raw_of(texts))} == {}


def test_tables_have_their_columns_in_order(live: Live) -> None:
    assert {texts.title: list(texts.columns) for texts in live.texts.values() if texts.type == "table"} == COLUMNS


def test_each_node_has_a_row_with_its_status_in_words_and_colour(live: Live) -> None:
    rows = [row for row in live.texts["Nodes"].rows if row["Cluster"].text == HOME]
    told = {row["Node"].text: (row["Status"].text, row["Status"].colour) for row in rows}
    assert told == {one.name: (one.status, COLOURS[one.status]) for one in live.fleet.shown}
    assert len(rows) == len(told)


def test_the_line_of_each_node_ends_with_its_status(live: Live) -> None:
    lines = {name: (values[-1].text, values[-1].colour) for name, values in live.texts["Status"].series.items()}
    for one in live.fleet.shown:
        assert lines[f"{HOME} {one.name}"] == (one.status, COLOURS[one.status])
    assert {text for text, _ in lines.values()} == COLOURS.keys()
    assert all(colour == COLOURS[text] for text, colour in lines.values())


def test_whether_there_is_room_is_a_word(live: Live) -> None:
    rooms = {row["Model"].text: row["Room"] for row in live.texts["Models"].rows if row["Cluster"].text == HOME}
    told = {model: (room.text, room.colour) for model, room in rooms.items()}
    assert told == {"huge": ("none", "red"), "llama-3": ("enough", "green"), "qwen-2.5": ("enough", "green")}


def test_a_mode_that_is_off_is_named(live: Live) -> None:
    tiles = {value.title: (value.text, value.colour) for value in live.texts["Distributed mode"].values}
    assert tiles["plain four:10040 mode"] == ("off", "red")
    assert {tile for title, tile in tiles.items() if not title.endswith("mode")} == {("up", "green")}


def test_a_node_leads_to_its_graphs_alone(live: Live) -> None:
    for row in live.texts["Nodes"].rows:
        (link,) = row["Node"].links
        assert link.startswith("/d/localai-distributed?var-datasource=prometheus&")
        assert f"&var-name={row['Node'].text}&from={live.read['from']}&to={live.read['to']}" in link


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_every_panel_is_drawn_with_its_words(live: Live, theme: str, tmp_path: Path) -> None:
    picture = tmp_path / "panels.png"
    for panel in drawn(drawable(live.read), picture, theme):
        words = words_of(live.texts[panel.title], DASHBOARD.panel(panel.title))
        missing = [word for word in words if word.strip() not in panel.lines]
        assert not missing, f"{panel.title} shows no {missing}, but {panel.lines}"
    assert picture.read_bytes().startswith(b"\x89PNG")
