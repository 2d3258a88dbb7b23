"""The places of a server's large answers: which pages are on their way, who waits for one, and who gives way."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from exporter.connection import Connection, Stage
from exporter.pieces import Pieces

PAGES = 16
"""The most large pages that are on their way at once, each to any number of readers: so many are held in memory."""

GIVE_WAY_SECONDS = 1.0
"""What a client that the server waits for has, before it gives way to one that waits for the server."""


def idlest(among: Iterable[Connection], now: float, patience: float = GIVE_WAY_SECONDS) -> Connection | None:
    """Return the client that was waited for longest, if that is longer than `patience`, in seconds."""
    idle = [one for one in among if one.stage is not Stage.ANSWER and one.waits_since + patience <= now]
    return min(idle, key=lambda one: one.waits_since, default=None)


class Places:
    """First come, first served; the readers of the oldest page give way. Times are in monotonic seconds.

    Args:
        drop: ends the connection of whoever gives way, and calls `leave` for it.
    """

    def __init__(self, drop: Callable[[Connection], None]) -> None:
        self._drop = drop
        self._taken: dict[Connection, Pieces | None] = {}  # to the page that it is sent; None while that is made
        self._waiting: deque[Connection] = deque()

    def take(self, connection: Connection, page: Pieces, now: float) -> bool:
        """Tell whether a page may be sent; else the connection waits, and `admit` will return it.

        A page that is on its way to somebody takes no place of its own.
        """
        is_held = connection in self._taken or any(held is page for held in self._taken.values())
        if not is_held and (self._waiting or not self._has_one(now)):
            self._waiting.append(connection)
            return False
        self._taken[connection] = page
        return True

    def admit(self, now: float) -> Iterator[Connection]:
        """Give places to those who wait, as far as there is room, and return each."""
        while self._waiting and self._has_one(now):
            connection = self._waiting.popleft()
            self._taken[connection] = None
            yield connection

    def leave(self, connection: Connection) -> None:
        """Note that a connection needs its place no more, if it has one."""
        self._taken.pop(connection, None)

    def give_up(self, connection: Connection) -> None:
        """Note that a connection waits no more, if it did."""
        if connection in self._waiting:
            self._waiting.remove(connection)

    def next_free(self) -> list[float]:
        """Return when the readers of the oldest page have to give way; nothing where nobody waits for that."""
        since = self._read_since() if self._waiting else {}
        return [min(since.values()) + GIVE_WAY_SECONDS] if since else []

    def _has_one(self, now: float) -> bool:
        since = self._read_since()
        if self._count(since) >= PAGES and since:
            oldest = min(since, key=lambda page: since[page])
            if since[oldest] + GIVE_WAY_SECONDS <= now:
                for reader in [one for one, page in self._taken.items() if page is not None and id(page) == oldest]:
                    self._drop(reader)
                del since[oldest]
        return self._count(since) < PAGES

    def _count(self, since: dict[int, float]) -> int:
        return len(since) + sum(page is None for page in self._taken.values())

    def _read_since(self) -> dict[int, float]:
        """Return since when each page, by its identity, has been waited for: by its last reader, if by several."""
        since: dict[int, float] = {}
        for reader, page in self._taken.items():
            if page is not None:
                since[id(page)] = max(since.get(id(page), reader.waits_since), reader.waits_since)
        return since
