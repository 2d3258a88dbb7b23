"""The model of distributed mode's registry: heartbeats, statuses, models and schedules."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.simulator import Request, Stage, parse_scenario
from exporter.simulator.fleet import BEAT, LOOK_EVERY, STALE_AFTER, Fleet, Member
from exporter.usage import UsageError

START = 1_795_381_500.0


def heard(member: Member) -> float:
    return member.last_heartbeat / 1e6


def member(fleet: Fleet, now: float) -> Member:
    (found,) = fleet.listing(now).members
    return found


@given(seed=st.integers(0, 2**32), seconds=st.floats(0, 10_000))
def test_a_living_node_is_heard_of_every_ten_seconds_and_stays_healthy(seed: int, seconds: float) -> None:
    fleet = Fleet(START, seed)
    fleet.register("gpu-01", START)
    now = START + seconds
    found = member(fleet, now)
    assert -0.001 <= now - heard(found) <= BEAT + 0.001
    assert found.status == "healthy"
    assert found.updated_at >= found.last_heartbeat >= found.created_at


@given(seed=st.integers(0, 2**32), silent=st.floats(0, 300), since=st.floats(0, 300))
def test_a_silent_one_is_offline_a_minute_after_its_last_heartbeat_and_a_look_later(
    seed: int, silent: float, since: float
) -> None:
    fleet = Fleet(START, seed)
    fleet.register("gpu-01", START)
    fleet.silence("gpu-01", START + silent)
    now = START + silent + since
    found = member(fleet, now)
    age = now - heard(found)
    if age <= STALE_AFTER:
        assert found.status == "healthy"
    elif age > STALE_AFTER + LOOK_EVERY + 0.001:
        assert found.status == "offline"
        assert found.updated_at / 1e6 - heard(found) <= STALE_AFTER + LOOK_EVERY + 0.001


def test_silence_is_no_heartbeat_however_often_it_is_said() -> None:
    fleet = Fleet(START)
    fleet.register("gpu-01", START)
    fleet.silence("gpu-01", START + 50)
    fleet.silence("gpu-01", START + 90)
    assert heard(member(fleet, START + 95)) <= START + 50


def test_without_a_look_a_silent_node_stays_healthy() -> None:
    fleet = Fleet(START)
    fleet.watch(START, on=False)
    fleet.register("gpu-01", START)
    fleet.silence("gpu-01", START)
    assert member(fleet, START + 3_600).status == "healthy"
    fleet.watch(START + 3_600, on=True)
    assert member(fleet, START + 3_600 + LOOK_EVERY - 1).status == "healthy"
    assert member(fleet, START + 3_600 + LOOK_EVERY).status == "offline"


def test_a_draining_node_that_is_silent_stays_so() -> None:
    fleet = Fleet(START)
    fleet.register("gpu-01", START)
    fleet.drain("gpu-01", START + 5)
    fleet.silence("gpu-01", START + 6)
    assert member(fleet, START + 3_600).status == "draining"
    fleet.resume("gpu-01", START + 3_600)
    assert member(fleet, START + 3_600).status == "healthy"
    assert member(fleet, START + 3_600 + LOOK_EVERY).status == "offline"


def test_a_pending_node_waits_to_be_approved() -> None:
    fleet = Fleet(START)
    fleet.register("gpu-01", START, approved=False)
    assert member(fleet, START + 100).status == "pending"
    fleet.register("gpu-01", START + 100)
    assert member(fleet, START + 100).status == "pending"
    fleet.approve("gpu-01", START + 200)
    assert member(fleet, START + 200).status == "healthy"
    with pytest.raises(UsageError, match="does not wait to be approved"):
        fleet.approve("gpu-01", START + 201)


def test_a_node_that_registers_again_keeps_its_entry_and_has_nothing_loaded() -> None:
    fleet = Fleet(START)
    fleet.register("gpu-01", START, gpu=False)
    fleet.load("llama-3", "gpu-01", START)
    before = member(fleet, START)
    assert (before.models, before.vram, before.gpu) == (1, (0, 0), ("", ""))
    fleet.silence("gpu-01", START)
    fleet.register("gpu-01", START + 300)
    after = member(fleet, START + 300)
    assert (after.id, after.created_at, after.vram) == (before.id, before.created_at, (0, 0))
    assert (after.status, heard(after), after.models) == ("healthy", START + 300, 0)


def test_a_node_that_was_removed_is_another_when_it_registers_again() -> None:
    fleet = Fleet(START)
    fleet.register("gpu-01", START)
    fleet.load("llama-3", "gpu-01", START)
    before = member(fleet, START)
    fleet.remove("gpu-01", START + 10)
    gone = fleet.listing(START + 10)
    assert (gone.members, gone.replicas) == ([], [])
    with pytest.raises(UsageError, match="no node 'gpu-01' is registered"):
        fleet.load("llama-3", "gpu-01", START + 11)
    fleet.register("gpu-01", START + 20, approved=False)
    after = member(fleet, START + 20)
    assert (after.status, after.models, after.created_at) == ("pending", 0, int((START + 20) * 1e6))
    assert after.id != before.id


def test_models_are_loaded_on_healthy_nodes() -> None:
    fleet = Fleet(START)
    for name in ("gpu-02", "gpu-01"):
        fleet.register(name, START)
        fleet.load("llama-3", name, START + 1)
    fleet.load("phi", "gpu-01", START + 2)
    fleet.load("llama-3", "gpu-01", START + 3)
    fleet.busy("gpu-01", 4, START + 3)
    listed = fleet.listing(START + 3)
    assert [(one.name, one.models, one.in_flight) for one in listed.members] == [("gpu-01", 2, 4), ("gpu-02", 1, 0)]
    ids = {one.name: one.id for one in listed.members}
    assert [(one.node_id, one.model, one.index, one.in_flight) for one in listed.replicas] == [
        (ids["gpu-01"], "llama-3", 0, 4),
        (ids["gpu-01"], "phi", 0, 0),
        (ids["gpu-02"], "llama-3", 0, 0),
    ]
    assert len({one.id for one in listed.replicas}) == 3
    total, free = listed.members[0].vram
    assert 0 < free < total
    fleet.load("llama-3", "gpu-01", START + 4, loaded=False)
    fleet.load("phi", "gpu-01", START + 4, loaded=False)
    fleet.drain("gpu-02", START + 4)
    listed = fleet.listing(START + 4)
    assert (listed.replicas, [one.in_flight for one in listed.members]) == ([], [0, 0])
    with pytest.raises(UsageError, match="nothing is loaded on 'gpu-01'"):
        fleet.busy("gpu-01", 1, START + 5)
    with pytest.raises(UsageError, match="'gpu-02' is draining: models are loaded on healthy nodes alone"):
        fleet.load("phi", "gpu-02", START + 5)


def test_plans() -> None:
    fleet = Fleet(START)
    fleet.plan("phi", 1, 0, START)
    fleet.plan("llama-3", 2, 3, START)
    fleet.no_room("phi", 3)
    assert [(one.model, one.least, one.most, one.ticks) for one in fleet.listing(START).plans] == [
        ("llama-3", 2, 3, 0),
        ("phi", 1, 0, 3),
    ]
    fleet.plan("phi", 2, 4, START + 60)
    plan = fleet.listing(START + 60).plans[1]
    assert (plan.least, plan.most, plan.ticks, plan.updated_at - plan.created_at) == (2, 4, 0, 60_000_000)
    with pytest.raises(UsageError, match="nothing is wanted of 'qwen'"):
        fleet.no_room("qwen", 1)


@pytest.mark.parametrize("happen", [Fleet.approve, Fleet.drain, Fleet.resume, Fleet.silence, Fleet.remove])
def test_nothing_happens_to_a_node_that_never_registered(happen: Any) -> None:
    with pytest.raises(UsageError, match="no node 'gpu-01' is registered"):
        happen(Fleet(START), "gpu-01", START)


def test_equal_seeds_give_equal_registries() -> None:
    def ids(seed: int) -> list[str]:
        fleet = Fleet(START, seed)
        fleet.register("a", START)
        fleet.register("b", START)
        return [one.id for one in fleet.listing(START).members]

    assert ids(1) == ids(1)
    assert ids(1) != ids(2)
    assert len(set(ids(1))) == 2


SCRIPT = """
    distributed on
    node gpu-01
    node gpu-02
    node gpu-03 pending
    node cpu-01 cpu
    plan llama-3 2 3
    load llama-3 gpu-01
    busy gpu-01 4
    at 10s silence gpu-02
    at 20s drain cpu-01
    at 30s no-room llama-3 3
    at 2m approve gpu-03
    at 3m node gpu-02
    at 4m watch off
    at 4m resume cpu-01
    at 4m unload llama-3 gpu-01
    at 4m remove gpu-03
    at 5m distributed off
