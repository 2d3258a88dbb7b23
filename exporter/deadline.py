"""What is called while an answer is read and used, to hear that the poll's time is over."""

from collections.abc import Callable

from exporter.errors import PollError, Reason

OnTime = Callable[[], None]
"""Raises `PollError` once time is over. Tens of thousands of nodes take seconds to read, so it is called at each."""


def unhurried() -> None:
    """Time is never over."""


def until(deadline: float, monotonic: Callable[[], float]) -> OnTime:
    """Return what raises `TIMEOUT` from `deadline` on, in seconds of the clock `monotonic`."""

    def on_time() -> None:
        if monotonic() > deadline:
            raise PollError(Reason.TIMEOUT, "the deadline passed before the answer was understood")

    return on_time
