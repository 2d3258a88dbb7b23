"""What Grafana's own libraries make of a dashboard's panels: in Node texts and colours, in Chromium pictures.

`run` installs what tests/grafana/package-lock.json pins, and builds the programs there.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.asking import Answer
from support.grafana import Dashboard, Json, Panel
from support.interpolation import Window
from support.prometheus import tool

FOLDER = Path(__file__).parents[1] / "grafana"
BUILD = FOLDER / "build"

ALL = "$__all"
"""How Grafana's links say that all values of a variable are chosen."""

UNDRAWN = {"state-timeline"}
"""What Grafana draws with parts that are in no library."""

_PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Shown:
    """One value as its reader sees it.

    Attributes:
        text: with its unit.
        colour: its name in Grafana's palette; None where it has that of all text.
        title: what names a stat's.
        links: where a click on a cell leads.
    """

    text: str
    colour: str | None
    title: str = ""
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Texts:
    """What a panel shows.

    Attributes:
        title: the panel's.
        type: likewise.
        values: those of a stat or of bars.
        columns: of a table, from left to right.
        rows: of a table, not yet sorted.
        series: the lines of a chart: the values of each by its name.
        instead: what stands there when there are no data.
        unknown: units and transformations that Grafana does not know.
    """

    title: str
    type: str
    values: tuple[Shown, ...]
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Shown], ...]
    series: Mapping[str, tuple[Shown, ...]]
    instead: str | None
    unknown: tuple[str, ...]

    def value(self, title: str) -> Shown:
        """Return the value of this title."""
        (value,) = (one for one in self.values if one.title == title)
        return value


@dataclass(frozen=True, slots=True)
class Drawn:
    """What can be read on a panel's picture.

    Attributes:
        title: the panel's.
        lines: the texts below its title.
        colours: how many points of its charts have each, by its name as in `Shown`.
    """

    title: str
    lines: tuple[str, ...]
    colours: Mapping[str, int]


def document(
    dashboard: Dashboard,
    window: Window,
    panels: Iterable[tuple[Panel, Iterable[Answer]]],
    chosen: Mapping[str, Sequence[str]] | None = None,
) -> Json:
    """Return what the programs read: tests/grafana/src/input.ts says what it means."""
    variables = {"datasource": ["prometheus"], **{one.name: [ALL] for one in dashboard.variables}, **(chosen or {})}
    return {
        "from": int(window.start * 1000),
        "to": int(window.end * 1000),
        "variables": {name: list(values) for name, values in variables.items()},
        "panels": [
            {
                "panel": panel.json,
                "answers": [{"refId": one.ref, "step": one.step * 1000, "data": one.data} for one in answers],
            }
            for panel, answers in panels
        ],
    }


def nothing(panel: Panel) -> Iterator[Answer]:
    """Yield the answers of a Prometheus that knows of nothing that a panel asks for."""
    for query in panel.queries:
        yield Answer(query.ref, 30, {"resultType": "vector" if query.instant else "matrix", "result": []})


def drawable(read: Json) -> Json:
    """Return a document without the panels that cannot be drawn."""
    return {**read, "panels": [one for one in read["panels"] if one["panel"]["type"] not in UNDRAWN]}


def words_of(texts: Texts, panel: Panel) -> Iterator[str]:
    """Yield what must stand on a panel's picture."""
    if texts.instead:
        yield texts.instead
        return
    yield from texts.columns
    yield from (value.text for value in texts.values)
    if panel.json["options"].get("legend", {}).get("showLegend"):
        yield from texts.series


def raw_of(texts: Texts) -> list[str]:
    """Return the names on a panel that no reader should meet: of labels, queries and metrics."""
    names = [*texts.columns, *texts.series, *(value.title for value in texts.values)]
    return [name for name in names if re.search(r"[{}=#]|__|localai_|LocalAI(P2P|Dist)|^Value|^Time$", name)]


def shown(read: Json) -> tuple[Texts, ...]:
    """Return what the panels of a document show."""
    return tuple(_texts(one) for one in json.loads(_node(["show.mjs"], json.dumps(read)))["panels"])


def drawn(read: Json, picture: Path, theme: str = "dark", width: int = 1400) -> tuple[Drawn, ...]:
    """Draw the panels of a document into a file.

    Raises:
        AssertionError: also where the page or the browser complained.
    """
    result = json.loads(_node(["draw.mjs", str(BUILD / "page"), theme, str(width), str(picture)], json.dumps(read)))
    assert not result["complaints"], result["complaints"]
    return tuple(
        Drawn(one["title"], tuple(line for line in one["text"].split("\n") if line.strip()), one["colours"])
        for one in result["drawn"]
    )


def typed(dashboard: str) -> str:
    """Return a dashboard as TypeScript that claims to be of Grafana's types."""
    return _node(["typed.mjs"], dashboard)


def compiler_complaints(project: str) -> str:
    """Return what TypeScript's compiler says of a project in tests/grafana: nothing where all is well."""
    words = [str(FOLDER / "node_modules/.bin/tsc"), "--noEmit", "--pretty", "false", "--project", project]
    done = subprocess.run(words, cwd=FOLDER, capture_output=True, text=True, check=False, timeout=_PATIENCE_SECONDS)
    return done.stdout + done.stderr


def _node(words: Sequence[str], standard_input: str) -> str:
    program = BUILD / words[0]
    assert program.exists(), f"{program} is missing: ./run long builds it"
    done = subprocess.run(
        [tool("node"), program, *words[1:]],
        env={**os.environ, "CHROMIUM": tool("chromium")},
        input=standard_input,
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _texts(one: Mapping[str, Any]) -> Texts:
    return Texts(
        title=one["title"],
        type=one["type"],
        values=tuple(_shown(value) for value in one["values"]),
        columns=tuple(one["columns"]),
        rows=tuple(dict(zip(one["columns"], map(_shown, row), strict=True)) for row in one["rows"]),
        series={line["name"]: tuple(_shown(value) for value in line["values"]) for line in one["series"]},
        instead=one["instead"],
        unknown=tuple(one["unknown"]),
    )


def _shown(one: Mapping[str, Any]) -> Shown:
    return Shown(one["text"], one["colour"], one.get("title", ""), tuple(one.get("links", ())))
