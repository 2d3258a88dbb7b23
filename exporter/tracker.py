"""What moved from one good poll to the next: heartbeats, on the exporter's own clock, and memberships.

LocalAI compares the node's clock with its own. A dead node whose clock runs ahead stays online, and a living one whose
clock lags flaps. That a node's last-seen moved is liveness which needs no clock but ours.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from exporter.deadline import OnTime, unhurried, while_on_time
from exporter.model import Change, Kind, Node, Snapshot, Track

Tracks = Mapping[Kind, Mapping[str, Track]]
"""Those of all nodes, by kind and id."""

RESET_AFTER_POLLS = 3
"""A last-seen that was below its highest value for so many polls in a row has really stepped back: the node's clock was
set, say. Fewer than that are a load balancer's other instance, whose view of a dead node is older."""


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
        new[node.id] = _followed(before_it, node, now) if before_it else Track(node, now, node.last_seen)
    changes = {(kind, change): 0 for kind in snapshot.counts for change in Change} | dict(before.changes)
    if before.tracks is not None:
        # A kind that this generation does not know any more still loses its nodes.
        for either in tracks.keys() | known.keys():
            for change in while_on_time(_changes(known.get(either, {}), tracks.get(either, {})), on_time):
                changes[either, change] = changes.get((either, change), 0) + 1
    return Tracked(tracks, changes)


def _followed(before: Track, node: Node, now: float) -> Track:
    """Return what is known after one more sight of a node."""
    _, first_seen_at, highest, polls_below, moved_at = before
    seen = node.last_seen
    if seen is not None:
        if highest is None:
            highest = seen
        elif seen > highest:
            highest, polls_below, moved_at = seen, 0, now
        elif seen == highest:
            polls_below = 0
        elif polls_below + 1 < RESET_AFTER_POLLS:
            polls_below += 1
        else:
            highest, polls_below = seen, 0
    return Track(node, first_seen_at, highest, polls_below, moved_at)


def _changes(before: Mapping[str, Track], after: Mapping[str, Track]) -> Iterator[Change]:
    for node_id, new in after.items():
        old = before.get(node_id)
        if old is None:
            yield Change.JOINED
        elif old.node.online != new.node.online:
            yield Change.RETURNED if new.node.online else Change.LOST
    for _ in before.keys() - after.keys():
        yield Change.FORGOTTEN
