"""LocalAI becomes another while it is watched: each change is followed in the first poll that succeeds."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from support.clocks import FakeClock

from exporter.app import make_poller
from exporter.clock import Clock
from exporter.errors import Reason
from exporter.model import FEDERATED, LLAMA_CPP, MLX, Change, Kind, Outcome, Source, View
from exporter.poller import Poller
from exporter.settings import Target
from exporter.simulator import Simulator, parse_scenario
from exporter.store import Store


@dataclass(frozen=True)
class Release:
    """A LocalAI as it was started, and what must be told of it."""

    version: str
    webui: bool
    generation: str

    @property
    def source(self) -> Source:
        return Source.LISTS if self.webui and self.generation != "1" else Source.P2P

    @property
    def kinds(self) -> set[Kind]:
        return {LLAMA_CPP, FEDERATED} | ({MLX} if self.generation == "3" else set())

    def __str__(self) -> str:
        return self.version if self.webui else f"{self.version} without web UI"


RELEASES = (
    Release("v3.6.0", webui=True, generation="1"),
    Release("v3.12.1", webui=True, generation="2"),
    Release("v3.12.1", webui=False, generation="2"),
    Release("v4.7.1", webui=True, generation="3"),
    Release("v4.7.1", webui=False, generation="3"),
)
CHANGES = [(before, after) for before, after in itertools.product(RELEASES, RELEASES) if before != after]


class Watched:
    """A simulated LocalAI on a clock that a test moves, and a poller that remembers."""

    def __init__(self, release: Release) -> None:
        self.time = FakeClock()
        script = f"release {release.version}\nhost gateway-1\nworker gpu-01\nworker gpu-02\n"
        self.localai = Simulator(parse_scenario(script), clock=lambda: self.time.wall_now)
        self.localai.apply(f"webui {'on' if release.webui else 'off'}")
        real = Clock.system()
        # Within a poll time is real, because the sockets are; between two polls it passes as the test lets it.
        clock = Clock(
            wall=lambda: self.time.wall_now,
            monotonic=lambda: real.monotonic() + self.time.monotonic_now,
            awake=real.awake,
        )
        self.poller: Poller = make_poller(Target(url=self.localai.url), Store(), clock)

    def become(self, release: Release) -> None:
        self.localai.apply(f"upgrade {release.version}")
        self.localai.apply(f"webui {'on' if release.webui else 'off'}")

    def poll(self, after: float = 60.0) -> Outcome:
        self.time.advance(after)
        return self.poller.poll()


@pytest.fixture
def watched(request: pytest.FixtureRequest) -> Iterator[Watched]:
    watched = Watched(request.param)
    with watched.localai:
        yield watched


def check(outcome: Outcome, release: Release, *, workers: tuple[int, int] = (2, 2)) -> View:
    assert outcome.failure is None
    assert outcome.view is not None
    snapshot = outcome.view.snapshot
    assert (snapshot.source, snapshot.generation) == (release.source, release.generation)
    assert snapshot.server.version is not None
    assert snapshot.server.version.startswith(release.version)
    assert set(snapshot.counts) == release.kinds
    counts = snapshot.counts[LLAMA_CPP]
    assert (counts.total, counts.online) == workers
    assert snapshot.counts[FEDERATED].online == 1
    assert sum(item.node.online for item in outcome.view.shown) == workers[1] + 1
    return outcome.view


@pytest.mark.parametrize(("watched", "after"), CHANGES, indirect=["watched"], ids=str)
def test_a_restart_between_two_polls(watched: Watched, after: Release) -> None:
    assert watched.poll().failure is None
    watched.become(after)
    check(watched.poll(), after)


@pytest.mark.parametrize(("watched", "after"), CHANGES, indirect=["watched"], ids=str)
def test_a_change_during_an_outage(watched: Watched, after: Release) -> None:
    assert watched.poll().failure is None
    with watched.localai.outage():
        outcome = watched.poll()
        assert outcome.failure is not None
        assert outcome.failure.reason == Reason.CONNECT
    watched.become(after)
    check(watched.poll(), after)


@pytest.mark.parametrize("watched", RELEASES, indirect=True, ids=str)
def test_a_worker_that_dies_and_comes_back_under_a_new_id(watched: Watched, request: pytest.FixtureRequest) -> None:
    release: Release = request.node.callspec.params["watched"]
    check(watched.poll(), release)
    watched.localai.apply("kill gpu-02")
    check(watched.poll(), release, workers=(2, 1))
    watched.localai.apply("restart gpu-02")
    outcome = watched.poll()
    view = check(outcome, release, workers=(3, 2))
    assert len({item.node.host for item in view.shown}) == 3
    assert [outcome.changes[LLAMA_CPP, change] for change in Change] == [1, 1, 0, 0]


@pytest.mark.parametrize("watched", RELEASES, indirect=True, ids=str)
def test_steady_polls_ask_for_nothing_useless(watched: Watched, request: pytest.FixtureRequest) -> None:
    release: Release = request.node.callspec.params["watched"]
    watched.poll()
    asked = len(watched.localai.requests)
    for _ in range(3):
        watched.poll(after=15.0)
    one_poll = ["/api/p2p"] if release.source == Source.P2P else ["workers", "federation", "stats"]
    paths = [path.removeprefix("/api/p2p/") for path, _ in watched.localai.requests[asked:]]
    assert paths == one_poll * 3


@pytest.mark.parametrize("watched", [RELEASES[3]], indirect=True, ids=str)
def test_steady_polls_keep_their_connection(watched: Watched) -> None:
    for _ in range(5):
        watched.poll(after=15.0)
    assert watched.localai.connections == 1


@pytest.mark.parametrize("watched", [RELEASES[3]], indirect=True, ids=str)
def test_a_key_that_is_demanded_and_lifted_again(watched: Watched) -> None:
    watched.poll()
    watched.localai.apply("key s3cret")
    outcome = watched.poll()
    assert outcome.failure is not None
    assert outcome.failure.reason == Reason.AUTH
    watched.localai.apply("key off")
    check(watched.poll(), RELEASES[3])


@pytest.mark.parametrize("watched", [RELEASES[3]], indirect=True, ids=str)
def test_p2p_that_is_turned_off(watched: Watched) -> None:
    watched.poll()
    watched.localai.apply("p2p off")
    watched.time.advance(300)
    outcome = watched.poll()
    assert outcome.view is not None
    assert outcome.view.snapshot.counts[LLAMA_CPP].total == 0
    assert outcome.view.snapshot.server.enabled is False


@pytest.mark.parametrize("watched", [RELEASES[3]], indirect=True, ids=str)
def test_five_thousand_nodes(watched: Watched) -> None:
    watched.localai.apply("workers 5000")
    outcome = watched.poll()
    assert outcome.view is not None
    assert outcome.view.snapshot.counts[LLAMA_CPP].online == 5_002
    assert len(outcome.view.shown) == 5_000
