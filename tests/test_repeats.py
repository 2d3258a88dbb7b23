import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.captures import CAPTURES, Capture
from support.generated import NOW, TIMES
from support.localai import entry

from exporter import decode
from exporter.errors import PollError, Reason
from exporter.repeats import Reader
from exporter.strictjson import Budget

UNLIMITED = Budget()


class Counted:
    """Reads answers, and counts the ones that it was given."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, body: bytes, now: float, budget: Budget) -> decode.Lists:
        """Read one."""
        self.count += 1
        return decode.workers(body, now, budget)


def answer(*entries: Any, mlx: tuple[Any, ...] = ()) -> bytes:
    """Return what v4 says of workers: with its keys in the order of their names, and those of llama.cpp twice."""
    value = {"llama_cpp": {"nodes": entries}, "mlx": {"nodes": mlx}, "nodes": entries}
    return json.dumps(value, separators=(",", ":")).encode()


def seen(second: int) -> str:
    return f"2027-01-15T07:59:{second:02}.5Z"


def parses(*bodies: bytes, now: float = NOW) -> int:
    """Return how many of these answers, read one after the other, are parsed; what they mean is right in any case."""
    counted = Counted()
    reader = Reader(counted)
    for body in bodies:
        assert reader(body, now, UNLIMITED) == decode.workers(body, now)
    return counted.count


def test_what_was_said_twice_is_not_parsed_the_third_time() -> None:
    bodies = [
        answer(
            entry("gpu-a", seen=seen(at)), entry("gpu-b", seen=seen(50 - at)), mlx=(entry("mac-c", seen=seen(at + 1)),)
        )
        for at in range(9)
    ]
    assert parses(*bodies) == 2


@pytest.mark.parametrize("zone", ["Z", "+02:00", "-11:30"])
def test_a_moment_may_be_written_as_go_writes_it(zone: str) -> None:
    # With as many digits as it has, in the zone of the node.
    texts = [f"2027-01-15T07:59:{seconds}{zone}" for seconds in ("01", "02.5", "03.123456789", "04.1", "05")]
    assert parses(*(answer(entry("gpu-a", seen=text)) for text in texts)) == 2


def test_who_was_never_seen_is_seen_at_last() -> None:
    never = "0001-01-01T00:00:00Z"
    texts = [never, never, never, seen(1), seen(2), "9999-12-31T23:59:59Z", never]
    assert parses(*(answer(entry("gpu-a", seen=text), entry("gpu-b", seen=seen(5))) for text in texts)) == 2


@pytest.mark.parametrize(
    "other",
    [
        answer(entry("gpu-a", online=False)),
        answer(entry("gpu-b")),
        answer(entry("gpu-a"), entry("gpu-b")),
        answer(),
        answer(mlx=(entry("gpu-a"),)),
        answer(entry("gpu-a", tunnelAddress="127.0.0.1:4001")),
        answer(entry("gpu-a", note="new")),
    ],
    ids=["verdict", "id", "one more", "none", "kind", "address", "key"],
)
def test_what_says_anything_else_is_parsed(other: bytes) -> None:
    usual = answer(entry("gpu-a"))
    assert parses(usual, usual, usual, other, usual, usual, usual) == 5
    assert parses(usual, usual, usual, other, other, other) == 4


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("moment", [seen(4), seen(7)], ids=["same moment", "another"])
@pytest.mark.parametrize(
    "odd",
    [
        {key: value for key, value in entry("gpu-b").items() if key != "isOnline"},
        entry("gpu-a"),
        {"id": 5},
        entry("gpu-b") | {"lastSeen": None},
        entry("gpu-b") | {"inner": {"lastSeen": seen(4)}},
        {"inner": {"lastSeen": seen(4)}} | entry("gpu-b"),
    ],
    ids=["no verdict", "listed twice", "no entry", "no moment", "a moment behind", "a moment before"],
)
def test_where_not_all_moments_are_those_of_the_nodes_all_is_read_right(odd: Any, moment: str, *, first: bool) -> None:
    def said(at: int) -> bytes:
        odder = {key: seen(at) if value == "2027-01-15T08:00:00Z" else value for key, value in odd.items()}
        entries = [odder, entry("gpu-a", seen=moment)]
        return answer(*(entries if first else entries[::-1]))

    assert parses(said(4), said(4), said(4), said(5), said(6), said(4), said(9)) >= 2


def test_lists_that_repeat_each_other_in_another_order_are_read_right() -> None:
    def said(a: int, b: int) -> bytes:
        nodes = [entry("gpu-a", seen=seen(a)), entry("gpu-b", seen=seen(b))]
        value = {"nodes": nodes, "mlx": {"nodes": []}, "llama_cpp": {"nodes": nodes[::-1]}}
        return json.dumps(value, separators=(",", ":")).encode()

    assert parses(said(1, 1), said(1, 1), said(1, 1), said(1, 2), said(3, 2), said(4, 4)) >= 4


HOSTILE = [
    '"lastSeen":"2027-01-15T08:00:00Z"',
    '","lastSeen":"2027-01-15T08:00:00Z',
    '\\","lastSeen":"',
    "\0",
    "\ud800",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_name_that_looks_like_a_moment_is_none(text: str) -> None:
    bodies = [
        answer(entry(f"{text}-a", seen=seen(at), note=text), entry("gpu-b", seen=seen(9 + at))) for at in range(4)
    ]
    assert parses(*bodies) == 2


USUAL = answer(entry("gpu-a"))


@pytest.mark.parametrize(
    "body",
    [USUAL[:-1], USUAL.replace(b'"lastSeen":"2027-01-15T08:00:00Z"', b"\0"), USUAL.replace(b":00:00Z", b":00:00\0Z")],
    ids=["cut", "a NUL for a moment", "a NUL in a moment"],
)
def test_what_is_not_json_is_no_answer_however_often_it_is_said(body: bytes) -> None:
    reader = Reader(decode.workers)
    for _ in range(3):
        reader(USUAL, NOW, UNLIMITED)
    for _ in range(3):
        with pytest.raises(PollError) as failure:
            reader(body, NOW, UNLIMITED)
        assert failure.value.reason == Reason.NOT_JSON
    assert reader(USUAL, NOW, UNLIMITED) == decode.workers(USUAL, NOW)


@pytest.mark.parametrize("first", [0.0, -1e9])
def test_a_moment_whose_key_is_escaped_is_not_taken_for_another_one(first: float) -> None:
    def said(moment: str) -> bytes:
        odd = entry("gpu-a", seen="1970-01-01T00:00:00Z") | {'"lastSeen': moment}
        return answer(odd).replace(b'"lastSeen":"1970', b'"last\\u0053een":"1970')

    reader = Reader(decode.workers)
    for number in range(4):
        body, now = said(seen(number)), NOW if number else first
        assert reader(body, now, UNLIMITED) == decode.workers(body, now)


def test_what_time_was_over_for_is_not_done_again() -> None:
    read: list[bytes] = []

    def late(body: bytes, now: float, budget: Budget) -> decode.Lists:
        read.append(body)
        if len(read) == 2:
            raise PollError(Reason.TIMEOUT, "late")
        return decode.workers(body, now, budget)

    reader = Reader(late)
    reader(USUAL, NOW, UNLIMITED)
    with pytest.raises(PollError):
        reader(USUAL, NOW, UNLIMITED)
    assert reader(USUAL, NOW, UNLIMITED) == decode.workers(USUAL, NOW)
    assert read[1] != USUAL
    assert read[2] == USUAL


@pytest.mark.parametrize(
    "body",
    [answer(*(entry(f"gpu-{one}") for one in range(30_000))), b" " * 2**23, b'"lastSeen":"' + b"0" * 2**23],
    ids=["usual", "no moments", "an endless one"],
)
def test_the_deadline_is_heard_while_an_answer_is_taken_apart_and_marked(body: bytes) -> None:
    looks: list[None] = []
    reader = Reader(lambda *_: decode.Lists("2", {}))
    for times in (1, 2):
        looks.clear()
        reader(body, NOW, Budget(on_time=lambda: looks.append(None)))
        assert len(looks) >= times * len(body) / 600_000


@pytest.mark.parametrize("nodes", [3_000, 30_000])
def test_the_deadline_is_heard_all_the_while(nodes: int) -> None:
    looks: list[None] = []
    body = answer(*(entry(f"gpu-{one}") for one in range(nodes)))
    reader = Reader(decode.workers)
    for _ in range(3):
        looks.clear()
        reader(body, NOW, Budget(on_time=lambda: looks.append(None)))
    assert len(looks) >= nodes / 64 + len(body) / 600_000


@pytest.mark.parametrize(
    ("one", "path"),
    [(one, path) for one in CAPTURES if "clock" in one.expect for path in ("workers", "federation")],
    ids=str,
)
def test_captures_read_again_and_again(one: Capture, path: str) -> None:
    read, now = {"workers": decode.workers, "federation": decode.federation}[path], float(one.expect["clock"])
    reader = Reader(read)
    try:
        expected = read(one.body(path), now, UNLIMITED)
    except PollError:
        with pytest.raises(PollError):
            reader(one.body(path), now, UNLIMITED)
        return
    assert [reader(one.body(path), now, UNLIMITED) for _ in range(4)] == [expected] * 4


NODES = st.lists(st.tuples(st.sampled_from(["a-a", "b-b", "c-c", *HOSTILE]), st.booleans()), max_size=4)
ODD = st.sampled_from(
    [{}, {}, {}, {}, {"isOnline": None}, {"isOnline": 1}, {"lastSeen": None}, {"id": 5}, {"more": [{}]}]
)
POLLS = st.lists(
    st.tuples(NODES, NODES, ODD, st.lists(st.lists(TIMES, min_size=1, max_size=3), max_size=4)), max_size=3
)


@given(polls=POLLS)
def test_whatever_comes_is_read_as_if_nothing_had_come_before(polls: list[Any]) -> None:
    reader = Reader(decode.workers)
    for llama_cpp, mlx, odd, rounds in polls:
        for number, times in enumerate(rounds):
            moments = (text for _ in range(9) for text in times)
            made = [
                tuple(entry(one, online=online, seen=next(moments)) | odd for one, online in nodes)
                for nodes in (llama_cpp, mlx)
            ]
            body = answer(*made[0], mlx=made[1])
            assert reader(body, NOW + number, UNLIMITED) == decode.workers(body, NOW + number)
