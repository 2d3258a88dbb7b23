"""The JSON of `/api/v1`: what is known, as of the moment of the answer, and null for what is not."""

import gzip
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.clocks import FakeClock
from support.fleet import fleet, fleet_node
from support.values import SERVER_NOW, node, snapshot

from exporter.api import ClusterApi, Shared, TargetsApi
from exporter.errors import Reason
from exporter.fleet import Capacity, FleetOutcome, FleetView, Status
from exporter.http1 import Request
from exporter.model import FEDERATED, LLAMA_CPP, Failure, Hidden, Node, Outcome, PollTotals, ServerInfo, Track, View
from exporter.settings import Target
from exporter.store import Store

API = Path(__file__).parents[1] / "docs" / "api.md"

HOSTILE = '<script>alert(1)</script>%s%.3f"\\\ud800-x'

REFUSED = Failure(Reason.AUTH, "LocalAI does not accept the key", 401)


class Watching:
    """A store, a clock that LocalAI's is a hundred seconds ahead of, and what the API says of them."""

    def __init__(self, **more: Any) -> None:
        self.time = FakeClock(wall=SERVER_NOW - 100)
        self.store = Store()
        self.target = Target(expected={"worker": 3}, expected_hosts=("gpu-01",), **more)
        self._api = ClusterApi(self.store, self.time.clock, self.target)
        self._polls = 0
        self._view: View | None = None

    def polled(self, *nodes: Node, failure: Failure | None = None, moved_at: float | None = None) -> None:
        now = self.time.monotonic_now
        self._polls += 1
        if failure is None:
            seen = snapshot(*nodes, monotonic=now, server=ServerInfo("v4.7.1 ()", enabled=True))
            hidden = {(kind, why): 0 for kind in seen.counts for why in Hidden} | {(LLAMA_CPP, Hidden.LIMIT): 2}
            self._view = View(
                seen, now, tuple(Track(one, now, one.last_seen, moved_at=moved_at) for one in nodes), hidden
            )
        failures = {Reason.AUTH: 1} if failure else {}
        epoch = self.time.wall_now - now
        self.store.publish(Outcome(epoch, failure, self._view, {}, PollTotals(self._polls, failures)))

    def says(self) -> Any:
        return json.loads(self._api())


def test_before_the_first_poll_nothing_is_known() -> None:
    said = Watching().says()
    assert said["time"] == SERVER_NOW - 100
    assert said["exporter"]["tls_insecure"] is False
    assert said["poll"] == {
        "up": None,
        "stale": None,
        "failure": None,
        "last_success": None,
        "polls": 0,
        "failed_polls": 0,
        "interval_seconds": 15.0,
        "stale_after_seconds": 60.0,
    }
    assert said["roles"] == [
        {"role": "worker", "online": None, "total": None, "expected": 3, "backends": None},
        {"role": "federated", "online": None, "total": None, "expected": None, "backends": None},
    ]
    assert said["expected_hosts"] == ["gpu-01"]
    assert [said[name] for name in ("api", "localai", "nodes", "distributed")] == [None] * 4


def test_what_localai_says() -> None:
    watching = Watching()
    watching.polled(
        node("gpu-01-a", last_seen=SERVER_NOW - 7.5),
        node("gpu-02-b", last_seen=None, online=False),
        node("gate-c", kind=FEDERATED, last_seen=SERVER_NOW + 594),
        moved_at=990.0,
    )
    watching.time.advance(2.5)
    said = watching.says()
    assert said["poll"]["up"] is True
    assert said["poll"]["last_success"] == SERVER_NOW - 100
    assert said["api"] == {"generation": "3", "source": "workers+federation+stats"}
    assert said["localai"] == {
        "time": SERVER_NOW + 2.5,
        "clock_offset_seconds": 100.0,
        "version": "v4.7.1 ()",
        "p2p_enabled": True,
        "network": None,
    }
    worker, federated = said["roles"]
    assert (worker["online"], worker["total"], worker["expected"]) == (1, 2, 3)
    assert (federated["online"], federated["total"], federated["expected"]) == (1, 1, None)
    assert worker["backends"][0] == {
        "backend": "llama_cpp",
        "online": 1,
        "total": 2,
        "hidden": {"retention": 0, "limit": 2},
        "dropped": {"invalid": 0, "duplicate": 0},
    }
    assert said["nodes"][0] == {
        "role": "worker",
        "backend": "llama_cpp",
        "host": "gpu-01",
        "id": "gpu-01-a",
        "online": True,
        "tunnel_address": "127.0.0.1:4000",
        "last_seen": SERVER_NOW - 7.5,
        "last_seen_age_seconds": 10.0,
        "heartbeat": SERVER_NOW - 110,
    }
    assert [one["last_seen_age_seconds"] for one in said["nodes"][1:]] == [None, -591.5]


def test_a_failure_comes_with_advice_and_the_last_answer_stays_until_it_is_stale() -> None:
    watching = Watching()
    watching.polled(node("gpu-01-a"))
    watching.time.advance(60)
    watching.polled(failure=REFUSED)
    poll = watching.says()["poll"]
    assert (poll["up"], poll["stale"], poll["failed_polls"]) == (False, False, 1)
    assert poll["failure"] == {
        "reason": "auth",
        "detail": "LocalAI does not accept the key",
        "advice": "LocalAI wants a key: give it by --localai.api-key-file or the variable LOCALAI_API_KEY.",
    }
    assert watching.says()["nodes"][0]["last_seen_age_seconds"] == 60
    watching.time.advance(1)
    said = watching.says()
    assert (said["poll"]["up"], said["poll"]["stale"]) == (False, True)
    assert said["poll"]["last_success"] == SERVER_NOW - 100
    assert [said[name] for name in ("localai", "nodes")] == [None, None]
    assert [one["online"] for one in said["roles"]] == [None, None]


