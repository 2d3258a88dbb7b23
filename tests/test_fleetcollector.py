import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.parser import text_string_to_metric_families
from support.clocks import FakeClock
from support.fleet import NOW, fleet, fleet_node
from support.judges import promtool_says

from exporter.collector import P2PCollector
from exporter.errors import PollError, Reason
from exporter.exposition import Renderer
from exporter.families import Large
from exporter.fleet import Capacity, Dropped, Fleet, FleetNode, Listing, Schedule, Status
from exporter.fleetcollector import FleetCollector
from exporter.fleetmetrics import DEFINITIONS
from exporter.fleetpoller import FleetPoller
from exporter.labels import label
from exporter.model import ClockReading
from exporter.store import Store

PREFIX = "localai_distributed_"


class World:
    """Distributed mode's part of the poller, and both collectors, on one fake clock that is 100 s behind LocalAI's."""

    def __init__(self, *, ages: bool = True, limit: int = 5_000) -> None:
        self.time = FakeClock(wall=NOW - 100)
        self.store = Store()
        self.answer: Fleet | PollError | None = None
        self._poller = FleetPoller(self, self.store, self.time.clock, retention=86_400.0, limit=limit)
        self.registry = CollectorRegistry()
        p2p = P2PCollector(
            self.store, self.time.clock, stale_after=60.0, expected={}, expected_hosts=(), tls_insecure=False
        )
        self.collector = FleetCollector(self.store, self.time.clock, stale_after=60.0, ages=ages)
        for one in (p2p, self.collector):
            self.registry.register(one)
        self.renderer = Renderer(self.registry)

    def ask(self, deadline: float, *, known: bool, anew: bool = False) -> Fleet | None:
        assert deadline == self.time.monotonic_now + 10
        assert (known, anew in (False, True)) == (True, True)
        if isinstance(self.answer, PollError):
            raise self.answer
        return self.answer

    def hears(self, answer: Fleet | PollError | None) -> None:
        self.answer = answer
        self._poller.poll(self.time.monotonic_now + 10, known=True, anew=False)

    def sees(self, *nodes: FleetNode, **more: object) -> None:
        clock = ClockReading(NOW, self.time.monotonic_now, exact=True)
        self.hears(fleet(*nodes, clock=clock, **more))  # type: ignore[arg-type]

    def fails(self) -> None:
        self.hears(PollError(Reason.TIMEOUT, "late"))

    def text(self) -> str:
        return self.renderer.page().body.decode()

    def series(self, name: str) -> dict[str, float]:
        """The samples of a name, by their label values in the order of their names."""
        return {
            " ".join(value for _, value in sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.text())
            for sample in family.samples
            if sample.name == (name if name.startswith("localai_") else f"{PREFIX}{name}")
        }

    def names(self) -> set[str]:
        return {
            name
            for name in re.findall(r"^# TYPE (\w+)", self.text(), re.MULTILINE)
            if name.startswith(PREFIX) or "exporter_distributed" in name
        }


def whole(name: str = "gpu-1", status: Status = Status.HEALTHY) -> FleetNode:
    """A node of which everything is known."""
    capacities = Capacity(24_000, 20_000), Capacity(64_000, 48_000), Capacity(2_000_000, 0)
    return FleetNode(name, f"id-of-{name}", "backend", "10.0.0.1:1", "nvidia", status, NOW - 7.5, *capacities, 2, 3)


ALWAYS = {"localai_distributed_up", "localai_p2p_exporter_distributed_failures_total"}
UNDERSTOOD = {"localai_p2p_exporter_distributed_last_success_timestamp_seconds"}
FLEETS = {f"{PREFIX}{name}" for name in ("enabled", "nodes", "nodes_hidden", "models_hidden", "entries_dropped")}


def test_before_it_was_asked_nothing_is_said() -> None:
    assert World().names() == set()


def test_a_first_failure() -> None:
    world = World()
    world.fails()
    assert world.names() == ALWAYS
    assert world.series("up") == {"": 0}
    failures = world.series("localai_p2p_exporter_distributed_failures_total")
    assert failures == dict.fromkeys(Reason, 0) | {"timeout": 1}


