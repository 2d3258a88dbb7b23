"""A real Prometheus scrapes the running exporter while a cluster lives, and its answers are held against the truth."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from support.clocks import FakeClock
from support.exposition import Exposition
from support.localai import FakeClient, entry, generation_3
from support.processes import Served, serving
from support.prometheus import Prometheus, prometheus, tool
from support.web import serving as serving_table

from exporter.app import make_registry
from exporter.http1 import Request, Response
from exporter.localai import LocalAI
from exporter.poller import Poller
from exporter.settings import Target
from exporter.simulator import Simulator, parse_scenario
from exporter.store import Store
from exporter.web import Metrics

pytestmark = pytest.mark.prometheus

CLUSTER = """
release v3.12.1
host gateway-1
federated gateway-2
worker rack-01
worker rack-01
worker rack-02
"""

POLL_SECONDS = 0.5
AGE_TOLERANCE_SECONDS = 1.5


class Clock:
    """LocalAI's clock: ahead of ours, and further ahead when a test lets time pass in the cluster."""

    def __init__(self) -> None:
        self.ahead = 100.0

    def __call__(self) -> float:
        return time.time() + self.ahead


class Scene:
    """The cluster, the exporter that watches it and the Prometheus that scrapes that."""

    def __init__(self, localai: Simulator, clock: Clock, exporter: Served, server: Prometheus) -> None:
        self.localai = localai
        self.clock = clock
        self.exporter = exporter
        self.server = server

    def settle(self) -> None:
        """Return when Prometheus has scraped a poll that began after now."""
        self.server.wait_for_scrape_after(time.time() + 2 * POLL_SECONDS)

    def pass_time(self, seconds: float) -> None:
        """Let this long pass in the cluster at once."""
        self.clock.ahead += seconds
        self.settle()

    def workers(self) -> tuple[float | None, float | None]:
        """How many llama.cpp workers are known and online."""
        labels = '{role="worker",backend="llama_cpp"}'
        known = self.server.value(f"localai_p2p_nodes{labels}")
        return known, self.server.value(f"localai_p2p_nodes_online{labels}")

    def hosts(self) -> dict[str, float]:
        """How many nodes of each host are online."""
        return self.server.by("host", "localai_p2p_host_nodes_online")

    def changes(self) -> dict[str, float]:
        """How often workers changed since the exporter's start."""
        return self.server.by("change", 'localai_p2p_membership_changes_total{backend="llama_cpp"}')

    def check_ages(self) -> None:
        """Hold every stored age against the time at which it was stored, on LocalAI's true clock."""
        age, seen = "localai_p2p_node_last_seen_age_seconds", "localai_p2p_node_last_seen_timestamp_seconds"
        wrong = self.server.query(f"{age} - (timestamp({age}) + {self.clock.ahead} - {seen})")
        assert wrong, "there are no ages"
        assert all(abs(seconds) <= AGE_TOLERANCE_SECONDS for seconds in wrong.values()), wrong


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    clock = Clock()
    flags = ("--poll.interval", f"{POLL_SECONDS * 1000:.0f}ms", "--poll.stale-after", "60s")
    with (
        Simulator(parse_scenario(CLUSTER), clock=clock) as localai,
        serving("--localai.url", localai.url, *flags) as served,
        prometheus(tmp_path, served.url) as server,
    ):
        scene = Scene(localai, clock, served, server)
        scene.settle()
        yield scene


