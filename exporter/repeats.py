"""An answer that says the same as the one before, but for when its nodes were last seen, is not parsed again.

LocalAI lists nodes by their ids since v4, and as long as none of them comes, goes or changes nothing else moves. To
take the moments out of such an answer and compare the rest takes a quarter of the time that it takes to parse it.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import cycle
from operator import eq

from exporter.deadline import while_on_time
from exporter.decode import Lists
from exporter.entries import moment_of
from exporter.model import Node
from exporter.strictjson import Budget

_KEY = b'"lastSeen":"'
# What stands around it makes it a string of its own in JSON, and none of these characters needs to be escaped in one.
# Go writes no more of them than 35: with nine digits of a second, and an offset.
_LAST_SEEN = re.compile(_KEY + rb'([0-9TtZz:.+-]{0,35})"')
_STRETCH_BYTES = 262_144  # as much at a time, so that its parts take no time and no memory to speak of


@dataclass(frozen=True, slots=True)
class _Known:
    """What the newest answer taught.

    Attributes:
        digest: of all that it said, but for the moments.
        lists: what it meant. None where it is known that the moments are not those of the nodes in their order, and
            then perhaps the same again, or that they decide on more.
        now: LocalAI's Unix time that it was read with.
        is_tried: whether the moments are known to be just that.
    """

    digest: bytes
    lists: Lists | None
    now: float
    is_tried: bool = False


class Reader:
    """Reads the answers of one endpoint, one after the other; as many nodes are allowed in each of them.

    Args:
        read: reads one of them: `decode.workers`, or `decode.federation`.
    """

    def __init__(self, read: Callable[[bytes, float, Budget], Lists]) -> None:
        self._read = read
        self._known = _Known(b"", None, 0.0)

    def __call__(self, body: bytes, now: float, budget: Budget) -> Lists:
        """Return what it says; arguments and errors are those of `read`."""
        known = self._known
        digest, moments = _taken_apart(body, budget)
        if digest != known.digest:
            del moments  # they take megabytes where there are many nodes, and so does what is next
            lists = self._read(body, now, budget)
            self._known = _Known(digest, lists, now)
            return lists
        if known.lists is None:
            return self._read(body, now, budget)
        nodes = sum(len(found.nodes) for found in known.lists.by_kind.values())
        # v4 lists workers twice: whoever of the two a moment is read for, it is the same.
        if moments[nodes:] != moments[: len(moments) - nodes]:
            return self._read(body, now, budget)
        if not known.is_tried:
            # What was said twice may well be said again. If time is over meanwhile, that is not to happen again.
            self._known = replace(known, lists=None)
            if not self._is_regular(body, known.lists, known.now, budget):
                return self._read(body, now, budget)
        lists = _seen_at(known.lists, _read_moments(moments, now, budget))
        self._known = replace(known, lists=lists, is_tried=True)
        return lists

    def _is_regular(self, body: bytes, before: Lists, now: float, budget: Budget) -> bool:
        """Read an answer with other moments in it, which tell whose each is.

        Args:
            body: it.
            before: what it meant with the moments of the one before.
            now: LocalAI's Unix time that this was read with.
            budget: as for all reading.
        """
        seen = _last_seen(before)
        marks = [number / 1e9 for number in range(len(seen))]
        # Equal moments stay so, because the lists that repeat each other take less memory.
        numbers = cycle(range(max(1, len(seen))))

        def marked(_: re.Match[bytes]) -> bytes:
            return b'%b1970-01-01T00:00:00.%09dZ"' % (_KEY, next(numbers))

        body = b"".join(_LAST_SEEN.sub(marked, stretch) for stretch in _stretches(body, budget))
        lists = self._read(body, now, budget)
        if any(found.invalid or found.duplicate or found.ruled for found in lists.by_kind.values()):
            return False
        # Who was seen at its mark before may have a moment that was not taken out, and would keep it.
        return _last_seen(lists) == marks and not any(map(eq, seen, marks))


def _stretches(body: bytes, budget: Budget) -> Iterator[bytes]:
    """Yield an answer piece by piece, where it can be between its moments."""
    start = 0
    while start < len(body):
        budget.on_time()
        end = body.find(_KEY, start + _STRETCH_BYTES, start + 2 * _STRETCH_BYTES)
        if end < 0:
            end = start + 2 * _STRETCH_BYTES
        yield body[start:end]
        start = end


def _taken_apart(body: bytes, budget: Budget) -> tuple[bytes, list[bytes]]:
    """Return a digest of an answer without its moments, and these."""
    digest = hashlib.sha256()
    moments: list[bytes] = []
    for stretch in _stretches(body, budget):
        parts = _LAST_SEEN.split(stretch)
        # In place of each moment stands a NUL, which no JSON has.
        digest.update(b"\0".join(parts[0::2]))
        moments += parts[1::2]
    # What has a NUL of its own, and so is no JSON, has fewer moments than NULs.
    digest.update(b"\0%d" % len(moments))
    return digest.digest(), moments


def _last_seen(lists: Lists) -> list[float | None]:
    return [node.last_seen for found in lists.by_kind.values() for node in found.nodes]


def _read_moments(moments: Iterable[bytes], now: float, budget: Budget) -> Iterator[float | None]:
    return (moment_of(moment.decode(), now) for moment in while_on_time(moments, budget.on_time))


def _seen_at(lists: Lists, moments: Iterator[float | None]) -> Lists:
    by_kind = {
        # There may be more moments than nodes. None is lost for the next list: `map` asks the nodes first.
        kind: replace(found, nodes=tuple(map(Node.seen_at, found.nodes, moments)))
        for kind, found in lists.by_kind.items()
    }
    return replace(lists, by_kind=by_kind)
