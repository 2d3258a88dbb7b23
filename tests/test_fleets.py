"""Distributed mode through the whole program: what real LocalAIs answered, and what goes wrong on either side."""

import itertools
import threading
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from support.captures import CAPTURES, FLEETS, Capture, capture
from support.clocks import FakeClock
from support.exposition import Exposition, Labels
from support.fleet import NODES, loaded, registered, wanted
from support.generated import JSON, LEAVES, encode
from support.localai import FakeClient
from support.processes import PATIENCE_SECONDS, Peer, recorded, replaying, response, run, serving

from exporter.app import make_poller, make_registry
from exporter.clock import Clock
from exporter.distributed import Distributed
from exporter.errors import Reason
from exporter.exposition import Renderer
from exporter.fleetcollector import FleetCollector
from exporter.fleetpoller import FleetPoller
from exporter.questions import Questions
from exporter.settings import Target
from exporter.simulator import Replay, Simulator, parse_scenario
from exporter.simulator.answers import FLEET_PATHS
from exporter.store import Store

STATUSES = {
    "alive, approved": "healthy",
    "alive, not approved": "pending",
    "alive, draining": "draining",
    "dead": "offline",
}
MODELS_OF = {
    "distributed": {},
    "distributed-empty": {},
    "distributed-loss-80s": {"llama-3": (0, 2, 3)},
    "distributed-models": {"llama-3": (1, 2, 3)},
}
"""For each model of a capture how many replicas are loaded, and the fewest and most that are wanted."""


def recorded_fleet(name: str) -> dict[str, bytes]:
    """Return a cluster's answers on P2P, and those of a fleet on distributed mode."""
    fleet = capture("v4.7.1", name)
    return recorded("v4.7.1/cluster") | {path: fleet.raw(file) for path, file in FLEET_PATHS.items()}


def by(label: str, series: Mapping[Labels, float]) -> dict[str, float]:
    return {dict(labels)[label]: value for labels, value in series.items()}


def statuses(page: Exposition) -> dict[str, str]:
    """The one status of each node."""
    rows = [(dict(labels), is_so) for labels, is_so in page.series("node_status").items()]
    told = [(row["name"], row["status"]) for row, is_so in rows if is_so]
    assert len(dict(told)) == len(told)
    return dict(told)


def check(page: str, fleet: Capture) -> None:
    """Assert that a page says what is true of a captured fleet, and of its P2P, which was off."""
    found = Exposition(page, "localai_distributed_")
    if fleet.facts["status"]["nodes"] != 200:
        assert found.value("up") == 0
        assert not found.series("enabled")
        failures = Exposition(page).series("exporter_distributed_failures_total")
        assert by("reason", failures)["auth"] == 1
        return
    assert (found.value("up"), found.value("enabled")) == (1, 1)
    assert Exposition(page).value("up") == 1
    told = statuses(found)
    assert told == {fact["name"]: STATUSES[fact["truth"]] for fact in fleet.facts["nodes"]}
    assert len(found.series("node_status")) == 7 * len(told)
    dead = {fact["name"] for fact in fleet.facts["nodes"] if fact["truth"] == "dead"}
    ages = by("name", found.series("node_last_heartbeat_age_seconds"))
    assert ages.keys() == told.keys()
    assert {name for name, age in ages.items() if age > 60} == dead
    assert set(found.series("node_ram_size_bytes").values()) <= {25_276_510_208}
    assert set(found.series("node_vram_size_bytes").values()) <= {0}
    assert not found.series("node_disk_size_bytes")
    names = ("model_replicas_loaded", "model_replicas_min", "model_replicas_max")
    models = [by("model", found.series(name)) for name in names]
    assert {model: tuple(each[model] for each in models) for model in models[0]} == MODELS_OF[fleet.folder.name]
    assert set(found.series("entries_dropped").values()) == {0}


@pytest.mark.parametrize("fleet", FLEETS, ids=str)
def test_once_prints_what_is_true(fleet: Capture) -> None:
    with Replay(fleet.folder) as localai:
        done = run("once", "--localai.url", localai.url, "--collector.distributed")
    check(done.stdout, fleet)
    assert done.returncode == (fleet.facts["status"]["p2p"] != 200)


@pytest.mark.parametrize("fleet", FLEETS, ids=str)
def test_serve_serves_what_is_true(fleet: Capture) -> None:
    read = fleet.facts["status"]["nodes"] == 200
    with (
        Replay(fleet.folder) as localai,
        serving("--localai.url", localai.url, "--collector.distributed") as served,
    ):
        served.log_until("nodes of distributed mode" if read else "distributed mode could not be read")
        check(served.read("/metrics"), fleet)