def test_a_loop_that_hangs_is_not_up() -> None:
    watching = Watching()
    watching.polled()
    watching.time.advance(61)
    poll = watching.says()["poll"]
    assert (poll["up"], poll["stale"], poll["failure"]) == (False, True, None)


def test_a_clock_that_is_set_moves_what_is_on_it() -> None:
    watching = Watching()
    watching.polled(node("gpu-01-a"))
    before = watching.says()
    watching.time.jump(3_600)
    after = watching.says()
    assert after["time"] - before["time"] == after["poll"]["last_success"] - before["poll"]["last_success"] == 3_600
    assert after["nodes"] == before["nodes"]


def test_any_text_comes_through_as_it_is() -> None:
    watching = Watching()
    watching.polled(node(HOSTILE))
    assert watching.says()["nodes"][0]["id"] == HOSTILE


def test_distributed_mode_is_there_where_it_is_collected() -> None:
    watching = Watching(collect_distributed=True)
    unknown = {"up": None, "stale": None, "failure": None, "last_success": None, "enabled": None, "hidden": None}
    assert watching.says()["distributed"] == {**unknown, "nodes": None}
    nodes = (replace(fleet_node("gpu-01", Status.DRAINING), vram=Capacity(24, None)), fleet_node("b", heartbeat=None))
    epoch = watching.time.wall_now - watching.time.monotonic_now
    view = FleetView(fleet(*nodes), watching.time.monotonic_now, nodes, {Hidden.LIMIT: 1})
    watching.store.publish_fleet(FleetOutcome(epoch, None, view, {}))
    watching.time.advance(5)
    said = watching.says()["distributed"]
    assert (said["up"], said["enabled"], said["hidden"]) == (True, True, {"limit": 1})
    assert said["nodes"][0] == {
        "name": "gpu-01",
        "type": "backend",
        "status": "draining",
        "last_heartbeat": SERVER_NOW,
        "last_heartbeat_age_seconds": 5.0,
        "models_loaded": 0,
        "requests_in_flight": 0,
        "vram_size_bytes": 24,
        "vram_available_bytes": None,
    }
    assert said["nodes"][1]["last_heartbeat_age_seconds"] is None
    watching.store.publish_fleet(FleetOutcome(epoch, REFUSED, view, {}))
    assert (watching.says()["distributed"]["up"], watching.says()["distributed"]["stale"]) == (False, False)
    watching.time.advance(60)
    said = watching.says()["distributed"]
    assert (said["stale"], said["enabled"], said["nodes"]) == (True, None, None)
    assert said["failure"]["advice"]


def named(value: Any, path: str = "") -> set[str]:
    """Return the path of each field, as docs/api.md writes it."""
    if isinstance(value, list):
        return set().union(*(named(one, f"{path}[]") for one in value))
    if not isinstance(value, dict):
        return set()
    fields = {name: f"{path}.{name}" if path else name for name in value}
    return set(fields.values()).union(*(named(value[name], field) for name, field in fields.items()))


def test_every_field_is_documented() -> None:
    watching = Watching(collect_distributed=True)
    watching.polled(node("gpu-01-a"), failure=None)
    nodes = (fleet_node("gpu-01"),)
    view = FleetView(fleet(*nodes), watching.time.monotonic_now, nodes)
    watching.store.publish_fleet(FleetOutcome(0.0, REFUSED, view, {}))
    watching.polled(failure=REFUSED)
    documented = set(re.findall(r"`([\w.\[\]]+)`", API.read_text("utf-8")))
    # These three stand for what is explained beside them.
    whole = {"exporter", "poll", *(f"distributed.failure.{name}" for name in ("reason", "detail", "advice"))}
    parts = {name for name in named(watching.says()) if re.search(r"\.(hidden|dropped)\.", name)}
    assert named(watching.says()) - documented - whole - parts == set()


def test_a_list_of_targets_says_how_each_is() -> None:
    home, idle = Watching(), Watching()
    home.polled(node("gpu-01-a"))
    targets = {"home": home, "idle": idle}
    api = TargetsApi(home.time.clock, lambda: [(name, one.target, one.store) for name, one in targets.items()])
    said = json.loads(api())
    assert said["time"] == SERVER_NOW - 100
    assert [(one["name"], one["up"], one["last_success"]) for one in said["targets"]] == [
        ("home", True, SERVER_NOW - 100),
        ("idle", None, None),
    ]
    assert said["targets"][0]["roles"][0] == {"role": "worker", "online": 1, "total": 1, "expected": 3}


class TestSharing:
    @pytest.mark.parametrize("encoding", ["", "gzip"])
    def test_whoever_waited_is_given_the_same(self, encoding: str) -> None:
        times = iter([10.0, 20.0])
        answers = iter([b"[1]" * 1_000, b"[2]" * 1_000])
        shared = Shared(lambda: next(answers), lambda: next(times))

        def asked(arrived_at: float) -> bytes:
            response = shared(Request("GET", "/", {"accept-encoding": encoding}, arrived_at=arrived_at))
            assert response.headers["Cache-Control"] == "no-store"
            (body,) = response.body
            return gzip.decompress(body) if response.headers.get("Content-Encoding") == "gzip" else body

        assert [asked(at)[:3] for at in (9.0, 10.0, 11.0)] == [b"[1]", b"[1]", b"[2]"]

    def test_what_is_small_is_not_compressed(self) -> None:
        response = Shared(lambda: b"{}")(Request("GET", "/", {"accept-encoding": "gzip"}))
        assert response.body == (b"{}",)
        assert "Content-Encoding" not in response.headers
