"""A bounded HTTP server that can be stopped: whatever its clients do, the next one is served. It knows no metrics.

One thread does all the waiting: it accepts, shakes hands, reads requests and sends answers, on sockets that never
block. A client that is silent, slow or half gone holds a descriptor and a few kilobytes, never a thread; only a request
that has arrived whole is answered, and by one of the workers where that takes time. With a thread for each of 16
connections, 200 clients that drip and connect again when dropped made a scrape wait for 8 s; here it takes 3 ms.
"""

import logging
import resource
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from http import HTTPStatus

from exporter.acceptor import Acceptor
from exporter.connection import Connection, Gone, Stage
from exporter.http1 import Refused, Response, answer_head, say
from exporter.listen import url
from exporter.log import fields, origin
from exporter.places import PAGES, Places, idlest
from exporter.router import Router
from exporter.workers import Workers

_log = logging.getLogger(__name__)

SMALL_BYTES = 262_144
"""An answer up to this size never waits: the kernel takes it whole, and `HELD` of them are 64 MiB if it does not."""

HELD = 256
"""The most connections in all, whatever they wait for; fewer where descriptors are few."""

HASTE_SECONDS = 0.05
"""What a client has to send its request in while all connections are taken: Prometheus does at once, a flood never."""

CLOSE_SECONDS = 1.5
"""What an answer on the way gets when the program is told to stop: a supervisor counts two seconds."""

WORKERS = 4
"""The threads that make answers which may take long. They share one interpreter lock: more make no page sooner."""

BEAT_SECONDS = 1.0
"""How often the thread that waits turns at least, so that one that hangs is told from one that has nothing to do."""

_ACCEPTED_AT_ONCE = 16
_ENDING_SECONDS = 1.0  # what a thread takes that only has to hear of it, many times over


