"""The HTTP server: metrics, a landing page, and two health paths that never depend on LocalAI."""

import errno
import html
import logging
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry

from exporter import __version__
from exporter.errors import UsageError
from exporter.exposition import Page, render
from exporter.log import fields, origin
from exporter.settings import ListenAddress

_log = logging.getLogger(__name__)

CONNECTIONS = 64
"""The most connections that are served at once; Prometheus and its peers hold one each."""

_IDLE_SECONDS = 75.0  # above Prometheus' longest usual scrape interval of a minute, so that its connection is kept

CLOSE_SECONDS = 1.5
"""What a scrape in flight gets when the program is told to stop: a supervisor counts two seconds."""

_PLAIN = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """What a route may look at."""

    accept: str
    accept_encoding: str


@dataclass(frozen=True, slots=True)
class Response:
    """What a route answers."""

    page: Page
    status: HTTPStatus = HTTPStatus.OK


Route = Callable[[Request], Response]


def routes(
    registry: CollectorRegistry, telemetry_path: str, healthy: Callable[[], bool], ready: Callable[[], bool]
) -> Mapping[str, Route]:
    """Return what is served under which path.

    Args:
        registry: what the metrics come from.
        telemetry_path: where they are.
        healthy: whether the program and its loop live.
        ready: whether the first poll has ended.
    """
    landing = Response(Page(_landing(telemetry_path), "text/html; charset=utf-8"))

    def said(holds: Callable[[], bool], yes: str, no: str) -> Response:
        if holds():
            return Response(Page(f"{yes}\n".encode(), _PLAIN))
        return Response(Page(f"{no}\n".encode(), _PLAIN), HTTPStatus.SERVICE_UNAVAILABLE)

    return {
        "/": lambda _: landing,
        telemetry_path: lambda request: Response(render(registry, request.accept, request.accept_encoding)),
        "/-/healthy": lambda _: said(healthy, "Healthy.", "The poll loop has stopped."),
        "/-/ready": lambda _: said(ready, "Ready.", "The first poll has not ended yet."),
    }


def _landing(telemetry_path: str) -> bytes:
    links = ((telemetry_path, "Metrics"), ("/-/healthy", "Health"), ("/-/ready", "Readiness"))
    items = "\n".join(f'<li><a href="{html.escape(path)}">{name}</a></li>' for path, name in links)
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>LocalAI P2P Exporter</title></head>
<body>
<h1>LocalAI P2P Exporter</h1>
<p>Prometheus exporter for the P2P API of LocalAI, version {html.escape(__version__)}.</p>
<ul>
{items}
</ul>
</body>
</html>
""".encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "localai-p2p-exporter"
    sys_version = ""
    timeout = _IDLE_SECONDS
    disable_nagle_algorithm = True
    server: "_Server"

    def do_GET(self) -> None:
        with self.server.at_work():
            self._answer()

    do_HEAD = do_GET  # noqa: N815 - the standard library's names

    def _answer(self) -> None:
        try:
            path = urlsplit(self.path).path
        except ValueError:  # an absolute URL with a bracket that is no address
            path = ""
        route = self.server.table.get(path)
        if route is None:
            response = Response(Page(b"Not found.\n", _PLAIN), HTTPStatus.NOT_FOUND)
        else:
            accept, encoding = self.headers.get("Accept", ""), self.headers.get("Accept-Encoding", "")
            try:
                response = route(Request(accept, encoding))
            except Exception as bug:  # noqa: BLE001 - one bad page must not take the connection's thread down unsaid
                _log.error("a page could not be made", extra=fields(error=type(bug).__name__, at=origin(bug)))
                response = Response(Page(b"Internal error.\n", _PLAIN), HTTPStatus.INTERNAL_SERVER_ERROR)
        page = response.page
        self.send_response(response.status)
        self.send_header("Content-Type", page.content_type)
        if page.content_encoding:
            self.send_header("Content-Encoding", page.content_encoding)
        self.send_header("Content-Length", str(len(page.body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        if self.server.closing:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        """Write no line: scrapes are what Prometheus itself counts, and what a client sent is not ours to repeat."""


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: ListenAddress, table: Mapping[str, Route]) -> None:
        self.table = table
        self.closing = False
        self._free = threading.BoundedSemaphore(CONNECTIONS)
        self._working = 0
        self._rest = threading.Condition()
        host = address.host
        if not host and socket.has_dualstack_ipv6():
            host = "::"
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, address.port), _Handler)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        with self._rest:
            self._working += 1
        try:
            yield
        finally:
            with self._rest:
                self._working -= 1
                self._rest.notify_all()

    def wait_for_rest(self, seconds: float) -> None:
        with self._rest:
            self._rest.wait_for(lambda: self._working == 0, seconds)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(self.server_address[0] != "::"))
        super().server_bind()

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread is to be had
            self._free.release()
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        # A client that goes away in the middle of an answer is no event.
        _log.debug("a connection ended early")


class WebServer:
    """Serves the routes on one address from threads of its own, from its making until `close`.

    Args:
        address: where; port 0 is any free one.
        table: what is served under which path.

    Raises:
        UsageError: nothing can listen there; the text says why.
    """

    def __init__(self, address: ListenAddress, table: Mapping[str, Route]) -> None:
        try:
            self._server = _Server(address, table)
        except (OSError, TypeError) as error:  # TypeError: a name that IDNA cannot encode
            reason = errno.errorcode.get(getattr(error, "errno", None) or 0, "the host has no such address")
            raise UsageError(f"--web.listen-address {address}: nothing can listen there ({reason})") from None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="web", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where this machine reaches the server."""
        host, port = self._server.server_address[:2]
        host = {"::": "127.0.0.1", "0.0.0.0": "127.0.0.1"}.get(str(host), str(host))  # noqa: S104
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def stop(self) -> None:
        """Accept no more; what is in flight goes on."""
        self._server.closing = True
        self._server.shutdown()
        self._thread.join()

    def close(self, within: float = CLOSE_SECONDS) -> None:
        """Stop, and let what is in flight end within so many seconds."""
        self.stop()
        self._server.wait_for_rest(within)
        self._server.server_close()