@pytest.mark.parametrize("release", ["v3.6.0", "v3.12.1", "v4.7.1"])
def test_where_localai_is_not_in_that_mode(release: str) -> None:
    with replaying(recorded(f"{release}/cluster")) as localai:
        done = run("once", "--localai.url", localai.url, "--collector.distributed")
    page = Exposition(done.stdout, "localai_distributed_")
    assert (page.value("up"), page.value("enabled")) == (1, 0)
    assert {name for name in page.names() if name.startswith("localai_distributed_")} == {
        "localai_distributed_up",
        "localai_distributed_enabled",
    }
    assert localai.paths[-1] == NODES
    assert done.returncode == 0


def test_without_the_flag_nothing_is_asked_and_nothing_said() -> None:
    with replaying(recorded_fleet("distributed-models")) as localai:
        done = run("once", "--localai.url", localai.url)
    assert "distributed" not in done.stdout
    assert not FLEET_PATHS.keys() & set(localai.paths)


FAULTS = {
    "http_status": response("", "500 Internal Server Error"),
    "auth": response("", "403 Forbidden"),
    "redirect": response("", "302 Found", "Location: /login\r\n"),
    "not_json": response("<html></html>"),
    "shape": response('{"nodes": []}'),
    "protocol": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[",
}


@pytest.mark.parametrize("reason", FAULTS)
@pytest.mark.parametrize("path", FLEET_PATHS)
def test_a_failure_costs_that_mode_alone(path: str, reason: str) -> None:
    with replaying(recorded_fleet("distributed-models") | {path: FAULTS[reason]}) as localai:
        text = polled(localai.url)
    page, p2p = Exposition(text, "localai_distributed_"), Exposition(text)
    assert page.value("up") == 0
    assert not page.series("enabled")
    assert not page.series("node_status")
    failures = by("reason", p2p.series("exporter_distributed_failures_total"))
    assert {one: count for one, count in failures.items() if count} == {reason: 1}
    assert p2p.value("up") == 1
    assert not any(p2p.series("exporter_poll_failures_total").values())
    assert sum(p2p.series("node_online").values()) == 6


def test_a_failure_of_p2p_costs_p2p_alone() -> None:
    broken = recorded_fleet("distributed-models") | {"/api/p2p/workers": response("", "500 Internal Server Error")}
    with replaying(broken) as localai:
        text = polled(localai.url)
    assert Exposition(text).value("up") == 0
    assert Exposition(text, "localai_distributed_").value("up") == 1
    assert len(Exposition(text, "localai_distributed_").series("node_info")) == 4


def test_where_nobody_is_known_to_be_localai_nothing_is_known_of_the_mode() -> None:
    with replaying({}) as nobody:
        text = polled(nobody.url)
    page = Exposition(text, "localai_distributed_")
    assert (Exposition(text).value("up"), page.value("up")) == (0, 0)
    assert not page.series("enabled")
    assert Exposition(text).value("exporter_distributed_failures_total", reason="http_status") == 1


def test_a_proxy_that_has_lost_localai_for_a_poll_costs_no_series() -> None:
    clock, store, answers = Clock.system(), Store(), recorded_fleet("distributed-models")
    lost: list[bool] = []
    with Peer(lambda path: response("", "404 Not Found") if lost else answers[path]) as localai:
        target = Target(url=localai.url, collect_distributed=True)
        poller, registry = make_poller(target, store, clock), make_registry(target, store, clock, process=False)
        poller.poll()
        lost.append(True)
        poller.poll()
        page = Exposition(Renderer(registry).page().body.decode(), "localai_distributed_")
    assert (page.value("up"), page.value("enabled")) == (0, 1)
    assert len(page.series("node_info")) == 4


def test_a_mode_that_hangs_is_given_up_when_the_poll_has_to_end() -> None:
    answers, ended = recorded("v4.7.1/cluster"), threading.Event()

    def answer(path: str) -> bytes:
        if path == NODES:
            ended.wait(PATIENCE_SECONDS)
        return answers.get(path, b"")

    with Peer(answer) as localai:
        text = polled(localai.url, poll_timeout=1.0)
        ended.set()
    assert Exposition(text).value("up") == 1
    assert Exposition(text, "localai_distributed_").value("up") == 0
    assert Exposition(text).value("exporter_distributed_failures_total", reason="timeout") == 1


def polled(url: str, poll_timeout: float = 10.0) -> str:
    """Return the page after one poll."""
    clock, store = Clock.system(), Store()
    target = Target(url=url, collect_distributed=True, poll_timeout=poll_timeout)
    make_poller(target, store, clock).poll()
    return Renderer(make_registry(target, store, clock, process=False)).page().body.decode()


SCRIPT = """
    distributed on
    node gpu-1
    node gpu-2
    node gpu-3 pending
    node cpu-1 cpu
    plan llama-3 2 3
    load llama-3 gpu-1
    load llama-3 gpu-2
    busy gpu-1 4
    at 20s drain cpu-1
    at 30s silence gpu-2
    at 40s no-room llama-3 3
    at 3m  watch off
    at 3m  silence gpu-1
    at 6m  distributed off
"""


def test_a_simulated_fleet_is_shown_as_its_script_has_it() -> None:
    time, store = FakeClock(), Store()
    with Simulator(parse_scenario(SCRIPT), clock=time.clock.wall) as localai:
        target = Target(url=localai.url, collect_distributed=True)
        poller = make_poller(target, store, time.clock)
        registry = make_registry(target, store, time.clock, process=False)

        def after(seconds: float) -> Exposition:
            time.advance(seconds)
            poller.poll()
            return Exposition(Renderer(registry).page().body.decode(), "localai_distributed_")

        page = after(0)
        assert statuses(page) == {"cpu-1": "healthy", "gpu-1": "healthy", "gpu-2": "healthy", "gpu-3": "pending"}
        assert page.value("model_replicas_loaded", model="llama-3") == 2
        assert page.value("node_requests_in_flight", name="gpu-1") == 4
        assert page.value("node_vram_size_bytes", name="cpu-1") == 0
        assert page.value("node_vram_size_bytes", name="gpu-1") == 24 * 2**30

        page = after(120)
        assert statuses(page) == {"cpu-1": "draining", "gpu-1": "healthy", "gpu-2": "offline", "gpu-3": "pending"}
        assert (page.value("nodes", status="healthy"), page.value("nodes", status="offline")) == (1, 1)
        assert page.value("model_replicas_loaded", model="llama-3") == 1
        assert page.value("model_replicas_min", model="llama-3") == 2
        assert page.value("model_unsatisfiable", model="llama-3") == 1
        ages = by("name", page.series("node_last_heartbeat_age_seconds"))
        assert {name for name, age in ages.items() if age > 60} == {"gpu-2"}

        page = after(180)
        assert statuses(page)["gpu-1"] == "healthy"
        assert by("name", page.series("node_last_heartbeat_age_seconds"))["gpu-1"] > 100

        page = after(60)
        assert (page.value("up"), page.value("enabled")) == (1, 0)
        assert not page.series("node_status")
        localai.apply("distributed on")
        assert after(15).value("enabled") == 1


GOOD = st.sampled_from([registered("a"), registered("b"), loaded("a", "x"), wanted("x")])
ODD = st.dictionaries(st.sampled_from([*registered("a"), *loaded("a", "x"), *wanted("x")]), LEAVES | JSON, max_size=3)
ELEMENTS = st.builds(lambda good, odd: good | odd, GOOD, ODD) | JSON
ANSWERS = st.lists(ELEMENTS, max_size=4).map(encode) | JSON.map(encode) | st.binary(max_size=20)


@given(answers=st.lists(st.tuples(ANSWERS, ANSWERS, ANSWERS), min_size=1, max_size=3))
def test_whatever_is_answered_the_page_is_sound_and_nothing_is_a_bug(answers: list[tuple[bytes, bytes, bytes]]) -> None:
    time, store = FakeClock(), Store()
    client = FakeClient({}, time)
    poller = FleetPoller(
        Distributed(Questions(client, time.clock, 2**20), time.clock), store, time.clock, retention=60.0, limit=2
    )
    registry = CollectorRegistry()
    registry.register(FleetCollector(store, time.clock, stale_after=60.0))
    for bodies in answers:
        client.paths = dict(zip(FLEET_PATHS, bodies, strict=True))
        outcome = poller.poll(time.monotonic_now + 10, known=True, anew=False)
        page = Exposition(Renderer(registry).page().body.decode(), "localai_distributed_")
        assert outcome.failures[Reason.INTERNAL] == 0
        assert page.value("up") == (outcome.failure is None)
        assert len(page.series("node_info")) <= 2
        assert len(page.series("node_status")) == 7 * len(page.series("node_info"))
        time.advance(15)


def test_every_fleet_becomes_every_other_and_the_next_poll_tells() -> None:
    clock = Clock.system()
    others = [one for one in CAPTURES if str(one) in ("v3.6.0/cluster", "v4.7.1/cluster")]
    with Replay(FLEETS[0].folder) as localai:
        target = Target(url=localai.url, collect_distributed=True)
        for before, after in itertools.permutations([*FLEETS, *others], 2):
            store = Store()
            poller, registry = make_poller(target, store, clock), make_registry(target, store, clock, process=False)
            localai.show(before.folder)
            poller.poll()
            localai.show(after.folder)
            poller.poll()
            page = Renderer(registry).page().body.decode()
            found = Exposition(page, "localai_distributed_")
            if after in others:
                assert (found.value("up"), found.value("enabled")) == (1, 0), (str(before), str(after))
                assert not found.series("node_status")
            elif after.facts["status"]["nodes"] == 200:
                check(page, after)
            else:
                assert found.value("up") == 0
