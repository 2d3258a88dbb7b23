"""One LocalAI that is watched: who polls it, and the page that says what was seen."""

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from exporter.log import fields, origin
from exporter.router import Route
from exporter.store import Store
from exporter.web import Metrics

if TYPE_CHECKING:
    from exporter.poller import Poller

_log = logging.getLogger(__name__)


class Watched:
    """Polled by a loop of its own, or whenever a schedule says so.

    Args:
        metrics: its page.
        api: the same in JSON, and more of it.
        store: where its outcomes are.
        make: puts the poller together; called once, by the thread that polls first.
    """

    def __init__(self, metrics: Metrics, api: Route, store: Store, make: "Callable[[], Poller]") -> None:
        self.metrics = metrics
        self.api = api
        self.store = store
        self._make = make
        self._poller: Poller | None = None
        self._polling = threading.Lock()
        self._ended = False

    @property
    def beat(self) -> float | None:
        """When the newest poll had ended, or the poller was made, as `Poller` has it; None before that."""
        return self._poller.beat if self._poller else None

    @property
    def is_polled(self) -> bool:
        """Whether the first poll has ended, whatever came of it."""
        return self.store.latest() is not None

    def run(self, stop: threading.Event) -> None:
        """Poll until `stop` is set."""
        self._poller = self._make()
        self._poller.run(stop, self._prepare)

    def poll(self) -> None:
        """Poll once, and make the pages anew."""
        with self._polling:
            if not self._ended:
                self._poller = self._poller or self._make()
                self._poller.poll()
                self._prepare()
        if self._ended:
            self.end()

    def end(self) -> None:
        """Poll no more; the connection is closed as soon as no poll is under way."""
        self._ended = True
        if self._polling.acquire(blocking=False):
            try:
                if self._poller:
                    self._poller.close()
            finally:
                self._polling.release()

    def _prepare(self) -> None:
        try:
            self.metrics.prepare()
        except Exception as bug:  # noqa: BLE001 - the loop outlives it, and the scrape that meets it is told
            _log.error("the pages could not be prepared", extra=fields(error=type(bug).__name__, at=origin(bug)))