def test_everything() -> None:
    world = World()
    world.sees(whole(), replicas={"llama-3": 1}, schedules=(Schedule("llama-3", 2, 3, 0),))
    assert world.names() == {one.name for one in DEFINITIONS}


def test_an_empty_registry() -> None:
    world = World()
    world.sees(replicas={}, schedules=())
    assert world.names() == ALWAYS | UNDERSTOOD | FLEETS
    assert world.series("nodes") == dict.fromkeys(Status, 0)
    assert world.series("nodes_hidden") == {"retention": 0, "limit": 0}
    assert world.series("models_hidden") == {"": 0}
    assert world.series("entries_dropped") == {
        f"{listing} {reason}": 0 for listing in Listing for reason in ("invalid", "duplicate")
    }


def test_off() -> None:
    world = World()
    world.hears(None)
    assert world.names() == ALWAYS | UNDERSTOOD | {f"{PREFIX}enabled"}
    assert (world.series("up"), world.series("enabled")) == ({"": 1}, {"": 0})


def test_values() -> None:
    world = World()
    world.sees(whole(), fleet_node("gpu-2", Status.PENDING, heartbeat=NOW - 70))
    assert (world.series("up"), world.series("enabled")) == ({"": 1}, {"": 1})
    assert world.series("nodes") == dict.fromkeys(Status, 0) | {"healthy": 1, "pending": 1}
    assert world.series("node_status") == {
        f"{name} {status}": status == has
        for name, has in (("gpu-1", Status.HEALTHY), ("gpu-2", Status.PENDING))
        for status in Status
    }
    assert world.series("node_last_heartbeat_timestamp_seconds") == {"gpu-1": NOW - 7.5, "gpu-2": NOW - 70}
    assert world.series("node_last_heartbeat_age_seconds") == {"gpu-1": 7.5, "gpu-2": 70}
    assert world.series("node_vram_size_bytes") == {"gpu-1": 24_000}
    assert world.series("node_vram_available_bytes") == {"gpu-1": 20_000}
    assert world.series("node_ram_size_bytes") == {"gpu-1": 64_000}
    assert world.series("node_ram_available_bytes") == {"gpu-1": 48_000}
    assert world.series("node_disk_size_bytes") == {"gpu-1": 2_000_000}
    assert world.series("node_disk_available_bytes") == {"gpu-1": 0}
    assert world.series("node_models_loaded") == {"gpu-1": 2, "gpu-2": 0}
    assert world.series("node_requests_in_flight") == {"gpu-1": 3, "gpu-2": 0}
    assert world.series("node_info") == {
        "10.0.0.1:1 nvidia id-of-gpu-1 gpu-1 backend": 1,
        "  id-of-gpu-2 gpu-2 backend": 1,
    }
    assert world.series("localai_p2p_exporter_distributed_last_success_timestamp_seconds") == {"": world.time.wall_now}


def test_what_is_unknown_is_absent() -> None:
    world = World()
    unknown = FleetNode("gpu-1", "", "", "", "", Status.UNKNOWN, None, None, None, Capacity(9, None), None, None)
    world.sees(unknown)
    of_nodes = {f"{PREFIX}{name}" for name in ("node_status", "node_disk_size_bytes", "node_info")}
    assert world.names() == ALWAYS | UNDERSTOOD | FLEETS | of_nodes


def test_a_size_is_exact_up_to_what_a_sample_holds() -> None:
    world = World()
    world.sees(fleet_node("gpu-1", ram=Capacity(2**53 - 1, None)))
    assert world.series("node_ram_size_bytes") == {"gpu-1": 2**53 - 1}


