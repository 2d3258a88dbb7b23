"""The threads that poll many targets: one that watches the schedule, and as many workers as polls are under way."""

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from queue import SimpleQueue

from exporter.clock import Clock
from exporter.log import about, fields, origin
from exporter.schedule import Schedule, Turn

_log = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
"""How often the thread that watches the schedule turns at least, so that one that hangs can be told."""


@dataclass(frozen=True, slots=True)
class Load:
    """How busy a crew is.

    Attributes:
        targets: how many are polled.
        slow: how many of them took long the last time.
        waiting: how many polls are due, and wait for a worker.
        workers: how many may be under way at once.
        busy: how many are.
    """

    targets: int
    slow: int
    waiting: int
    workers: int
    busy: int


class Crew:
    """Polls from `start` until `stop`. A worker is started when the first poll needs it, and stays.

    Args:
        clock: for the schedule, and to tell what hangs.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._schedule = Schedule()
        self._changed = threading.Condition()
        self._stopped = False
        self._begun: SimpleQueue[Turn | None] = SimpleQueue()
        self._since: dict[Turn, float] = {}
        self._workers = 0
        self._short = False
        self._beat = clock.awake()
        self._watcher = threading.Thread(target=self._watch, name="schedule", daemon=True)

    def start(self) -> None:
        """Begin.

        Raises:
            RuntimeError: no thread is to be had.
        """
        self._beat = self._clock.awake()
        self._start_worker()
        self._watcher.start()

    def stop(self) -> None:
        """Begin no more polls; one that is under way is left to itself."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._begun.put(None)

    def change(self, gone: Iterable[str], new: Iterable[Turn]) -> None:
        """Poll some targets no more, and then others from now on."""
        with self._changed:
            for name in gone:
                self._schedule.remove(name)
            self._schedule.add(new, self._clock.monotonic())
            self._changed.notify()

    def load(self) -> Load:
        """Return how busy it is."""
        with self._changed:
            of = self._schedule
            return Load(of.targets, of.slow, of.waiting, of.limit, len(of.under_way))

    def is_well(self, awake_for: float, patience: float) -> bool:
        """Whether it goes on polling. A poll that outlives its deadline takes a worker, and half of them must be left.

        Args:
            awake_for: seconds since the process last stood still as a whole.
            patience: how late anything may be, in seconds.
        """
        if self._watcher.ident is None:
            return True
        now = self._clock.awake()
        # Without the lock, which one that hangs may hold; the copy is made in one step.
        under_way = tuple(self._since.items())
        hanging = sum(
            min(now - since, awake_for) - turn.timeout > patience for turn, since in under_way if not turn.is_gone
        )
        turns = min(now - self._beat, awake_for) <= BEAT_SECONDS + patience
        return self._watcher.is_alive() and turns and hanging <= self._schedule.limit // 2

    def _watch(self) -> None:
        try:
            while True:
                with self._changed:
                    if self._stopped:
                        return
                    turn = self._begin()
                    if turn is None:
                        self._changed.wait(self._patience())
                # Not under the lock: a thread that starts is waited for, and on a busy machine for long.
                if turn is not None:
                    if len(self._since) > self._workers:
                        self._try_worker()
                    self._begun.put(turn)
        except BaseException as bug:  # noqa: BLE001 - a traceback of Python's own would print the exception's text
            _log.error("the schedule died", extra=fields(error=type(bug).__name__, at=origin(bug)))

    def _begin(self) -> Turn | None:
        """Return the next turn whose poll is to begin now; None where there is none."""
        self._beat = self._clock.awake()
        turn = self._schedule.begin(self._clock.monotonic())
        if turn is not None:
            self._since[turn] = self._beat
        return turn

    def _patience(self) -> float:
        """Return for how many seconds nothing is to be done unless something changes."""
        due = self._schedule.next_due
        return BEAT_SECONDS if due is None else min(BEAT_SECONDS, max(0.0, due - self._clock.monotonic()))

    def _try_worker(self) -> None:
        try:
            self._start_worker()
        except RuntimeError:
            # The poll waits for one of those that there are.
            if not self._short:
                _log.warning("no further thread is to be had: raise the limit of processes and threads")
            self._short = True

    def _start_worker(self) -> None:
        name = f"poller-{self._workers + 1}"
        threading.Thread(target=self._work, name=name, daemon=True).start()
        self._workers += 1

    def _work(self) -> None:
        while (turn := self._begun.get()) is not None:
            try:
                with about(target=turn.name):
                    turn.poll()
            except BaseException as bug:  # noqa: BLE001 - one target must not take a worker from the others
                _log.error("a poll broke", extra=fields(target=turn.name, error=type(bug).__name__, at=origin(bug)))
            with self._changed:
                del self._since[turn]
                self._schedule.end(turn, self._clock.monotonic())
                self._changed.notify()
        self._begun.put(None)  # for the next worker, which may only be starting