class Server:
    """Serves what a router answers on some sockets from threads of its own, from its making until `close`.

    Args:
        sockets: bound ones; the server closes them. They share its limits.
        router: what is answered, and to whom.
        name: of its threads.

    Raises:
        RuntimeError: no thread is to be had.
    """

    def __init__(self, sockets: Sequence[socket.socket], router: Router, name: str = "web") -> None:
        self._router = router
        self._guard = router.guard
        secure = self._guard.tls() is not None
        self._urls = tuple(url(sock, secure=secure) for sock in sockets)
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        # Half of them stay free for the rest of the program.
        self._held = HELD if descriptors == resource.RLIM_INFINITY else max(PAGES, min(HELD, descriptors // 2))
        self._connections: dict[Connection, int] = {}  # to the selector's events that each is registered for
        self._asked: list[Connection] = []  # whose requests have arrived whole since the last turn answered such
        self._places = Places(self._drop)
        self._turned_at = time.monotonic()
        self._closing = threading.Event()
        self._closed_to_new = threading.Event()
        self._abandon = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._alarm, self._bell = socket.socketpair()
        self._acceptor = Acceptor(sockets, self._selector)
        for sock in (self._alarm, self._bell):
            sock.setblocking(False)
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._workers = Workers(WORKERS, name, self._respond, self._ring)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        try:
            self._acceptor.listen()
            self._workers.start()
            self._thread.start()
        except RuntimeError:
            self._end()
            raise

    @property
    def urls(self) -> tuple[str, ...]:
        """Where this machine reaches the sockets."""
        return self._urls

    @property
    def lives(self) -> bool:
        """Whether its threads run: they do until it is closed."""
        return self._thread.is_alive() and self._workers.live

    def silent_seconds(self) -> float:
        """Return for how long the thread that waits has not turned: hardly above `BEAT_SECONDS`, or it hangs."""
        return time.monotonic() - self._turned_at

    def stop(self) -> None:
        """Accept no more and close what is unused; what is being answered goes on."""
        self._closing.set()
        self._ring()
        self._closed_to_new.wait(_ENDING_SECONDS)

    def close(self, within: float = CLOSE_SECONDS) -> None:
        """Stop, and let what is being answered end within so many seconds. A thread that hangs is left to itself."""
        self.stop()
        self._thread.join(within)
        self._abandon.set()
        self._ring()
        self._thread.join(_ENDING_SECONDS)

    def _ring(self) -> None:
        with suppress(OSError):  # full: it rings already; closed: nobody is to be woken
            self._alarm.send(b"!")

    # The thread that waits: all that follows is its alone, but for _respond.

    def _run(self) -> None:
        try:
            while not self._abandon.is_set() and (self._connections or not self._closed_to_new.is_set()):
                self._turn()
        except BaseException as bug:  # noqa: BLE001 - a traceback of Python's own would print the exception's text
            _log.error("the server died", extra=fields(error=type(bug).__name__, at=origin(bug)))
        finally:
            self._end()

    def _end(self) -> None:
        # All of it: a probe that is refused at once says more than one that waits.
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        self._acceptor.close()
        self._alarm.close()
        self._bell.close()
        self._selector.close()
        self._closed_to_new.set()
        self._workers.stop()

    def _turn(self) -> None:
        for key, _ in self._selector.select(self._patience(time.monotonic())):
            if isinstance(key.data, Connection):
                if key.data in self._connections:
                    self._step(key.data, key.data.go_on)
            elif key.fileobj is self._bell:
                with suppress(BlockingIOError):
                    self._bell.recv(4_096)
            elif isinstance(key.fileobj, socket.socket):
                self._accept(key.fileobj)
        self._answer_asked()
        while done := self._workers.finished():
            self._finish(*done)
        now = self._turned_at = time.monotonic()
        for connection in [one for one in self._connections if one.deadline <= now]:
            self._drop(connection)
        for connection in self._places.admit(now):
            self._workers.do(connection)
        if self._closing.is_set() and not self._closed_to_new.is_set():
            self._close_to_new()
        self._acceptor.register(now)

    def _patience(self, now: float) -> float:
        """Return for how many seconds nothing is to be done unless somebody moves."""
        if self._asked:
            return 0.0
        deadlines = (one.deadline for one in self._connections)
        moments = now + BEAT_SECONDS, *deadlines, *self._places.next_free(), *self._acceptor.ends_pause()
        return max(0.0, min(moments) - now)

    def _step(self, connection: Connection, do: Callable[[float], None]) -> None:
        """Let a connection go on, and draw the consequences."""
        try:
            try:
                do(time.monotonic())
            except Refused as refused:
                self._send(connection, refused.response, time.monotonic())
        except (Gone, OSError) as end:  # a client that goes away in the middle of an answer is no event
            _log.debug("a connection ended", extra=fields(error=type(end).__name__))
            self._drop(connection)
        except Exception as bug:  # noqa: BLE001 - it must not take the other connections down
            _log.error("a connection broke", extra=fields(error=type(bug).__name__, at=origin(bug)))
            self._drop(connection)
        else:
            self._settle(connection)

    def _settle(self, connection: Connection) -> None:
        stage = connection.stage
        if stage is not Stage.SEND:
            self._places.leave(connection)
        if stage is Stage.ANSWER:
            self._asked.append(connection)  # when all that arrived was read: one page may do for several
        elif stage is not Stage.SEND and self._closing.is_set():
            self._drop(connection)
        else:
            self._register(connection)

    def _register(self, connection: Connection) -> None:
        """Have the selector wait for what the connection wants."""
        registered = self._connections[connection]
        if connection.wanted != registered:
            if not registered:
                self._selector.register(connection.sock, connection.wanted, connection)
            elif connection.wanted:
                self._selector.modify(connection.sock, connection.wanted, connection)
            else:
                self._selector.unregister(connection.sock)
            self._connections[connection] = connection.wanted

    def _answer_asked(self) -> None:
        """Answer the requests that arrived: here, where that takes no longer than to have a worker do it."""
        asked, self._asked = self._asked, []
        for connection in asked:
            response = self._router.at_once(connection.request)
            if response is None:
                self._workers.do(connection)
            else:
                self._finish(connection, response)
            if connection in self._connections:
                self._register(connection)

    def _finish(self, connection: Connection, response: Response) -> None:
        if connection not in self._connections:
            self._places.leave(connection)  # it was dropped, and its place kept while a worker was at it
            return
        is_large = response.length > SMALL_BYTES and connection.request.method != "HEAD"
        if is_large and not self._places.take(connection, response.body, time.monotonic()):
            return  # the page is thrown away and made again later: small ones cannot wait for the readers of large ones
        self._step(connection, partial(self._send, connection, response))

    def _respond(self, connection: Connection) -> Response:
        """Make the answer, in a worker's thread."""
        if connection.is_closed:
            return say(HTTPStatus.REQUEST_TIMEOUT, "Too late.")
        return self._router.respond(connection.request)

    def _send(self, connection: Connection, response: Response, now: float) -> None:
        request = connection.request
        keep_alive = request.keep_alive and not self._closing.is_set()
        head = answer_head(response, self._guard.headers(), time.time(), keep_alive=keep_alive)
        connection.answer(head, () if request.method == "HEAD" else response.body, now, keep_alive=keep_alive)

    def _drop(self, connection: Connection) -> None:
        if self._connections.pop(connection):
            self._selector.unregister(connection.sock)
        if connection.stage is not Stage.ANSWER:
            self._places.leave(connection)
        self._places.give_up(connection)
        connection.close()
        self._acceptor.resume()

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):  # then it is the others' turn
            now = time.monotonic()
            is_full = len(self._connections) >= self._held
            idle = idlest(self._connections, now)
            if is_full and idle is None:
                idle = idlest((one for one in self._connections if one.is_asking), now, HASTE_SECONDS)
            if is_full and idle is None:
                self._acceptor.pause(now)
                return
            try:
                sock = self._acceptor.accept(listener, now)
            except OSError:
                if idle is not None:
                    self._drop(idle)
                self._acceptor.pause(now)  # also then: what took the descriptors may take this one too
                return
            if sock is None:
                return
            if is_full and idle is not None:
                self._drop(idle)
            self._greet(sock, now)

    def _greet(self, sock: socket.socket, now: float) -> None:
        try:
            connection = Connection(sock, self._guard.tls(), now, self._guard.admits, self._router.posts)
        except Exception as bug:  # noqa: BLE001 - whatever the guard meets, the next connection may be well
            if not isinstance(bug, OSError):  # else the client has gone already
                _log.error("a connection broke", extra=fields(error=type(bug).__name__, at=origin(bug)))
            sock.close()
        else:
            self._connections[connection] = 0
            self._step(connection, connection.go_on)

    def _close_to_new(self) -> None:
        self._acceptor.close()
        for connection in tuple(self._connections):
            if connection.stage not in (Stage.ANSWER, Stage.SEND):
                self._drop(connection)
        self._closed_to_new.set()
