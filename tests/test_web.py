import gzip
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http import HTTPStatus
from urllib.parse import urlsplit

import pytest
from prometheus_client import CollectorRegistry, Gauge, Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.registry import Collector

from exporter import __version__
from exporter.errors import UsageError
from exporter.settings import ListenAddress
from exporter.web import CONNECTIONS, Request, Response, WebServer, routes

ANY_PORT = ListenAddress("127.0.0.1", 0)
TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Health:
    """What the health paths ask."""

    def __init__(self) -> None:
        self.healthy = True
        self.ready = False


@contextmanager
def serving(
    registry: CollectorRegistry,
    *,
    health: Health | None = None,
    path: str = "/metrics",
    address: ListenAddress = ANY_PORT,
) -> Iterator[WebServer]:
    asked = health or Health()
    server = WebServer(address, routes(registry, path, lambda: asked.healthy, lambda: asked.ready))
    try:
        yield server
    finally:
        server.close(0)


@pytest.fixture(scope="module")
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Gauge("answer", "The answer", registry=registry).set(42)
    return registry


@pytest.fixture(scope="module")
def server(registry: CollectorRegistry) -> Iterator[WebServer]:
    with serving(registry) as server:
        yield server


class Reply:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): text for name, text in response.getheaders()}
        self.body = response.read()


def connect(server: WebServer) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=5)


def ask(server: WebServer, path: str, method: str = "GET", **headers: str) -> Reply:
    sent = {name.replace("_", "-"): text for name, text in headers.items()}
    with closing(connect(server)) as connection:
        connection.request(method, path, headers=sent)
        return Reply(connection.getresponse())


def raw(server: WebServer, sent: bytes) -> bytes:
    """Send these bytes and return all that comes until the end."""
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), 5) as sock:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := sock.recv(65_536):
            answer += piece
        return answer


class TestRoutes:
    def test_metrics(self, server: WebServer) -> None:
        reply = ask(server, "/metrics")
        assert reply.status == HTTPStatus.OK
        assert reply.body == b"# HELP answer The answer\n# TYPE answer gauge\nanswer 42.0\n"
        assert reply.headers["content-type"] == TEXT
        assert reply.headers["content-length"] == str(len(reply.body))
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "content-encoding" not in reply.headers

    def test_metrics_elsewhere(self, registry: CollectorRegistry) -> None:
        with serving(registry, path="/a<b") as server:
            assert ask(server, "/a<b").status == HTTPStatus.OK
            assert ask(server, "/metrics").status == HTTPStatus.NOT_FOUND
            assert b'<a href="/a&lt;b">' in ask(server, "/").body

    def test_landing_page_links_every_path(self, server: WebServer) -> None:
        reply = ask(server, "/")
        assert reply.status == HTTPStatus.OK
        assert reply.headers["content-type"] == "text/html; charset=utf-8"
        assert __version__.encode() in reply.body
        for path in ("/metrics", "/-/healthy", "/-/ready"):
            assert f'<a href="{path}">'.encode() in reply.body
            assert ask(server, path).status in {HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE}

    @pytest.mark.parametrize(
        ("path", "healthy", "ready", "status", "said"),
        [
            ("/-/healthy", True, False, 200, b"Healthy.\n"),
            ("/-/healthy", False, True, 503, b"The poll loop has stopped.\n"),
            ("/-/ready", False, True, 200, b"Ready.\n"),
            ("/-/ready", True, False, 503, b"The first poll has not ended yet.\n"),
        ],
    )
    def test_health(
        self, registry: CollectorRegistry, path: str, *, healthy: bool, ready: bool, status: int, said: bytes
    ) -> None:
        health = Health()
        with serving(registry, health=health) as server:
            health.healthy, health.ready = healthy, ready
            reply = ask(server, path)
        assert (reply.status, reply.body) == (status, said)

    @pytest.mark.parametrize(
        "path",
        ["/metrics/", "/Metrics", "/metrics/../metrics", "/%6detrics", "/favicon.ico", "/-/", "/-/reload"],
    )
    def test_any_other_path_is_not_found(self, server: WebServer, path: str) -> None:
        reply = ask(server, path)
        assert (reply.status, reply.body) == (HTTPStatus.NOT_FOUND, b"Not found.\n")

    @pytest.mark.parametrize("path", ["http://[/metrics", "http://[::1/", "*", "metrics", "?", "//["])
    def test_a_target_that_is_no_path_is_not_found(self, server: WebServer, path: str) -> None:
        assert raw(server, f"GET {path} HTTP/1.1\r\n\r\n".encode()).startswith(b"HTTP/1.1 404 ")

    @pytest.mark.parametrize("query", ["?", "?a=b", "?name[]=answer", "?x=/-/ready"])
    def test_a_query_means_nothing(self, server: WebServer, query: str) -> None:
        assert ask(server, f"/metrics{query}").body == ask(server, "/metrics").body

    @pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/-/ready", "/nothing"])
    def test_head_is_get_without_the_body(self, server: WebServer, path: str) -> None:
        get, head = ask(server, path), ask(server, path, "HEAD")
        assert head.body == b""
        del get.headers["date"], head.headers["date"]
        assert (head.status, head.headers) == (get.status, get.headers)

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BANANA"])
    def test_any_other_method_is_refused(self, server: WebServer, method: str) -> None:
        assert ask(server, "/metrics", method).status == HTTPStatus.NOT_IMPLEMENTED
        assert ask(server, "/metrics").status == HTTPStatus.OK

    def test_the_answer_tells_neither_python_nor_its_version(self, server: WebServer) -> None:
        assert ask(server, "/").headers["server"].strip() == "localai-p2p-exporter"


