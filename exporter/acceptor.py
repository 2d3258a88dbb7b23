"""The listening sockets of a server: when they are waited for, and what comes of a want of descriptors."""

import errno
import logging
import selectors
import socket
from collections.abc import Sequence

from exporter.log import fields

_log = logging.getLogger(__name__)

_BACKLOG = 1_024  # a connection that finds it full is tried again only after a second
_PAUSE_SECONDS = 0.1  # between two tries to accept where there is no room, or no descriptor
_ENDED_SECONDS = 60.0  # a want that comes back sooner has not ended: each client that goes lets one more in


class Acceptor:
    """Takes connections in, until it is closed. For one thread; times are in monotonic seconds.

    Args:
        sockets: bound ones; `close` closes them.
        selector: what the thread waits with.
    """

    def __init__(self, sockets: Sequence[socket.socket], selector: selectors.BaseSelector) -> None:
        self._sockets = sockets
        self._selector = selector
        self._from = 0.0
        self._is_waited_for = False
        self._is_closed = False
        self._short_until = 0.0
        for sock in sockets:
            sock.setblocking(False)

    def listen(self) -> None:
        """Let clients connect from now on."""
        for sock in self._sockets:
            sock.listen(_BACKLOG)

    def accept(self, listener: socket.socket, now: float) -> socket.socket | None:
        """Return the next connection, or None where nobody waits.

        Raises:
            OSError: there is no descriptor for it, or no memory, as the log says once until that has ended. The socket
                stays ready: without a pause it would be asked for ever.
        """
        try:
            sock, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return None
        except OSError as error:
            if now >= self._short_until:
                name = errno.errorcode.get(error.errno or 0, "unknown error")
                _log.warning("no connection can be accepted; they wait", extra=fields(error=name))
            self._short_until = now + _ENDED_SECONDS
            raise
        return sock

    def pause(self, now: float) -> None:
        """Leave those who connect in the kernel's backlog for a moment, where it costs nothing."""
        self._from = now + _PAUSE_SECONDS

    def resume(self) -> None:
        """Make no pause: there is room."""
        self._from = 0.0

    def register(self, now: float) -> None:
        """Have the selector wait for the sockets, or not, as it is due."""
        wanted = not self._is_closed and now >= self._from
        if wanted != self._is_waited_for:
            for sock in self._sockets:
                if wanted:
                    self._selector.register(sock, selectors.EVENT_READ)
                else:
                    self._selector.unregister(sock)
            self._is_waited_for = wanted

    def ends_pause(self) -> list[float]:
        """Return when the pause ends, where one is made."""
        return [] if self._is_waited_for or self._is_closed else [self._from]

    def close(self) -> None:
        """Accept no more."""
        self._is_closed = True
        self.register(0.0)
        for sock in self._sockets:
            sock.close()