"""


def asked(stage: Stage, path: str, now: float) -> Any:
    stage.advance(now)
    answered = stage.answer(Request(path), now)
    assert answered
    head, _, body = answered.partition(b"\r\n\r\n")
    if b" 200 OK\r\n" not in head + b"\r\n":
        return None
    return json.loads(body.split(b"\r\n")[1] if b"chunked" in head else body)


@pytest.mark.parametrize(
    ("at", "statuses"),
    [
        (0, {"cpu-01": "healthy", "gpu-01": "healthy", "gpu-02": "healthy", "gpu-03": "pending"}),
        (25, {"cpu-01": "draining", "gpu-01": "healthy", "gpu-02": "healthy", "gpu-03": "pending"}),
        (100, {"cpu-01": "draining", "gpu-01": "healthy", "gpu-02": "offline", "gpu-03": "pending"}),
        (150, {"cpu-01": "draining", "gpu-01": "healthy", "gpu-02": "offline", "gpu-03": "healthy"}),
        (210, {"cpu-01": "draining", "gpu-01": "healthy", "gpu-02": "healthy", "gpu-03": "healthy"}),
        (270, {"cpu-01": "healthy", "gpu-01": "healthy", "gpu-02": "healthy"}),
    ],
)
def test_a_script_of_distributed_mode(at: float, statuses: dict[str, str]) -> None:
    stage = Stage(parse_scenario(SCRIPT), START)
    assert {node["name"]: node["status"] for node in asked(stage, "/api/nodes", START + at)} == statuses
    loaded = asked(stage, "/api/nodes/models", START + at)
    assert [(one["model_name"], one["in_flight"]) for one in loaded] == ([("llama-3", 4)] if at < 240 else [])
    (plan,) = asked(stage, "/api/nodes/scheduling", START + at)
    assert plan["unsatisfiable_ticks"] == (3 if at >= 30 else 0)


def test_a_mode_that_goes_off_is_a_new_localai_without_its_routes() -> None:
    stage = Stage(parse_scenario(SCRIPT), START)
    stage.advance(START + 290)
    boots = stage.boots
    assert asked(stage, "/api/nodes", START + 300) is None
    assert stage.boots == boots + 1
