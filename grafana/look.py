"""How every panel looks: its frame, colours and words; Grafana's builders with all the rest settled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

from generate import ALERTS
from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as option
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

GOOD = "green"
WARN = "orange"
BAD = "red"
NOTE = "blue"
ASIDE = "purple"
FAINT = "super-light-blue"
PLAIN = "text"
"""Red is what is wrong, orange what may become it, green what is well; the others only tell things apart."""

SOURCE = option.DataSourceRef(type_val="prometheus", uid="${datasource}")

Steps = tuple[tuple[float | None, str], ...]
Property = model.DynamicConfigValue

SHARED = 0
"""The width of a column that takes what the others leave."""

CALM: Steps = ((None, PLAIN),)
"""Where no number is wrong by itself."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What every panel must say.

    Attributes:
        title: plain words.
        about: what it shows, and what to do when it is red.
        empty: what stands there where there is no data.
        width: of 24 columns.
        height: in Grafana's units of 38 pixels.
        unit: Grafana's name of it.
        steps: the colour from each value on; the first has no value.
        alerts: those that tell the same, whose sections of the runbook are linked.
    """

    title: str
    about: str
    empty: str
    width: int
    height: int
    unit: str = "none"
    steps: Steps = CALM
    alerts: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """The text behind the panel's (i), in Markdown."""
        urls = {alert.name: alert.runbook_url for alert in ALERTS}
        links = ", ".join(f"[{name}]({urls[name]})" for name in self.alerts)
        return f"{self.about}\n\nRunbook: {links}" if links else self.about


class _Panel(Protocol):
    """What the builders of all kinds of panel have in common."""

    def title(self, title: str, /) -> Self: ...
    def description(self, description: str, /) -> Self: ...
    def datasource(self, datasource: option.DataSourceRef, /) -> Self: ...
    def span(self, w: int, /) -> Self: ...
    def height(self, h: int, /) -> Self: ...
    def unit(self, unit: str, /) -> Self: ...
    def no_value(self, no_value: str, /) -> Self: ...
    def thresholds(self, thresholds: Builder[model.ThresholdsConfig], /) -> Self: ...
    def color_scheme(self, color: Builder[model.FieldColor], /) -> Self: ...
    def targets(self, targets: list[Builder[Dataquery]], /) -> Self: ...


_P = TypeVar("_P", bound=_Panel)

Panel = stat.Panel | timeseries.Panel | bargauge.Panel | table.Panel | statetimeline.Panel


@dataclass(frozen=True, slots=True)
class Group:
    """One row of the dashboard.

    Attributes:
        title: plain words.
        panels: in the order of reading; each line of them is 24 columns wide.
        folded: whether it opens only when it is clicked.
    """

    title: str
    panels: tuple[Panel, ...]
    folded: bool = False


def _framed(panel: _P, frame: Frame, queries: Sequence[prometheus.Dataquery]) -> _P:
    steps = [model.Threshold(value, color) for value, color in frame.steps]
    return (
        panel.title(frame.title)
        .description(frame.description)
        .datasource(SOURCE)
        .span(frame.width)
        .height(frame.height)
        .unit(frame.unit)
        .no_value(frame.empty)
        .thresholds(dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps))
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .targets([query.ref_id(chr(ord("A") + place)) for place, query in enumerate(queries)])
    )


def graphed(expr: str, legend: str) -> prometheus.Dataquery:
    """Return a query over the time range."""
    return _query(expr).range().legend_format(legend)


def told(expr: str, legend: str) -> prometheus.Dataquery:
    """Return a query of now, for numbers."""
    return _query(expr).instant().legend_format(legend)


def listed(expr: str) -> prometheus.Dataquery:
    """Return a query of now, for the rows of a table."""
    return _query(expr).instant().format(PromQueryFormat.TABLE)


def _query(expr: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().datasource(SOURCE).expr(expr)


def numbers(frame: Frame, *queries: prometheus.Dataquery, named: bool = True) -> stat.Panel:
    """Return a panel of large numbers, with their legends where `named`."""
    mode = option.BigValueTextMode.VALUE_AND_NAME if named else option.BigValueTextMode.VALUE
    return (
        _framed(stat.Panel(), frame, queries)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .text_mode(mode)
        .orientation(option.VizOrientation.VERTICAL)
        .graph_mode(option.BigValueGraphMode.NONE)
        .color_mode(option.BigValueColorMode.VALUE)
        .wide_layout(False)
    )


def by_name(panel: stat.Panel) -> stat.Panel:
    """Return a panel of numbers of which the names matter most: one below the other, the number beside it."""
    return panel.orientation(option.VizOrientation.HORIZONTAL).wide_layout(True)


def graph(frame: Frame, *queries: prometheus.Dataquery) -> timeseries.Panel:
    """Return a graph, its lines coloured by the thresholds that they pass."""
    return (
        _framed(timeseries.Panel(), frame, queries)
        .gradient_mode(option.GraphGradientMode.SCHEME)
        .line_width(1)
        .show_points(option.VisibilityMode.NEVER)
        .legend(common.VizLegendOptions().show_legend(True).display_mode(option.LegendDisplayMode.LIST))
        .tooltip(common.VizTooltipOptions().mode(option.TooltipDisplayMode.MULTI).sort(option.SortOrder.DESCENDING))
    )


def limit(panel: timeseries.Panel) -> timeseries.Panel:
    """Return a graph with its thresholds as dashed lines."""
    return panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(option.GraphThresholdsStyleMode.DASHED))


