"""What a name decides must never change: a release that moved targets would restart their counters."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.shard import Shard, fraction

pytestmark = pytest.mark.generated

NAMES = st.text("abcdefghij0123456789-", min_size=1, max_size=20)
TOTALS = st.integers(1, 40)


def shard_of(name: str, total: int) -> int:
    (index,) = (index for index in range(total) if Shard(index, total).holds(name))
    return index


@given(NAMES, TOTALS)
def test_a_target_is_of_exactly_one_shard(name: str, total: int) -> None:
    assert 0 <= shard_of(name, total) < total


@given(NAMES, TOTALS)
def test_a_further_shard_takes_targets_and_moves_none_between_the_others(name: str, total: int) -> None:
    assert shard_of(name, total + 1) in (shard_of(name, total), total)


@pytest.mark.parametrize("total", [2, 3, 10])
def test_shards_have_about_the_same(total: int) -> None:
    counts = Counter(shard_of(f"cluster-{number}", total) for number in range(1_000))
    assert len(counts) == total
    assert max(counts.values()) < 1.3 * 1_000 / total


@pytest.mark.parametrize(
    ("name", "indexes", "part"),
    [("home", (0, 1, 2, 3), 0.3071), ("eu-1", (0, 1, 2, 2), 0.6597), ("rack:3/gpu", (0, 0, 2, 2), 0.1280)],
)
def test_they_are_the_same_in_every_release(name: str, indexes: tuple[int, ...], part: float) -> None:
    """What the tool sha256sum says."""
    assert tuple(shard_of(name, total) for total in (1, 2, 3, 4)) == indexes
    assert fraction(name) == pytest.approx(part, abs=1e-4)


@given(NAMES)
def test_a_part_of_an_interval_is_less_than_all_of_it(name: str) -> None:
    assert 0 <= fraction(name) < 1
