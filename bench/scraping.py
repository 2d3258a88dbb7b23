"""A client that asks as Prometheus does and costs next to nothing: sockets that are kept, answers that are dropped.

What an answer says is looked at when a peer is started, by `page`, and never while time is taken.
"""

import gzip
import re
import selectors
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, closing

# What Prometheus 3 sends by default.
_ACCEPT = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
_TEXT = "text/plain;version=0.0.4"
_PIECE_BYTES = 2**18
_PATIENCE_SECONDS = 120.0
_END_OF_HEAD = b"\r\n\r\n"
_END_OF_CHUNKS = b"\r\n0\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


def request(
    *, compressed: bool, accept: str = _ACCEPT, method: str = "GET", path: str = "/metrics", body: bytes = b""
) -> bytes:
    """Return a request of Prometheus as it stands on the wire."""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Prometheus/3.13.0\r\nAccept: {accept}\r\n"
        f"Accept-Encoding: {'gzip' if compressed else 'identity'}\r\nX-Prometheus-Scrape-Timeout-Seconds: 10\r\n"
        f"{length}\r\n"
    ).encode() + body


class Answer:
    """How much of an answer has come.

    Attributes:
        head: the status line and the fields, once they are whole.
        is_last: whether the connection ends with it.
    """

    def __init__(self) -> None:
        self.head = b""
        self.is_last = False
        self._begun = b""
        self._left: int | None = None
        self._tail: bytes | None = None

    def take(self, piece: memoryview) -> bool:
        """Take what came next, nothing where the peer has closed, and return whether that was all.

        Raises:
            ConnectionError: the connection ended before the answer did, or this is no 200.
        """
        if not piece:
            if self.head and self.is_last and self._left is None:
                return True
            raise ConnectionError("the answer is not whole")
        if not self.head:
            self._begun += piece
            head, end, rest = self._begun.partition(_END_OF_HEAD)
            if not end:
                return False
            self._read(head)
            piece = memoryview(rest)
        if self._left is not None:
            self._left -= len(piece)
            return self._left <= 0
        if self._tail is not None:
            # To follow the chunks would cost more than to receive them. Compressed bytes that look like the end are
            # not to be expected within the life of a universe; the next answer would make no sense then, and fail.
            self._tail = (self._tail + piece[-len(_END_OF_CHUNKS) :])[-len(_END_OF_CHUNKS) :]
            return self._tail == _END_OF_CHUNKS
        return False

    def _read(self, head: bytes) -> None:
        if head.split(b" ", 2)[1] not in (b"200", b"202"):
            raise ConnectionError(head.decode("latin-1").partition("\r\n")[0])
        self.head = head
        self.is_last = head.startswith(b"HTTP/1.0")
        if match := _LENGTH.search(head):
            self._left = int(match[1])
        elif _CHUNKED.search(head):
            self._tail = b""


class Client:
    """One client with one connection, which is made anew where the peer has ended it.

    Args:
        port: the peer's, on the loopback interface.
        compressed: whether it takes gzip.
    """

    def __init__(self, port: int, *, compressed: bool) -> None:
        self._port = port
        self._request = request(compressed=compressed)
        self._piece = bytearray(_PIECE_BYTES)
        self._socket: socket.socket | None = None

    def scrape(self) -> None:
        """Ask and receive the whole answer.

        Raises:
            OSError: there is none, or it is no 200.
        """
        self._exchange(self._request, None)

    def ask(self, text: bytes) -> bytes:
        """Send this request and return the whole answer, as it stands on the wire; errors as for `scrape`."""
        pieces: list[bytes] = []
        self._exchange(text, pieces)
        return b"".join(pieces)

    def _exchange(self, text: bytes, pieces: list[bytes] | None) -> None:
        connection = self._socket = self._socket or connect(self._port)
        connection.sendall(text)
        answer, whole = Answer(), memoryview(self._piece)
        done = False
        while not done:
            received = whole[: connection.recv_into(whole)]
            if pieces is not None:
                pieces.append(bytes(received))
            done = answer.take(received)
        if answer.is_last:
            self.close()

    def close(self) -> None:
        """End the connection."""
        if self._socket:
            self._socket.close()
            self._socket = None


def connect(port: int) -> socket.socket:
    """Return a connection to a peer."""
    connection = socket.create_connection(("127.0.0.1", port), _PATIENCE_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def wire_answer(port: int, *, compressed: bool) -> bytes:
    """Return the answer to a scrape as it stands on the wire."""
    with closing(Client(port, compressed=compressed)) as client:
        return client.ask(request(compressed=compressed))


def text_page(port: int) -> bytes:
    """Return what a peer answers who is asked for the text format, as a body without any encoding."""
    with closing(Client(port, compressed=False)) as client:
        return body_of(client.ask(request(compressed=False, accept=_TEXT)))


def body_of(wire: bytes) -> bytes:
    """Return the body of an answer, out of its chunks and decompressed."""
    head, _, body = wire.partition(_END_OF_HEAD)
    if _CHUNKED.search(head):
        pieces = []
        at = 0
        while size := int(body[at : (end := body.index(b"\r\n", at))], 16):
            pieces.append(body[end + 2 : end + 2 + size])
            at = end + 2 + size + 2
        body = b"".join(pieces)
    return gzip.decompress(body) if b"content-encoding: gzip" in head.lower() else body


def load(port: int, clients: int, count: int, seconds: float) -> float:
    """Let several clients ask for gzip, each as soon as it has its answer, and return answers a second.

    All of them are one thread that waits for whoever is readable: threads would hand one lock around, and processes
    would take the server's processors from it. An answer costs them two system calls or a few more; how many they can
    take is what the floor is measured for. A peer that ends a connection with its answer cannot be asked so: what it
    gave would be connections.

    Args:
        port: the peer's.
        clients: how many, each with one request under way.
        count: after how many answers it ends.
        seconds: or after what time.
    """
    text = request(compressed=True)
    piece = memoryview(bytearray(_PIECE_BYTES))
    done = 0
    with selectors.DefaultSelector() as selector, ExitStack() as stack:
        answers: dict[socket.socket, Answer] = {}
        for _ in range(clients):
            connection = stack.enter_context(connect(port))
            selector.register(connection, selectors.EVENT_READ, connection)
            answers[connection] = Answer()
        started = time.perf_counter()
        for connection in answers:
            connection.sendall(text)
        until = started + seconds
        while done < count and time.perf_counter() < until:
            for key, _ in selector.select(_PATIENCE_SECONDS):
                connection = key.data
                if answers[connection].take(piece[: connection.recv_into(piece)]):
                    done += 1
                    answers[connection] = Answer()
                    connection.sendall(text)
        return done / (time.perf_counter() - started)


def timed(scrape: Callable[[], None], count: int, seconds: float) -> tuple[int, float]:
    """Scrape again and again, and return how often and how long.

    Args:
        scrape: does it once.
        count: after how many it ends.
        seconds: or after what time.
    """
    done = 0
    started = now = time.perf_counter()
    while done < count and now - started < seconds:
        scrape()
        done += 1
        now = time.perf_counter()
    return done, now - started
