"""What is called while an answer is read and used, to hear that the poll's time is over."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from exporter.errors import PollError, Reason

OnTime = Callable[[], None]
"""Raises `PollError` once time is over. It is called all the while: tens of thousands of nodes take seconds to read."""

LOOK_EVERY = 64
"""So many items take some hundred microseconds. To read the clock for each would cost as much as the work."""

Item = TypeVar("Item")


def unhurried() -> None:
    """Time is never over."""


def until(deadline: float, monotonic: Callable[[], float]) -> OnTime:
    """Return what raises `TIMEOUT` from `deadline` on, in seconds of the clock `monotonic`."""

    def on_time() -> None:
        if monotonic() > deadline:
            raise PollError(Reason.TIMEOUT, "the deadline passed before the answer was understood")

    return on_time


def while_on_time(items: Iterable[Item], on_time: OnTime) -> Iterator[Item]:
    """Yield each of many items, and call `on_time` before the first and every few of them."""
    for number, item in enumerate(items):
        if not number % LOOK_EVERY:
            on_time()
        yield item
