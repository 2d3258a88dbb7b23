"""What good polls taught of one LocalAI, and what makes one doubt that it is still true."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.model import ClockReading, Kind, ServerInfo, Snapshot, Source

NEVER = float("-inf")

Ids = Mapping[Kind, frozenset[str]]
"""Those of nodes, by kind."""

CLOCK_JUMP_SECONDS = 2.5
"""Two readings of one clock differ by up to two seconds: `Date` is cut to one, and may be a second old (fasthttp)."""

DOUBTS = 30
"""So many doubts in a row may turn out to be groundless before the next ones have to wait."""

DOUBT_AGAIN_SECONDS = 60.0
"""How long it takes until one more groundless doubt is allowed."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known of LocalAI since it last changed; empty at the start and after a failure.

    Attributes:
        source: where the nodes were read.
        generation: the shape that the answers had.
        ids: every node that LocalAI listed.
        clock: its clock.
        lists_asked_at: when the three list endpoints were last asked for, in monotonic seconds as all times here.
        info_asked_at: when version and capability were last asked for.
        token_read_at: when the token was last asked for.
        version: what `/version` said.
        capable: whether the well-known document said that P2P is on.
        has_token: whether there was a token.
        fingerprint: the token's.
    """

    source: Source | None = None
    generation: str = ""
    ids: Ids = field(default_factory=dict)
    clock: ClockReading | None = None
    lists_asked_at: float = NEVER
    info_asked_at: float = NEVER
    token_read_at: float = NEVER
    version: str | None = None
    capable: bool | None = None
    has_token: bool | None = None
    fingerprint: str | None = None

    def info(self) -> ServerInfo:
        """What LocalAI says of itself; on whether P2P is on, the well-known document goes before the token."""
        enabled = self.has_token if self.capable is None else self.capable
        return ServerInfo(self.version, enabled, self.fingerprint)

    def is_doubted_by(self, snapshot: Snapshot, ids: Ids) -> bool:
        """Whether LocalAI may have become another process since, and so another release or another configuration.

        It never forgets a node until it restarts, lists the first ones when P2P goes on, and its clock does not jump.

        Args:
            snapshot: what it says now.
            ids: what is `listed` there.
        """
        forgot = any(not known <= ids.get(kind, frozenset()) for kind, known in self.ids.items())
        first_came = any(ids.values()) > any(self.ids.values())
        return forgot or first_came or self._clock_jumped(snapshot.clock)

    def _clock_jumped(self, clock: ClockReading) -> bool:
        if self.clock is None or not (self.clock.exact and clock.exact):
            return False
        return abs(clock.server - self.clock.at(clock.monotonic)) > CLOCK_JUMP_SECONDS

    def says_the_same_as(self, other: "Memory") -> bool:
        """Whether the two differ in nothing that had to be asked for."""
        return (self.source, self.generation, self.info()) == (other.source, other.generation, other.info())


def listed(snapshot: Snapshot) -> Ids:
    """Return the ids of a snapshot's nodes, by kind."""
    ids: dict[Kind, list[str]] = {}
    for node in snapshot.nodes:
        ids.setdefault(node.kind, []).append(node.id)
    return {kind: frozenset(of_kind) for kind, of_kind in ids.items()}


class Doubts:
    """How many groundless doubts are left: each costs LocalAI requests, and a load balancer could raise one a poll."""

    def __init__(self) -> None:
        self._left = float(DOUBTS)
        self._counted_at = NEVER

    def are_left(self, now: float) -> bool:
        """Whether one more doubt may be followed, at a monotonic time in seconds."""
        self._left = min(DOUBTS, self._left + (now - self._counted_at) / DOUBT_AGAIN_SECONDS)
        self._counted_at = now
        return self._left >= 1

    def was_groundless(self) -> None:
        """Note that the one that was followed led to nothing."""
        self._left -= 1
