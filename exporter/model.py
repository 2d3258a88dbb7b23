"""The values that travel through the program: frozen, and free of behaviour beyond reading themselves.

What there is one of for each node is a named tuple, which is made three times as fast as a frozen dataclass.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from exporter.errors import Reason


class Kind(NamedTuple):
    """One of LocalAI's node lists, as the labels `role` and `backend` name it.

    A tuple, because it is part of the key of every node, and a tuple's hash costs a tenth of a dataclass's.
    """

    role: str
    backend: str

    def __str__(self) -> str:
        return f"{self.role}/{self.backend}" if self.backend else self.role


LLAMA_CPP = Kind("worker", "llama_cpp")
MLX = Kind("worker", "mlx")
FEDERATED = Kind("federated", "")


class Source(StrEnum):
    """The endpoints that a snapshot was read from, as the label `source` names them."""

    LISTS = "workers+federation+stats"
    P2P = "p2p"


class Node(NamedTuple):
    """One entry of one list.

    Attributes:
        kind: the list it stood in.
        id: unique in its kind, and safe as a label.
        host: the host name inside the id, the identity that survives a restart; the whole id where it has none.
        name: ten random characters, new at each start of the node.
        service_id: LocalAI's ledger key.
        tunnel_address: where the asked LocalAI instance reaches the node, `host:port`; empty for federated nodes.
        online: LocalAI's own verdict, or the 40-second rule where it gives none.
        last_seen: Unix time in seconds of the last heartbeat on the node's clock; None for never, or unreadable. It is
            the last field: all the others are the same from poll to poll.
    """

    kind: Kind
    id: str
    host: str
    name: str
    service_id: str
    tunnel_address: str
    online: bool
    last_seen: float | None

    def seen_at(self, last_seen: float | None) -> "Node":
        """Return the same node, last seen at another time."""
        # Three times as fast as `_replace`.
        return Node(
            self.kind, self.id, self.host, self.name, self.service_id, self.tunnel_address, self.online, last_seen
        )


@dataclass(frozen=True, slots=True)
class RoleCounts:
    """What LocalAI says of one kind as a whole, and what of its list could not be used."""

    total: int
    online: int
    invalid: int = 0
    duplicate: int = 0


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What LocalAI says of itself; None is unknown.

    Attributes:
        version: as LocalAI writes it.
        enabled: whether P2P is on.
        fingerprint: 16 hex digits of the SHA-256 of the network's join token.
    """

    version: str | None = None
    enabled: bool | None = None
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class ClockReading:
    """LocalAI's clock, read off an answer.

    Attributes:
        server: LocalAI's Unix time in seconds; what `Date` says is cut to the second, so this is half a second later,
            the middle of what it can have been.
        monotonic: the exporter's monotonic time at that moment.
        exact: False where no answer carried a usable `Date`, so that `server` is an estimate.
    """

    server: float
    monotonic: float
    exact: bool

    def at(self, monotonic: float) -> float:
        """Return LocalAI's time at a moment of the exporter's monotonic clock."""
        return self.server + (monotonic - self.monotonic)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One understood answer of LocalAI, whole.

    Attributes:
        source: which endpoints were read.
        generation: the shape that they had: `1`, `2`, `3`, or `1-2` where it cannot be told.
        counts: LocalAI's totals for every kind that this generation knows.
        nodes: every usable entry, unique by kind and id, in LocalAI's order.
        clock: LocalAI's clock.
        server: what LocalAI says of itself.
        unknown_lists: names of node lists that this program does not know.
        renewed: whether LocalAI is, or may be, another than at the poll before, so that it was asked everything anew.
    """

    source: Source
    generation: str
    counts: Mapping[Kind, RoleCounts]
    nodes: tuple[Node, ...]
    clock: ClockReading
    server: ServerInfo = field(default_factory=ServerInfo)
    unknown_lists: tuple[str, ...] = ()
    renewed: bool = False


class Change(StrEnum):
    """What can happen to a node from one good poll to the next: values of the label `change`."""

    JOINED = "joined"
    LOST = "lost"
    RETURNED = "returned"
    FORGOTTEN = "forgotten"


class Hidden(StrEnum):
    """Why a node has no series of its own: values of the label `reason` of `nodes_hidden`."""

    RETENTION = "retention"
    LIMIT = "limit"


class Track(NamedTuple):
    """What is known of one node after many polls; times are monotonic seconds of the exporter's clock.

    Attributes:
        node: what LocalAI says of it.
        first_seen_at: when LocalAI first listed it.
        highest: the highest last-seen.
        polls_below: for how many polls in a row it has been below that.
        moved_at: when `highest` last rose; None until it did. The first sight is no movement.
    """

    node: Node
    first_seen_at: float
    highest: float | None
    polls_below: int = 0
    moved_at: float | None = None


@dataclass(frozen=True, slots=True)
class View:
    """The newest good snapshot and what the exporter makes of it.

    Attributes:
        snapshot: what LocalAI answered.
        received_at: monotonic time at which it was complete.
        shown: the nodes with series of their own.
        hidden: how many have none, for every kind of the snapshot and every reason.
    """

    snapshot: Snapshot
    received_at: float
    shown: tuple[Track, ...]
    hidden: Mapping[tuple[Kind, Hidden], int]


@dataclass(frozen=True, slots=True)
class PollTotals:
    """The exporter's own counters since it started.

    Attributes:
        polls: how many ended.
        failures: of these, the failed ones by reason.
        durations: how many lasted at most each bound of `DURATION_BUCKETS` and no less than the one before; the last
            is for those beyond every bound.
        seconds: how long all of them lasted together.
    """

    polls: int = 0
    failures: Mapping[Reason, int] = field(default_factory=dict)
    durations: tuple[int, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a poll failed: what a `PollError` says, without the frames that an exception keeps alive.

    Attributes:
        reason: the closed word for it.
        detail: plain words.
        status: the HTTP status, where there was one.
    """

    reason: Reason
    detail: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that is known after a poll; the store swaps it as a whole.

    Attributes:
        epoch: Unix time at which the monotonic clock was at 0. It is kept from poll to poll while the wall clock only
            drifts, so that what is published as a wall time stands still between two events.
        failure: why the newest poll failed; None when it was answered and understood.
        view: the newest good poll, however old; None before the first.
        changes: membership changes since the start, for every kind that was ever known and every change.
        totals: the exporter's own counters.
    """

    epoch: float
    failure: Failure | None
    view: View | None
    changes: Mapping[tuple[Kind, Change], int]
    totals: PollTotals
