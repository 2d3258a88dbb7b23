"""Which target is polled next, and when: evenly spaced, and nobody waits for those that hang; pure.

A target has its moment in the interval by its name, so that the polls of many spread by themselves, and keep their
places. Where a poll is due and no worker is free it waits its turn. Who was slow the last time waits behind all others,
for a half of the workers: so those that hang for long cost the others nothing.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from exporter.shard import fraction

SLOW_SECONDS = 1.0
"""A poll that takes longer is slow: a healthy LocalAI answers in ten milliseconds or so, one that hangs never does."""

FIRST_POLLS_PER_SECOND = 100.0
"""How fast polls begin that have no place yet: a few targets at once, a thousand over ten seconds."""

_EACH_ITS_OWN = 32
"""Up to so many targets there is a worker for each."""


def workers(targets: int) -> int:
    """Return how many polls may be under way at once.

    With one for each four targets no poll begins later than four timeouts after it was due, even where all targets
    begin to hang at the same moment: with the defaults none counts as stale by then.
    """
    return min(targets, max(_EACH_ITS_OWN, -(-targets // 4)))


def reserved(targets: int) -> int:
    """Return how many of the workers never poll a target that was slow the last time."""
    most = workers(targets)
    return 0 if most == targets else most - most // 2


@dataclass(slots=True, eq=False)
class Turn:
    """A target's place in the schedule.

    Attributes:
        name: the target's.
        poll: does it.
        interval: from the start of one poll to the start of the next, in seconds.
        timeout: what a poll may take.
        due: when the next one is to begin, in monotonic seconds as all times here.
        began: when the one that is under way did; None between two.
        was_slow: whether the newest one was.
        is_gone: whether it has been removed.
    """

    name: str
    poll: Callable[[], object]
    interval: float
    timeout: float
    due: float = 0.0
    began: float | None = None
    was_slow: bool = False
    is_gone: bool = False


class Schedule:
    """For one thread at a time."""

    def __init__(self) -> None:
        self._turns: dict[str, Turn] = {}
        self._coming: list[tuple[float, int, Turn]] = []
        self._number = itertools.count()
        self._quick: deque[Turn] = deque()
        self._slow: deque[Turn] = deque()
        self._under_way: set[Turn] = set()

    def add(self, turns: Iterable[Turn], now: float) -> None:
        """Have targets polled from now on; a name that is there already must have been removed."""
        added = list(turns)
        for turn in added:
            within = min(turn.interval, len(added) / FIRST_POLLS_PER_SECOND)
            turn.due = now + fraction(turn.name) * within
            self._turns[turn.name] = turn
            self._push(turn)

    def remove(self, name: str) -> None:
        """Poll a target no more; a poll that is under way goes on to its end."""
        self._turns.pop(name).is_gone = True

    def begin(self, now: float) -> Turn | None:
        """Return the next turn whose poll is to begin now, once; None where there is none, or no worker for it."""
        while self._coming and self._coming[0][0] <= now:
            turn = heapq.heappop(self._coming)[2]
            (self._slow if turn.was_slow else self._quick).append(turn)
        count = len(self._turns)
        # Those that are gone end beside the others, at their deadlines.
        staying = [one for one in self._under_way if not one.is_gone]
        if len(staying) >= workers(count):
            return None
        slow_ones = sum(one.was_slow for one in staying)
        chosen = self._first(self._quick)
        if chosen is None and slow_ones < workers(count) - reserved(count):
            chosen = self._first(self._slow)
        if chosen is not None:
            chosen.began = now
            self._under_way.add(chosen)
        return chosen

    def end(self, turn: Turn, now: float) -> None:
        """Note that a poll has ended, and when the next one is due."""
        began = now if turn.began is None else turn.began
        self._under_way.discard(turn)
        turn.began, turn.was_slow = None, now - began > SLOW_SECONDS
        if not turn.is_gone:
            # The first poll began between two of its moments: the second is at none that comes too soon after it.
            turn.due = next_moment(turn.name, turn.interval, max(now, turn.due + turn.interval / 2))
            self._push(turn)

    @property
    def next_due(self) -> float | None:
        """When the next poll is due that is not yet waiting for a worker; None where there is none."""
        return self._coming[0][0] if self._coming else None

    @property
    def under_way(self) -> frozenset[Turn]:
        """The polls that have begun and not ended."""
        return frozenset(self._under_way)

    @property
    def limit(self) -> int:
        """How many may be under way, of those that are not gone."""
        return workers(len(self._turns))

    @property
    def targets(self) -> int:
        """How many targets there are."""
        return len(self._turns)

    @property
    def slow(self) -> int:
        """How many of them were slow at their newest poll."""
        return sum(turn.was_slow for turn in self._turns.values())

    @property
    def waiting(self) -> int:
        """How many polls are due, and wait for a worker."""
        return sum(not turn.is_gone for turn in (*self._quick, *self._slow))

    def _push(self, turn: Turn) -> None:
        heapq.heappush(self._coming, (turn.due, next(self._number), turn))

    def _first(self, waiting: deque[Turn]) -> Turn | None:
        while waiting:
            turn = waiting.popleft()
            if not turn.is_gone:
                return turn
        return None


def next_moment(name: str, interval: float, after: float) -> float:
    """Return a target's first moment after a monotonic time."""
    place = fraction(name) * interval
    moment = place + (after - place) // interval * interval + interval
    return moment if moment > after else moment + interval
