"""Our dashboard as Grafana reads it, and what it asks."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dashboard import FILE

from support.grafana import Dashboard, Query
from support.interpolation import Choice, Window, interpolated, seconds_variables

DOCUMENT: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
DASHBOARD = Dashboard.of(DOCUMENT)
VARIABLES = {one.name: one for one in DASHBOARD.variables}

_SIX_HOURS = Window(0, 6 * 3600)


def elements() -> Iterator[dict[str, Any]]:
    """Give the rows and the panels, those in a folded row too, in the order of the page."""
    for one in DOCUMENT["panels"]:
        yield one
        yield from one.get("panels") or ()


PANELS = [one for one in elements() if one["type"] != "row"]


@dataclass(frozen=True)
class Asked:
    """One query, and whose it is.

    Attributes:
        place: the panel's title and the query's letter, the annotation's name, or the variable after a dollar.
        query: of a variable, the series whose label is listed.
    """

    place: str
    query: Query


def _of_variables() -> Iterator[Asked]:
    for name, variable in VARIABLES.items():
        listed = re.fullmatch(r"label_values\((?P<series>.+), (?P<label>\w+)\)", variable.query)
        assert listed, variable.query
        yield Asked(f"${name}", Query("", listed["series"], instant=True, legend=f"{{{{{listed['label']}}}}}"))


IN_PANELS = tuple(Asked(f"{panel.title} {query.ref}", query) for panel in DASHBOARD.panels for query in panel.queries)
IN_ANNOTATIONS = tuple(
    Asked(one.name, Query(one.query.ref, one.query.expr, instant=False, legend="".join(one.texts)))
    for one in DASHBOARD.annotations
)
IN_VARIABLES = tuple(_of_variables())
QUERIES = IN_PANELS + IN_ANNOTATIONS + IN_VARIABLES


def filled(query: Query, chosen: Mapping[str, tuple[str, ...]]) -> str:
    """Return a query as it reaches Prometheus, with all of each variable of which nothing is chosen."""
    choices = {
        name: Choice(chosen[name]) if name in chosen else Choice((), variable.all_value)
        for name, variable in VARIABLES.items()
    }
    return interpolated(query.expr, seconds_variables(_SIX_HOURS, int(query.least_step) or 15) | choices)
