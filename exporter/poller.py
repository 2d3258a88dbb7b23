"""The loop: ask LocalAI, note what moved, publish, wait. It ends when it is told to, and by nothing else."""

import bisect
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from exporter.buckets import DURATION_BUCKETS
from exporter.clock import Clock, steady_epoch
from exporter.deadline import until
from exporter.errors import PollError, Reason
from exporter.log import fields, origin
from exporter.model import Change, Failure, Outcome, PollTotals, Snapshot, View
from exporter.retention import view
from exporter.store import Store
from exporter.tracker import Tracked, track

_log = logging.getLogger(__name__)

_NAMED_LISTS = 100  # a hostile LocalAI could make up new names at every poll


class Asker(Protocol):
    """Whom the loop asks: `exporter.localai.LocalAI`."""

    def poll(self, deadline: float) -> Snapshot:
        """Return what LocalAI says before a monotonic time, or raise PollError."""

    def forget(self) -> None:
        """Take it that the newest poll failed."""


class Follower(Protocol):
    """Who asks LocalAI in the same poll, after the rest: `exporter.fleetpoller.FleetPoller`."""

    def poll(self, deadline: float, *, known: bool, anew: bool) -> object:
        """Ask, publish, and raise nothing.

        Args:
            deadline: monotonic time at which the poll must have ended.
            known: whether LocalAI was understood, so that it is LocalAI who answers.
            anew: whether LocalAI is, or may be, another than at the poll before.
        """


class Poller:
    """Polls at a fixed rate; a tick that a slow poll missed is skipped.

    Args:
        asker: whom it asks.
        store: where each outcome goes.
        clock: times polls, and the waits between them.
        interval: seconds from the start of one poll to the start of the next.
        timeout: seconds that a poll may take, from the first question to the choice of what is shown.
        retention: how long an unseen node has series of its own, in seconds.
        limit: the most nodes with series of their own.
        follower: who asks after the rest, in what is left of the time.
        close: ends the connection to LocalAI.

    Attributes:
        beat: the clock's `awake` time when the newest poll and what is done after it had ended, and at the making.
        close: as it was given.
    """

    def __init__(
        self,
        asker: Asker,
        store: Store,
        clock: Clock,
        *,
        interval: float,
        timeout: float,
        retention: float,
        limit: int,
        follower: Follower | None = None,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self._asker = asker
        self._store = store
        self._clock = clock
        self._interval = interval
        self._timeout = timeout
        self._retention = retention
        self._limit = limit
        self._follower = follower
        self.close = close
        self.beat = clock.awake()
        self._epoch = clock.wall() - clock.monotonic()
        self._tracked = Tracked()
        self._view: View | None = None
        self._totals = PollTotals(failures=dict.fromkeys(Reason, 0), durations=(0,) * (len(DURATION_BUCKETS) + 1))
        self._said: tuple[object, ...] = ()
        self._unknown_lists: set[str] = set()

    def run(self, stop: threading.Event, after_each: Callable[[], None]) -> None:
        """Poll until `stop` is set.

        Args:
            stop: ends the loop, and its waits.
            after_each: called when a poll's outcome has been published; it does not raise.
        """
        due = self._clock.monotonic()
        while not stop.is_set():
            self.poll()
            if not stop.is_set():
                after_each()
                self.beat = self._clock.awake()
            due += self._interval
            behind = self._clock.monotonic() - due
            if behind > 0:
                due += (behind // self._interval + 1) * self._interval
            stop.wait(due - self._clock.monotonic())

    def poll(self) -> Outcome:
        """Poll once and publish what came of it, whatever it was."""
        started = self._clock.monotonic()
        before = self._tracked
        deadline = started + self._timeout
        on_time = until(deadline, self._clock.monotonic)
        failure = None
        anew = True
        try:
            snapshot = self._asker.poll(deadline)
            now = self._clock.monotonic()
            tracked = track(before, snapshot, now, on_time)
            tracks = tracked.tracks or {}
            shown = view(snapshot, tracks, now, retention=self._retention, limit=self._limit, on_time=on_time)
            on_time()
            self._tracked, self._view, anew = tracked, shown, snapshot.renewed
        except PollError as error:
            failure = Failure(error.reason, error.detail, error.status)
        except Exception as bug:  # noqa: BLE001 - the loop outlives whatever nobody thought of, and says so
            failure = Failure(Reason.INTERNAL, f"{type(bug).__name__} at {origin(bug)}")
        if failure is not None:
            self._asker.forget()
        finished = self._clock.monotonic()
        self._totals = _counted(self._totals, finished - started, failure)
        self._epoch = steady_epoch(self._epoch, self._clock)
        outcome = Outcome(self._epoch, failure, self._view, self._tracked.changes, self._totals)
        self._store.publish(outcome)
        self._say(outcome, before)
        if self._follower is not None:
            self._follower.poll(deadline, known=failure is None, anew=anew)
        self.beat = self._clock.awake()
        return outcome

    def _say(self, outcome: Outcome, tracked_before: Tracked) -> None:
        """Write a line for each thing that is otherwise than at the last poll."""
        if outcome.failure is not None:
            state: tuple[object, ...] = (outcome.failure.reason, outcome.failure.detail)
            if state != self._said:
                _log.warning("poll failed", extra=fields(reason=outcome.failure.reason, detail=outcome.failure.detail))
            self._said = state
            return
        if outcome.view is None:
            return
        snapshot = outcome.view.snapshot
        state = (snapshot.source, snapshot.generation, snapshot.server)
        if state != self._said:
            _log.info(
                "LocalAI answers",
                extra=fields(
                    source=snapshot.source,
                    generation=snapshot.generation,
                    version=snapshot.server.version,
                    p2p_enabled=snapshot.server.enabled,
                    nodes=sum(counts.total for counts in snapshot.counts.values()),
                    nodes_online=sum(counts.online for counts in snapshot.counts.values()),
                ),
            )
        self._said = state
        unknown = [name for name in snapshot.unknown_lists if name not in self._unknown_lists]
        if unknown and len(self._unknown_lists) < _NAMED_LISTS:
            _log.warning("LocalAI lists nodes of an unknown kind", extra=fields(lists=" ".join(unknown)))
            self._unknown_lists.update(unknown)
        for kind in dict.fromkeys(kind for kind, _ in outcome.changes):
            moved = {
                change.value: outcome.changes[kind, change] - tracked_before.changes.get((kind, change), 0)
                for change in Change
            }
            if any(moved.values()):
                _log.info("membership changed", extra=fields(role=kind.role, backend=kind.backend, **moved))


def _counted(totals: PollTotals, seconds: float, failure: Failure | None) -> PollTotals:
    durations = list(totals.durations)
    durations[bisect.bisect_left(DURATION_BUCKETS, seconds)] += 1
    failures = dict(totals.failures)
    if failure is not None:
        failures[failure.reason] += 1
    return replace(
        totals,
        polls=totals.polls + 1,
        failures=failures,
        durations=tuple(durations),
        seconds=totals.seconds + seconds,
    )
