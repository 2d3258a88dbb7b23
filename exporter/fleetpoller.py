"""The part of a poll that is distributed mode's: ask, choose, publish. P2P's part has been published by then."""

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from exporter.clock import Clock, steady_epoch
from exporter.deadline import until
from exporter.errors import PollError, Reason
from exporter.fleet import Fleet, FleetOutcome, FleetView, Status
from exporter.log import fields, origin
from exporter.model import Failure
from exporter.retention import fleet_view
from exporter.store import Store

_log = logging.getLogger(__name__)


class Asker(Protocol):
    """Whom it asks: `exporter.distributed.Distributed`."""

    def ask(self, deadline: float, *, known: bool, anew: bool = False) -> Fleet | None:
        """Return what LocalAI says before a monotonic time, None where it is not in that mode, or raise PollError."""


class FleetPoller:
    """Asks when it is told to.

    Args:
        asker: whom it asks.
        store: where each outcome goes.
        clock: for what comes too late, and for how old an answer is.
        retention: how long a node that LocalAI has given up has series of its own, in seconds.
        limit: the most nodes with series of their own.
    """

    def __init__(self, asker: Asker, store: Store, clock: Clock, *, retention: float, limit: int) -> None:
        self._asker = asker
        self._store = store
        self._clock = clock
        self._retention = retention
        self._limit = limit
        self._epoch = clock.wall() - clock.monotonic()
        self._failed = False
        self._view: FleetView | None = None
        self._failures = dict.fromkeys(Reason, 0)
        self._said: object = None

    def poll(self, deadline: float, *, known: bool, anew: bool) -> FleetOutcome:
        """Ask once and publish what came of it, whatever it was.

        Args:
            deadline: monotonic time at which it must have ended.
            known: whether LocalAI was understood in the same poll.
            anew: whether LocalAI may be another than it was.
        """
        failure = None
        try:
            self._view = self._ask(deadline, known=known, anew=anew or self._failed)
        except PollError as error:
            failure = Failure(error.reason, error.detail, error.status)
        except Exception as bug:  # noqa: BLE001 - the loop outlives whatever nobody thought of, and says so
            failure = Failure(Reason.INTERNAL, f"{type(bug).__name__} at {origin(bug)}")
        self._failed = failure is not None
        if failure is not None:
            self._failures = self._failures | {failure.reason: self._failures[failure.reason] + 1}
        self._epoch = steady_epoch(self._epoch, self._clock)
        outcome = FleetOutcome(self._epoch, failure, self._view, self._failures)
        self._store.publish_fleet(outcome)
        self._say(outcome)
        return outcome

    def _ask(self, deadline: float, *, known: bool, anew: bool) -> FleetView:
        on_time = until(deadline, self._clock.monotonic)
        fleet = self._asker.ask(deadline, known=known, anew=anew)
        now = self._clock.monotonic()
        if fleet is None:
            return FleetView(None, now)
        shown = fleet_view(fleet, now, retention=self._retention, limit=self._limit, on_time=on_time)
        on_time()
        return shown

    def _say(self, outcome: FleetOutcome) -> None:
        """Write a line where it is otherwise than at the last poll."""
        line = level, message, told = _line(outcome)
        if line != self._said:
            _log.log(level, message, extra=fields(**told))
        self._said = line


def _line(outcome: FleetOutcome) -> tuple[int, str, Mapping[str, object]]:
    """Return what there is to say: how severe it is, the words, and the fields."""
    if outcome.failure is not None:
        told = {"reason": outcome.failure.reason, "detail": outcome.failure.detail}
        return logging.WARNING, "distributed mode could not be read", told
    if outcome.view is None or outcome.view.fleet is None:
        return logging.INFO, "LocalAI is not in distributed mode", {}
    by_status = Counter(node.status for node in outcome.view.fleet.nodes)
    counts = {status.value: by_status[status] for status in Status if by_status[status]}
    return logging.INFO, "nodes of distributed mode", counts
