"""A Grafana dashboard in classic JSON: its panels, variables and annotations, and what they ask."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporter.durations import parse_duration

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel or an annotation.

    Attributes:
        ref: its letter.
        expr: PromQL, with variables in it.
        instant: whether it is asked for now alone, and not over the time range.
        legend: a template with labels in it.
        least_step: seconds between two points, at least; 0 where the panel decides.
    """

    ref: str
    expr: str
    instant: bool
    legend: str = ""
    least_step: float = 0.0


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        title: unique among those of a dashboard.
        queries: what it shows.
        json: all the rest.
    """

    title: str
    queries: tuple[Query, ...]
    json: Json

    @property
    def transformations(self) -> Iterator[tuple[str, Json]]:
        """Each one's name and options."""
        return ((one["id"], one.get("options", {})) for one in self.json.get("transformations", ()))

    @property
    def overrides(self) -> Iterator[tuple[str, str]]:
        """For each override how it finds its fields, and what it looks for."""
        for one in self.json.get("fieldConfig", {}).get("overrides", ()):
            yield one["matcher"]["id"], one["matcher"]["options"]

    @property
    def links(self) -> Iterator[str]:
        """The addresses of data links and of the panel's own."""
        config = self.json.get("fieldConfig", {})
        properties = [config.get("defaults", {}).get("links", ())]
        for override in config.get("overrides", ()):
            properties += [one["value"] for one in override["properties"] if one["id"] == "links"]
        return (link["url"] for links in (*properties, self.json.get("links", ())) for link in links)

    @property
    def least_step(self) -> float:
        """Seconds between two points, at least; 0 where it does not say."""
        return parse_duration(self.json.get("interval") or "0")

    @property
    def points(self) -> int:
        """The most points that it takes; 0 where it does not say."""
        return int(self.json.get("maxDataPoints") or 0)


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable whose values Prometheus gives.

    Attributes:
        name: without the dollar.
        query: in Grafana's words, such as `label_values(up, job)`.
        several: whether more than one value can be chosen.
        all_value: PromQL that stands for all values; empty where they are listed.
    """

    name: str
    query: str
    several: bool
    all_value: str


@dataclass(frozen=True, slots=True)
class Annotation:
    """One kind of mark on every graph.

    Attributes:
        name: what it marks.
        query: over the time range.
        texts: its templates with labels in them, and the labels that become tags.
    """

    name: str
    query: Query
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A whole dashboard."""

    panels: tuple[Panel, ...]
    variables: tuple[Variable, ...]
    annotations: tuple[Annotation, ...]

    @classmethod
    def read(cls, file: Path) -> "Dashboard":
        """Read a file as Grafana imports it."""
        return cls.of(json.loads(file.read_text("utf-8")))

    @classmethod
    def of(cls, document: Json) -> "Dashboard":
        """Take what a file holds."""
        return cls(
            tuple(_panel(one) for one in _leaves(document["panels"])),
            tuple(_variable(one) for one in document["templating"]["list"] if one["type"] == "query"),
            tuple(_annotation(one) for one in document["annotations"]["list"] if not one.get("builtIn")),
        )

    def panel(self, title: str) -> Panel:
        """Return the panel of this title."""
        (panel,) = (one for one in self.panels if one.title == title)
        return panel


def legend_labels(template: str) -> set[str]:
    """Return the labels that a template such as `{{host}} offline` names."""
    return set(re.findall(r"{{\s*(.+?)\s*}}", template))


def _leaves(panels: list[Json]) -> Iterator[Json]:
    """Yield the panels that show something; those of a folded row lie in it."""
    for one in panels:
        if one["type"] == "row":
            yield from _leaves(one.get("panels", []))
        elif one["type"] != "text":
            yield one


def _panel(one: Json) -> Panel:
    return Panel(one["title"], tuple(query for target in one["targets"] for query in _queries(target)), one)


def _queries(target: Json) -> Iterator[Query]:
    instant = target.get("instant", False)
    for asked, is_instant in ((instant, True), (target.get("range", not instant), False)):
        if asked:
            step = parse_duration(target.get("interval") or "0")
            yield Query(target["refId"], target["expr"], is_instant, target.get("legendFormat") or "", step)


def _variable(one: Json) -> Variable:
    query = one["query"]
    return Variable(
        one["name"],
        query["query"] if isinstance(query, Mapping) else query,
        bool(one.get("multi") or one.get("includeAll")),
        one.get("allValue") or "",
    )


def _annotation(one: Json) -> Annotation:
    target = one.get("target") or one
    step = parse_duration(one.get("step") or "60s")
    tags = "".join(f"{{{{{tag}}}}}" for tag in (one.get("tagKeys") or "").split(",") if tag)
    texts = (one.get("titleFormat") or "", one.get("textFormat") or "", tags)
    return Annotation(one["name"], Query("Anno", target["expr"], instant=False, least_step=step), texts)
