"""What polls as long as the program runs: one LocalAI by a thread of its own; `exporter.many` is the same for many."""

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Protocol

from exporter.clock import Clock
from exporter.log import fields, origin
from exporter.router import Route
from exporter.settings import CLUSTER_PATH, Target
from exporter.watched import Watched

_log = logging.getLogger(__name__)


class Loop(Protocol):
    """What polls, and makes the pages of what it saw: of one LocalAI, or of many."""

    def start(self) -> None:
        """Begin.

        Raises:
            RuntimeError: no thread is to be had.
        """

    def stop(self) -> None:
        """Poll no more; a poll that is under way is abandoned."""

    def is_well(self, awake_for: float, patience: float) -> bool:
        """Whether it lives and does not hang; what LocalAI does makes no difference.

        Args:
            awake_for: seconds since the process last stood still as a whole.
            patience: how late anything may be, in seconds.
        """

    def is_ready(self) -> bool:
        """Whether what it polls was polled once, whatever came of it."""

    @property
    def metrics(self) -> Route:
        """The page of metrics."""

    @property
    def more(self) -> Mapping[str, Route]:
        """What is served besides, by its path."""

    @property
    def posts(self) -> Sequence[str]:
        """Those of these paths that take a POST."""

    @property
    def told(self) -> Mapping[str, object]:
        """What the log says of what is polled."""


class Single:
    """One LocalAI.

    Args:
        target: which.
        clock: to tell that it hangs.
        watched: polls it.

    Attributes:
        metrics: its page.
        more: the same in JSON.
        posts: nothing takes a POST.
        told: where it is.
    """

    def __init__(self, target: Target, clock: Clock, watched: Watched) -> None:
        self._target = target
        self._clock = clock
        self._watched = watched
        self._made_at = clock.awake()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="poller", daemon=True)
        self.metrics: Route = watched.metrics
        self.more: Mapping[str, Route] = {CLUSTER_PATH: watched.api}
        self.posts = ()
        self.told = {"localai": target.url}

    def start(self) -> None:
        """Begin.

        Raises:
            RuntimeError: no thread is to be had.
        """
        self._thread.start()

    def stop(self) -> None:
        """Poll no more; a poll that is under way is abandoned."""
        self._stop.set()

    def is_well(self, awake_for: float, patience: float) -> bool:
        """Whether the loop lives and its newest poll has not ended too long ago; as for `Loop`."""
        begun = self._thread.ident is not None  # the servers are there first, so that an address in use polls nobody
        silent = min(self._clock.awake() - (self._watched.beat or self._made_at), awake_for)
        allowed = self._target.poll_interval + self._target.poll_timeout + patience
        return (self._thread.is_alive() or not begun) and silent <= allowed

    def is_ready(self) -> bool:
        """Whether the first poll has ended, whatever came of it."""
        return self._watched.is_polled

    def _run(self) -> None:
        try:
            self._watched.run(self._stop)
        except BaseException as bug:  # noqa: BLE001 - a traceback of Python's own would print the exception's text
            _log.error("the poll loop died", extra=fields(error=type(bug).__name__, at=origin(bug)))
