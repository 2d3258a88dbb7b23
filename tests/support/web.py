"""A server for a test, and the client that asks it."""

import http.client
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from urllib.parse import urlsplit

from exporter.guard import OPEN, Guard
from exporter.listen import bind
from exporter.router import Route, Router
from exporter.server import Server
from exporter.settings import ListenAddress

ANY_PORT = ListenAddress("127.0.0.1", 0)

PATIENCE_SECONDS = 5.0
"""How long a client of these tests waits for anything."""


@contextmanager
def serving(table: Mapping[str, Route], address: ListenAddress = ANY_PORT, guard: Guard = OPEN) -> Iterator[Server]:
    server = Server([bind(address, "--web.listen-address")], Router(table, guard))
    try:
        yield server
    finally:
        server.close(0)


class Reply:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): text for name, text in response.getheaders()}
        self.body = response.read()


def place(server: Server) -> tuple[str, int]:
    """Where it listens."""
    parts = urlsplit(server.urls[0])
    return parts.hostname or "", parts.port or 0


def connect(server: Server) -> http.client.HTTPConnection:
    return _connect(server.urls[0])


def _connect(url: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE_SECONDS)


def ask(server: Server, path: str, method: str = "GET", **headers: str) -> Reply:
    return fetch(server.urls[0], path, method, **headers)


def fetch(url: str, path: str, method: str = "GET", **headers: str) -> Reply:
    """Ask whatever listens at a URL."""
    sent = {name.replace("_", "-"): text for name, text in headers.items()}
    with closing(_connect(url)) as connection:
        connection.request(method, path, headers=sent)
        return Reply(connection.getresponse())


def until_the_end(sock: socket.socket) -> bytes:
    """Return all that comes; a reset is an end too."""
    answer = b""
    try:
        while piece := sock.recv(65_536):
            answer += piece
    except ConnectionError:
        pass
    return answer


def raw(server: Server, sent: bytes) -> bytes:
    """Send these bytes and no more, and return all that comes until the end."""
    with socket.create_connection(place(server), PATIENCE_SECONDS) as sock:
        with suppress(OSError):  # the server has refused it before it was whole
            sock.sendall(sent)
            sock.shutdown(socket.SHUT_WR)
        return until_the_end(sock)