def test_prometheus_stores_the_truth(scene: Scene) -> None:
    # Everything lives.
    assert scene.server.value("localai_p2p_up") == 1
    assert scene.workers() == (3, 3)
    assert scene.hosts() == {"gateway-1": 1, "gateway-2": 1, "rack-01": 2, "rack-02": 1}
    offset = scene.server.value("localai_p2p_server_clock_offset_seconds")
    assert offset is not None
    assert abs(offset - scene.clock.ahead) < 1
    scene.check_ages()

    # A worker dies: known for ever, offline after 40 seconds.
    scene.localai.apply("kill rack-02")
    scene.pass_time(60)
    assert scene.workers() == (3, 2)
    assert scene.hosts() == {"gateway-1": 1, "gateway-2": 1, "rack-01": 2, "rack-02": 0}
    assert scene.changes() == {"joined": 0, "lost": 1, "returned": 0, "forgotten": 0}
    scene.check_ages()

    # The workers of a host restart: new ids beside the old ones, and the host has as many as before.
    scene.localai.apply("restart rack-01")
    scene.pass_time(60)
    assert scene.workers() == (5, 2)
    assert scene.hosts() == {"gateway-1": 1, "gateway-2": 1, "rack-01": 2, "rack-02": 0}
    assert scene.changes() == {"joined": 2, "lost": 3, "returned": 0, "forgotten": 0}
    scene.check_ages()

    # LocalAI is away: up falls, and what it said last stays, with ages that go on growing.
    with scene.localai.outage():
        scene.settle()
        assert scene.server.value("localai_p2p_up") == 0
        assert scene.workers() == (5, 2)
        assert scene.hosts() == {"gateway-1": 1, "gateway-2": 1, "rack-01": 2, "rack-02": 0}
        scene.check_ages()
        failed = scene.server.by("reason", "localai_p2p_exporter_poll_failures_total > 0")
        assert failed.keys() <= {"connect", "protocol"}
        assert sum(failed.values()) >= 1

    # It is back, and has forgotten the dead.
    scene.pass_time(60)
    assert scene.server.value("localai_p2p_up") == 1
    assert scene.workers() == (2, 2)
    assert scene.hosts() == {"gateway-1": 1, "gateway-2": 1, "rack-01": 2}
    scene.check_ages()

    # An upgrade while it is watched: another generation of the API, which knows MLX workers.
    scene.localai.apply("upgrade v4.7.1")
    scene.localai.apply("worker mac-studio mlx")
    scene.pass_time(60)
    assert scene.server.by("generation", "localai_p2p_exporter_api_info") == {"3": 1}
    assert scene.server.by("version", "localai_p2p_server_info") == {"v4.7.1 ()": 1}
    assert scene.workers() == (2, 2)
    assert scene.server.by("backend", 'localai_p2p_nodes_online{role="worker"}') == {"llama_cpp": 2, "mlx": 1}
    assert scene.hosts() == {"gateway-1": 1, "gateway-2": 1, "rack-01": 2, "mac-studio": 1}
    assert scene.server.value("localai_p2p_enabled") == 1
    scene.check_ages()

    # Not one scrape failed, and no series was stored twice.
    assert scene.server.value("min_over_time(up[10m])") == 1
    assert scene.server.value("max(count by (role, backend, host, id) (localai_p2p_node_online))") == 1


def test_it_is_the_prometheus_that_is_meant() -> None:
    said = [subprocess.check_output([tool(name), "--version"], text=True) for name in ("prometheus", "promtool")]
    found = [text.split()[2].partition(".")[0] for text in said]
    wanted = os.environ.get("PROMETHEUS_MAJOR", found[0])
    assert found == [wanted, wanted], said


@pytest.fixture
def frozen() -> CollectorRegistry:
    """What is exposed of a cluster in which time stands still."""
    now = FakeClock()
    workers = [entry("rack-01-a"), entry('"r\\n\u00fc\n\U0001f999"-b', online=False)]
    target, store = Target(expected={"worker": 2}, expected_hosts=("rack-01",)), Store()
    localai = LocalAI(
        FakeClient(generation_3(workers, [entry("mac-c")], []), now), now.clock, target.max_response_bytes
    )
    Poller(localai, store, now.clock, interval=15.0, timeout=10.0, retention=86_400.0, limit=5_000).poll()
    return make_registry(target, store, now.clock, process=False)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "application/openmetrics-text; version=1.0.0; "),
        ("text/plain;version=1.0.0;escaping=allow-utf-8", "text/plain; version=1.0.0; "),
        ("text/plain;version=0.0.4", "text/plain; version=0.0.4; "),
    ],
    ids=["what it asks for", "text of Prometheus 3", "text"],
)
def test_the_same_series_are_stored_from_every_format(
    frozen: CollectorRegistry, tmp_path: Path, accept: str | None, content_type: str
) -> None:
    pages = Metrics(frozen)
    answered = set()

    def metrics(request: Request) -> Response:
        headers = {**request.headers, "accept": accept or request.headers["accept"]}
        response = pages(Request(request.method, request.path, headers, request.keep_alive, request.arrived_at))
        answered.add(response.content_type)
        return response

    with serving_table({"/metrics": metrics}) as exporter, prometheus(tmp_path, exporter.urls[0]) as server:
        server.wait_for_scrape_after(0.0)
        assert server.value("up") == 1
        page = Exposition(generate_latest(frozen).decode())
        for name in page.names():
            series = page.series(name.removeprefix("localai_p2p_"))
            # An empty label is none to Prometheus.
            assert server.query(name) == {
                frozenset((label, text) for label, text in labels if text): value for labels, value in series.items()
            }
        assert server.value('count({__name__=~"localai_.+"})') == server.value("scrape_samples_scraped")
    (negotiated,) = answered
    assert negotiated.startswith(content_type)
