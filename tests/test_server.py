"""The server over real sockets: what it answers, what it bounds, and how it ends."""

import errno
import http.client
import re
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from http import HTTPStatus

import pytest
from support.certificates import Certificate, make_authority, make_leaf
from support.web import ANY_PORT, PATIENCE_SECONDS, Reply, ask, connect, place, raw, serving, until_the_end

from exporter import connection as connection_module
from exporter import places as places_module
from exporter import server as server_module
from exporter.guard import Open
from exporter.http1 import Request, Response, say
from exporter.listen import bind
from exporter.places import PAGES
from exporter.router import Router
from exporter.server import SMALL_BYTES, Server
from exporter.settings import ListenAddress

GET = b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n"
LARGE = bytes(8 * 2**20)  # twice what the kernel takes of it
SHARED = (LARGE,)

TABLE = {
    "/page": lambda _: Response((b"Here.\n",)),
    "/asked": lambda request: Response((f"{request.method} {sorted(request.headers.items())}".encode(),)),
    "/large": lambda _: Response((bytes(len(LARGE)),)),  # made for each who asks
    "/shared": lambda _: Response(SHARED),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(TABLE) as server:
        yield server


@pytest.fixture
def own_server() -> Iterator[Server]:
    with serving(TABLE) as server:
        yield server


def quick(monkeypatch: pytest.MonkeyPatch, **seconds: float) -> None:
    """Shorten what a client is given."""
    for name, value in seconds.items():
        monkeypatch.setattr(connection_module, name, value)


def eventually(holds: Callable[[], bool]) -> None:
    """Wait for what another thread, which nobody here can join, does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    pause = threading.Event()
    while not holds():
        assert time.monotonic() < deadline
        pause.wait(0.005)


def dial(server: Server, sent: bytes = b"", *, receive_buffer: int | None = None) -> socket.socket:
    sock = socket.socket()
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what is sent is there when `sendall` returns
    sock.settimeout(PATIENCE_SECONDS)
    try:
        sock.connect(place(server))
        sock.sendall(sent)
    except OSError:
        sock.close()
        raise
    return sock


def slow_reader(server: Server, path: str = "/large") -> socket.socket:
    """A client that wants a large page and has read its beginning alone."""
    sock = dial(server, f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode(), receive_buffer=4_096)
    assert sock.recv(12) == b"HTTP/1.1 200"
    return sock


def is_dropped(sock: socket.socket) -> bool:
    """Whether it ends, or has ended, in `PATIENCE_SECONDS`; what it was sent before is read."""
    until_the_end(sock)
    return True


class TestRequest:
    @pytest.mark.parametrize("path", ["//page", "/page/", "/pag%65", "http://[/page", "*", "page", "/./page"])
    def test_paths_are_exact(self, server: Server, path: str) -> None:
        assert raw(server, f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()).startswith(b"HTTP/1.1 404 ")

    def test_a_route_sees_what_was_asked(self, server: Server) -> None:
        answer = raw(server, b"GET /asked?x HTTP/1.0\r\nA: b\r\nC: d\r\nA: e\r\n\r\n")
        assert answer.endswith(b"GET [('a', 'b, e'), ('c', 'd')]")

    def test_head_has_no_body(self, server: Server) -> None:
        answer = raw(server, b"HEAD /large HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
        assert b"Content-Length: %d\r\n" % len(LARGE) in answer
        assert answer.count(b"HTTP/1.1 200 OK") == 2
        assert len(answer) < 1_000

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BANANA"])
    def test_other_methods_are_refused_and_their_bodies_are_no_requests(self, server: Server, method: str) -> None:
        answer = raw(server, f"{method} /page HTTP/1.1\r\nHost: a\r\nContent-Length: {len(GET)}\r\n\r\n".encode() + GET)
        assert answer.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")
        assert b"\r\nAllow: GET, HEAD\r\n" in answer
        assert b"\r\nConnection: close\r\n" in answer
        assert answer.count(b"HTTP/1.1") == 1

    @pytest.mark.parametrize("framing", ["Transfer-Encoding: chunked", f"Content-Length: {len(GET)}"])
    def test_a_body_is_no_request(self, server: Server, framing: str) -> None:
        answer = raw(server, f"GET /page HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n".encode() + GET)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.count(b"HTTP/1.1") == 1

    @pytest.mark.parametrize(
        "sent",
        [
            b"",
            b"\r\n\r\n",
            b"banana\r\n\r\n",
            b"GET /page HTTP/9.9\r\n\r\n",
            b"\x16\x03\x01\x02\x00",
            b"GET " + b"/" * 70_000,
            b"GET /page HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 9_999,
        ],
        ids=["nothing", "empty", "no request", "HTTP/9.9", "TLS", "70 KB", "9,999 headers"],
    )
    def test_what_is_no_request_ends_its_own_connection_alone(self, server: Server, sent: bytes) -> None:
        assert b"200 OK" not in raw(server, sent)
        assert ask(server, "/page").status == HTTPStatus.OK

    def test_a_refusal_reaches_a_client_that_goes_on_sending(self, server: Server) -> None:
        with dial(server, b"POST /page HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n") as sock:
            sock.sendall(bytes(30_000))
            assert sock.recv(12) == b"HTTP/1.1 405"
            sock.sendall(bytes(30_000))
            assert b"Only GET and HEAD" in until_the_end(sock)

    def test_a_client_that_goes_away_is_no_event(self, server: Server, caplog: pytest.LogCaptureFixture) -> None:
        for sent in (b"", GET, b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n"):
            dial(server, sent).close()
        assert ask(server, "/page").status == HTTPStatus.OK
        assert caplog.records == []


class TestKeepAlive:
    def test_one_connection_serves_many(self, server: Server) -> None:
        with closing(connect(server)) as connection:
            connection.connect()
            sock = connection.sock
            for path, status in (("/page", 200), ("/nothing", 404), ("/large", 200), ("/page", 200)):
                connection.request("GET", path)
                assert Reply(connection.getresponse()).status == status
                assert connection.sock is sock

    def test_requests_may_come_together(self, server: Server) -> None:
        answer = raw(server, GET + b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n" + GET + b"banana\r\n\r\n" + GET)
        assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"200", b"404", b"200", b"400"]

    def test_what_is_asked_while_an_answer_is_made_is_read_after_it(self) -> None:
        slow = Slow()
        with serving({**TABLE, "/slow": slow}) as server, dial(server, GET) as sock:
            assert sock.recv(65_536).endswith(b"Here.\n")
            sock.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            assert slow.entered.wait(PATIENCE_SECONDS)
            sock.sendall(GET)
            try:
                assert [ask(server, "/page").body for _ in range(9)] == [b"Here.\n"] * 9
            finally:
                slow.released.set()
            sock.shutdown(socket.SHUT_WR)
            answer = until_the_end(sock)
        assert re.findall(rb"\r\n\r\n(.*)\n", answer) == [b"At last.", b"Here."]

    def test_what_is_asked_while_a_large_answer_waits_is_read_after_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(places_module, "GIVE_WAY_SECONDS", 60.0)
        monkeypatch.setattr(places_module, "PAGES", 1)
        prompt = Prompt()
        with (
            serving({**TABLE, "/prompt": prompt}) as server,
            closing(slow_reader(server)) as reader,
            dial(server, GET) as sock,
        ):
            assert sock.recv(65_536).endswith(b"Here.\n")
            sock.sendall(b"GET /prompt HTTP/1.1\r\nHost: a\r\n\r\n")
            eventually(lambda: prompt.times == 1)
            sock.sendall(GET)
            assert [ask(server, "/page").body for _ in range(9)] == [b"Here.\n"] * 9
            reader.close()
            sock.shutdown(socket.SHUT_WR)
            answer = until_the_end(sock)
        assert prompt.times == 2  # there was no place for the first one
        assert answer.count(b"HTTP/1.1 200 OK") == 2
        assert len(answer) > len(LARGE)

    @pytest.mark.parametrize(
        "sent", [b"GET /page HTTP/1.0\r\n\r\n", b"GET /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"]
    )
    def test_it_ends_where_the_client_wants(self, server: Server, sent: bytes) -> None:
        with dial(server, sent + GET) as sock:
            assert until_the_end(sock).count(b"Here.") == 1


class TestGuard:
    class Porter(Open):
        """Lets in who says the word, and one page to everyone."""

        def authorize(self, path: str, headers: Mapping[str, str]) -> Response | None:
            if path == "/page" or headers.get("authorization") == "mellon":
                return None
            return say(HTTPStatus.UNAUTHORIZED, "Speak.", {"WWW-Authenticate": "Basic"})

        def headers(self) -> Mapping[str, str]:
            return {"X-Gate": "west"}

    def test_decides(self) -> None:
        with serving(TABLE, guard=self.Porter()) as server:
            refused = ask(server, "/asked")
            assert (refused.status, refused.headers["www-authenticate"]) == (401, "Basic")
            assert ask(server, "/asked", Authorization="mellon").status == HTTPStatus.OK
            assert ask(server, "/nothing").status == HTTPStatus.UNAUTHORIZED
            assert ask(server, "/page").headers["x-gate"] == refused.headers["x-gate"] == "west"
            assert b"\r\nX-Gate: west\r\n" in raw(server, b"banana\r\n\r\n")

    def test_one_that_breaks_lets_nobody_in(self, caplog: pytest.LogCaptureFixture) -> None:
        class Broken(Open):
            def authorize(self, path: str, headers: Mapping[str, str]) -> Response | None:  # noqa: ARG002
                raise ValueError("canary-51ab")

        with serving(TABLE, guard=Broken()) as server:
            assert ask(server, "/page").status == HTTPStatus.INTERNAL_SERVER_ERROR
        assert "canary" not in caplog.text


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="module")
def leaf(authority: Certificate, tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_leaf(tmp_path_factory.mktemp("leaf"), "leaf", authority, "DNS:localhost,IP:127.0.0.1")


class Secured(Open):
    def __init__(self, context: ssl.SSLContext | Exception) -> None:
        self.context = context
        self.admitted = True

    def admits(self, connection: ssl.SSLSocket) -> bool:
        assert connection.cipher() is not None
        return self.admitted

    def tls(self) -> ssl.SSLContext:
        if isinstance(self.context, Exception):
            raise self.context
        return self.context


class TestTLS:
    @pytest.fixture
    def guard(self, leaf: Certificate) -> Secured:
        return Secured(leaf.server_context())

    @pytest.fixture
    def secured(self, guard: Secured) -> Iterator[Server]:
        with serving(TABLE, guard=guard) as server:
            yield server

    @pytest.fixture
    def context(self, authority: Certificate) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(authority.cert_file))

    def ask(self, server: Server, context: ssl.SSLContext, sent: bytes) -> bytes:
        with context.wrap_socket(dial(server), server_hostname="localhost", suppress_ragged_eofs=False) as sock:
            sock.sendall(sent)
            return until_the_end(sock)

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_serves_and_says_goodbye(self, secured: Server, context: ssl.SSLContext, version: ssl.TLSVersion) -> None:
        context.minimum_version = context.maximum_version = version
        assert secured.urls[0].startswith("https://127.0.0.1:")
        # Two requests at once: the second waits where the selector does not see it. The end is no ragged one.
        answer = self.ask(secured, context, b"GET /large HTTP/1.1\r\nHost: a\r\n\r\nGET /page HTTP/1.0\r\n\r\n")
        assert len(answer) > len(LARGE)
        assert answer.endswith(b"\r\n\r\nHere.\n")

    def test_what_is_no_tls_ends_its_own_connection_alone(self, secured: Server, context: ssl.SSLContext) -> None:
        for sent in (b"", GET, b"\x16\x03\x01\x02\x00"):
            assert b"HTTP" not in raw(secured, sent)
        assert self.ask(secured, context, b"GET /page HTTP/1.0\r\n\r\n").endswith(b"Here.\n")

    def test_each_connection_has_what_the_guard_says_then(
        self, secured: Server, guard: Secured, context: ssl.SSLContext, caplog: pytest.LogCaptureFixture
    ) -> None:
        old, guard.context = guard.context, ValueError("canary-51ab")
        assert raw(secured, b"") == b""
        guard.context = old
        assert self.ask(secured, context, b"GET /page HTTP/1.0\r\n\r\n").endswith(b"Here.\n")
        assert "a connection broke" in caplog.text
        assert "canary" not in caplog.text

    def test_a_client_that_is_not_admitted_is_asked_nothing(
        self, secured: Server, guard: Secured, context: ssl.SSLContext
    ) -> None:
        guard.admitted = False
        with context.wrap_socket(dial(secured), server_hostname="localhost") as sock:
            with suppress(ConnectionError):
                sock.sendall(b"GET /page HTTP/1.0\r\n\r\n")
            assert until_the_end(sock) == b""
        guard.admitted = True
        assert self.ask(secured, context, b"GET /page HTTP/1.0\r\n\r\n").endswith(b"Here.\n")

    def test_a_drip_does_not_extend_the_handshake(self, secured: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        quick(monkeypatch, REQUEST_SECONDS=0.3)
        with dial(secured) as sock:
            assert drip_until_dropped(sock, b"\x16\x03\x01\x02\x00" + bytes(200)) < 2


def drip_until_dropped(sock: socket.socket, sent: bytes, every: float = 0.05) -> float:
    """Send a byte now and then, and return after how many seconds the server had enough."""
    started = time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        for byte in sent:
            if selector.select(every):
                break
            try:
                sock.sendall(bytes([byte]))
            except ConnectionError:
                break
        else:
            raise AssertionError("it was never dropped")
    return time.monotonic() - started


class TestDeadlines:
    @pytest.mark.parametrize("beginning", [b"", GET], ids=["first", "second"])
    def test_a_drip_does_not_extend_a_request(
        self, own_server: Server, monkeypatch: pytest.MonkeyPatch, beginning: bytes
    ) -> None:
        quick(monkeypatch, REQUEST_SECONDS=0.3)
        with dial(own_server, beginning) as sock:
            if beginning:
                assert sock.recv(12) == b"HTTP/1.1 200"
                while not sock.recv(4_096).endswith(b"Here.\n"):
                    pass
            assert 0.2 < drip_until_dropped(sock, b"GET /page HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 200) < 2

    def test_who_sends_nothing_is_dropped(self, own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        quick(monkeypatch, REQUEST_SECONDS=0.1)
        with dial(own_server) as sock:
            assert until_the_end(sock) == b""

    def test_who_asks_no_more_is_dropped(self, own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        quick(monkeypatch, IDLE_SECONDS=0.1)
        with dial(own_server, GET) as sock:
            assert until_the_end(sock).endswith(b"Here.\n")

    def test_a_slow_reader_does_not_extend_an_answer(self, own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        quick(monkeypatch, TOTAL_SECONDS=0.3)
        started = time.monotonic()
        with slow_reader(own_server) as sock:
            pause = threading.Event()
            with pytest.raises(ConnectionResetError):
                _ = [pause.wait(0.01) for _ in iter(lambda: sock.recv(1_024), b"")]
        assert 0.2 < time.monotonic() - started < 3

    def test_a_page_that_is_too_late_is_not_sent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        quick(monkeypatch, TOTAL_SECONDS=0.1)
        released = threading.Event()
        table = {**TABLE, "/late": lambda _: Response((str(released.wait(PATIENCE_SECONDS)).encode(),))}
        with serving(table) as server, dial(server, b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n") as sock:
            assert until_the_end(sock) == b""
            released.set()
            assert ask(server, "/page").status == HTTPStatus.OK


class TestLimits:
    def test_the_client_waited_for_longest_gives_way(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server_module, "HELD", PAGES)
        monkeypatch.setattr(server_module, "HASTE_SECONDS", 60.0)
        with serving(TABLE) as server:
            held = [dial(server) for _ in range(PAGES)]
            try:
                # None of them is idle for a second yet: the next one waits, and is served after that second.
                started = time.monotonic()
                held[0].sendall(b"G")
                assert ask(server, "/page").status == HTTPStatus.OK
                assert 0.5 < time.monotonic() - started < 3
                assert is_dropped(held[0])
                held[1].sendall(GET)
                assert held[1].recv(12) == b"HTTP/1.1 200"
            finally:
                for sock in held:
                    sock.close()

    def test_who_has_not_asked_gives_way_sooner_where_all_are_taken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for limit in ("HELD", "PAGES"):
            monkeypatch.setattr(server_module, limit, 3)
        quick(monkeypatch, REQUEST_SECONDS=60.0)
        with (
            serving(TABLE) as server,
            closing(slow_reader(server)) as reader,
            dial(server, b"GET ") as slow,
            dial(server),
        ):
            # Long before a second, after which everybody who is waited for gives way.
            started = time.monotonic()
            assert ask(server, "/page").status == HTTPStatus.OK
            assert time.monotonic() - started < 0.9
            assert is_dropped(slow)
            assert reader.recv(1)

    def test_a_new_one_waits_until_one_goes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server_module, "HELD", PAGES)
        monkeypatch.setattr(server_module, "HASTE_SECONDS", 60.0)
        quick(monkeypatch, REQUEST_SECONDS=60.0)
        monkeypatch.setattr(places_module, "GIVE_WAY_SECONDS", 60.0)
        with serving(TABLE) as server:
            held = [dial(server) for _ in range(PAGES)]
            with dial(server, GET) as waiting:
                waiting.settimeout(0.2)
                with pytest.raises(TimeoutError):
                    waiting.recv(1)
                waiting.settimeout(PATIENCE_SECONDS)
                held.pop().close()
                assert waiting.recv(12) == b"HTTP/1.1 200"
            for sock in held:
                sock.close()

    def test_small_answers_do_not_wait_for_the_readers_of_large_ones(self, own_server: Server) -> None:
        readers = [slow_reader(own_server) for _ in range(PAGES)]
        try:
            started = time.monotonic()
            assert ask(own_server, "/page").body == b"Here.\n"
            assert ask(own_server, "/large", "HEAD").status == HTTPStatus.OK
            assert time.monotonic() - started < 0.5
            # One more large one waits until the reader that was waited for longest gives way.
            assert ask(own_server, "/large").body == LARGE
            assert 0.5 < time.monotonic() - started < 3
            assert len(until_the_end(readers[0])) < len(LARGE)
            readers[-1].settimeout(PATIENCE_SECONDS)
            assert readers[-1].recv(1)
        finally:
            for sock in readers:
                sock.close()

    def test_readers_of_one_page_share_its_place(self, own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(places_module, "PAGES", 2)
        readers = [slow_reader(own_server, "/shared") for _ in range(3 * PAGES)]
        try:
            started = time.monotonic()
            assert ask(own_server, "/large").body == LARGE
            assert ask(own_server, "/shared").body == LARGE
            assert time.monotonic() - started < 0.9
            # A third page waits until all readers of the first have had their second.
            with closing(slow_reader(own_server)):
                assert ask(own_server, "/large").body == LARGE
            assert all(len(until_the_end(reader)) < len(LARGE) for reader in readers)
        finally:
            for sock in readers:
                sock.close()

    def test_who_waits_for_a_large_answer_waits_no_longer_than_for_any(
        self, own_server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(places_module, "GIVE_WAY_SECONDS", 60.0)
        quick(monkeypatch, TOTAL_SECONDS=0.5)
        with closing(slow_reader(own_server)):
            monkeypatch.setattr(places_module, "PAGES", 1)
            with dial(own_server, b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n") as sock:
                until_the_end(sock)
        assert ask(own_server, "/large").body == LARGE

    def test_a_page_is_sent_whole_up_to_the_line_between_small_and_large(self, own_server: Server) -> None:
        for size in (65_536, 65_537, SMALL_BYTES, SMALL_BYTES + 1):
            with serving({"/": lambda _, size=size: Response((b"x" * size,))}) as server:  # type: ignore[misc]
                assert len(ask(server, "/").body) == size
        assert ask(own_server, "/page").status == HTTPStatus.OK

    def test_64_clients_scrape_5_times_each(self, own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(places_module, "GIVE_WAY_SECONDS", 60.0)  # these are not idle, the machine is busy
        failures: list[object] = []

        def scrape(number: int) -> None:
            for time_ in range(5):
                path = "/large" if (number + time_) % 4 == 0 else "/page"
                try:
                    if not (reply := ask(own_server, path)).body or reply.status != HTTPStatus.OK:
                        failures.append(reply.status)
                except (OSError, http.client.HTTPException) as error:
                    failures.append(error)

        threads = [threading.Thread(target=scrape, args=(number,)) for number in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []


class TestMisfortune:
    @pytest.mark.parametrize("bug", [ValueError("canary-51ab"), SystemExit("canary-51ab")], ids=repr)
    def test_a_route_that_raises_is_a_500_and_the_server_lives(
        self, bug: BaseException, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(_: Request) -> Response:
            raise bug

        with serving({"/broken": broken}) as server:
            for _ in range(9):
                reply = ask(server, "/broken")
                assert (reply.status, reply.body) == (HTTPStatus.INTERNAL_SERVER_ERROR, b"Internal error.\n")
            assert ask(server, "/").status == HTTPStatus.NOT_FOUND
            assert server.lives
        record = caplog.records[0]
        assert vars(record)["fields"]["error"] == type(bug).__name__
        assert vars(record)["fields"]["at"].startswith("test_server.py:")
        assert "canary" not in caplog.text
        assert "Traceback" not in caplog.text

    def test_no_descriptor_to_be_had(self, caplog: pytest.LogCaptureFixture) -> None:
        class Listener(socket.socket):
            tries = 0

            def accept(self) -> tuple[socket.socket, object]:
                Listener.tries += 1
                if Listener.tries <= 4:
                    raise OSError(errno.EMFILE, "Too many open files")
                return super().accept()

        with closing(bind(ANY_PORT, "--web.listen-address")) as bound:
            server = Server([Listener(fileno=bound.detach())], Router(TABLE))
        try:
            started = time.monotonic()
            assert ask(server, "/page").status == HTTPStatus.OK
            assert Listener.tries < 10  # it paused, and did not ask for ever
            assert 0.3 < time.monotonic() - started < 3
            assert ask(server, "/page").status == HTTPStatus.OK
        finally:
            server.close(0)
        (record,) = caplog.records
        assert (record.getMessage(), vars(record)["fields"]) == (
            "no connection can be accepted; they wait",
            {"error": "EMFILE"},
        )

    def test_no_thread_to_be_had(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def start(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        before = set(threading.enumerate())
        with closing(bind(ANY_PORT, "--web.listen-address")) as sock, monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", start)
            with pytest.raises(RuntimeError, match="can't start new thread"):
                Server([sock], Router(TABLE))
            assert sock.fileno() == -1
        assert set(threading.enumerate()) <= before

    def test_threads_are_asked_for_at_the_start_alone(
        self, own_server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def start(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", start)
            assert ask(own_server, "/page").status == HTTPStatus.OK

    def test_a_loop_that_dies_refuses_connections_and_says_so(
        self, own_server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(*_: object) -> None:
            raise RuntimeError("canary-51ab")

        with dial(own_server) as idle:
            assert ask(own_server, "/page").status == HTTPStatus.OK
            monkeypatch.setattr(places_module.Places, "admit", broken)
            idle.sendall(b"G")
            assert until_the_end(idle) == b""
        eventually(lambda: not own_server.lives)
        with pytest.raises(ConnectionRefusedError):
            dial(own_server)
        assert [record.getMessage() for record in caplog.records] == ["the server died"]
        assert "canary" not in caplog.text


class Slow:
    """A route that waits until it is released."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.released = threading.Event()

    def __call__(self, _: Request) -> Response:
        self.entered.set()
        self.released.wait(PATIENCE_SECONDS)
        return Response((b"At last.\n",))


class Prompt:
    """A route that answers at once, with a large page."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, _: Request) -> Response:
        self.times += 1
        return Response((bytes(len(LARGE)),))

    at_once = __call__


@contextmanager
def in_flight() -> Iterator[tuple[Server, Slow, http.client.HTTPConnection]]:
    """A server in the middle of an answer."""
    slow = Slow()
    with serving({"/slow": slow}) as server, closing(connect(server)) as client:
        client.request("GET", "/slow")
        assert slow.entered.wait(PATIENCE_SECONDS)
        try:
            yield server, slow, client
        finally:
            slow.released.set()


class TestClosing:
    def test_an_answer_on_its_way_ends_and_no_new_one_begins(self) -> None:
        with in_flight() as (server, slow, client):
            closer = threading.Thread(target=server.close, args=(PATIENCE_SECONDS,))
            closer.start()
            slow.released.set()
            reply = Reply(client.getresponse())
            assert (reply.status, reply.body) == (HTTPStatus.OK, b"At last.\n")
            closer.join(PATIENCE_SECONDS)
            assert not closer.is_alive()
            with pytest.raises(ConnectionRefusedError):
                dial(server)
            assert not server.lives

    def test_the_client_is_told_that_its_connection_ends(self) -> None:
        with in_flight() as (server, slow, client):
            server.stop()
            assert server.lives
            with pytest.raises(ConnectionRefusedError):
                dial(server)
            slow.released.set()
            assert Reply(client.getresponse()).headers["connection"] == "close"

    def test_gives_up_in_time(self) -> None:
        with in_flight() as (server, slow, _):
            started = time.monotonic()
            server.close(0.2)
            assert 0.2 <= time.monotonic() - started < 1
            assert not slow.released.is_set()

    def test_a_large_answer_on_its_way_is_read_to_its_end(self, own_server: Server) -> None:
        with slow_reader(own_server) as sock:
            closer = threading.Thread(target=own_server.close, args=(4 * PATIENCE_SECONDS,))
            closer.start()
            assert len(until_the_end(sock)) > len(LARGE)
            closer.join(PATIENCE_SECONDS)

    @pytest.mark.parametrize("sent", [b"", b"GET", GET], ids=["silent", "half a request", "kept alive"])
    def test_who_is_waited_for_does_not_hold_it_up(self, own_server: Server, sent: bytes) -> None:
        with dial(own_server, sent) as sock:
            assert ask(own_server, "/page").status == HTTPStatus.OK
            started = time.monotonic()
            own_server.close(PATIENCE_SECONDS)
            assert time.monotonic() - started < 0.5
            until_the_end(sock)

    def test_may_be_said_twice(self, own_server: Server) -> None:
        own_server.close()
        own_server.close()

    def test_its_address_can_be_taken_again_at_once(self) -> None:
        with serving(TABLE) as server:
            ask(server, "/page")
            address = ListenAddress(*place(server))
        with serving(TABLE, address) as server:
            assert ask(server, "/page").status == HTTPStatus.OK


def test_several_sockets_serve_the_same() -> None:
    server = Server([bind(ANY_PORT, "--web.listen-address") for _ in range(3)], Router(TABLE))
    try:
        assert len(set(server.urls)) == 3
        for url in server.urls:
            with closing(http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)) as client:
                client.request("GET", "/page")
                assert Reply(client.getresponse()).body == b"Here.\n"
    finally:
        server.close(0)
