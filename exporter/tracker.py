"""What moved from one good poll to the next: heartbeats, on the exporter's own clock, and memberships.

LocalAI compares the node's clock with its own. A dead node whose clock runs ahead stays online, and a living one whose
clock lags flaps. That a node's last-seen moved is liveness which needs no clock but ours.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from exporter.deadline import OnTime, unhurried, while_on_time
from exporter.model import Change, Kind, Node, Snapshot

Tracks = Mapping[Kind, Mapping[str, "Track"]]
"""What is remembered of each node, by kind and id."""

RESET_AFTER_POLLS = 3
"""A last-seen that was below its highest value for so many polls in a row has really stepped back: the node's clock was
set, say. Fewer than that are a load balancer's other instance, whose view of a dead node is older."""


class Track(NamedTuple):
    """What is remembered of one node; times are monotonic seconds of the exporter's clock.

    Attributes:
        online: the newest verdict.
        first_seen_at: when LocalAI first listed it.
        highest: the highest last-seen.
        polls_below: for how many polls in a row it has been below that.
        moved_at: when `highest` last rose; None until it did. The first sight is no movement.
    """

    online: bool
    first_seen_at: float
    highest: float | None
    polls_below: int = 0
    moved_at: float | None = None

    def follow(self, node: Node, now: float) -> "Track":
        """Return what is known after one more sight of the node."""
        seen, highest = node.last_seen, self.highest
        if seen is not None and highest is not None and seen > highest:
            return Track(node.online, self.first_seen_at, seen, 0, now)
        if seen == highest and node.online == self.online and not self.polls_below:
            return self
        polls_below = self.polls_below
        if seen is not None:
            if highest is None:
                highest = seen
            elif seen == highest:
                polls_below = 0
            elif polls_below + 1 < RESET_AFTER_POLLS:
                polls_below += 1
            else:
                highest, polls_below = seen, 0
        return Track(node.online, self.first_seen_at, highest, polls_below, self.moved_at)


@dataclass(frozen=True, slots=True)
class Tracked:
    """Everything that is remembered: the nodes of the newest good poll, and the changes since the start.

    Attributes:
        tracks: of every node; one that LocalAI forgot is forgotten here too. None before the first good poll.
        changes: how often each change happened, for every kind that was ever known.
    """

    tracks: Tracks | None = None
    changes: Mapping[tuple[Kind, Change], int] = field(default_factory=dict)


def track(before: Tracked, snapshot: Snapshot, now: float, on_time: OnTime = unhurried) -> Tracked:
    """Return what is known after a good poll. The first one is a baseline, and counts no change.

    Args:
        before: what was known.
        snapshot: what LocalAI answered.
        now: monotonic time in seconds.
        on_time: called all the while; what it raises ends the work.
    """
    known = before.tracks or {}
    tracks: dict[Kind, dict[str, Track]] = {}
    kind: Kind | None = None
    old: Mapping[str, Track] = {}
    new: dict[str, Track] = {}
    for node in while_on_time(snapshot.nodes, on_time):
        if node.kind is not kind:  # one list follows on the other
            kind = node.kind
            old, new = known.get(kind, {}), tracks.setdefault(kind, {})
        before_it = old.get(node.id)
        new[node.id] = before_it.follow(node, now) if before_it else Track(node.online, now, node.last_seen)
    changes = {(kind, change): 0 for kind in snapshot.counts for change in Change} | dict(before.changes)
    if before.tracks is not None:
        # A kind that this generation does not know any more still loses its nodes.
        for either in tracks.keys() | known.keys():
            for change in while_on_time(_changes(known.get(either, {}), tracks.get(either, {})), on_time):
                changes[either, change] = changes.get((either, change), 0) + 1
    return Tracked(tracks, changes)


def _changes(before: Mapping[str, Track], after: Mapping[str, Track]) -> Iterator[Change]:
    for node_id, new in after.items():
        old = before.get(node_id)
        if old is None:
            yield Change.JOINED
        elif old.online != new.online:
            yield Change.RETURNED if new.online else Change.LOST
    for _ in before.keys() - after.keys():
        yield Change.FORGOTTEN
