"""The little of an HTTP server that a simulated LocalAI needs, on a loopback port that can be closed at any moment."""

import contextlib
import selectors
import socket
import threading
from collections.abc import Callable
from typing import BinaryIO

from exporter.simulator.wire import Request

HOST = "127.0.0.1"
"""Nothing else may reach a simulator: what it answers is made up."""

_BACKLOG = 128
_MAX_LINE = 65_536
_MAX_HEADERS = 100


class Listener:
    """A listening socket with a thread that accepts, and a thread for each connection.

    Args:
        port: 0 for a free one.
        answer: gives the bytes for a request, or None to drop the connection; called by many threads at once.
        keep_alive: False ends every connection after its first answer.

    Attributes:
        port: where it listens.
        accepted: how many connections it has taken.
    """

    def __init__(self, port: int, answer: Callable[[Request], bytes | None], *, keep_alive: bool = True) -> None:
        self._answer = answer
        self._keep_alive = keep_alive
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, socket.socket] = {}
        self.accepted = 0
        self._socket = bind(port)
        self.port: int = self._socket.getsockname()[1]
        self._acceptor: _Acceptor | None = _Acceptor(self._socket, self._start)

    def pause(self) -> None:
        """Stop listening and end every connection; when this returns, a new connection is refused."""
        if not self._acceptor:
            return
        self._acceptor.stop()
        self._acceptor = None
        self._socket.close()
        # A port that nobody holds could be given to another program's connection, and never come back.
        self._socket = bind(self.port)
        self.drop()

    def resume(self) -> None:
        """Listen again, on the same port."""
        if not self._acceptor:
            self._acceptor = _Acceptor(self._socket, self._start)

    def drop(self) -> None:
        """End every connection, but for one whose request is being answered by the calling thread."""
        with self._lock:
            for thread, connection in self._open.items():
                if thread is not threading.current_thread():
                    # Its own thread closes it: a number that another thread closes could name a new socket by then.
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop listening for good, and end every connection."""
        if self._acceptor:
            self._acceptor.stop()
            self._acceptor = None
        self._socket.close()
        self.drop()

    def join(self, timeout: float) -> None:
        """Wait until the threads of the connections have ended, for each at most `timeout` seconds."""
        with self._lock:
            threads = [thread for thread in self._open if thread is not threading.current_thread()]
        for thread in threads:
            thread.join(timeout)

    def _start(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        thread = threading.Thread(target=self._serve, args=(connection,), name="simulator-connection", daemon=True)
        with self._lock:
            self.accepted += 1
            self._open[thread] = connection
        thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as stream, contextlib.suppress(OSError):
                while request := read_request(stream):
                    payload = self._answer(request)
                    if payload is None:
                        return
                    connection.sendall(payload)
                    if request.close or not self._keep_alive:
                        return
        finally:
            with self._lock:
                del self._open[threading.current_thread()]


class _Acceptor:
    """Listens on a bound socket, and hands every connection to `start`, until it is stopped."""

    def __init__(self, listening: socket.socket, start: Callable[[socket.socket], None]) -> None:
        self._listening = listening
        self._start = start
        self._wake, self._woken = socket.socketpair()
        listening.listen(_BACKLOG)
        listening.setblocking(False)  # so that a client which left again does not hold the thread in accept
        self._thread = threading.Thread(target=self._run, name="simulator-accept", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; the socket stays open."""
        self._wake.send(b".")
        self._thread.join()
        self._wake.close()
        self._woken.close()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listening, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not any(key.fileobj is self._woken for key, _ in selector.select()):
                with contextlib.suppress(OSError):
                    connection = self._listening.accept()[0]
                    connection.setblocking(True)  # BSD hands on the listening socket's mode
                    self._start(connection)


def bind(port: int) -> socket.socket:
    """Return a TCP socket bound to the loopback port, 0 for a free one, that does not listen yet.

    Raises:
        OSError: the port is taken.
    """
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, port))
    except OSError:
        bound.close()
        raise
    return bound


def read_request(stream: BinaryIO) -> Request | None:
    """Return the next request, or None at the end of the stream or where it is no HTTP."""
    try:
        method, path, protocol = stream.readline(_MAX_LINE).decode("latin-1").split()
    except ValueError:
        return None
    headers: dict[str, str] = {}
    for _ in range(_MAX_HEADERS):
        line = stream.readline(_MAX_LINE)
        if line in (b"\r\n", b"\n"):
            # What LocalAI's P2P API is asked has no body; one that came all the same would be read as a request.
            body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
            close = body or protocol != "HTTP/1.1" or "close" in headers.get("connection", "").lower()
            return Request(path, headers, method, close)
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            return None
        headers[name.strip().lower()] = value.strip()
    return None
