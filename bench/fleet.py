"""A LocalAI v4 with as many nodes as a benchmark wants, in memory and over HTTP; its answers are the simulator's."""

import random
import string
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from scraping import body_of

from exporter.model import FEDERATED, LLAMA_CPP, MLX, Kind
from exporter.simulator import Entry, Request, Settings, answer
from exporter.simulator.cluster import HEARTBEAT
from exporter.simulator.listener import Listener

FIRST, LAST = "/api/p2p/workers", "/api/p2p/stats"
"""With which path a poll begins, and with which one the exporter knows all nodes."""

SETTLED_POLLS = 3
"""After so many polls at the exporter's default interval the heartbeat of each living node has moved."""

_STARTING_SECONDS = 30.0
_OFFLINE_SHARE = 0.05
_OFFLINE_SECONDS = 600.0
_DELAY_SECONDS = 5.0  # until LocalAI knows of a heartbeat
_NODES_PER_HOST = 4
_NAME_LENGTH = 10
_FIRST_PORT, _LAST_PORT = 32_768, 60_998


@dataclass(frozen=True, slots=True)
class _Member:
    """One node: what never changes of it.

    Attributes:
        kind: the list it stands in.
        host: the host name in its id.
        name: ten random letters.
        tunnel_address: as LocalAI lists it.
        phase: seconds by which its heartbeats are later than those of a node whose clock they start with.
        died_at: Unix time from which on its heartbeat stands still; None while it lives.
    """

    kind: Kind
    host: str
    name: str
    tunnel_address: str
    phase: float
    died_at: float | None

    def entry(self, now: float) -> Entry:
        heard = now if self.died_at is None else self.died_at
        known = heard - _DELAY_SECONDS
        announced = known - (known - self.phase) % HEARTBEAT
        return Entry(self.kind, self.host, self.name, self.tunnel_address, int(announced * 1e9))


class Fleet:
    """The nodes, and what LocalAI says of them. As many are always the same ones.

    Three quarters are llama.cpp workers, the rest MLX workers and federated instances; one in twenty is offline. Four
    share a host.

    Args:
        nodes: how many there are, at any time.
        churn: which share of them is replaced by new ones at each poll.
        now: Unix time of the beginning.
    """

    def __init__(self, nodes: int, churn: float, now: float) -> None:
        self._random = random.Random(nodes)  # noqa: S311 - names, no secrets
        self._replaced = round(nodes * churn)
        self._now = now
        self._made = 0
        self._members = [self._make() for _ in range(nodes)]

    def _make(self) -> _Member:
        number, self._made = self._made, self._made + 1
        kind = (MLX, FEDERATED)[number // 4 % 2] if number % 4 == 1 else LLAMA_CPP
        is_offline = self._random.random() < _OFFLINE_SHARE
        return _Member(
            kind,
            f"gpu-{number // _NODES_PER_HOST:05d}",
            "".join(self._random.choices(string.ascii_letters, k=_NAME_LENGTH)),
            "" if kind == FEDERATED else f"127.0.0.1:{self._random.randint(_FIRST_PORT, _LAST_PORT)}",
            self._random.uniform(0, HEARTBEAT),
            self._now - _OFFLINE_SECONDS if is_offline else None,
        )

    def entries(self, now: float) -> list[Entry]:
        """Let nodes come and go as far as they do, and return what LocalAI lists at `now`, in Unix seconds."""
        self._now = now
        for index in self._random.sample(range(len(self._members)), self._replaced):
            self._members[index] = self._make()
        return [member.entry(now) for member in self._members]


def bodies(entries: list[Entry], now: float) -> Mapping[str, bytes]:
    """Return the bodies of what a poll asks a LocalAI v4 that lists these nodes at `now`."""
    settings = Settings()
    paths = FIRST, "/api/p2p/federation", LAST
    return {path: body_of(answer(Request(path), settings, entries, now)) for path in paths}


class FleetServer:
    """The same over HTTP, to one exporter that asks at a fixed interval.

    Args:
        nodes: how many there are.
        interval: seconds from poll to poll.

    Attributes:
        url: where it answers.
    """

    def __init__(self, nodes: int, interval: float) -> None:
        self._fleet = Fleet(nodes, 0.0, time.time())
        self._interval = interval
        self._entries: list[Entry] = []
        self._changed = threading.Condition()
        self._begun_at = float("-inf")
        self._begun = self._answered = 0
        self._listener = Listener(0, self._answer)
        self.url = f"http://127.0.0.1:{self._listener.port}"

    def _answer(self, request: Request) -> bytes:
        now = time.time()
        with self._changed:
            if request.path == FIRST:
                self._begun, self._begun_at = self._begun + 1, time.monotonic()
                self._entries = self._fleet.entries(now)
            content = answer(request, Settings(), self._entries, now)
            if request.path == LAST:
                self._answered += 1
                self._changed.notify_all()
        return content

    def wait_for_polls(self, count: int) -> None:
        """Return when so many polls were answered.

        Raises:
            TimeoutError: they do not come.
        """
        with self._changed:
            patience = _STARTING_SECONDS + (count - self._answered) * self._interval
            if not self._changed.wait_for(lambda: self._answered >= count, patience):
                raise TimeoutError("the exporter does not poll")

    def wait_for_pause(self, seconds: float) -> None:
        """Return when no poll is being answered and none will begin for so long, which is less than the interval."""
        with self._changed:
            next_at = self._begun_at + self._interval
            polls = self._begun + (next_at - time.monotonic() < seconds)
        self.wait_for_polls(polls)

    def close(self) -> None:
        """End it."""
        self._listener.close()


@contextmanager
def fleet_server(nodes: int, interval: float) -> Iterator[FleetServer]:
    """Start one, and end it; as for `FleetServer`."""
    server = FleetServer(nodes, interval)
    try:
        yield server
    finally:
        server.close()
