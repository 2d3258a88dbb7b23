"""Which names in a panel's words (legends, columns, overrides, links) stand for nothing that its queries gave."""

import re
from collections.abc import Iterable, Iterator

from support.asking import Answers, Series
from support.grafana import Annotation, Json, Panel, Query, legend_labels
from support.interpolation import names

_GRAFANAS_OWN = re.compile(r"__(value|field|data|series|all_variables|url_time_range|from|to)\b")
_LABEL_IN_LINK = re.compile(r"\${__field\.labels\.(\w+)")


def unknown_in_panel(panel: Panel, answers: Answers, variables: Iterable[str]) -> set[str]:
    """Return what no field, series or variable is called.

    Args:
        panel: whose words.
        answers: of its queries.
        variables: the dashboard's.
    """
    is_table = panel.json["type"] == "table"
    given = _columns(panel, answers) if is_table else _displayed(panel, answers)
    named = {name for kind, options in panel.transformations for name in _named(kind, options)}
    shown = {_renamed(panel, name) for name in (named & given if is_table else given)}
    found = set() if is_table else _missing_labels(panel, answers)
    found |= named - given
    found |= {name for matcher, name in panel.overrides if not _matches(matcher, name, shown, panel.queries)}
    found |= {one["displayName"] for one in panel.json["options"].get("sortBy", ())} - shown
    labels = {label for answer in answers.values() for series in answer for label in series.labels}
    for link in panel.links:
        found |= {name for name in names(link) if not _GRAFANAS_OWN.match(name)} - set(variables)
        found |= set(_LABEL_IN_LINK.findall(link)) - labels
    return found


def unknown_in_annotation(annotation: Annotation, answer: tuple[Series, ...]) -> set[str]:
    """Return the labels in an annotation's texts that no series of its answer has."""
    named = {label for text in annotation.texts for label in legend_labels(text)}
    return named - {label for series in answer for label in series.labels}


def _missing_labels(panel: Panel, answers: Answers) -> set[str]:
    """Return the labels that a legend names and some series lacks, each after its query's letter."""
    return {
        f"{query.ref}: {label}"
        for query in panel.queries
        for label in legend_labels(query.legend)
        for series in answers[query.ref]
        # Federated nodes have no backend, and Prometheus no empty labels.
        if label not in series.labels and (label, series.labels.get("role")) != ("backend", "federated")
    }


def _columns(panel: Panel, answers: Answers) -> set[str]:
    """Return a table's fields before any transformation."""
    values = {f"Value #{query.ref}" for query in panel.queries} if len(panel.queries) > 1 else {"Value"}
    return {"Time", *values, *(label for answer in answers.values() for series in answer for label in series.labels)}


def _displayed(panel: Panel, answers: Answers) -> set[str]:
    """Return what the series are called; a legend without labels is a name whether or not there is a series now."""
    fixed = {query.legend for query in panel.queries if not legend_labels(query.legend)}
    return fixed | {_display_name(query, series) for query in panel.queries for series in answers[query.ref]}


def _display_name(query: Query, series: Series) -> str:
    return re.sub(r"{{\s*(.+?)\s*}}", lambda label: series.labels.get(label[1], ""), query.legend)


def _named(kind: str, options: Json) -> Iterator[str]:
    """Yield the fields that a transformation names."""
    if kind == "filterFieldsByName":
        yield from options["include"]["names"]
    elif kind == "organize":
        for part in ("indexByName", "renameByName", "excludeByName"):
            yield from options[part]
    else:
        assert kind in ("merge", "renameByRegex"), f"nobody here knows which fields {kind} names"


def _renamed(panel: Panel, name: str) -> str:
    for kind, options in panel.transformations:
        if kind == "organize":
            name = options["renameByName"].get(name, name)
        elif kind == "renameByRegex":
            pattern = re.sub(r"\$(\d)", r"\\\1", options["renamePattern"])
            name = re.sub(options["regex"], pattern, name)
    return name


def _matches(matcher: str, name: str, shown: set[str], queries: tuple[Query, ...]) -> bool:
    match matcher:
        case "byName":
            return name in shown
        case "byRegexp":
            return any(re.search(name.strip("/"), one) for one in shown)
        case "byFrameRefID":
            return name in {query.ref for query in queries}
        case _:
            raise AssertionError(f"nobody here knows what {matcher} matches")
