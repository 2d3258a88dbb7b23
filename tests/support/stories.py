"""What the exporter would have exposed while a simulated cluster lived, at each scrape, in a time that costs none.

The cluster, its LocalAI, the exporter's whole pipeline and its collector are the real ones; only sockets and waits are
not there. Times of a story are seconds from its start.
"""

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.client import HTTPResponse

from prometheus_client import CollectorRegistry
from rulebook import JOB

from exporter.client import Answer
from exporter.collector import P2PCollector
from exporter.distributed import Distributed
from exporter.errors import PollError, Reason
from exporter.exposition import Renderer
from exporter.fleet import Fleet
from exporter.fleetcollector import FleetCollector
from exporter.fleetpoller import FleetPoller
from exporter.localai import LocalAI
from exporter.model import FEDERATED, ClockReading, Node, RoleCounts, Snapshot
from exporter.poller import Poller
from exporter.settings import Target
from exporter.simulator import Request, Stage, parse_scenario
from exporter.store import Store
from support.captures import Capture
from support.clocks import FakeClock

POLL_SECONDS = 15
BEGAN = 1_800_000_000.0
_POLL_BEFORE_SCRAPE = 8
_EMPTY_LABEL = re.compile(r'\w+="",|,\w+=""(?=})')
_STALE_AFTER = 4 * POLL_SECONDS

Span = tuple[float, float]
Sample = Mapping[str, float]
"""The value of each series at a scrape, by its name and labels as Prometheus writes them."""


@dataclass(frozen=True)
class Watch:
    """One exporter and the LocalAI that it asks.

    Attributes:
        script: the scenario of LocalAI's cluster; empty for a capture.
        capture: what LocalAI answers at every poll, moved to that moment: the living go on living.
        cluster: the target's label; empty for none.
        instance: likewise.
        expected: nodes by role.
        hosts: that are expected.
        server_ahead: seconds by which LocalAI's clock is ahead of the exporter's.
        federates: False for a LocalAI without --federated, which lists no federated node.
        distributed: whether the exporter asks for distributed mode too.
        began: when the story starts, in Unix seconds.
        retention: of nodes with series of their own, in seconds.
        limit: likewise, their number.
        restarts: when the exporter is away, and starts anew after it.
        lost_polls: when polls end in a timeout.
        lost_questions: when only what is asked of distributed mode does.
        lost_scrapes: when scrapes fail.
        removed: when there is no such target.
    """

    script: str = ""
    capture: Capture | None = None
    cluster: str = "home"
    instance: str = "one:10040"
    expected: Mapping[str, int] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    server_ahead: float = 0.0
    federates: bool = True
    distributed: bool = False
    began: float = BEGAN
    retention: float = 24 * 3600
    limit: int = 5_000
    restarts: tuple[Span, ...] = ()
    lost_polls: tuple[Span, ...] = ()
    lost_questions: tuple[Span, ...] = ()
    lost_scrapes: tuple[Span, ...] = ()
    removed: tuple[Span, ...] = ()

    def scrapes(self, seconds: float, every: int) -> Iterator[Sample | None]:
        """Yield what is scraped every so often: the samples, None for a scrape that fails, nothing for no target."""
        for tick, sample in enumerate(self._ticks(seconds)):
            if tick * POLL_SECONDS % every == 0:
                yield sample

    def stored(self, series: str) -> str:
        """Return a series of a sample as Prometheus stores it, with the target's labels."""
        name, _, labels = series.rstrip("}").partition("{")
        cluster = f'cluster="{self.cluster}"' if self.cluster else ""
        target = f'instance="{self.instance}",job="{JOB}"'
        return f"{name}{{{','.join(part for part in (labels, cluster, target) if part)}}}"

    def _ticks(self, seconds: float) -> Iterator[Sample | None]:
        clock = FakeClock(self.began)
        exporter: _Exporter | None = None
        asker = _Asked(self, clock)
        for tick in range(0, int(seconds) + 1, POLL_SECONDS):
            if _within(tick, self.removed):
                exporter = None
                yield {}
                continue
            if _within(tick, self.restarts):
                exporter = None
                yield None
                continue
            self._set(clock, max(0, tick - _POLL_BEFORE_SCRAPE))
            exporter = exporter or _Exporter(self, asker, clock)
            exporter.poller.poll()
            self._set(clock, tick)
            sample = dict(exporter.samples())
            yield None if _within(tick, self.lost_scrapes) else sample

    def _set(self, clock: FakeClock, seconds: float) -> None:
        clock.advance(self.began + seconds - clock.wall_now)


def _within(moment: float, spans: tuple[Span, ...]) -> bool:
    return any(start <= moment < end for start, end in spans)


