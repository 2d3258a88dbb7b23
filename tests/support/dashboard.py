"""Our dashboards as Grafana reads them, and what they ask."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import dashboard
from board import Board

from support.grafana import Dashboard, Query, Variable
from support.interpolation import Choice, Window, interpolated, seconds_variables

_SIX_HOURS = Window(0, 6 * 3600)


@dataclass(frozen=True)
class Asked:
    """One query, and whose it is.

    Attributes:
        place: the panel's title and the query's letter, the annotation's name, or the variable after a dollar.
        query: of a variable, the series whose label is listed.
    """

    place: str
    query: Query


@dataclass(frozen=True, eq=False)
class Sheet:
    """One dashboard, read from its file."""

    board: Board

    def __str__(self) -> str:
        return self.board.uid

    @cached_property
    def document(self) -> dict[str, Any]:
        """What the file holds."""
        document: dict[str, Any] = json.loads(self.board.file.read_text("utf-8"))
        return document

    @cached_property
    def dashboard(self) -> Dashboard:
        """The same as Grafana reads it."""
        return Dashboard.of(self.document)

    @cached_property
    def variables(self) -> Mapping[str, Variable]:
        """By their names, those that Prometheus gives."""
        return {one.name: one for one in self.dashboard.variables}

    def elements(self) -> Iterator[dict[str, Any]]:
        """Give the rows and the panels, those in a folded row too, in the order of the page."""
        for one in self.document["panels"]:
            yield one
            yield from one.get("panels") or ()

    @cached_property
    def panels(self) -> list[dict[str, Any]]:
        """Those of them that are no rows."""
        return [one for one in self.elements() if one["type"] != "row"]

    @cached_property
    def in_variables(self) -> tuple[Asked, ...]:
        """What the variables ask."""
        return tuple(self._of_variables())

    @cached_property
    def queries(self) -> tuple[Asked, ...]:
        """What the dashboard asks in all."""
        in_panels = (
            Asked(f"{panel.title} {query.ref}", query) for panel in self.dashboard.panels for query in panel.queries
        )
        in_annotations = (
            Asked(one.name, Query(one.query.ref, one.query.expr, instant=False, legend="".join(one.texts)))
            for one in self.dashboard.annotations
        )
        return (*in_panels, *in_annotations, *self.in_variables)

    def altered(self, old: str, new: str) -> Dashboard:
        """Return the dashboard with something else in place of what its file says."""
        text = self.board.file.read_text("utf-8")
        assert old in text
        return Dashboard.of(json.loads(text.replace(old, new)))

    def asked(self, place: str) -> Query:
        """Return the query of a place."""
        (found,) = (one.query for one in self.queries if one.place == place)
        return found

    def filled(self, query: Query, chosen: Mapping[str, tuple[str, ...]]) -> str:
        """Return a query as it reaches Prometheus, with all of each variable of which nothing is chosen."""
        choices = {
            name: Choice(chosen[name]) if name in chosen else Choice((), variable.all_value)
            for name, variable in self.variables.items()
        }
        return interpolated(query.expr, seconds_variables(_SIX_HOURS, int(query.least_step) or 15) | choices)

    def _of_variables(self) -> Iterator[Asked]:
        for name, variable in self.variables.items():
            listed = re.fullmatch(r"label_values\((?P<series>.+), (?P<label>\w+)\)", variable.query)
            assert listed, variable.query
            yield Asked(f"${name}", Query("", listed["series"], instant=True, legend=f"{{{{{listed['label']}}}}}"))


SHEETS = P2P, DISTRIBUTED = tuple(map(Sheet, dashboard.BOARDS))
