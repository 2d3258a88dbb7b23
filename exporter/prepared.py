"""What the scrapes between two news have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from exporter.clock import Clock, steady_epoch

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from exporter.ages import Ages
    from exporter.families import Written

    class _View(Protocol):
        @property
        def received_at(self) -> float: ...

    class _Outcome(Protocol):
        @property
        def epoch(self) -> float: ...

        @property
        def view(self) -> _View | None: ...


OutcomeT = TypeVar("OutcomeT", bound="_Outcome")


class Basis(NamedTuple, Generic[OutcomeT]):
    """What a page is made of, but for the ages.

    Attributes:
        outcome: the newest; None before the first poll has ended.
        epoch: Unix time at which the monotonic clock was at 0, for what is published as wall time.
        fresh: whether the newest good answer is still shown.
    """

    outcome: OutcomeT | None
    epoch: float
    fresh: bool

    def equals(self, other: Basis[OutcomeT]) -> bool:
        """Whether the same pages would be made of it."""
        return self.outcome is other.outcome and self.epoch == other.epoch and self.fresh == other.fresh


class Prepared(NamedTuple):
    """What scrapes are given until something changes.

    Attributes:
        families: all but the ages.
        ages: what these are made of; None where there are none.
    """

    families: tuple[Written, ...]
    ages: Ages | None = None


class Keeper(Generic[OutcomeT]):
    """Has scrapes prepared when something has changed, and only then: until it does they are given the same objects.

    Args:
        clock: tells how old an answer is, and whether the wall clock was set.
        stale_after: seconds for which the last good answer is shown while polls fail.
        prepare: makes what scrapes are given.
    """

    def __init__(self, clock: Clock, stale_after: float, prepare: Callable[[Basis[OutcomeT]], Prepared]) -> None:
        self._clock = clock
        self._stale_after = stale_after
        self._prepare = prepare
        self._kept: tuple[Basis[OutcomeT], Prepared] | None = None

    def prepared(self, outcome: OutcomeT | None, now: float) -> Prepared:
        """Return what is given at a moment of the monotonic clock."""
        basis, kept = self._basis(outcome, now), self._kept
        if kept is None or not kept[0].equals(basis):
            self._kept = kept = None  # before the next one is made: it may hold an outcome of megabytes
            self._kept = kept = basis, self._prepare(basis)
        return kept[1]

    def _basis(self, outcome: OutcomeT | None, now: float) -> Basis[OutcomeT]:
        if outcome is None:
            return Basis(None, 0.0, fresh=False)
        view = outcome.view
        # On from what the newest scrape saw: a wall clock that was set is set once, not at every scrape.
        known = self._kept[0] if self._kept and self._kept[0].outcome is outcome else outcome
        fresh = view is not None and now - view.received_at <= self._stale_after
        return Basis(outcome, steady_epoch(known.epoch, self._clock), fresh)