class _Asked:
    """Asks LocalAI, or a capture, without a socket."""

    def __init__(self, watch: Watch, clock: FakeClock) -> None:
        self._watch = watch
        self._clock = clock
        if watch.capture is None:
            self._stage = Stage(parse_scenario(watch.script), self._server_now())
        self.start()

    def start(self) -> None:
        """Forget LocalAI, as an exporter that starts has."""
        self._localai = LocalAI(self, self._clock.clock, Target().max_response_bytes)
        self._distributed = Distributed(self._localai.questions, self._clock.clock)

    def forget(self) -> None:
        self._localai.forget()

    def poll(self, deadline: float) -> Snapshot:
        self._lose(self._watch.lost_polls)
        snapshot = self._localai.poll(deadline)
        capture = self._watch.capture
        snapshot = snapshot if capture is None else self._moved(snapshot, capture)
        return snapshot if self._watch.federates else _unfederated(snapshot)

    def ask(self, deadline: float, *, known: bool, anew: bool = False) -> Fleet | None:
        self._lose((*self._watch.lost_polls, *self._watch.lost_questions))
        return self._distributed.ask(deadline, known=known, anew=anew)

    def _lose(self, spans: tuple[Span, ...]) -> None:
        if _within(self._clock.wall_now - self._watch.began, spans):
            raise PollError(Reason.TIMEOUT, "lost")

    def get(self, path: str, deadline: float) -> Answer:  # noqa: ARG002 - nothing takes time here
        request = Request(path, {"accept": "application/json", "content-type": "application/json"})
        raw = self._raw(request)
        if raw is None:
            raise PollError(Reason.CONNECT, "refused")
        response = HTTPResponse(_Wire(raw))  # type: ignore[arg-type] # it asks a socket for nothing else
        response.begin()
        if response.status != 200:
            reason = Reason.AUTH if response.status in (401, 403) else Reason.HTTP_STATUS
            raise PollError(reason, "refused", response.status)
        capture = self._watch.capture
        date = float(int(self._server_now())) if capture is None else float(capture.expect["clock"])
        return Answer(response.read(), date, self._clock.monotonic_now, "application/json")

    def _raw(self, request: Request) -> bytes | None:
        capture = self._watch.capture
        if capture is None:
            self._stage.advance(self._server_now())
            return self._stage.answer(request, self._server_now())
        name = request.path.rpartition("/")[2].replace("localai.json", "well-known")
        file = capture.folder / f"{name}.http"
        return file.read_bytes() if file.exists() else b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

    def _moved(self, snapshot: Snapshot, capture: Capture) -> Snapshot:
        """Move a capture to now: what lives has sent heartbeats since, what is dead has not."""
        recorded = capture.expect["clock"]
        now, born = self._server_now() - recorded, self._watch.began - recorded
        nodes = tuple(
            node._replace(last_seen=node.last_seen + (now if _lives(node, capture) else born))
            for node in snapshot.nodes
            if node.last_seen is not None
        )
        clock = ClockReading(self._server_now(), self._clock.monotonic_now, exact=True)
        return replace(snapshot, nodes=nodes, clock=clock)

    def _server_now(self) -> float:
        return self._clock.wall_now + self._watch.server_ahead


def _lives(node: Node, capture: Capture) -> bool:
    processes = [*capture.facts.get("workers", ()), *capture.facts.get("federated", ())]
    mine = [one for one in processes if one["host"] == node.host and one["alive"]]
    return bool(mine) and (node.online or any("clock" in one for one in mine))


class _Wire:
    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._raw)


def _unfederated(snapshot: Snapshot) -> Snapshot:
    nodes = tuple(node for node in snapshot.nodes if node.kind != FEDERATED)
    return replace(snapshot, nodes=nodes, counts={**snapshot.counts, FEDERATED: RoleCounts(0, 0)})


class _Exporter:
    """A running exporter: what it remembers is gone when it restarts."""

    def __init__(self, watch: Watch, asker: _Asked, clock: FakeClock) -> None:
        asker.start()
        store = Store()
        follower = FleetPoller(asker, store, clock.clock, retention=watch.retention, limit=watch.limit)
        self.poller = Poller(
            asker,
            store,
            clock.clock,
            interval=POLL_SECONDS,
            timeout=10.0,
            retention=watch.retention,
            limit=watch.limit,
            follower=follower if watch.distributed else None,
        )
        registry = CollectorRegistry()
        registry.register(
            P2PCollector(
                store,
                clock.clock,
                stale_after=_STALE_AFTER,
                expected=watch.expected,
                expected_hosts=watch.hosts,
                tls_insecure=False,
            )
        )
        if watch.distributed:
            registry.register(FleetCollector(store, clock.clock, stale_after=_STALE_AFTER))
        self._renderer = Renderer(registry)

    def samples(self) -> Iterator[tuple[str, float]]:
        """Yield every series and its value."""
        for line in self._renderer.page().body.decode().splitlines():
            if not line.startswith("#"):
                series, _, value = line.rpartition(" ")
                yield _EMPTY_LABEL.sub("", series), float(value)
