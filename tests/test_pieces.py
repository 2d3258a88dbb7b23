from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.pieces import MERGE_BYTES, merged

SIZES = st.sampled_from([0, 1, 2, MERGE_BYTES // 2, MERGE_BYTES - 1, MERGE_BYTES, MERGE_BYTES + 1, 3 * MERGE_BYTES])


@given(sizes=st.lists(SIZES, max_size=8))
def test_the_same_bytes_in_fewer_pieces(sizes: list[int]) -> None:
    pieces = [bytes([number]) * size for number, size in enumerate(sizes)]
    found = list(merged(pieces))
    assert b"".join(found) == b"".join(pieces)
    assert all(found)
    assert all(len(one) <= MERGE_BYTES or one in pieces for one in found)
    assert all(len(one) + len(other) > MERGE_BYTES // 2 for one, other in pairwise(found))


@pytest.mark.parametrize("size", [MERGE_BYTES, 3 * MERGE_BYTES])
def test_what_is_large_is_not_copied(size: int) -> None:
    large = bytes(size)
    assert next(merged([b"", large])) is large
