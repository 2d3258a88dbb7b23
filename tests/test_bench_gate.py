"""No change makes a scrape cost noticeably more: its instructions are counted, beside those of the stock encoder.

Both are counted on this machine and this interpreter, so that neither moves the ratio much.
"""

import pytest
from counts import REPETITIONS, count, falls_short, ratios, recorded


@pytest.mark.heavy
def test_it_takes_no_more_instructions_than_recorded() -> None:
    found = ratios(count(1_000, *REPETITIONS))
    assert falls_short(found, recorded()) == [], "if that is what it has to cost: ./run bench --record"


def test_what_is_recorded_is_a_scrape_and_a_rebuild() -> None:
    assert set(recorded()) == {"scrape", "rebuild"}


@pytest.mark.parametrize(("scrape", "short"), [(130.0, 0), (100.0, 0), (80.1, 0), (79.9, 1), (1.0, 1)])
def test_a_fifth_less_than_recorded_is_too_little(scrape: float, short: int) -> None:
    found = ratios({"stock-scrape": scrape, "ours-scrape": 1.0, "stock-rebuild": 40.0, "ours-rebuild": 2.0})
    assert len(falls_short(found, {"scrape": 100.0, "rebuild": 20.0})) == short
