"""The page of one target of `--config.file`, asked for by its name."""

from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import parse_qsl

from exporter.http1 import Request, Response, say
from exporter.router import Route


class Probe:
    """Answers `?target=NAME`. Only names are taken: whoever could give a URL could have our key sent there.

    Args:
        page: gives the page of a name, or None where there is no such target.
    """

    def __init__(self, page: Callable[[str], Route | None]) -> None:
        self._page = page

    def __call__(self, request: Request) -> Response:
        """Answer a request; what else the query holds means nothing."""
        names = [text for name, text in parse_qsl(request.query, keep_blank_values=True) if name == "target"]
        if len(names) != 1 or not names[0]:
            return say(HTTPStatus.BAD_REQUEST, "Say which target, once: ?target=NAME, as --config.file names it.")
        page = self._page(names[0])
        if page is None:
            return say(HTTPStatus.NOT_FOUND, "There is no target of that name here: /sd lists those that are.")
        return page(request)
