"""What the scrapes between two news have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from exporter.ages import Ages
    from exporter.families import Written


class Prepared(NamedTuple):
    """What scrapes are given until something changes: families, and what ages are made of.

    Attributes:
        outcome: what they were made of.
        epoch: by which wall times in them were computed.
        fresh: whether they have what LocalAI said.
        families: they.
        ages: None where there are none.
    """

    outcome: object
    epoch: float
    fresh: bool
    families: tuple[Written, ...]
    ages: Ages | None = None

    def holds(self, outcome: object, epoch: float, *, fresh: bool) -> bool:
        """Whether nothing has changed since."""
        return self.outcome is outcome and self.epoch == epoch and self.fresh == fresh
