"""JSON as RFC 8259 and I-JSON (RFC 7493) have it: what Python's reader lets pass beyond that is refused.

What an answer has too much of is refused before it is parsed: values take many times the memory of their bytes.
"""

import itertools
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from exporter.deadline import LOOK_EVERY, OnTime, unhurried
from exporter.errors import PollError, Reason

BYTES_PER_NODE = 256
"""So many of the bytes that an answer may have allow it one node. LocalAI's take 150, and v4 lists workers twice."""

NODES_FLOOR = 4_096
"""So many nodes any answer may have."""

VALUES_PER_NODE = 16
"""How many values come with a node: seven as LocalAI spells it, and those twice."""

MOST_MARKS = 65_536
"""The most marks of JSON, such as commas, between two braces. LocalAI's objects have a dozen, and no list of anything
else; Python's reader hears of the deadline at each brace only, and this many keys take it a tenth of a second."""

_MOST_LEVELS = 1_000  # Python's reader follows no more
_FLAT = frozenset((str, bool))
_OTHER_OBJECTS = 16  # what holds the lists of nodes
_PIECE_BYTES = 65_536
_NO_MARKS = bytes(set(range(256)) - set(b'"{}[],:'))


@dataclass(frozen=True, slots=True)
class Budget:
    """What the reading of an answer may take.

    Attributes:
        nodes: the most nodes.
        on_time: called again and again; what it raises ends the reading.
    """

    nodes: int = sys.maxsize
    on_time: OnTime = unhurried

    @classmethod
    def of(cls, most_bytes: int, on_time: OnTime) -> "Budget":
        """Return what goes with the most bytes that an answer may have."""
        return cls(max(NODES_FLOOR, most_bytes // BYTES_PER_NODE), on_time)

    def check_nodes(self, count: int, where: str) -> None:
        """Let no more nodes pass than are allowed.

        Raises:
            PollError: `TOO_LARGE`, these are more.
        """
        if count > self.nodes:
            raise PollError(
                Reason.TOO_LARGE, f"{where} answered more than the {self.nodes} nodes that the cap on bytes allows"
            )


def _refuse(_: object) -> NoReturn:
    raise ValueError


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse(text)


def _is_flat(value: dict[str, Any]) -> bool:
    """Tell whether all values are strings, true or false: among those, what is equal is the same, but True == 1."""
    return _FLAT.issuperset(map(type, value.values()))


def _marks(body: bytes, on_time: OnTime) -> Iterator[bytes]:
    """Yield the braces, brackets, commas and colons outside strings, a piece of the answer at a time."""
    inside = False
    held = b""
    for start in range(0, len(body), _PIECE_BYTES):
        on_time()
        # An escaped backslash escapes nothing; one that is left at the end escapes what the next piece begins with.
        piece = (held + body[start : start + _PIECE_BYTES]).replace(rb"\\", b"")
        held = b"\\" if piece.endswith(b"\\") else b""
        marks = piece.removesuffix(held).replace(rb"\"", b"").translate(None, _NO_MARKS)
        # Two quotes side by side change nothing for what stands around them, and most strings have no mark inside.
        parts = marks.replace(b'""', b"").split(b'"')
        yield b"".join(parts[inside::2])
        inside ^= len(parts) % 2 == 0


def _check_size(body: bytes, where: str, budget: Budget) -> int:
    """Refuse an answer that has too much of something; return the most marks that it has between two braces.

    Raises:
        PollError: `TOO_LARGE`, more objects or values than the nodes that are allowed account for; `SHAPE`, more
            members of one object or list than any LocalAI says; `NOT_JSON`, a nesting that is too deep to follow.
    """
    objects = values = levels = marks_since_brace = most = 0
    for marks in _marks(body, budget.on_time):
        opened = marks.count(b"{") + marks.count(b"[")
        levels += opened - marks.count(b"}") - marks.count(b"]")
        if levels > _MOST_LEVELS:
            raise PollError(Reason.NOT_JSON, f"{where} answered something that is nested too deeply to be read")
        objects += marks.count(b"{")
        values += opened + marks.count(b",")
        first, *further = map(len, marks.replace(b"}", b"{").split(b"{"))
        marks_since_brace += first
        most = max(most, marks_since_brace, *further)
        if most > MOST_MARKS:
            raise PollError(Reason.SHAPE, f"{where} answered an object or a list with more members than LocalAI's have")
        if further:
            marks_since_brace = further[-1]
    # Each node may stand there twice.
    budget.check_nodes(max((objects - _OTHER_OBJECTS) // 2, values // VALUES_PER_NODE), where)
    return most


def parse_object(body: bytes, where: str, budget: Budget) -> dict[str, Any]:
    """Return the object that `body` is.

    Args:
        body: UTF-8 without a byte order mark.
        where: the path that answered it, for the error's text.
        budget: what the reading may take; its `on_time` is called all the while.

    Raises:
        PollError: `NOT_JSON`, also for NaN, an infinite number, a key that stands twice, and a nesting that is too
            deep to follow; `SHAPE`, it is JSON and no object, or has more members in one place than any LocalAI says;
            `TOO_LARGE`, it has more objects or values than the budget's nodes account for; and whatever `on_time`
            raises.
    """
    value = _parsed(body, where, budget)
    if not isinstance(value, dict):
        raise PollError(Reason.SHAPE, f"{where} answered JSON that is not an object")
    return value


def parse_list(body: bytes, where: str, budget: Budget) -> list[Any]:
    """Return the list that `body` is; null is an empty one. Arguments and errors as for `parse_object`.

    Raises:
        PollError: `TOO_LARGE` also where it has more elements than the budget has nodes.
    """
    value = _parsed(body, where, budget)
    if value is None:
        return []
    if not isinstance(value, list):
        raise PollError(Reason.SHAPE, f"{where} answered JSON that is not a list")
    budget.check_nodes(len(value), where)
    return value


def _parsed(body: bytes, where: str, budget: Budget) -> Any:
    most_marks = _check_size(body, where, budget)
    # As often as it takes for `MOST_MARKS` to go by.
    look_every = max(1, min(LOOK_EVERY, MOST_MARKS // max(1, most_marks)))
    known: dict[str, dict[str, Any]] = {}
    number = itertools.count()

    def timely(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if not next(number) % look_every:
            budget.on_time()
        value = dict(pairs)
        if len(value) != len(pairs):
            _refuse(pairs)
        first = pairs[0][1] if pairs else None
        if not isinstance(first, str):
            return value
        # LocalAI lists its workers twice in one answer: one object serves for both, and its strings are kept once.
        twin = known.setdefault(first, value)
        return twin if twin is not value and _is_flat(value) and _is_flat(twin) and twin == value else value

    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=timely, parse_float=_finite, parse_constant=_refuse)
    except (ValueError, RecursionError):
        # From None: the exception holds the answer, and an answer may hold a secret.
        raise PollError(Reason.NOT_JSON, f"{where} answered something that is not JSON") from None
