"""Figures as a table that reads well in a terminal and is Markdown in a page."""

import math
from collections.abc import Sequence

from figures import Figure, Spread

_HEAD = ("figure", "goal", "median (min – max)", "of CPU time", "medians", "verdict")
_DIGITS = 3


def number(value: float) -> str:
    """Write a value with three digits that say something, thousands parted by commas."""
    if value == 0:
        return "0"
    places = _DIGITS - 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, places):,.{max(0, places)}f}"


def seconds(value: float) -> str:
    """Write a time in the unit that fits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if value >= size:
            return f"{number(value / size)} {unit}"
    return f"{number(value / 1e-6)} µs"


def _spread(spread: Spread | None, unit: str) -> str:
    if spread is None:
        return ""
    median = unit.format(number(spread.median))
    if spread.least == spread.most:
        return median
    return f"{median} ({number(spread.least)} – {number(spread.most)})"


def _cells(figure: Figure) -> tuple[str, ...]:
    return (
        figure.name,
        f"{figure.goal.bound} {figure.unit.format(f'{figure.goal.value:g}')}" if figure.goal else "",
        _spread(figure.spread, figure.unit),
        _spread(figure.cpu, "{}"),
        figure.medians,
        figure.verdict,
    )


def table(figures: Sequence[Figure]) -> str:
    """Return the table, with a line for each figure."""
    rows = [_HEAD, *(_cells(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n"
