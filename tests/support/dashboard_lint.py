"""The rules of grafana/dashboard-linter that concern Prometheus, for panels of every kind; the names are its own."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import promql_parser as promql
from grafana_foundation_sdk.models import units

from support.promql import RATE_INTERVAL_SECONDS, nodes, parsed, selectors

Document = Mapping[str, Any]

UNITS = {unit for unit in vars(units).values() if isinstance(unit, str)}
SOURCE = "${datasource}"
RATES = ("rate", "irate")
COUNTING = (*RATES, "increase")


@dataclass(frozen=True)
class Complaint:
    """What is wrong.

    Attributes:
        text: in words.
        panel: the title, empty for the dashboard itself.
    """

    text: str
    panel: str = ""


Rule = Callable[[Document], Iterator[Complaint]]


def all_panels(document: Document) -> Iterator[Mapping[str, Any]]:
    """Give every panel, those in folded rows too, and no row."""
    for one in document["panels"]:
        for panel in (one, *(one.get("panels") or ())):
            if panel["type"] != "row":
                yield panel


def _variables(document: Document, kind: str) -> list[Mapping[str, Any]]:
    return [one for one in document["templating"]["list"] if one["type"] == kind]


def _targets(document: Document) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for panel in all_panels(document):
        for target in panel.get("targets") or ():
            yield panel["title"], target


def _trees(document: Document) -> Iterator[tuple[str, promql.Expr]]:
    for title, target in _targets(document):
        try:
            yield title, parsed(target["expr"])
        except ValueError:
            continue  # target-promql-rule has it


def template_datasource(document: Document) -> Iterator[Complaint]:
    """A variable chooses the data source."""
    found = [(one["name"], one["label"]) for one in _variables(document, "datasource")]
    if found not in ([("datasource", "Data source")], [("prometheus_datasource", "Prometheus data source")]):
        yield Complaint(f"data source variables: {found}")


def _template(name: str) -> Rule:
    def rule(document: Document) -> Iterator[Complaint]:
        found = [one for one in _variables(document, "query") if one["name"] == name]
        if not found:
            yield Complaint(f"no variable {name} with a query")
        wanted = {"label": name.capitalize(), "multi": True, "allValue": ".+"}
        for one in found:
            if one["datasource"]["uid"] != SOURCE:
                yield Complaint(f"{name} asks {one['datasource']}")
            for key, value in wanted.items():
                if one.get(key) != value:
                    yield Complaint(f"{key} of {name} is {one.get(key)}")

    return rule


def template_label_promql(document: Document) -> Iterator[Complaint]:
    """The variables' queries are PromQL in a function that Grafana knows."""
    for one in _variables(document, "query"):
        query = one["query"]["query"]
        asked = re.fullmatch(r"label_values\((?P<series>.+), \w+\)|query_result\((?P<expr>.+)\)", query)
        if not asked:
            yield Complaint(f"{one['name']} asks {query}")
            continue
        try:
            parsed(asked["series"] or asked["expr"])
        except ValueError as error:
            yield Complaint(f"{one['name']}: {error}")


def template_on_time_change_reload(document: Document) -> Iterator[Complaint]:
    """The variables' values follow the time range."""
    for one in _variables(document, "query"):
        if one["refresh"] != 2:
            yield Complaint(f"{one['name']} refreshes by {one['refresh']}")


def panel_datasource(document: Document) -> Iterator[Complaint]:
    """Panels and their queries ask the chosen data source."""
    for panel in all_panels(document):
        for asked in (panel, *(panel.get("targets") or ())):
            if asked["datasource"]["uid"] != SOURCE:
                yield Complaint(f"asks {asked['datasource']}", panel["title"])


def panel_title_description(document: Document) -> Iterator[Complaint]:
    """Panels say what they are."""
    for panel in all_panels(document):
        if not panel.get("title") or not panel.get("description"):
            yield Complaint("has no title or no description", panel.get("title", ""))


def panel_units(document: Document) -> Iterator[Complaint]:
    """Panels have a unit that Grafana knows."""
    for panel in all_panels(document):
        config = panel["fieldConfig"]
        overridden = [
            one["value"] for override in config["overrides"] for one in override["properties"] if one["id"] == "unit"
        ]
        for unit in (config["defaults"].get("unit"), *overridden):
            if unit not in UNITS:
                yield Complaint(f"has the unit {unit}", panel["title"])


def panel_no_targets(document: Document) -> Iterator[Complaint]:
    """Panels ask something."""
    for panel in all_panels(document):
        if not panel.get("targets"):
            yield Complaint("asks nothing", panel["title"])


def target_promql(document: Document) -> Iterator[Complaint]:
    """Queries are PromQL."""
    for title, target in _targets(document):
        try:
            parsed(target["expr"])
        except ValueError as error:
            yield Complaint(str(error), title)


def target_rate_interval(document: Document) -> Iterator[Complaint]:
    """Rates are over the interval that fits the graph."""
    for title, tree in _trees(document):
        for call in _calls(tree, RATES):
            for range_ in (one for one in call.args if isinstance(one, promql.MatrixSelector)):
                if range_.range.total_seconds() != RATE_INTERVAL_SECONDS:
                    yield Complaint(f"{call.func.name} over {range_.range}", title)


def _target(name: str) -> Rule:
    def rule(document: Document) -> Iterator[Complaint]:
        for title, tree in _trees(document):
            for selector in selectors(tree):
                chosen = [(one.op, one.value) for one in selector.matchers.matchers if one.name == name]
                if chosen != [(promql.MatchOp.Re, f"${name}")]:
                    yield Complaint(f"{selector} has no {name}", title)

    return rule


def target_counter_agg(document: Document) -> Iterator[Complaint]:
    """Counters are looked at through what knows their resets."""
    for title, tree in _trees(document):
        counted = sum(
            (argument.vector_selector.name or "").endswith("_total")
            for call in _calls(tree, COUNTING)
            for argument in call.args
            if isinstance(argument, promql.MatrixSelector)
        )
        named = [one for one in selectors(tree) if (one.name or "").endswith("_total")]
        if len(named) != counted:
            yield Complaint("reads a counter as a gauge", title)


def _calls(tree: promql.Expr, names: tuple[str, ...]) -> list[promql.Call]:
    return [node for node in nodes(tree) if isinstance(node, promql.Call) and node.func.name in names]


def uneditable(document: Document) -> Iterator[Complaint]:
    """Nobody can change the dashboard in Grafana."""
    if document["editable"]:
        yield Complaint("is editable")


RULES: Mapping[str, Rule] = {
    "template-datasource-rule": template_datasource,
    "template-job-rule": _template("job"),
    "template-instance-rule": _template("instance"),
    "template-label-promql-rule": template_label_promql,
    "template-on-time-change-reload-rule": template_on_time_change_reload,
    "panel-datasource-rule": panel_datasource,
    "panel-title-description-rule": panel_title_description,
    "panel-units-rule": panel_units,
    "panel-no-targets-rule": panel_no_targets,
    "target-promql-rule": target_promql,
    "target-rate-interval-rule": target_rate_interval,
    "target-job-rule": _target("job"),
    "target-instance-rule": _target("instance"),
    "target-counter-agg-rule": target_counter_agg,
    "uneditable-dashboard": uneditable,
}
