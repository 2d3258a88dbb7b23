"""What is measured against what is asked for: ratios of paired runs, their spread, a goal and the verdict."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some values, and between which they lie."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Summarize at least one value."""
        return cls(statistics.median(values), min(values), max(values))

    @classmethod
    def of_ratios(cls, numerators: Sequence[float], denominators: Sequence[float]) -> "Spread":
        """Summarize the ratios of pairs, each of which was measured in one round."""
        return cls.of([top / bottom for top, bottom in zip(numerators, denominators, strict=True)])


class Bound(StrEnum):
    """On which side of a goal a figure has to be."""

    AT_MOST = "≤"
    AT_LEAST = "≥"


@dataclass(frozen=True, slots=True)
class Goal:
    """What a median has to keep to: on which side of which value."""

    bound: Bound
    value: float

    def is_met_by(self, spread: Spread) -> bool:
        """Whether the median keeps to it."""
        if self.bound == Bound.AT_MOST:
            return spread.median <= self.value
        return spread.median >= self.value


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table.

    Attributes:
        name: what is compared.
        spread: of it.
        goal: what it has to keep to; None where it is shown for comparison alone.
        unit: how its median and its goal are written, with `{}` in the place of the value.
        cpu: the same ratio of processor time, where `spread` is of the clock's.
        medians: what the ratio is of, as text: both sides with their units.
    """

    name: str
    spread: Spread
    goal: Goal | None = None
    unit: str = "{}"
    cpu: Spread | None = None
    medians: str = ""

    @property
    def verdict(self) -> str:
        """One word; none where there is no goal."""
        if self.goal is None:
            return ""
        return "met" if self.goal.is_met_by(self.spread) else "missed"


def growth_exponent(costs: Mapping[int, float]) -> float:
    """Return the power of the size with which a cost grows, between two sizes: 1 is in proportion."""
    (small, low), (large, high) = sorted(costs.items())
    return math.log(high / low) / math.log(large / small)


def per_repetition(less: tuple[int, float], more: tuple[int, float]) -> float:
    """Return what one repetition costs, by two runs: their repetitions and all that each cost."""
    return (more[1] - less[1]) / (more[0] - less[0])


def slope(small: tuple[int, float], large: tuple[int, float]) -> float:
    """Return by how much the second of a pair grows with the first: what one more costs."""
    return (large[1] - small[1]) / (large[0] - small[0])


def rotated(names: Sequence[str], number: int) -> list[str]:
    """Return the order of a round, so that each comes first, last and after each other equally often."""
    start = number % len(names)
    return [*names[start:], *names[:start]]
