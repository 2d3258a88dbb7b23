"""The routes: metrics, the page for people, and two health paths that never depend on LocalAI."""

import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import NamedTuple

from prometheus_client import CollectorRegistry

from exporter.exposition import Renderer
from exporter.http1 import Request, Response, say
from exporter.router import Route
from exporter.settings import DISCOVERY_PATH, HEALTHY_PATH, READY_PATH

_KEPT = 2
"""How many pages are kept for whoever else asked for the same: what one Prometheus wants, and one other client."""

_SMALL_BYTES = 16_384
"""Of a page as it is sent: up to so much, it is made anew in a millisecond or two."""

_PROMPT_SECONDS = 0.002
"""What making a page may take for who must not wait; to have another thread make it takes a tenth of a millisecond."""

_LATELY_SECONDS = 300.0
"""For so long a page is made anew after each poll: Prometheus asks every minute or more often, a person once."""


def routes(
    metrics: Route,
    telemetry_path: str,
    healthy: Callable[[], bool],
    ready: Callable[[], bool],
    more: Mapping[str, Route] = MappingProxyType({}),
) -> Mapping[str, Route]:
    """Return what is served under which path.

    Args:
        metrics: `Metrics`.
        telemetry_path: where they are.
        healthy: whether the program, its loop and its servers live.
        ready: whether the first poll has ended.
        more: what is served besides.
    """

    def page() -> Route:
        from exporter.page import Page  # noqa: PLC0415 - Prometheus does not look at it

        return Page(telemetry_path, many=DISCOVERY_PATH in more)

    return {"/": Lazy(page), telemetry_path: metrics, **more, **health_routes(healthy, ready)}


class Lazy:
    """A route that is made when it is first asked for: what only people look at is loaded for them alone.

    Args:
        make: makes it; called once.
    """

    def __init__(self, make: Callable[[], Route]) -> None:
        self._make = make
        self._making = threading.Lock()
        self._route: Route | None = None

    def __call__(self, request: Request) -> Response:
        """Answer a request."""
        with self._making:
            route = self._route = self._route or self._make()
        return route(request)


class _Made(NamedTuple):
    """A page, and what it was made of and for; times are monotonic seconds.

    Attributes:
        begun_at: when its making began.
        asked_at: when somebody last asked for such a page.
        took: seconds that its making took, or, where it was prepared, that of the one before.
        response: it.
    """

    begun_at: float
    asked_at: float
    took: float
    response: Response

    def serves(self, request: Request) -> bool:
        """Whether it is as fresh as one that is made for a request alone."""
        return self.begun_at >= request.arrived_at


class Metrics:
    """Makes one page for all who asked before its making began: it is as fresh as one of their own, and costs once.

    Args:
        registry: what the pages show.
        monotonic: the clock that requests arrive by.
        frugal: whether nothing is kept of small pages between two scrapes, as where there are many: their texts take
            several times what is sent, and a compressor a quarter of a megabyte.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        frugal: bool = False,
    ) -> None:
        self._registry = registry
        self._renderer = Renderer(registry)
        self._monotonic = monotonic
        self._frugal = frugal
        self._making = threading.Lock()
        self._made: dict[tuple[str, str], _Made] = {}

    def __call__(self, request: Request) -> Response:
        """Answer a request."""
        with self._making:
            return self._page(request)

    def at_once(self, request: Request) -> Response | None:
        """Answer with a page that is there, or took no time when a scrape last made it; wait for none being made."""
        if not self._making.acquire(blocking=False):
            return None
        try:
            made = self._made.get(_wanted(request))
            if made is None or not (made.serves(request) or made.took <= _PROMPT_SECONDS):
                return None
            return self._page(request)
        finally:
            self._making.release()

    def prepare(self) -> None:
        """Make the pages anew that were asked for lately, so that the next scrapes find the most of them done."""
        with self._making:
            since = self._monotonic() - _LATELY_SECONDS
            lately = {
                wanted: (made.asked_at, made.took)
                for wanted, made in self._made.items()
                if made.asked_at >= since and not self._is_cheap(made.response)
            }
            self._made.clear()
            self._renderer.forget()
            for wanted, (asked_at, took) in lately.items():
                self._made[wanted] = self._make(wanted)._replace(asked_at=asked_at, took=took)

    def _page(self, request: Request) -> Response:
        wanted = _wanted(request)
        made = self._made.pop(wanted, None)
        if made is None or not made.serves(request):
            made = self._make(wanted)
        self._made[wanted] = made._replace(asked_at=self._monotonic())
        if len(self._made) > _KEPT:
            del self._made[next(iter(self._made))]
        return made.response

    def _make(self, wanted: tuple[str, str]) -> _Made:
        begun_at = self._monotonic()
        page = self._renderer.page(*wanted)
        encoding = {"Content-Encoding": page.content_encoding} if page.content_encoding else {}
        response = Response(page.pieces, page.content_type, headers=encoding)
        if self._is_cheap(response):
            self._renderer = Renderer(self._registry)
        return _Made(begun_at, begun_at, self._monotonic() - begun_at, response)

    def _is_cheap(self, response: Response) -> bool:
        return self._frugal and response.length <= _SMALL_BYTES


def _wanted(request: Request) -> tuple[str, str]:
    return request.headers.get("accept", ""), request.headers.get("accept-encoding", "")


def health_routes(healthy: Callable[[], bool], ready: Callable[[], bool]) -> Mapping[str, Route]:
    """Return the health paths alone; as for `routes`."""

    def said(holds: Callable[[], bool], yes: str, no: str) -> Response:
        return say(HTTPStatus.OK, yes) if holds() else say(HTTPStatus.SERVICE_UNAVAILABLE, no)

    return {
        HEALTHY_PATH: lambda _: said(healthy, "Healthy.", "The poll loop or the server has stopped."),
        READY_PATH: lambda _: said(ready, "Ready.", "The first poll has not ended yet."),
    }
