"""The arithmetic of the benchmarks: ratios, their spread, what grows how, goals and the table."""

import math

import pytest
from figures import Bound, Figure, Goal, Spread, growth_exponent, per_repetition, rotated, slope
from table import number, seconds, table


def test_ratios_are_of_pairs() -> None:
    spread = Spread.of_ratios([1.0, 9.0, 2.0], [2.0, 3.0, 2.0])
    assert spread == Spread(median=1.0, least=0.5, most=3.0)


def test_the_median_of_an_even_number_lies_between_two() -> None:
    assert Spread.of([4.0, 1.0, 2.0, 8.0]) == Spread(3.0, 1.0, 8.0)


def test_rounds_that_are_not_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Spread.of_ratios([1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("goal", "median", "verdict"),
    [
        (Goal(Bound.AT_MOST, 0.1), 0.1, "met"),
        (Goal(Bound.AT_MOST, 0.1), 0.101, "missed"),
        (Goal(Bound.AT_LEAST, 9), 9.0, "met"),
        (Goal(Bound.AT_LEAST, 9), 8.99, "missed"),
        (None, 1.0, ""),
    ],
    ids=str,
)
def test_a_verdict_is_the_medians(goal: Goal | None, median: float, verdict: str) -> None:
    assert Figure("x", Spread(median, 0.0, 100.0), goal).verdict == verdict


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_the_exponent_is_the_power(power: float) -> None:
    assert growth_exponent({1_000: 7.0 * 1_000**power, 100: 7.0 * 100**power}) == pytest.approx(power)


def test_what_was_made_ready_is_not_counted() -> None:
    assert per_repetition((0, 1_000.0), (4, 1_400.0)) == 100.0


def test_what_stands_still_is_no_part_of_a_slope() -> None:
    assert slope((10, 5.0), (30, 45.0)) == 2.0


def test_everybody_has_every_place() -> None:
    orders = [rotated(["a", "b", "c"], round_number) for round_number in range(4)]
    assert orders == [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"], ["a", "b", "c"]]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.03456, "0.0346"),
        (1.0, "1.00"),
        (9.996, "10.00"),
        (123.4, "123"),
        (52_426.2, "52,400"),
        (-0.5, "-0.500"),
    ],
)
def test_a_number_has_three_digits(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(2.5, "2.50 s"), (0.0144, "14.4 ms"), (0.001, "1.00 ms"), (0.000_031, "31.0 µs")]
)
def test_a_time_has_its_unit(value: float, text: str) -> None:
    assert seconds(value) == text


def test_the_table_is_markdown_and_aligned() -> None:
    figures = [
        Figure("one", Spread(0.5, 0.25, 1.0), Goal(Bound.AT_MOST, 0.4), cpu=Spread.of([0.125]), medians="1 ms / 2 ms"),
        Figure("the other", Spread.of([math.pi]), Goal(Bound.AT_LEAST, 3), "{}×"),
    ]
    assert table(figures) == (
        "| figure    | goal  | median (min – max)   | of CPU time | medians     | verdict |\n"
        "|-----------|-------|----------------------|-------------|-------------|---------|\n"
        "| one       | ≤ 0.4 | 0.500 (0.250 – 1.00) | 0.125       | 1 ms / 2 ms | missed  |\n"
        "| the other | ≥ 3×  | 3.14×                |             |             | met     |\n"
    )
