"""The places of a server's large answers: who has one, who waits for one, and who gives way."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from exporter.connection import Connection, Stage

PAGES = 16
"""The most large answers that are on their way at once; who asks for one more waits until one has ended."""

GIVE_WAY_SECONDS = 1.0
"""What a client that the server waits for has, before it gives way to one that waits for the server."""


def idlest(among: Iterable[Connection], now: float) -> Connection | None:
    """Return the client that was waited for longest, if that is longer than `GIVE_WAY_SECONDS`."""
    idle = [one for one in among if one.stage is not Stage.ANSWER and one.waits_since + GIVE_WAY_SECONDS <= now]
    return min(idle, key=lambda one: one.waits_since, default=None)


class Places:
    """First come, first served; an idle reader gives way. Times are in monotonic seconds.

    Args:
        drop: ends the connection of whoever gives way, and calls `leave` for it.
    """

    def __init__(self, drop: Callable[[Connection], None]) -> None:
        self._drop = drop
        self._taken: set[Connection] = set()
        self._waiting: deque[Connection] = deque()

    def take(self, connection: Connection, now: float) -> bool:
        """Tell whether a connection has a place, or could be given one; else it waits, and `admit` will return it."""
        if connection in self._taken:
            return True
        if self._waiting or not self._has_one(now):
            self._waiting.append(connection)
            return False
        self._taken.add(connection)
        return True

    def admit(self, now: float) -> Iterator[Connection]:
        """Give places to those who wait, as far as there is room, and return each."""
        while self._waiting and self._has_one(now):
            connection = self._waiting.popleft()
            self._taken.add(connection)
            yield connection

    def leave(self, connection: Connection) -> None:
        """Note that a connection needs its place no more, if it has one."""
        self._taken.discard(connection)

    def give_up(self, connection: Connection) -> None:
        """Note that a connection waits no more, if it did."""
        if connection in self._waiting:
            self._waiting.remove(connection)

    def moments(self) -> list[float]:
        """Return when a place can become free by a reader that gives way; nothing where nobody waits for one."""
        return [one.waits_since + GIVE_WAY_SECONDS for one in self._taken if one.stage is Stage.SEND and self._waiting]

    def _has_one(self, now: float) -> bool:
        if len(self._taken) >= PAGES and (reader := idlest(self._taken, now)):
            self._drop(reader)
        return len(self._taken) < PAGES
