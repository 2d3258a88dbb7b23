"""A dashboard's queries, asked of a Prometheus as Grafana asks them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from support.grafana import Annotation, Dashboard, Panel, Query, Variable
from support.interpolation import SCRAPE_SECONDS, WIDTH, Choice, Window, interpolated, seconds_variables
from support.prometheus import Prometheus

_LABEL_VALUES = re.compile(r"label_values\((?:(?P<series>.+),)?\s*(?P<label>\w+)\s*\)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer.

    Attributes:
        labels: its labels, the metric's name included.
        values: by Unix seconds; one alone where only now was asked for.
    """

    labels: Mapping[str, str]
    values: Mapping[float, float]

    @property
    def last(self) -> float:
        """The newest value."""
        return self.values[max(self.values)]

    def named(self, *labels: str) -> tuple[str, ...]:
        """Return the values of these labels, empty ones of those that it does not have."""
        return tuple(self.labels.get(one, "") for one in labels)


@dataclass(frozen=True, slots=True)
class Answer:
    """What Prometheus answered to one query.

    Attributes:
        ref: the query's letter.
        step: seconds between two points.
        data: as it stands in the API's answer.
    """

    ref: str
    step: int
    data: Mapping[str, Any]


Answers = Mapping[str, tuple[Series, ...]]
"""The series of each query of a panel, by the query's letter."""


class Asking:
    """Asks one Prometheus for what a dashboard shows at one moment.

    Args:
        dashboard: what asks.
        server: who is asked.
        window: the dashboard's time range.
        chosen: the values of each variable of which not all are chosen.

    Raises:
        AssertionError: from every method, when Prometheus refuses a query or warns of it, or a variable is left over.
    """

    def __init__(
        self, dashboard: Dashboard, server: Prometheus, window: Window, chosen: Mapping[str, tuple[str, ...]]
    ) -> None:
        self._server = server
        self._window = window
        self._choices: dict[str, Choice] = {}
        self.options: dict[str, list[str]] = {}
        for variable in dashboard.variables:
            self.options[variable.name] = options = self._options(variable)
            values = chosen.get(variable.name)
            self._choices[variable.name] = (
                Choice(values, several=variable.several) if values else Choice(tuple(options), variable.all_value)
            )

    def panel(self, panel: Panel) -> Answers:
        """Return what a panel's queries give."""
        return {answer.ref: _series(answer.data) for answer in self.answers(panel)}

    def answers(self, panel: Panel) -> Iterator[Answer]:
        """Yield what Prometheus answers to each of a panel's queries."""
        return map(self._query, panel.queries, self._steps(panel))

    def last_point(self, panel: Panel) -> float:
        """Return when the last points of a panel's graphs lie, in Unix seconds."""
        return min(self._window.end // step * step for step in self._steps(panel))

    def annotation(self, annotation: Annotation) -> tuple[Series, ...]:
        """Return what an annotation's query gives."""
        return _series(self._query(annotation.query, self._step(annotation.query, 0, WIDTH)).data)

    def _steps(self, panel: Panel) -> Iterator[int]:
        return (self._step(query, panel.least_step, panel.points or WIDTH) for query in panel.queries)

    def _step(self, query: Query, least_step: float, points: int) -> int:
        return self._window.step(max(least_step or SCRAPE_SECONDS, query.least_step), points)

    def _query(self, query: Query, step: int) -> Answer:
        expr = self._filled(query.expr, step)
        if query.instant:
            return Answer(query.ref, step, self._ask("query", query=expr, time=self._window.end))
        # Grafana lets the points of every graph lie on multiples of its step.
        start, end = (moment // step * step for moment in (self._window.start, self._window.end))
        return Answer(query.ref, step, self._ask("query_range", query=expr, start=start, end=end, step=step))

    def _options(self, variable: Variable) -> list[str]:
        text = self._filled(variable.query, self._window.step(SCRAPE_SECONDS, WIDTH))
        match = _LABEL_VALUES.fullmatch(text)
        assert match, f"{variable.name}: only label_values() is known here, not {text}"
        parameters = {"match[]": match["series"]} if match["series"] else {}
        answer = self._ask(
            f"label/{match['label']}/values", start=self._window.start, end=self._window.end, **parameters
        )
        return list(answer)

    def _filled(self, text: str, step: int) -> str:
        filled = interpolated(text, self._choices | seconds_variables(self._window, step))
        assert "$" not in filled, f"a variable is left over in {filled}"
        assert "[[" not in filled, f"a variable is left over in {filled}"
        return filled

    def _ask(self, path: str, **parameters: str | float) -> Any:
        answer = self._server.ask(path, **parameters)
        assert answer["status"] == "success", answer
        remarks = [*answer.get("warnings", ()), *answer.get("infos", ())]
        assert not remarks, f"{remarks} of {parameters}"
        return answer["data"]


def _series(data: Any) -> tuple[Series, ...]:
    assert data["resultType"] in ("vector", "matrix"), f"a {data['resultType']} has no labels"
    return tuple(Series(one["metric"], dict(_values(one))) for one in data["result"])


def _values(one: Mapping[str, Any]) -> Iterator[tuple[float, float]]:
    return ((float(moment), float(value)) for moment, value in (one.get("values") or [one["value"]]))
