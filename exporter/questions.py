"""How LocalAI is asked within a poll, and what its answers tell beside their bodies: its clock, and restarts."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from exporter.client import Answer
from exporter.clock import Clock
from exporter.deadline import until
from exporter.errors import PollError, Reason
from exporter.model import ClockReading
from exporter.strictjson import Budget

# `Date` is cut to the second: half of one later is the middle of what it can have been.
_DATE_MIDDLE_SECONDS = 0.5

# What answers in LocalAI's place, and LocalAI itself, say that they send.
_MEDIA_TYPES = (
    "application/json",
    "text/html",
    "text/plain",
    "application/xml",
    "text/xml",
    "application/octet-stream",
)

Value = TypeVar("Value")


class Getter(Protocol):
    """Who asks: `exporter.client.Client`."""

    def get(self, path: str, deadline: float) -> Answer:
        """Return the answer, or raise PollError."""


class Questions:
    """Asks one LocalAI. Not for several threads at once.

    Args:
        client: who asks.
        clock: for deadlines, and for LocalAI's time where it does not say its own.
        most_bytes: that an answer may have; how many nodes it may have follows from it.

    Attributes:
        reconnected: whether a kept connection had to be made anew, until who follows that up sets it back. LocalAI
            keeps connections, so one that was cut tells of a restart.
    """

    def __init__(self, client: Getter, clock: Clock, most_bytes: int) -> None:
        self._client = client
        self._clock = clock
        self._most_bytes = most_bytes
        self._reading: ClockReading | None = None
        self.reconnected = False

    def get(self, path: str, deadline: float) -> tuple[Answer, ClockReading]:
        """Return an answer, and LocalAI's clock at its time.

        Raises:
            PollError: there is none that can be used.
        """
        answer = self._client.get(path, deadline)
        self.reconnected = self.reconnected or answer.reconnected
        if answer.date is not None:
            self._reading = ClockReading(answer.date + _DATE_MIDDLE_SECONDS, answer.received_at, exact=True)
            return answer, self._reading
        return answer, ClockReading(self.server_now(), self._clock.monotonic(), exact=False)

    def budget(self, deadline: float) -> Budget:
        """Return what the reading of an answer may take."""
        return Budget.of(self._most_bytes, until(deadline, self._clock.monotonic))

    def server_now(self) -> float:
        """LocalAI's clock by its last `Date`; the exporter's where none was ever read."""
        if self._reading is None:
            return self._clock.wall()
        return self._reading.at(self._clock.monotonic())


def understood(answer: Answer, read: Callable[..., Value], *more: object) -> Value:
    """Decode an answer; where it is not JSON, the error says what it claims to be, which tells a page from a proxy."""
    try:
        return read(answer.body, *more)
    except PollError as error:
        if error.reason != Reason.NOT_JSON:
            raise
        # One of a few words of ours: a header's own text could hold whatever was sent to LocalAI.
        claimed = answer.media_type if answer.media_type in _MEDIA_TYPES else "another content type"
        raise PollError(error.reason, f"{error.detail} (status 200, {claimed})") from None