def test_models() -> None:
    world = World()
    schedules = (
        Schedule("few", 2, 3, 0),
        Schedule("no room", 1, None, 3),
        Schedule("everywhere", None, None, 2),
        Schedule("of v4.1", 1, None, None),
    )
    world.sees(replicas={"few": 1, "on demand": 4}, schedules=schedules)
    loaded = {"few": 1, "no room": 0, "everywhere": 0, "of v4.1": 0, "on demand": 4}
    assert world.series("model_replicas_loaded") == loaded
    assert world.series("model_replicas_min") == {"few": 2, "no room": 1, "of v4.1": 1}
    assert world.series("model_replicas_max") == {"few": 3}
    assert world.series("model_unsatisfiable_ticks") == {"few": 0, "no room": 3, "everywhere": 2}
    assert world.series("model_unsatisfiable") == {"few": 0, "no room": 1, "everywhere": 0}


@pytest.mark.parametrize(
    ("loaded", "least", "verdict"),
    [({}, 1, 1), ({"x": 1}, 2, 1), ({"x": 2}, 2, 0), ({"x": 3}, 2, 0), ({}, 0, 0), ({"x": 9}, None, 1), (None, 2, 1)],
)
def test_what_has_all_that_it_wants_is_not_unsatisfiable(
    loaded: dict[str, int] | None, least: int | None, verdict: float
) -> None:
    world = World()
    world.sees(replicas=loaded, schedules=(Schedule("x", least, None, 7),))
    assert world.series("model_unsatisfiable_ticks") == {"x": 7}
    assert world.series("model_unsatisfiable") == {"x": verdict}


def test_a_release_that_does_not_list_what_is_loaded() -> None:
    world = World()
    world.sees(schedules=(Schedule("few", 2, 3, 0),))
    assert world.series("model_replicas_loaded") == {}
    assert world.series("model_replicas_min") == {"few": 2}
    assert {name.partition(" ")[0] for name in world.series("entries_dropped")} == {"nodes", "scheduling"}


def test_what_was_not_used_and_what_is_hidden_is_counted() -> None:
    world = World(limit=1)
    gone = fleet_node("gone", Status.OFFLINE, heartbeat=NOW - 9 * 86_400)
    found = fleet(whole(), fleet_node("gpu-2", Status.DRAINING), gone)
    world.hears(replace(found, dropped={Listing.NODES: Dropped(2, 1)}))
    assert world.series("entries_dropped") == {"nodes invalid": 2, "nodes duplicate": 1}
    assert world.series("nodes_hidden") == {"retention": 1, "limit": 1}
    assert set(world.series("node_info")) == {"10.0.0.1:1 nvidia id-of-gpu-1 gpu-1 backend"}
    assert world.series("nodes") == dict.fromkeys(Status, 0) | {"healthy": 1, "draining": 1, "offline": 1}


class TestTime:
    def test_an_age_grows_between_two_polls_and_nothing_else_moves(self) -> None:
        world = World()
        world.sees(whole())
        before = world.text().replace(" 7.50\n", " 20.00\n")
        world.time.advance(12.5)
        assert world.text() == before
        assert world.series("node_last_heartbeat_age_seconds") == {"gpu-1": 20}

    @pytest.mark.parametrize("jump", [3_600, -3_600])
    def test_a_jump_of_our_clock_shows_in_our_own_times_alone(self, jump: float) -> None:
        world = World()
        world.sees(whole())
        world.time.advance(10)
        world.time.jump(jump)
        assert world.series("node_last_heartbeat_age_seconds") == {"gpu-1": 17.5}
        success = world.series("localai_p2p_exporter_distributed_last_success_timestamp_seconds")
        assert success == {"": world.time.wall_now - 10}

    def test_without_ages_for_a_page_that_is_read_later(self) -> None:
        world = World(ages=False)
        world.sees(whole())
        assert f"{PREFIX}node_last_heartbeat_age_seconds" not in world.names()
        assert world.series("node_last_heartbeat_timestamp_seconds") == {"gpu-1": NOW - 7.5}


