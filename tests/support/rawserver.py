"""Servers that do to a client exactly what a test says, byte by byte, and the client that meets them."""

import socket
import ssl
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self

import pytest

from exporter.client import Client
from exporter.errors import PollError, Reason
from exporter.resolver import Resolver
from exporter.settings import Secret, Target
from support.acceptor import HANG_SECONDS, Acceptor, Peer, Script

CANARY = "canary-3f9c17e2"
"""The API key of every client here: it must show up in the request and nowhere else."""

LATE_SECONDS = 0.5
"""How far past its deadline a GET may end."""


@contextmanager
def asking(url: str, resolver: Resolver | None = None, **options: Any) -> Iterator[Client]:
    """A client of `url` with the canary as its key; `options` are the target's."""
    client = Client(Target(**{"url": url, "api_key": Secret(CANARY), **options}), time.monotonic, resolver)
    try:
        yield client
    finally:
        client.close()


def body(client: Client, path: str = "/api/p2p") -> bytes:
    """Ask, and return what was answered."""
    return client.get(path, time.monotonic() + HANG_SECONDS).body


def refusal(client: Client, within: float = HANG_SECONDS) -> PollError:
    """Ask in vain, and return why: on time, and without the key in anything that can be shown of the error."""
    started = time.monotonic()
    with pytest.raises(PollError) as caught:
        client.get("/api/p2p", started + within)
    elapsed = time.monotonic() - started
    error = caught.value
    assert elapsed <= within + LATE_SECONDS
    if error.reason == Reason.TIMEOUT:
        assert elapsed >= within
    assert error.__cause__ is None
    shown = "".join(traceback.format_exception(error))
    assert "another exception" not in shown
    assert CANARY not in shown + repr(error) + str(error) + repr(vars(error))
    return error


def ok(sent: bytes, *headers: str) -> bytes:
    """An answer with status 200; its length is said."""
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(sent)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + sent


def chunked(*chunks: bytes) -> bytes:
    """The same in chunks."""
    framed = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n"


def answering(answer: bytes) -> Script:
    """Read a request, send this, close."""

    def script(peer: Peer) -> None:
        if peer.read_request():
            peer.send(answer)
            # FIN first: closing with unread bytes would be a reset.
            with suppress(OSError):
                peer.sock.shutdown(socket.SHUT_WR)
            peer.wait_for_close()

    return script


def keeping_alive(*answers: bytes) -> Script:
    """Send one answer for each request on the same connection, then close it as the next request has come."""

    def script(peer: Peer) -> None:
        for answer in answers:
            if not peer.read_request():
                return
            peer.send(answer)
        peer.read_request()

    return script


def silent(peer: Peer) -> None:
    """Take whatever comes and never say a word."""
    peer.wait_for_close()


class RawServer:
    """Accepts on a free loopback port and runs a script on each connection: the first on the first, and so on.

    Args:
        scripts: one for each connection; the last one serves all further ones too.
        context: speak TLS.
        family: of the loopback address.
    """

    def __init__(
        self, *scripts: Script, context: ssl.SSLContext | None = None, family: socket.AddressFamily = socket.AF_INET
    ) -> None:
        self._scripts = scripts
        self._context = context
        self.peers: list[Peer] = []
        listener = socket.create_server(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0), family=family)
        self.host, self.port = listener.getsockname()[:2]
        self._acceptor = Acceptor(listener, self._choose)

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self._context else 'http'}://{host}:{self.port}"

    @property
    def requests(self) -> list[bytes]:
        """Every request's header, in the order of the connections."""
        return [request for peer in self.peers for request in peer.requests]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._acceptor.close()

    def _choose(self, peer: Peer) -> Script:
        script = self._scripts[min(len(self.peers), len(self._scripts) - 1)]
        self.peers.append(peer)
        return script if self._context is None else _secured(script, self._context)


def _secured(script: Script, context: ssl.SSLContext) -> Script:
    def serve(peer: Peer) -> None:
        _secure(peer, context)
        script(peer)

    return serve


def _secure(peer: Peer, context: ssl.SSLContext) -> None:
    raw = peer.sock.dup()
    try:
        secured = context.wrap_socket(peer.sock, server_side=True, do_handshake_on_connect=False)
        peer.sock = secured
        secured.do_handshake()
    except ssl.SSLError:
        # The alert is on its way; a reset, because of what the client still sends, would destroy it.
        raw.shutdown(socket.SHUT_WR)
        while raw.recv(65_536):
            pass
        raise
    finally:
        raw.close()


def tunnelling(host: str, port: int) -> Script:
    """Be a proxy that opens its tunnel to `host`, whatever name it was asked for."""

    def script(peer: Peer) -> None:
        if not peer.read_request():
            return
        with socket.create_connection((host, port), HANG_SECONDS) as upstream:
            peer.send(b"HTTP/1.1 200 Connection established\r\nProxy-Agent: test\r\n\r\n")
            backwards = threading.Thread(target=_pump, args=(upstream, peer.sock))
            backwards.start()
            _pump(peer.sock, upstream)
            backwards.join(HANG_SECONDS)

    return script


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65_536):
            sink.sendall(piece)
    for sock in (source, sink):
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


@contextmanager
def deaf_port() -> Iterator[int]:
    """A port that is bound, whose backlog is full: a connection to it gets no answer at all."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        try:
            for sock in waiting:
                sock.setblocking(False)
                sock.connect_ex(address)
            yield address[1]
        finally:
            for sock in waiting:
                sock.close()


@contextmanager
def unvisited() -> Iterator[str]:
    """The URL of a port to which nobody must connect: checked at the end, without a wait."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.setblocking(False)
        with suppress(BlockingIOError):
            sock, _ = listener.accept()
            sock.close()
            raise AssertionError("somebody connected to the port that nobody must visit")


def closed_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port
