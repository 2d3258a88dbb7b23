"""The registry of LocalAI's distributed mode: nodes, their heartbeats, models and schedules. Time is an argument.

It lies in a database, so it outlives every LocalAI that shows it.
"""

import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import floor

from exporter.usage import UsageError

BEAT = 10.0
"""Seconds from one heartbeat of a node to its next."""
STALE_AFTER = 60.0
"""Seconds of silence after which LocalAI calls a node offline, when it looks next."""
LOOK_EVERY = 15.0
"""Seconds from one look of LocalAI at all heartbeats to its next."""

_GIB = 2**30
_VRAM, _RAM = 24 * _GIB, 64 * _GIB
_MODEL_BYTES = 5 * _GIB
_PORT = 50_051
_US = 1_000_000  # the database keeps microseconds


@dataclass(frozen=True, slots=True)
class Member:
    """One node as LocalAI lists it; sizes are in bytes, times in Unix microseconds.

    Attributes:
        id: of its entry.
        name: unique.
        address: where its models are reached, `host:port`.
        http_address: where it takes files.
        status: LocalAI's word.
        vram: of all its GPUs, and what is free of it.
        ram: likewise of the machine.
        gpu: the vendor, and what the GPU can do; both empty without one.
        last_heartbeat: when LocalAI last heard of it.
        created_at: when it was heard of first.
        updated_at: when the entry last changed.
        models: how many replicas are loaded on it.
        in_flight: how many requests these are answering.
    """

    id: str
    name: str
    address: str
    http_address: str
    status: str
    vram: tuple[int, int]
    ram: tuple[int, int]
    gpu: tuple[str, str]
    last_heartbeat: int
    created_at: int
    updated_at: int
    models: int = 0
    in_flight: int = 0


@dataclass(frozen=True, slots=True)
class Replica:
    """One loaded replica of a model as LocalAI lists it; times are in Unix microseconds."""

    id: str
    node_id: str
    model: str
    index: int
    address: str
    in_flight: int
    last_used: int
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What is wanted of a model, as LocalAI lists it; times are in Unix microseconds."""

    id: str
    model: str
    least: int
    most: int
    ticks: int
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything that distributed mode's routes list, each in LocalAI's order."""

    members: Sequence[Member] = ()
    replicas: Sequence[Replica] = ()
    plans: Sequence[Plan] = ()


