"""JSON as RFC 8259 and I-JSON (RFC 7493) have it: what Python's reader lets pass beyond that is refused."""

import json
import math
from collections.abc import Callable
from typing import Any, NoReturn

from exporter.errors import PollError, Reason

BYTES_PER_VALUE = 12
"""An answer has at most one value for so many bytes, and `VALUES_FLOOR` besides. LocalAI's shortest nodes take 15 bytes
a value, usual ones 25; `{},` takes 3, and 88 as an object in a list: 32 MiB of them would be close to a gigabyte."""

VALUES_FLOOR = 4_096
"""So many values any answer may have."""

OnTime = Callable[[], None]
"""Raises `PollError` once time is over. Tens of thousands of nodes take a second to read, so it is called at each."""


def unhurried() -> None:
    """Time is never over."""


def _refuse(_: object) -> NoReturn:
    raise ValueError


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    return value if len(value) == len(pairs) else _refuse(pairs)


def parse_object(body: bytes, where: str, on_time: OnTime = unhurried) -> dict[str, Any]:
    """Return the object that `body` is.

    Args:
        body: UTF-8 without a byte order mark.
        where: the path that answered it, for the error's text.
        on_time: called at each object.

    Raises:
        PollError: `NOT_JSON`, also for NaN, an infinite number, a key that stands twice, and a nesting that is too
            deep to follow; `SHAPE`, it is JSON and no object, or has more values than any LocalAI says in so many
            bytes; and whatever `on_time` raises.
    """
    if sum(map(body.count, (b",", b"{", b"["))) > VALUES_FLOOR + len(body) // BYTES_PER_VALUE:
        raise PollError(Reason.SHAPE, f"{where} answered more values than LocalAI says in so many bytes")

    def timely(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        on_time()
        return _unique(pairs)

    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=timely, parse_float=_finite, parse_constant=_refuse)
    except (ValueError, RecursionError):
        # From None: the exception holds the answer, and an answer may hold a secret.
        raise PollError(Reason.NOT_JSON, f"{where} answered something that is not JSON") from None
    if not isinstance(value, dict):
        raise PollError(Reason.SHAPE, f"{where} answered JSON that is not an object")
    return value
