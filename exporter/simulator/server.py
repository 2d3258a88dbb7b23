"""A LocalAI P2P API in a box: a scenario played over real HTTP."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Self

from exporter.simulator.actions import Outage, parse_action
from exporter.simulator.answers import TOKEN
from exporter.simulator.listener import HOST, Listener
from exporter.simulator.scenario import Scenario
from exporter.simulator.stage import Stage
from exporter.simulator.wire import Request

_REMEMBERED_REQUESTS = 10_000
_OUTAGE_CHECK = 0.1  # seconds between two looks at the clock: an outage begins and ends that late at most
_LAST_ANSWERS = 2.0  # seconds for which close() waits for a connection's thread


class Simulator:
    """A running LocalAI that is none.

    It listens from its construction to `close()`, and plays its scenario by the clock that it was given: what is due
    happens when it is asked something, and at the latest when `catch_up()` is called. Only where there are outages a
    thread calls that, because nobody can ask a LocalAI that does not listen.

    Args:
        scenario: what to play; none is a LocalAI alone in its cluster.
        clock: Unix time in seconds; LocalAI's own clock, too.
        port: on the loopback interface; 0 for a free one.
        seed: equal seeds and clocks give equal names, ports and heartbeats.
        token: the network's join token.

    Raises:
        OSError: the port is taken.
    """

    def __init__(
        self,
        scenario: Scenario | None = None,
        *,
        clock: Callable[[], float] = time.time,
        port: int = 0,
        seed: int = 0,
        token: str = TOKEN,
    ) -> None:
        scenario = scenario or Scenario()
        self._clock = clock
        self._lock = threading.RLock()
        self._requests: deque[tuple[str, Mapping[str, str]]] = deque(maxlen=_REMEMBERED_REQUESTS)
        self._stage = Stage(scenario, clock(), seed=seed, token=token)
        self._boots = self._stage.boots
        self._stopped = threading.Event()
        self._watch: threading.Thread | None = None
        with self._lock:  # the first request may be there before the first line after this one
            self._listener = Listener(port, self._answer)
            self._follow()
            if any(
                isinstance(action, Outage) for action in (*scenario.start, *(event.action for event in scenario.events))
            ):
                self._start_watch()

    @property
    def url(self) -> str:
        """LocalAI's base URL."""
        return f"http://{HOST}:{self._listener.port}"

    @property
    def requests(self) -> list[tuple[str, Mapping[str, str]]]:
        """The newest requests, at most 10,000, oldest first: path, and headers with names in lower case."""
        with self._lock:
            return list(self._requests)

    @property
    def connections(self) -> int:
        """How many connections were accepted."""
        return self._listener.accepted

    def apply(self, action: str) -> None:
        """Let one action of the scenario language happen now, such as `kill gpu-01`.

        Raises:
            UsageError: it cannot be read, or names a host on which nothing ever ran.
        """
        parsed = parse_action(action)
        with self._lock:
            now = self._clock()
            self._stage.advance(now)
            self._stage.apply(parsed, now)
            self._follow()
            if isinstance(parsed, Outage):
                self._start_watch()

    def catch_up(self) -> None:
        """Let everything happen that is due; an outage has begun or ended when this returns."""
        with self._lock:
            self._stage.advance(self._clock())
            self._follow()

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        """Stop LocalAI for the length of a `with` block; after it, a new LocalAI listens on the same port."""
        with self._lock:
            self._stage.advance(self._clock())
            self._stage.begin_outage()
            self._follow()
        try:
            yield
        finally:
            with self._lock:
                self._stage.end_outage(self._clock())
                self._follow()

    def close(self) -> None:
        """Stop listening, and end every connection and thread."""
        with self._lock:
            self._stopped.set()
            self._listener.close()
        # Outside the lock, because a connection's thread may be waiting for it.
        self._listener.join(_LAST_ANSWERS)
        if self._watch:
            self._watch.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self, request: Request) -> bytes | None:
        with self._lock:
            now = self._clock()
            self._stage.advance(now)
            self._follow()
            if not self._stage.down:
                self._requests.append((request.path, request.headers))
            return self._stage.answer(request, now)

    def _follow(self) -> None:
        """Let the socket be what the stage says; the lock is held."""
        if self._stopped.is_set():
            return
        if self._stage.down:
            self._listener.pause()
        elif self._boots != self._stage.boots:
            self._listener.drop()
            self._listener.resume()
        self._boots = self._stage.boots

    def _start_watch(self) -> None:
        if not self._watch:
            self._watch = threading.Thread(target=self._look_at_the_clock, name="simulator-outages", daemon=True)
            self._watch.start()

    def _look_at_the_clock(self) -> None:
        while not self._stopped.wait(_OUTAGE_CHECK):
            self.catch_up()
