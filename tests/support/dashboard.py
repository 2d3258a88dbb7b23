"""The dashboard as Grafana reads it, and its queries as Grafana sends them."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dashboard import FILE

DOCUMENT: dict[str, Any] = json.loads(FILE.read_text("utf-8"))

ALL = "$__all"
"""The value of a variable of which everything is chosen."""

VARIABLES: dict[str, dict[str, Any]] = {one["name"]: one for one in DOCUMENT["templating"]["list"]}
ANNOTATIONS: list[dict[str, Any]] = DOCUMENT["annotations"]["list"]

GLOBALS = {"__range": "21600s", "__rate_interval": "1m", "__interval": "15s"}
"""What Grafana itself fills in: 6 hours, and a datasource that is scraped every 15 s."""


def elements() -> Iterator[dict[str, Any]]:
    """Give the rows and the panels, those in a folded row too, in the order of the page."""
    for one in DOCUMENT["panels"]:
        yield one
        yield from one.get("panels") or []


PANELS = [one for one in elements() if one["type"] != "row"]


@dataclass(frozen=True)
class Query:
    """One query.

    Attributes:
        place: the panel's, annotation's or variable's name, and which of its queries it is.
        expr: PromQL with variables in it; of a variable the selector whose label is listed.
        legend: as Grafana has it, empty for none.
        panel: what it belongs to, empty for an annotation or a variable.
    """

    place: str
    expr: str
    legend: str
    panel: Mapping[str, Any]


def _of_panels() -> Iterator[Query]:
    for panel in PANELS:
        for target in panel["targets"]:
            place = f"{panel['title']} {target['refId']}"
            yield Query(place, target["expr"], target.get("legendFormat", ""), panel)


def _of_variables() -> Iterator[Query]:
    for name, variable in VARIABLES.items():
        if variable["type"] == "query":
            listed = re.fullmatch(r"label_values\((?P<series>.+), (?P<label>\w+)\)", variable["query"]["query"])
            assert listed, variable["query"]
            yield Query(f"${name}", listed["series"], f"{{{{{listed['label']}}}}}", {})


IN_PANELS = tuple(_of_panels())
IN_ANNOTATIONS = tuple(Query(one["name"], one["target"]["expr"], one["titleFormat"], {}) for one in ANNOTATIONS)
IN_VARIABLES = tuple(_of_variables())
QUERIES = IN_PANELS + IN_ANNOTATIONS + IN_VARIABLES


def interpolated(expr: str, chosen: Mapping[str, list[str]] | None = None, **settled: str) -> str:
    """Return a query as it reaches Prometheus.

    Args:
        expr: with variables.
        chosen: the values of variables, all of one that is not named.
        settled: other values for Grafana's own, without the underscores before them.
    """
    ours = {name: _joined(name, (chosen or {}).get(name, [ALL])) for name in VARIABLES if name != "datasource"}
    own = GLOBALS | {f"__{name}": value for name, value in settled.items()}
    return re.sub(r"\$(\w+)", lambda match: (ours | own)[match[1]], expr)


def _joined(name: str, values: list[str]) -> str:
    if values == [ALL]:
        text: str = VARIABLES[name]["allValue"]
        return text
    # Grafana escapes for a regular expression inside of a PromQL string.
    plain = [one.replace("\\", "\\" * 4) for one in values]
    escaped = [re.sub(r"[$^*{}\[\]'+?.()|]", r"\\\\\g<0>", one) for one in plain]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"