def band(panel: timeseries.Panel) -> timeseries.Panel:
    """Return a graph on the colours of its thresholds: good between two of them."""
    return panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(option.GraphThresholdsStyleMode.AREA))


def crowded(panel: timeseries.Panel) -> timeseries.Panel:
    """Return a graph of so many lines that a legend would be longer than the graph: the nearest one is named."""
    return panel.legend(
        common.VizLegendOptions().show_legend(False).display_mode(option.LegendDisplayMode.HIDDEN)
    ).tooltip(common.VizTooltipOptions().mode(option.TooltipDisplayMode.SINGLE))


def told_apart(panel: timeseries.Panel) -> timeseries.Panel:
    """Return a graph each of whose lines has a colour of its own, where no number is wrong by itself."""
    return panel.gradient_mode(option.GraphGradientMode.NONE).color_scheme(
        dashboard.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC_BY_NAME)
    )


def counts(frame: Frame, *queries: prometheus.Dataquery) -> timeseries.Panel:
    """Return a graph of whole numbers that stand until they change."""
    return (
        graph(frame, *queries)
        .line_interpolation(option.LineInterpolation.STEP_AFTER)
        .gradient_mode(option.GraphGradientMode.NONE)
        .line_width(2)
        .min(0)
        .decimals(0)
    )


def timeline(frame: Frame, *queries: prometheus.Dataquery) -> statetimeline.Panel:
    """Return a line for each series, coloured by its state."""
    return (
        _framed(statetimeline.Panel(), frame, queries)
        .merge_values(True)
        .show_value(option.VisibilityMode.AUTO)
        .row_height(0.8)
        .legend(common.VizLegendOptions().show_legend(False).display_mode(option.LegendDisplayMode.HIDDEN))
        .tooltip(common.VizTooltipOptions().mode(option.TooltipDisplayMode.SINGLE))
    )


def bars(frame: Frame, *queries: prometheus.Dataquery) -> bargauge.Panel:
    """Return a bar for each series."""
    return (
        _framed(bargauge.Panel(), frame, queries)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .orientation(option.VizOrientation.HORIZONTAL)
        .display_mode(option.BarGaugeDisplayMode.BASIC)
        .min(0)
    )


def rows(frame: Frame, columns: Mapping[str, tuple[str, int]], *queries: prometheus.Dataquery) -> table.Panel:
    """Return a table whose rows are what all queries have in common.

    Args:
        frame: of the panel.
        columns: the title and width in pixels (`SHARED` for what the others leave) of each field, in the order of the
            columns; fields that are not named do not show.
        queries: each with a value, named `Value #A` and so on, or `Value` where there is but one query.
    """
    panel = (
        _framed(table.Panel(), frame, queries)
        .cell_height(option.TableCellHeight.SM)
        .with_transformation(model.DataTransformerConfig("merge", options={}))
        .with_transformation(
            model.DataTransformerConfig("filterFieldsByName", options={"include": {"names": list(columns)}})
        )
        .with_transformation(
            model.DataTransformerConfig(
                "organize",
                options={
                    "indexByName": {name: place for place, name in enumerate(columns)},
                    "renameByName": {name: title for name, (title, _) in columns.items()},
                    "excludeByName": {},
                },
            )
        )
    )
    # Grafana puts the panel's text for no data into every empty cell, and a node of no backend has one.
    panel.override_by_regexp("/.*/", [Property("noValue", "")])
    for title, width in columns.values():
        if width != SHARED:
            panel.override_by_name(title, [Property("custom.width", width)])
    return panel


def sorted_by(*columns: tuple[str, bool]) -> list[Builder[option.TableSortByFieldState]]:
    """Return a table's order: titles, and whether the largest comes first."""
    return [common.TableSortByFieldState().display_name(title).desc(desc) for title, desc in columns]


def words(meanings: Mapping[str, tuple[str, str]]) -> model.ValueMap:
    """Return the text and colour that stand for each value."""
    return model.ValueMap({value: model.ValueMappingResult(text, color) for value, (text, color) in meanings.items()})


def fixed(color: str) -> Property:
    """Return the property of one colour whatever the value."""
    return Property("color", {"mode": "fixed", "fixedColor": color})


def dashed() -> Property:
    """Return the property of a line that is not the main one."""
    return Property("custom.lineStyle", {"fill": "dash", "dash": [8, 8]})


def coloured(steps: Steps) -> list[Property]:
    """Return the properties of a column whose text has the colours of its own thresholds."""
    values = [{"value": value, "color": color} for value, color in steps]
    return [
        Property("thresholds", {"mode": "absolute", "steps": values}),
        Property("custom.cellOptions", {"type": "color-text"}),
    ]


def spoken(meanings: Mapping[str, tuple[str, str]]) -> list[Property]:
    """Return the properties of a column of words instead of values, coloured."""
    return [
        Property("mappings", [words(meanings)]),
        Property("custom.cellOptions", {"type": "color-text"}),
        Property("custom.align", "left"),
    ]
