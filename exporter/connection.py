"""One client of the server: a socket that never blocks, what arrived on it, what it is still to be sent, until when."""

import selectors
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from enum import Enum, auto

from exporter.http1 import HEAD_BYTES, Request, head_in, parse
from exporter.pieces import Pieces, merged

REQUEST_SECONDS = 5.0
"""What a client has to send its request in, its TLS handshake included."""

TOTAL_SECONDS = 10.0
"""What request and answer have together: Prometheus' own patience by default."""

IDLE_SECONDS = 75.0
"""How long an unused connection is kept: above Prometheus' longest usual scrape interval of a minute."""

_LINGER_SECONDS = 1.0
_LINGER_BYTES = 65_536

_PIECE_BYTES = 262_144  # then it is the next client's turn


_SEND_BUFFER_BYTES = 131_072  # of which Linux makes twice as much; by itself it gives a slow reader megabytes

_NOTHING = Request("GET", "", {}, keep_alive=False)


class Stage(Enum):
    """What a connection waits for."""

    HANDSHAKE = auto()
    REQUEST = auto()
    ANSWER = auto()
    SEND = auto()
    LINGER = auto()


class Gone(Exception):  # noqa: N818 - the usual end of a connection
    """There is nothing more to do for this client."""


class Connection:
    """One client's connection.

    Every method returns at once; what cannot be done yet is done by a later `go_on`, when the socket is ready for what
    is `wanted`.

    Args:
        sock: as it was accepted.
        context: TLS, or None for plain HTTP.
        now: monotonic seconds, as every `now` here.
        admits: tells after a TLS handshake whether the client may stay.
        posts: the paths that take a POST.

    Attributes:
        stage: what it waits for.
        wanted: the selector's event that lets it go on; 0 while it is the server's turn.
        waits_since: since when the server has had nothing to do but to wait for this client. A byte now and then does
            not change it: who drips is as idle as who is silent.
        deadline: when it is dropped if the stage has not ended.
        request: the newest that arrived whole; where none could be read, one that asks for no more.
    """

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext | None,
        now: float,
        admits: Callable[[ssl.SSLSocket], bool] = lambda _: True,
        posts: Collection[str] = (),
    ) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self.sock = (
            sock if context is None else context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        )
        self.stage = Stage.REQUEST if context is None else Stage.HANDSHAKE
        self.wanted = selectors.EVENT_READ
        self.waits_since = now
        self.deadline = now + REQUEST_SECONDS
        self.request = _NOTHING
        self._started: float | None = now  # of the current request; None between two
        self._admits = admits
        self._posts = posts
        self._received = bytearray()
        self._lingered = 0
        self._out: deque[memoryview] = deque()
        self._keep_alive = False

    @property
    def is_closed(self) -> bool:
        """Whether it was closed, here or by the other thread."""
        return self.sock.fileno() < 0

    @property
    def is_asking(self) -> bool:
        """Whether it has not sent its request yet."""
        return self.stage in (Stage.HANDSHAKE, Stage.REQUEST)

    def go_on(self, now: float) -> None:
        """Do what can be done by now; afterwards `stage` and `wanted` say what is next.

        Raises:
            Gone: the connection has ended.
            OSError: the same, less politely.
            Refused: what arrived is no request that is served.
        """
        try:
            if self.stage is Stage.HANDSHAKE:
                self._shake_hands()
            if self.stage is Stage.REQUEST:
                self._read_request(now)
            elif self.stage is Stage.SEND:
                self._send(now)
            elif self.stage is Stage.LINGER:
                self._linger()
        except ssl.SSLWantReadError:
            self.wanted = selectors.EVENT_READ
        except ssl.SSLWantWriteError:
            self.wanted = selectors.EVENT_WRITE
        except BlockingIOError:
            self.wanted = selectors.EVENT_WRITE if self.stage is Stage.SEND else selectors.EVENT_READ

    def answer(self, head: bytes, body: Pieces, now: float, *, keep_alive: bool) -> None:
        """Have an answer sent, and begin; as for `go_on`."""
        self._out.extend(map(memoryview, merged((head, *body))))
        self._keep_alive = keep_alive
        self.stage = Stage.SEND
        self.waits_since = now
        self.deadline = (now if self._started is None else self._started) + TOTAL_SECONDS
        self.go_on(now)

    def close(self) -> None:
        """End it; what was not sent yet is thrown away."""
        if self._out:
            # By a reset: else the kernel would keep megabytes for a reader that does not read.
            with suppress(OSError):
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._out.clear()
        self.sock.close()

    def _shake_hands(self) -> None:
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.do_handshake()
            if not self._admits(self.sock):
                raise Gone
        self.stage = Stage.REQUEST

    def _read_request(self, now: float) -> None:
        self.request = _NOTHING
        while (head := head_in(self._received)) is None:
            # Until nothing is left: TLS may hold what the selector does not know of.
            piece = self.sock.recv(HEAD_BYTES)
            if not piece:
                raise Gone
            if self._started is None:
                self._started = now
                self.deadline = now + REQUEST_SECONDS
            self._received += piece
        self._started = now if self._started is None else self._started
        self.deadline = self._started + TOTAL_SECONDS
        self.stage, self.wanted = Stage.ANSWER, 0
        self.request = parse(head, now, self._posts)

    def _send(self, now: float) -> None:
        room = _PIECE_BYTES
        while self._out:
            if room <= 0:
                self.wanted = selectors.EVENT_WRITE
                return
            piece = self._out[0]
            sent = self.sock.send(piece[:room])
            room -= sent
            if sent == len(piece):
                self._out.popleft()
            else:
                self._out[0] = piece[sent:]
        if self._keep_alive:
            self.stage, self._started = Stage.REQUEST, None
            self.waits_since, self.deadline = now, now + IDLE_SECONDS
            self._read_request(now)
        else:
            self._say_goodbye(now)

    def _say_goodbye(self, now: float) -> None:
        # Closing over unread bytes would reset the connection, and may take the answer from a client that reads late.
        if isinstance(self.sock, ssl.SSLSocket):
            with suppress(OSError, ValueError):  # it has sent its own goodbye, and waits for the client's in vain
                self.sock.unwrap()
        self.sock.shutdown(socket.SHUT_WR)
        self.stage, self.wanted = Stage.LINGER, selectors.EVENT_READ
        self.deadline = min(self.deadline, now + _LINGER_SECONDS)

    def _linger(self) -> None:
        while piece := self.sock.recv(HEAD_BYTES):
            self._lingered += len(piece)
            if self._lingered > _LINGER_BYTES:
                break
        raise Gone
