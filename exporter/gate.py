"""The web configuration as the server's guard: its decisions become answers."""

import ssl
from collections.abc import Mapping
from http import HTTPStatus

from exporter.http1 import Response, say
from exporter.webguard import WebGuard
from exporter.webusers import CHALLENGE, Access

_AGAIN_SECONDS = "5"  # a password check takes a fraction of it


class Gate:
    """A `exporter.guard.Guard` that does as the web configuration says.

    Args:
        config: the configuration at work.
    """

    def __init__(self, config: WebGuard) -> None:
        self._config = config

    def tls(self) -> ssl.SSLContext | None:
        """Return what the next connection is secured with."""
        return self._config.tls_context()

    def admits(self, connection: ssl.SSLSocket) -> bool:
        """Whether the client's certificate lets it stay."""
        return self._config.check_peer(connection)

    def asks(self, path: str) -> bool:
        """Whether it takes credentials to read a path."""
        return self._config.asks(path)

    def authorize(self, path: str, headers: Mapping[str, str]) -> Response | None:
        """Return None where the credentials, or the path, let the request go on; else a 401 or a 503."""
        # Two headers arrive as one with a comma between, which is no credentials.
        match self._config.authorize(path, headers.get("authorization", "")):
            case Access.GRANTED:
                return None
            case Access.REFUSED:
                return say(HTTPStatus.UNAUTHORIZED, "Unauthorized.", {"WWW-Authenticate": CHALLENGE})
            case Access.BUSY:
                return say(HTTPStatus.SERVICE_UNAVAILABLE, "Busy.", {"Retry-After": _AGAIN_SECONDS})

    def headers(self) -> Mapping[str, str]:
        """Return what every answer carries."""
        return self._config.response_headers()
