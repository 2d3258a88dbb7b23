import json
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.localai import entry

from exporter import decode
from exporter.errors import PollError, Reason
from exporter.strictjson import BYTES_PER_ENTRY, ENTRIES_FLOOR, LARGEST_VALUE, MOST_MEMBERS, parse_object

CAP = 20 * 2**20
"""A --localai.max-response-bytes; every bound grows with it."""

PIECE = 65_536
NOW = 1_800_000_000.0


def read(body: bytes) -> tuple[dict[str, Any], list[Any]]:
    """Return the object and the entries of its list `nodes`."""
    entries: list[Any] = []
    return parse_object(body, "/x", {("nodes",): entries.append}), entries


def refused(body: bytes) -> PollError:
    with pytest.raises(PollError) as failure:
        read(body)
    return failure.value


def test_what_is_kept() -> None:
    body = b' {"a": {"b": [1], "c": {"d": 1}, "e": null, "f": "x"}, "nodes": [1, {"g": [{}]}], "h": [[2]], "i": 1.5}\n'
    assert read(body) == (
        {"a": {"b": [], "c": {}, "e": None, "f": "x"}, "nodes": [], "h": [], "i": 1.5},
        [1, {"g": [{}]}],
    )


def test_takers_are_told_apart_by_the_whole_path() -> None:
    outer: list[Any] = []
    inner: list[Any] = []
    body = b'{"a": {"nodes": [1, 2]}, "nodes": [3], "b": {"a": {"nodes": [4]}}}'
    parse_object(body, "/x", {("nodes",): outer.append, ("a", "nodes"): inner.append})
    assert (outer, inner) == ([3], [1, 2])


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,}',
        b'{,"a":1}',
        b'{"a" 1}',
        b"{1:1}",
        b'{"a":1 "b":2}',
        b'{"a":[1,]}',
        b'{"a":[,1]}',
        b'{"a":[1 2]}',
        b'{"a":[1}',
        b'{"a":{"b":[1]}',
        b'{"a":1}}',
        b'{"a":1}x',
        b'{"a":01}',
        b'{"a":{"b":1,"b":2}}',
        b'{"nodes":[{"a":1,"a":1},{}]}',
        b'{"nodes":[{"a":NaN},{}]}',
        b"[1,",
        b"[] []",
        b'{"a":"\x01"}',
    ],
)
@pytest.mark.parametrize("pieces", [0, 1], ids=["at the start", "in the second piece"])
def test_what_is_no_json(body: bytes, pieces: int) -> None:
    assert refused(b" " * PIECE * pieces + body).reason == Reason.NOT_JSON


VALUES = [
    b"-12.5e+30",
    b"true",
    b'"\\ud83e\\udd99 \\" \xf0\x9f\xa6\x99"',
    b'{"a":[{}],"b":"},"}',
    b'["},{",[]]',
    b"null",
]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(
    ("before", "after", "others"),
    [
        (b'{"nodes":[{"x":1},', b',{"x":2}]}', ([{"x": 1}], [{"x": 2}])),
        (b'{"nodes":[', b"]}", ([], [])),
        (b'{"nodes":[{"x":1},{"x":2},', b"]}", ([{"x": 1}, {"x": 2}], [])),
        (b'{"nodes":[],"x":[', b"]}", None),
    ],
    ids=["between", "alone", "last", "unread"],
)
def test_a_value_may_lie_across_two_pieces(
    value: bytes, before: bytes, after: bytes, others: tuple[list[Any], list[Any]] | None
) -> None:
    for cut in range(len(value) + 2):
        _, entries = read(before + b" " * (PIECE - len(before) - cut) + value + after)
        assert entries == ([*others[0], json.loads(value), *others[1]] if others else [])


def test_a_key_and_its_number_may_lie_across_two_pieces() -> None:
    for cut in range(16):
        assert read(b" " * (PIECE - cut) + b'{"key":-1.5e+30}')[0] == {"key": -1.5e30}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


@given(nodes=st.lists(JSON, max_size=8), more=st.dictionaries(st.text(max_size=4), JSON, max_size=4), pad=st.data())
def test_agrees_with_the_standard_library(nodes: list[Any], more: dict[str, Any], pad: st.DataObject) -> None:
    body = json.dumps({**more, "nodes": nodes}, ensure_ascii=pad.draw(st.booleans())).encode("utf-8", "surrogatepass")
    start = b" " * max(0, PIECE - pad.draw(st.integers(0, len(body))))
    try:
        json.loads(body.decode())
    except ValueError:
        assert refused(start + body).reason == Reason.NOT_JSON
        return
    found, entries = read(start + body)
    assert entries == nodes
    assert list(found) == list({**more, "nodes": nodes})


@given(body=st.binary(max_size=60) | st.text(st.sampled_from('{}[]",:\\ -1e.truen\n'), max_size=40).map(str.encode))
@example(b'{"a":1e5}')
@example(b'{"nodes":[{},{}]}')
def test_refuses_what_the_standard_library_refuses(body: bytes) -> None:
    try:
        truth = json.loads(body.decode())
    except (ValueError, RecursionError):
        assert refused(body).reason == Reason.NOT_JSON
        return
    try:
        read(body)
    except PollError as failure:
        # Stricter than the standard library: twice a key, or infinite; or no object.
        assert failure.reason == Reason.NOT_JSON or not isinstance(truth, dict)
    else:
        assert isinstance(truth, dict)


