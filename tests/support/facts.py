"""The numbers that the dashboard owes to what is true at one moment, every node counted once."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from exporter.model import Kind
from support.scene import EXPECTED, SCRIPTS, Node, Sight

UNHEARD_SECONDS = 23.0
"""A story polls every 15 s, and its scrape comes 8 s later: so long it may not have heard of a heartbeat."""

Row = tuple[str, str, str, str]
"""Role, backend, host and id of a node, as labels have them."""


@dataclass(frozen=True)
class Facts:
    """What the LocalAIs of a scene say at a moment.

    Attributes:
        nodes: how each instance that knows a node sees it.
        before: the same, at moments before this one.
    """

    nodes: Mapping[Node, Mapping[str, Sight]]
    before: Sequence[Mapping[Node, Mapping[str, Sight]]] = ()

    def online(self, role: str) -> int:
        """Return how many nodes of a role some LocalAI calls online."""
        return sum(kind.role == role and _online(seen) for (kind, _, _), seen in self.nodes.items())

    def missing(self, role: str) -> int:
        """Return how many fewer those are than expected."""
        return EXPECTED[role] - self.online(role)

    @property
    def offline(self) -> int:
        """How many nodes are known and online to nobody."""
        return len(self.nodes) - sum(map(self.online, EXPECTED))

    @property
    def disputed(self) -> int:
        """How many nodes one LocalAI calls online and another offline."""
        return sum(len({sight.online for sight in seen.values()}) == 2 for seen in self.nodes.values())

    @property
    def hidden(self) -> int:
        """How many nodes have no series, as the instance that hides the most of a kind counts them."""
        most: Counter[Kind] = Counter()
        for instance in SCRIPTS:
            of_kind = Counter(
                kind for (kind, _, _), seen in self.nodes.items() if instance in seen and not seen[instance].shown
            )
            most |= of_kind
        return most.total()

    @property
    def oldest_online(self) -> tuple[float, float]:
        """Between which ages the oldest heartbeat is of the nodes that are online."""
        ages = [_ages(seen) for seen in self.nodes.values() if _online(seen)]
        return max(newest for newest, _ in ages), max(before for _, before in ages)

    def online_by_kind(self) -> dict[tuple[str, str], int]:
        """Return how many nodes are online by role and backend."""
        counted = Counter((kind.role, kind.backend) for (kind, _, _), seen in self.nodes.items() if _online(seen))
        return dict(counted)

    def online_by_instance(self) -> dict[tuple[str, str], int]:
        """Return how many nodes each instance calls online, by instance and role."""
        return {
            (instance, role): sum(
                kind.role == role and instance in seen and seen[instance].online
                for (kind, _, _), seen in self.nodes.items()
            )
            for instance in SCRIPTS
            for role in EXPECTED
        }

    def online_by_host(self) -> dict[tuple[str, str, str], int]:
        """Return how many nodes are online by role, backend and host, to the instance that sees the most."""
        counted: Counter[tuple[tuple[str, str, str], str]] = Counter()
        for (role, backend, host, _), seen in self._shown():
            for instance, sight in seen.items():
                if sight.shown:
                    counted[(role, backend, host), instance] += sight.online
        most: dict[tuple[str, str, str], int] = {}
        for (key, _), count in counted.items():
            most[key] = max(count, most.get(key, 0))
        return most

    def ids_by_host(self) -> dict[tuple[str, str, str], int]:
        """Return how many ids have series, by role, backend and host."""
        return dict(Counter(row[:3] for row, _ in self._shown()))

    def statuses(self, instance: str = "") -> dict[Row, bool]:
        """Return which nodes have series, and whether they are online; to one instance alone where it is given."""
        return {
            row: _online({instance: seen[instance]} if instance else seen)
            for row, seen in self._shown()
            if not instance or (instance in seen and seen[instance].shown)
        }

    def ages(self) -> dict[Row, tuple[float, float]]:
        """Return the age of each node's newest heartbeat, to the LocalAI that heard it last.

        Two ages: of a heartbeat that has just come an exporter may not have heard yet.
        """
        return {row: _ages(seen) for row, seen in self._shown()}

    def greatest_ages(self) -> dict[Row, tuple[float, float]]:
        """Return between which ages the greatest one since `before` is, to the LocalAI that hears the node best."""
        return {
            (kind.role, kind.backend, host, name): (
                min(min(sight.age, sight.age_before) for sight in seen.values()),
                min(max(self._ages_to(instance, (kind, host, name))) for instance in seen) + UNHEARD_SECONDS,
            )
            for (kind, host, name), seen in self.nodes.items()
            if any(sight.shown for sight in seen.values())
        }

    def _ages_to(self, instance: str, node: Node) -> Iterator[float]:
        return (seen[node][instance].age for seen in (self.nodes, *self.before) if instance in seen.get(node, ()))

    def listed_by(self) -> dict[Row, int]:
        """Return how many instances have series of each node."""
        return {row: sum(sight.shown for sight in seen.values()) for row, seen in self._shown()}

    def _shown(self) -> Iterator[tuple[Row, Mapping[str, Sight]]]:
        for (kind, host, name), seen in self.nodes.items():
            if any(sight.shown for sight in seen.values()):
                yield (kind.role, kind.backend, host, name), seen


def _online(seen: Mapping[str, Sight]) -> bool:
    return any(sight.online for sight in seen.values())


def _ages(seen: Mapping[str, Sight]) -> tuple[float, float]:
    shown = [sight for sight in seen.values() if sight.shown]
    return min(sight.age for sight in shown), min(sight.age_before for sight in shown)
