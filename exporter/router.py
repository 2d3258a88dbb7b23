"""What is answered to a request: by its path, where the guard lets it go on."""

import logging
from collections.abc import Callable, Collection, Mapping
from http import HTTPStatus
from typing import Protocol, TypeVar, runtime_checkable

from exporter.guard import OPEN, Guard
from exporter.http1 import Request, Response, say
from exporter.log import fields, origin

_log = logging.getLogger(__name__)

Route = Callable[[Request], Response]

_Answer = TypeVar("_Answer", Response, Response | None)


@runtime_checkable
class Prompt(Protocol):
    """A route that often needs no time."""

    def __call__(self, request: Request) -> Response:
        """Answer a request."""

    def at_once(self, request: Request) -> Response | None:
        """Answer a request within a millisecond or two, without waiting for anybody, or return None."""


class Router:
    """A table of routes behind a guard.

    Args:
        table: from each path to what answers there.
        guard: who may ask.
        posts: the paths that take a POST besides; it has no body.

    Attributes:
        guard: as it was given.
        posts: as they were given.
    """

    def __init__(self, table: Mapping[str, Route], guard: Guard = OPEN, posts: Collection[str] = ()) -> None:
        self.guard = guard
        self.posts = posts
        self._table = table
        self._prompt = {path: route for path, route in table.items() if isinstance(route, Prompt)}

    def respond(self, request: Request) -> Response:
        """Answer a request; it may take its time."""
        return _unbroken(self._answer, request)

    def at_once(self, request: Request) -> Response | None:
        """Answer a request if it takes no time, or return None: then `respond` does, in a thread that may wait."""
        return _unbroken(self._prompt_answer, request)

    def _answer(self, request: Request) -> Response:
        refused = self.guard.authorize(request.path, request.headers)
        if refused is not None:
            return refused
        route = self._table.get(request.path)
        return route(request) if route else say(HTTPStatus.NOT_FOUND, "Not found.")

    def _prompt_answer(self, request: Request) -> Response | None:
        route = self._prompt.get(request.path)
        return None if route is None or self.guard.asks(request.path) else route.at_once(request)


def _unbroken(make: Callable[[Request], _Answer], request: Request) -> _Answer | Response:
    try:
        return make(request)
    except BaseException as bug:  # noqa: BLE001 - one bad page must not take a thread down unsaid
        _log.error("a page could not be made", extra=fields(error=type(bug).__name__, at=origin(bug)))
        return say(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal error.")
