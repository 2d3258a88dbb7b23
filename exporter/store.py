"""The newest outcome, swapped whole: a scrape sees one poll or the next, never a half of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exporter.fleet import FleetOutcome
    from exporter.model import Outcome


class Store:
    """Written by the poll loop, read by every scrape. One reference is swapped, which Python does in one step."""

    def __init__(self) -> None:
        self._outcome: Outcome | None = None
        self._fleet: FleetOutcome | None = None

    def publish(self, outcome: Outcome) -> None:
        """Make an outcome the newest."""
        self._outcome = outcome

    def latest(self) -> Outcome | None:
        """Return the newest outcome; None before the first poll has ended."""
        return self._outcome

    def publish_fleet(self, outcome: FleetOutcome) -> None:
        """Make an outcome of distributed mode the newest."""
        self._fleet = outcome

    def latest_fleet(self) -> FleetOutcome | None:
        """Return the newest outcome of distributed mode; None before it was first asked for."""
        return self._fleet
