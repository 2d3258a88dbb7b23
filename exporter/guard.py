"""Who may ask the server, and over what: what stands between its sockets and its routes."""

import ssl
from collections.abc import Mapping
from typing import Protocol

from exporter.http1 import Response


class Guard(Protocol):
    """Who may ask, and over what; `tls` and `admits` are called for every connection, the others for every request."""

    def tls(self) -> ssl.SSLContext | None:
        """Return what the next connection is secured with, or None for plain HTTP.

        It must not wait; the connection is dropped where it raises.
        """

    def admits(self, connection: ssl.SSLSocket) -> bool:
        """Tell whether a client may stay, after its handshake; `getpeercert()` says who it is. It must not wait."""

    def asks(self, path: str) -> bool:
        """Tell whether a path is not everybody's, and `authorize` has to be asked. It must not wait."""

    def authorize(self, path: str, headers: Mapping[str, str]) -> Response | None:
        """Return None where the request may go on, or what is answered instead. It may wait.

        Args:
            path: exactly the one that is looked up afterwards.
            headers: from each name in lower case to its value.
        """

    def headers(self) -> Mapping[str, str]:
        """Return what is added to the header of every answer."""


class Open:
    """Everyone, in plain HTTP."""

    def tls(self) -> ssl.SSLContext | None:
        """Return None."""
        return None

    def admits(self, connection: ssl.SSLSocket) -> bool:  # noqa: ARG002
        """Return True."""
        return True

    def asks(self, path: str) -> bool:  # noqa: ARG002
        """Return False."""
        return False

    def authorize(self, path: str, headers: Mapping[str, str]) -> Response | None:  # noqa: ARG002
        """Return None."""
        return None

    def headers(self) -> Mapping[str, str]:
        """Return nothing."""
        return {}


OPEN = Open()