class TestBounds:
    @pytest.mark.parametrize("unit", [b"{}", b"[]", b"1", b"null"])
    def test_entries_that_take_next_to_no_bytes(self, unit: bytes) -> None:
        most = ENTRIES_FLOOR + ENTRIES_FLOOR * (len(unit) + 1) // BYTES_PER_ENTRY
        assert len(read(b'{"nodes":[' + b",".join([unit] * most) + b"]}")[1]) == most
        error = refused(b'{"nodes":[' + b",".join([unit] * most * 2) + b"]}")
        assert error.reason == Reason.SHAPE
        assert "more entries" in error.detail

    def test_lists_that_nobody_reads_count_too(self) -> None:
        error = refused(b'{"nodes":[],"x":[' + b",".join([b"{}"] * 3 * ENTRIES_FLOOR) + b"]}")
        assert error.reason == Reason.SHAPE

    def test_keys(self) -> None:
        def keys(count: int) -> bytes:
            return b'{"a":{' + b",".join(b'"%d":0' % number for number in range(count - 1)) + b"}}"

        assert len(read(keys(MOST_MEMBERS))[0]["a"]) == MOST_MEMBERS - 1
        assert refused(keys(MOST_MEMBERS + 1)).reason == Reason.SHAPE

    @pytest.mark.parametrize("place", [b'{"nodes":[{"id":"%s"}]}', b'{"nodes":[],"x":"%s"}', b'{"nodes":[{"x":[%s]}]}'])
    def test_one_value(self, place: bytes) -> None:
        short, long = (b"1" * (size // 2) + b",1" * (size // 4) for size in (LARGEST_VALUE // 4, 3 * LARGEST_VALUE))
        if b"[%s]" in place:
            short, long = b",".join([b"1"] * 1_000), b",".join([b"1"] * 2 * LARGEST_VALUE)
        read(place % short)
        error = refused(place % long)
        assert error.reason == Reason.SHAPE
        assert str(LARGEST_VALUE) in error.detail


def filled(beginning: bytes, units: Iterator[bytes], end: bytes) -> bytes:
    """An answer that fills the cap."""
    body = bytearray(beginning)
    for unit in units:
        body += unit
        if len(body) > CAP - len(end) - PIECE:
            break
    return bytes(body) + end


def repeated(unit: bytes) -> Iterator[bytes]:
    while True:
        yield unit * 1_000


def numbered(form: bytes) -> Iterator[bytes]:
    number = 0
    while True:
        number += 1
        yield form % number


HOSTILE: dict[str, Callable[[], bytes]] = {
    "empty objects": lambda: filled(b'{"nodes":[', repeated(b"{},"), b"{}]}"),
    "empty lists": lambda: filled(b'{"nodes":[', repeated(b"[],"), b"[]]}"),
    "numbers": lambda: filled(b'{"nodes":[', repeated(b"1.5,"), b"1]}"),
    "keys": lambda: filled(b'{"nodes":[],"x":{', numbered(b'"%x":1,'), b'"":1}}'),
    "keys of an entry": lambda: filled(b'{"nodes":[{', numbered(b'"%x":1,'), b'"":1}]}'),
    "a text in four bytes a character": lambda: filled(
        b'{"nodes":[],"x":"', repeated(b"aaaaaaaa"), b'\xf0\x9f\xa6\x99"}'
    ),
    "dense entries": lambda: filled(
        b'{"nodes":[', numbered(b'{"id":"%x","x":[' + b'"abc",' * 20_000 + b'""]},'), b"{}]}"
    ),
    "shortest nodes": lambda: filled(b'{"nodes":[', numbered(b'{"id":"%08x"' + b" " * 65 + b"},"), b"{}]}"),
    "nesting": lambda: b'{"nodes":[' + b"[" * (CAP - 20),
}


@pytest.mark.fault("hostile-json")
@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_hostile_json_takes_no_more_memory_than_twice_the_cap(make: Callable[[], bytes]) -> None:
    body = make()
    tracemalloc.start()
    try:
        found = decode.federation(body, NOW)
    except PollError as failure:
        assert failure.reason in (Reason.SHAPE, Reason.NOT_JSON)
        found = None
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    # Beside the body itself, which is half of what is allowed; a node that is kept is no more than 256 bytes.
    assert peak < CAP + 256 * (len(found.nodes) if found else 0)


@pytest.mark.fault("hostile-json")
def test_fifty_thousand_real_nodes_are_read_and_take_no_more_than_twice_the_cap() -> None:
    entries = ",".join(
        json.dumps(entry(f"rack1-gpu-{number:06d}-{number:010d}"), separators=(",", ":")) for number in range(53_000)
    )
    body = f'{{"llama_cpp":{{"nodes":[{entries}]}},"mlx":{{"nodes":[]}},"nodes":[{entries}]}}'.encode()
    assert CAP * 3 / 4 < len(body) < CAP
    tracemalloc.start()
    try:
        found = decode.workers(body, NOW)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [len(one.nodes) for one in found.lists.values()] == [53_000, 0]
    assert len(body) + peak < 2 * CAP + CAP // 2