class TestNegotiation:
    def test_gzip(self, server: WebServer) -> None:
        reply = ask(server, "/metrics", Accept_Encoding="gzip")
        assert reply.headers["content-encoding"] == "gzip"
        assert reply.headers["content-length"] == str(len(reply.body))
        assert gzip.decompress(reply.body) == ask(server, "/metrics").body

    def test_gzip_refused(self, server: WebServer) -> None:
        reply = ask(server, "/metrics", Accept_Encoding="gzip;q=0")
        assert "content-encoding" not in reply.headers
        assert b"answer 42.0" in reply.body

    def test_openmetrics(self, server: WebServer) -> None:
        reply = ask(server, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
        assert reply.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
        (family,) = parse_openmetrics(reply.body.decode())  # type: ignore[no-untyped-call]
        assert family.samples[0].value == 42

    @pytest.mark.parametrize("version", ["banana", "1.banana", "9.9.9", ""])
    def test_a_strange_version_is_no_error(self, server: WebServer, version: str) -> None:
        reply = ask(server, "/metrics", Accept=f"application/openmetrics-text; version={version}")
        assert reply.status == HTTPStatus.OK
        assert b"answer 42.0" in reply.body

    def test_a_folded_header_adds_no_line_to_the_answer(self, server: WebServer) -> None:
        accept = b"Accept: application/openmetrics-text; version=1.0.0.\r\n Evil: yes\r\n"
        answer = raw(server, b"GET /metrics HTTP/1.1\r\n" + accept + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"Evil" not in answer


class TestKeepAlive:
    def test_one_connection_serves_many(self, server: WebServer) -> None:
        with closing(connect(server)) as connection:
            connection.connect()
            sock = connection.sock
            for path, status in (("/metrics", 200), ("/nothing", 404), ("/-/ready", 503), ("/metrics", 200)):
                connection.request("GET", path)
                assert Reply(connection.getresponse()).status == status
                assert connection.sock is sock

    def test_it_ends_where_the_client_wants(self, server: WebServer) -> None:
        assert raw(server, b"GET /-/healthy HTTP/1.0\r\n\r\n").endswith(b"\r\n\r\nHealthy.\n")
        assert raw(server, b"GET /-/healthy HTTP/1.1\r\nConnection: close\r\n\r\n").endswith(b"Healthy.\n")


class TestMisfortune:
    def test_a_route_that_raises_is_a_500_and_the_server_lives(self) -> None:
        secret = "canary-51ab"  # noqa: S105 - a canary

        def broken(_: Request) -> Response:
            raise ValueError(secret)

        server = WebServer(ANY_PORT, {"/broken": broken})
        try:
            for _ in range(2):
                reply = ask(server, "/broken")
                assert (reply.status, reply.body) == (HTTPStatus.INTERNAL_SERVER_ERROR, b"Internal error.\n")
            assert ask(server, "/").status == HTTPStatus.NOT_FOUND
        finally:
            server.close(0)

    def test_what_is_logged_of_it_says_where_and_not_what(self, caplog: pytest.LogCaptureFixture) -> None:
        def broken(_: Request) -> Response:
            raise ValueError("canary-51ab")

        server = WebServer(ANY_PORT, {"/broken": broken})
        try:
            ask(server, "/broken")
        finally:
            server.close(1)
        (record,) = [record for record in caplog.records if record.name == "exporter.web"]
        assert vars(record)["fields"]["error"] == "ValueError"
        assert vars(record)["fields"]["at"].startswith("test_web.py:")
        assert record.exc_info is None
        assert "canary" not in caplog.text

    @pytest.mark.parametrize(
        "sent",
        [
            b"",
            b"\r\n\r\n",
            b"banana\r\n\r\n",
            b"GET /metrics HTTP/9.9\r\n\r\n",
            b"\x16\x03\x01\x02\x00",
            b"GET " + b"/" * 70_000,
        ],
        ids=["nothing", "empty", "no request", "HTTP/9.9", "TLS", "70 KB"],
    )
    def test_what_is_no_request_ends_its_own_connection_alone(self, server: WebServer, sent: bytes) -> None:
        assert b"200 OK" not in raw(server, sent)
        assert ask(server, "/metrics").status == HTTPStatus.OK

    def test_a_client_that_goes_away_is_no_event(self, server: WebServer, caplog: pytest.LogCaptureFixture) -> None:
        parts = urlsplit(server.url)
        for _ in range(5):
            with socket.create_connection((parts.hostname or "", parts.port or 0), 5) as sock:
                sock.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert ask(server, "/metrics").status == HTTPStatus.OK
        assert caplog.records == []


class TestAddresses:
    def test_port_0_is_a_free_one(self, registry: CollectorRegistry) -> None:
        with serving(registry) as one, serving(registry) as other:
            assert one.url != other.url
            assert ask(one, "/metrics").body == ask(other, "/metrics").body

    def test_ipv6(self, registry: CollectorRegistry) -> None:
        _need_ipv6()
        with serving(registry, address=ListenAddress.parse("[::1]:0")) as server:
            assert server.url.startswith("http://[::1]:")
            assert ask(server, "/metrics").status == HTTPStatus.OK

    def test_no_host_is_both_families(self, registry: CollectorRegistry) -> None:
        _need_ipv6()
        with serving(registry, address=ListenAddress.parse(":0")) as server:
            assert server.url.startswith("http://127.0.0.1:")
            port = urlsplit(server.url).port
            for host in ("127.0.0.1", "::1"):
                with closing(http.client.HTTPConnection(host, port, timeout=5)) as connection:
                    connection.request("GET", "/metrics")
                    assert Reply(connection.getresponse()).status == HTTPStatus.OK

    def test_no_host_where_there_is_no_ipv6(self, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
        with serving(registry, address=ListenAddress.parse(":0")) as server:
            assert server.url.startswith("http://127.0.0.1:")
            assert ask(server, "/metrics").status == HTTPStatus.OK

    def test_in_use(self, registry: CollectorRegistry) -> None:
        with serving(registry) as server:
            port = urlsplit(server.url).port or 0
            with pytest.raises(UsageError) as caught:
                WebServer(ListenAddress("127.0.0.1", port), {})
        assert str(caught.value) == f"--web.listen-address 127.0.0.1:{port}: nothing can listen there (EADDRINUSE)"

    @pytest.mark.parametrize(
        ("host", "why"),
        [
            ("192.0.2.1", "EADDRNOTAVAIL"),
            ("nowhere.invalid", "the host has no such address"),
            ("a" * 64, "the host has no such address"),
            ("\u00fc" * 64, "the host has no such address"),
        ],
        ids=["not ours", "unknown name", "no name at all", "not encodable"],
    )
    def test_that_the_host_does_not_have(self, host: str, why: str) -> None:
        with pytest.raises(UsageError) as caught:
            WebServer(ListenAddress(host, 0), {})
        assert str(caught.value) == f"--web.listen-address {host}:0: nothing can listen there ({why})"

    def test_can_be_taken_again_at_once(self, registry: CollectorRegistry) -> None:
        with serving(registry) as server:
            ask(server, "/metrics")
            port = urlsplit(server.url).port or 0
        with serving(registry, address=ListenAddress("127.0.0.1", port)) as server:
            assert ask(server, "/metrics").status == HTTPStatus.OK


class Slow(Collector):
    """A collector that waits until it is released."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.released = threading.Event()

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> list[Metric]:
        self.entered.set()
        self.released.wait(5)
        return []


@contextmanager
def in_flight() -> Iterator[tuple[WebServer, Slow, http.client.HTTPConnection]]:
    """A server in the middle of a scrape."""
    slow = Slow()
    registry = CollectorRegistry()
    registry.register(slow)
    with serving(registry) as server, closing(connect(server)) as scraper:
        scraper.request("GET", "/metrics")
        assert slow.entered.wait(5)
        try:
            yield server, slow, scraper
        finally:
            slow.released.set()


class TestClosing:
    def test_a_scrape_in_flight_ends_and_no_new_one_begins(self) -> None:
        with in_flight() as (server, slow, scraper):
            closer = threading.Thread(target=server.close, args=(5,))
            closer.start()
            slow.released.set()
            reply = Reply(scraper.getresponse())
            assert reply.status == HTTPStatus.OK
            closer.join(5)
            assert not closer.is_alive()
            with pytest.raises(ConnectionRefusedError):
                ask(server, "/metrics")

    def test_the_client_is_told_that_its_connection_ends(self) -> None:
        with in_flight() as (server, slow, scraper):
            server.stop()
            slow.released.set()
            reply = Reply(scraper.getresponse())
            assert reply.status == HTTPStatus.OK
            assert reply.headers["connection"] == "close"
            server.close(5)

    def test_gives_up_in_time(self) -> None:
        with in_flight() as (server, slow, _):
            started = time.monotonic()
            server.close(0.2)
            elapsed = time.monotonic() - started
            assert not slow.released.is_set()
            assert 0.2 <= elapsed < 1
            with pytest.raises(ConnectionRefusedError):
                ask(server, "/metrics")

    def test_an_idle_connection_does_not_hold_it_up(self, registry: CollectorRegistry) -> None:
        with serving(registry) as server, closing(connect(server)) as connection:
            connection.request("GET", "/metrics")
            Reply(connection.getresponse())
            started = time.monotonic()
            server.close(5)
            assert time.monotonic() - started < 1

    def test_may_be_said_twice(self, registry: CollectorRegistry) -> None:
        with serving(registry) as server:
            server.close()
            server.close()


class TestLimits:
    @pytest.fixture
    def own_server(self, registry: CollectorRegistry) -> Iterator[WebServer]:
        with serving(registry) as server:
            yield server

    def test_one_connection_too_many_is_dropped_and_the_next_served_when_there_is_room(
        self, own_server: WebServer
    ) -> None:
        held = [connect(own_server) for _ in range(CONNECTIONS)]
        try:
            for connection in held:
                connection.request("GET", "/-/healthy")
                assert Reply(connection.getresponse()).status == HTTPStatus.OK
            with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
                ask(own_server, "/metrics")
            held.pop().close()
            _eventually(lambda: ask(own_server, "/metrics").status == HTTPStatus.OK)
        finally:
            for connection in held:
                connection.close()

    def test_no_thread_to_be_had(self, own_server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
        def start(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", start)
            for _ in range(CONNECTIONS + 1):
                with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
                    ask(own_server, "/metrics")
        assert ask(own_server, "/metrics").status == HTTPStatus.OK


def _eventually(holds: Callable[[], bool]) -> None:
    """Wait until the server's thread, which nobody here can join, has given its place back."""
    deadline = time.monotonic() + 5
    pause = threading.Event()
    while True:
        try:
            assert holds()
        except (ConnectionError, http.client.RemoteDisconnected):
            assert time.monotonic() < deadline, "the place was never given back"
            pause.wait(0.01)
        else:
            return


def _need_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this host has no IPv6 loopback")