class TestFailure:
    def test_up_falls_at_once_and_the_last_answer_stays_with_growing_ages(self) -> None:
        world = World()
        world.sees(whole(), replicas={"llama-3": 1})
        before = world.names()
        world.time.advance(60)
        world.fails()
        assert world.series("up") == {"": 0}
        assert world.names() == before
        assert world.series("node_last_heartbeat_age_seconds") == {"gpu-1": 67.5}

    def test_then_what_localai_said_goes(self) -> None:
        world = World()
        for answer in (fleet(whole(), replicas={"llama-3": 1}), None):
            world.hears(answer)
            world.time.advance(60.1)
            world.fails()
            assert world.names() == ALWAYS | UNDERSTOOD

    def test_recovery_is_one_poll(self) -> None:
        world = World()
        world.fails()
        world.sees(whole())
        assert world.series("up") == {"": 1}
        assert world.series("localai_p2p_exporter_distributed_failures_total")["timeout"] == 1

    def test_a_loop_that_hangs_cannot_keep_up_at_one(self) -> None:
        world = World()
        world.sees(whole())
        world.time.advance(61)
        assert world.series("up") == {"": 0}
        assert f"{PREFIX}node_status" not in world.names()


def test_a_second_collector_of_the_same_names_is_refused() -> None:
    world = World()
    with pytest.raises(ValueError, match="Duplicated"):
        world.registry.register(world.collector)


def test_between_two_polls_the_families_are_the_same_objects_but_for_the_ages() -> None:
    world = World()
    world.sees(whole())
    once, again = list(world.collector.collect()), list(world.collector.collect())
    assert [one is other for one, other in zip(once, again, strict=True)] == [True] * (len(once) - 1) + [False]
    assert [family.name for family in once if isinstance(family, Large) and not family.lasts] == [
        f"{PREFIX}node_last_heartbeat_age_seconds"
    ]


def test_a_scrape_writes_only_the_ages_anew_whatever_else_is_on_the_page() -> None:
    world = World()
    registry = CollectorRegistry()
    Gauge("of_another_collector", "Another", registry=registry).set(0.5)
    registry.register(world.collector)
    renderer = Renderer(registry)
    world.sees(*(whole(f"gpu-{number}") for number in range(2_000)))
    first = renderer.page()
    world.time.advance(1)
    second = renderer.page()
    kept = [one for one in second.pieces if any(one is other for other in first.pieces)]
    assert b"".join(kept) == second.body[: second.body.index(b"# HELP of_another_collector")]
    assert second.body.count(b"\n# HELP localai_distributed_node_last_heartbeat_age_seconds") == 1
    assert b"localai_distributed_node_last_heartbeat_age_seconds" not in b"".join(kept)


def test_every_help_text_stands_once_and_ends_as_a_sentence() -> None:
    texts = [one.help for one in DEFINITIONS]
    assert len(set(texts)) == len(texts)
    assert all(text.endswith(".") for text in texts)


@pytest.mark.prometheus
def test_promtool_has_no_complaint() -> None:
    world = World()
    world.sees(whole(), replicas={"llama-3": 1}, schedules=(Schedule("llama-3", 2, 3, 0),))
    assert promtool_says(world.text()) == ""


TEXTS = st.text(st.characters(categories=None), max_size=200) | st.sampled_from(["%d", "%s%%", 'a"b', "a\\nb", "a\nb"])


@given(texts=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4, unique_by=lambda pair: label(pair[0])))
def test_any_label_comes_back_as_it_was_written(texts: list[tuple[str, str]]) -> None:
    world = World()
    nodes = [
        replace(whole(label(name)), id=label(more), node_type=label(more), address=label(more), gpu_vendor=label(more))
        for name, more in texts
    ]
    world.sees(*nodes, replicas={node.name: 1 for node in nodes})
    pages = {family.name: family.samples for family in text_string_to_metric_families(world.text())}
    names = {node.name for node in nodes}
    for metric in ("node_status", "node_info", "node_models_loaded", "node_last_heartbeat_age_seconds"):
        assert {sample.labels["name"] for sample in pages[f"{PREFIX}{metric}"]} == names
    assert {sample.labels["model"] for sample in pages[f"{PREFIX}model_replicas_loaded"]} == names
    assert {(one.labels["name"], one.labels["address"]) for one in pages[f"{PREFIX}node_info"]} == {
        (node.name, node.address) for node in nodes
    }
