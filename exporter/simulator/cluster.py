"""A P2P cluster as one LocalAI instance sees it: processes, their heartbeats and clocks. Time is an argument."""

import random
import string
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import floor

from exporter.model import FEDERATED, LLAMA_CPP, Kind
from exporter.usage import UsageError

HEARTBEAT = 20.0
"""Seconds from one announcement of a node to its next."""
ONLINE_FOR = 40.0
"""Seconds on LocalAI's clock for which a heartbeat counts."""
MAX_DELAY = 15.0
"""Seconds until LocalAI knows of an announcement: synced within 10, read every 5."""

_NAME_LETTERS = string.ascii_letters
_NAME_LENGTH = 10
_TUNNEL_PORTS = range(32768, 60999)  # Linux's range for ports that the system chooses


@dataclass(frozen=True, slots=True)
class Entry:
    """One node as LocalAI lists it.

    Attributes:
        kind: the list it stands in.
        host: the host name in its id.
        name: ten random letters, new at each start of the node.
        tunnel_address: `host:port`; empty for federated nodes.
        last_seen_ns: Unix time of its newest heartbeat on the node's clock, in nanoseconds.
    """

    kind: Kind
    host: str
    name: str
    tunnel_address: str
    last_seen_ns: int

    @property
    def id(self) -> str:
        """The id that LocalAI makes of host and name."""
        return f"{self.host}-{self.name}"

    def online(self, now: float) -> bool:
        """Return LocalAI's verdict when its own clock says `now`, in Unix seconds."""
        return now - self.last_seen_ns / 1e9 < ONLINE_FOR


@dataclass(slots=True)
class Process:
    """One run of a node's program, from its start to its death. Times are Unix seconds of LocalAI's clock.

    Attributes:
        kind: what it runs.
        host: where it runs.
        name: its random name.
        joined_at: its start, and its first announcement.
        skew: how many seconds its own clock is ahead of LocalAI's; negative is behind.
        phase: seconds from its start to its second announcement, at most `HEARTBEAT`.
        delay: seconds until LocalAI knows of an announcement, so that its age runs from `delay` to `HEARTBEAT + delay`.
            The first one is known at once: a node that joins is in the next answer.
        tunnel_port: the local port of LocalAI's tunnel to it.
        died_at: its end; None while it lives.
        flap_from: from when on its announcements get lost in the first half of each `flap_period`; None for never.
        flap_period: in seconds.
    """

    kind: Kind
    host: str
    name: str
    joined_at: float
    skew: float
    phase: float
    delay: float
    tunnel_port: int
    died_at: float | None = None
    flap_from: float | None = None
    flap_period: float = 0.0

    def listed(self, now: float, localai_since: float) -> Entry | None:
        """Return what a LocalAI that runs since `localai_since` lists at `now`; None if it does not know the node."""
        # What was still under way when the node died is lost with it, so its last-seen never moves again.
        heard = now if self.died_at is None else min(now, self.died_at)
        for number in self._candidates(heard):
            announced = self._announced(number)
            read = max(announced + (self.delay if number else 0.0), localai_since)
            if read - (announced + self.skew) < ONLINE_FOR:  # LocalAI drops a heartbeat that is stale when it reads it
                tunnel = "" if self.kind == FEDERATED else f"127.0.0.1:{self.tunnel_port}"
                return Entry(self.kind, self.host, self.name, tunnel, int((announced + self.skew) * 1e9))
        return None

    def _announced(self, number: int) -> float:
        return self.joined_at + (self.phase + HEARTBEAT * (number - 1) if number else 0.0)

    def _candidates(self, heard: float) -> Iterator[int]:
        """Number the announcements that may be the newest taken one, best first."""
        newest = max(0, floor((heard - self.delay - self.joined_at - self.phase) / HEARTBEAT) + 1)
        while newest > 0 and self._lost(self._announced(newest)):
            newest -= 1
        yield newest
        if newest > 0:  # every later one reaches LocalAI equally late; only the first is known at once
            yield 0

    def _lost(self, announced: float) -> bool:
        if self.flap_from is None or announced < self.flap_from:
            return False
        return (announced - self.flap_from) % self.flap_period < self.flap_period / 2


