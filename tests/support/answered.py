"""A dashboard on a live Prometheus: whether its queries are answered, and its words stand for something."""

from collections.abc import Container, Iterator, Mapping

from support.asking import Asking, Series
from support.fields import unknown_in_annotation, unknown_in_panel
from support.grafana import Dashboard
from support.interpolation import Window
from support.prometheus import Prometheus

Chosen = Mapping[str, tuple[str, ...]]
"""The values of each variable of which not all are chosen."""

Place = tuple[str, str]
"""The name of a query's panel or annotation, and its letter."""


def answers(asking: Asking, dashboard: Dashboard) -> Iterator[tuple[Place, tuple[Series, ...]]]:
    """Give what each query answers."""
    for panel in dashboard.panels:
        for ref, series in asking.panel(panel).items():
            yield (panel.title, ref), series
    for annotation in dashboard.annotations:
        yield (annotation.name, annotation.query.ref), asking.annotation(annotation)


def check_answers(
    dashboard: Dashboard,
    server: Prometheus,
    shown: Window,
    chosen: Chosen,
    *,
    silent: Container[Place],
    whole: Container[Place],
) -> None:
    """Let every query answer, with something, and of nothing but what is chosen.

    Args:
        dashboard: what asks.
        server: who is asked.
        shown: the time range.
        chosen: of the variables.
        silent: the queries that may give nothing.
        whole: those that do not follow each choice.
    """
    for place, series in answers(Asking(dashboard, server, shown, chosen), dashboard):
        assert series or place in silent, f"{place} gives nothing"
        for label, values in chosen.items() if place not in whole else ():
            assert {one.labels.get(label, values[0]) for one in series} <= set(values), place


def check_names(dashboard: Dashboard, server: Prometheus, shown: Window) -> None:
    """Let every name in a legend, a column, an override, a link or a text stand for something."""
    asking = Asking(dashboard, server, shown, {})
    variables = ("datasource", *asking.options)
    found = {panel.title: unknown_in_panel(panel, asking.panel(panel), variables) for panel in dashboard.panels}
    found |= {one.name: unknown_in_annotation(one, asking.annotation(one)) for one in dashboard.annotations}
    unknown = {title: names for title, names in found.items() if names}
    assert not unknown, unknown