@dataclass(slots=True)
class _Node:
    """What is so of a node. Times are Unix seconds of LocalAI's clock.

    Attributes:
        id: of its entry.
        name: its host.
        gpu: whether it has one.
        created_at: when it registered first.
        started_at: when it last started, and so its first heartbeat since then.
        phase: seconds from that to the second, at most `BEAT`.
        status: LocalAI's word.
        changed_at: when that changed.
        silent_from: since when no heartbeat arrives; None while they do.
        replicas: since when each model is loaded, once at most.
        in_flight: how many requests these are answering.
    """

    id: str
    name: str
    gpu: bool
    created_at: float
    started_at: float
    phase: float
    status: str
    changed_at: float
    silent_from: float | None = None
    replicas: dict[str, float] = field(default_factory=dict)
    in_flight: int = 0

    def last_heartbeat(self, now: float) -> float:
        heard = now if self.silent_from is None else min(now, self.silent_from)
        beats = floor((heard - self.started_at - self.phase) / BEAT)
        return self.started_at + self.phase + BEAT * beats if beats >= 0 else self.started_at

    def becomes(self, status: str, now: float) -> None:
        """Take another status; what is loaded on a node is known of healthy ones alone."""
        self.status, self.changed_at = status, now
        self.replicas.clear()
        self.in_flight = 0

    def listed(self, now: float) -> Member:
        beat, loaded = self.last_heartbeat(now), len(self.replicas)
        size = _VRAM if self.gpu else 0
        return Member(
            id=self.id,
            name=self.name,
            address=f"{self.name}:{_PORT}",
            http_address=f"{self.name}:{_PORT - 1}",
            status=self.status,
            vram=(size, max(0, size - loaded * _MODEL_BYTES)),
            ram=(_RAM, _RAM // 2),
            gpu=("nvidia", "8.9") if self.gpu else ("", ""),
            last_heartbeat=int(beat * _US),
            created_at=int(self.created_at * _US),
            updated_at=int(max(beat, self.changed_at) * _US),
            models=loaded,
            in_flight=self.in_flight,
        )

    def listed_replicas(self) -> Iterator[Replica]:
        """Yield what is loaded; the first of it answers all requests."""
        for number, (model, loaded_at) in enumerate(self.replicas.items()):
            stamp = int(loaded_at * _US)
            yield Replica(
                id=str(uuid.uuid5(uuid.UUID(self.id), model)),
                node_id=self.id,
                model=model,
                index=0,
                address=f"{self.name}:{_PORT + 1 + number}",
                in_flight=0 if number else self.in_flight,
                last_used=stamp,
                created_at=stamp,
                updated_at=stamp,
            )


class Fleet:
    """The registry. Equal calls with an equal seed give equal ones."""

    def __init__(self, now: float, seed: int = 0) -> None:
        # A test wants the same ids at each run; nobody's secret hangs on them.
        self._chance = random.Random(f"{seed} fleet")  # noqa: S311
        self._nodes: dict[str, _Node] = {}
        self._plans: dict[str, Plan] = {}
        self._looks_since: float | None = now

    def register(self, name: str, now: float, *, approved: bool = True, gpu: bool = True) -> None:
        """Start a node; one that was there before keeps its entry, its approval and its GPU."""
        self._look(now)
        node = self._nodes.get(name)
        if node is None:
            status = "healthy" if approved else "pending"
            phase = BEAT * (1 - self._chance.random())
            self._nodes[name] = _Node(self._new_id(), name, gpu, now, now, phase, status, now)
            return
        node.started_at, node.silent_from = now, None
        node.becomes("pending" if node.status == "pending" else "healthy", now)

    def approve(self, name: str, now: float) -> None:
        """Let a node take part that waits for it.

        Raises:
            UsageError: it is not registered, as for all that happens to a node; or it does not wait.
        """
        if self._node(name, now).status != "pending":
            raise UsageError(f"{name!r} does not wait to be approved: let it register as pending first")
        self._nodes[name].becomes("healthy", now)

    def drain(self, name: str, now: float) -> None:
        """Give a node no more requests."""
        self._node(name, now).becomes("draining", now)

    def resume(self, name: str, now: float) -> None:
        """End that."""
        self._node(name, now).becomes("healthy", now)

    def silence(self, name: str, now: float) -> None:
        """Let no more heartbeat of a node arrive."""
        node = self._node(name, now)
        node.silent_from = now if node.silent_from is None else node.silent_from

    def remove(self, name: str, now: float) -> None:
        """Delete a node's entry, and what is known to be loaded on it."""
        self._node(name, now)
        del self._nodes[name]

    def watch(self, now: float, *, on: bool) -> None:
        """Let LocalAI look at the heartbeats, or not: then every status stays, however long a node is silent."""
        self._look(now)
        self._looks_since = now if on else None

    def load(self, model: str, name: str, now: float, *, loaded: bool = True) -> None:
        """Load a replica of a model on a healthy node, or unload it.

        Raises:
            UsageError: the node is not healthy, or not registered.
        """
        node = self._node(name, now)
        if node.status != "healthy":
            raise UsageError(f"{name!r} is {node.status}: models are loaded on healthy nodes alone")
        if loaded:
            node.replicas.setdefault(model, now)
        else:
            node.replicas.pop(model, None)
            node.in_flight = node.in_flight if node.replicas else 0

    def busy(self, name: str, requests: int, now: float) -> None:
        """Let what is loaded on a node answer so many requests.

        Raises:
            UsageError: nothing is loaded there, or the node is not registered.
        """
        node = self._node(name, now)
        if not node.replicas:
            raise UsageError(f"nothing is loaded on {name!r}: load a model first")
        node.in_flight = requests

    def plan(self, model: str, least: int, most: int, now: float) -> None:
        """Want so many replicas of a model; a most of 0 is no limit."""
        stamp = int(now * _US)
        plan = self._plans.get(model) or Plan(self._new_id(), model, least, most, 0, stamp, stamp)
        self._plans[model] = replace(plan, least=least, most=most, ticks=0, updated_at=stamp)

    def no_room(self, model: str, ticks: int) -> None:
        """Let LocalAI have found no node with room for a model so many times in a row; 0 is that it did.

        Raises:
            UsageError: nothing is wanted of the model.
        """
        if model not in self._plans:
            raise UsageError(f"nothing is wanted of {model!r}: plan it first")
        self._plans[model] = replace(self._plans[model], ticks=ticks)

    def listing(self, now: float) -> Listing:
        """Return what LocalAI lists at `now`, in Unix seconds."""
        self._look(now)
        nodes = [self._nodes[name] for name in sorted(self._nodes)]
        return Listing(
            [node.listed(now) for node in nodes],
            [replica for node in nodes for replica in node.listed_replicas()],
            [self._plans[model] for model in sorted(self._plans)],
        )

    def _node(self, name: str, now: float) -> _Node:
        self._look(now)
        if name not in self._nodes:
            raise UsageError(f"no node {name!r} is registered: let it register first, with node {name}")
        return self._nodes[name]

    def _look(self, now: float) -> None:
        """Let LocalAI have looked at the heartbeats until `now`."""
        since = self._looks_since
        if since is None:
            return
        for node in self._nodes.values():
            stale_at = max(node.last_heartbeat(now) + STALE_AFTER, node.changed_at)
            looked_at = since + LOOK_EVERY * max(1, floor((stale_at - since) / LOOK_EVERY) + 1)
            if looked_at <= now and node.status not in ("draining", "offline"):
                node.becomes("offline", looked_at)

    def _new_id(self) -> str:
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))