class Cluster:
    """The processes of a cluster and the LocalAI instance that lists them.

    LocalAI itself is a federated node of its own list. Equal calls with an equal seed give equal clusters. What chance
    gives a process hangs on the seed, the host and how often something started there: two clusters of one seed, each
    with a LocalAI of its own, show the same nodes from two sides.

    Attributes:
        host: LocalAI's own host name.
    """

    def __init__(self, now: float, host: str = "localai", seed: int = 0) -> None:
        self.host = host
        self._seed = seed
        self._starts: Counter[str] = Counter()
        self._processes: list[Process] = []
        self._forgotten: dict[str, Process] = {}  # the last of each host: `restart` has to know what ran there
        self._localai_since = now
        self._crowd = 0
        self._localai = self.join(FEDERATED, host, now)

    def join(
        self,
        kind: Kind,
        host: str,
        now: float,
        *,
        skew: float = 0.0,
        phase: float | None = None,
        delay: float | None = None,
    ) -> Process:
        """Start a process on `host`; what is not given of its rhythm is drawn by chance.

        Args:
            kind: what it runs.
            host: its host name.
            now: Unix seconds.
            skew: seconds that its clock is ahead of LocalAI's.
            phase: seconds to its second announcement.
            delay: seconds until LocalAI knows of an announcement.
        """
        chance = self._chance(host)
        process = Process(
            kind=kind,
            host=host,
            name="".join(chance.choices(_NAME_LETTERS, k=_NAME_LENGTH)),
            joined_at=now,
            skew=skew,
            phase=HEARTBEAT * (1 - chance.random()) if phase is None else phase,
            delay=MAX_DELAY * chance.random() if delay is None else delay,
            tunnel_port=chance.choice(_TUNNEL_PORTS),
        )
        self._processes.append(process)
        return process

    def crowd(self, count: int, now: float) -> None:
        """Start llama.cpp workers on `count` new hosts named by `crowd_host`."""
        for _ in range(count):
            self._crowd += 1
            self.join(LLAMA_CPP, crowd_host(self._crowd), now)

    def kill(self, host: str, now: float, count: int | None = None) -> None:
        """End the `count` oldest living processes of `host`, or all of them.

        Raises:
            UsageError: nothing ever ran there, or it is LocalAI's own host.
        """
        for process in self._living(host)[:count]:
            process.died_at = now

    def restart(self, host: str, now: float) -> None:
        """Start every living process of `host` anew, or the newest dead one: a new name, the old entry stays dead.

        Raises:
            UsageError: nothing ever ran there, or it is LocalAI's own host.
        """
        stopped = self._living(host) or self._on(host)[-1:] or [self._forgotten[host]]
        for process in stopped:
            if process.died_at is None:
                process.died_at = now
            self.join(process.kind, host, now, skew=process.skew, phase=process.phase, delay=process.delay)

    def flap(self, host: str, now: float, period: float) -> None:
        """Lose what the living processes of `host` announce in the first half of every `period` seconds from now on.

        Raises:
            UsageError: nothing ever ran there, or it is LocalAI's own host.
        """
        for process in self._living(host):
            process.flap_from, process.flap_period = now, period

    def restart_localai(self, now: float) -> None:
        """Start LocalAI anew: it has a new name, and has forgotten the dead."""
        self._localai_since = now
        self._processes.remove(self._localai)
        self._forgotten |= {process.host: process for process in self._processes if process.died_at is not None}
        self._processes = [process for process in self._processes if process.died_at is None]
        self._localai = self.join(FEDERATED, self.host, now)

    def entries(self, now: float) -> list[Entry]:
        """Return what LocalAI lists at `now`, in the order of the ids."""
        listed = (process.listed(now, self._localai_since) for process in self._processes)
        return sorted((entry for entry in listed if entry is not None), key=lambda entry: entry.id)

    def _chance(self, host: str) -> random.Random:
        self._starts[host] += 1
        # A test wants the same names at each run; nobody's secret hangs on them.
        return random.Random(f"{self._seed} {self._starts[host]} {host}")  # noqa: S311

    def _on(self, host: str) -> list[Process]:
        if host == self.host:
            raise UsageError(f"{host!r} is LocalAI's own host: use outage or upgrade to stop LocalAI")
        processes = [process for process in self._processes if process.host == host]
        if not processes and host not in self._forgotten:
            raise UsageError(f"nothing ever ran on host {host!r}: let it join first, for example with worker {host}")
        return processes

    def _living(self, host: str) -> list[Process]:
        return [process for process in self._on(host) if process.died_at is None]


def crowd_host(number: int) -> str:
    """Return the host name of the `number`th member of a crowd, counted from 1."""
    return f"crowd-{number:05d}"
