"""The scenario language, and how a script plays."""

import json
from importlib.resources import files
from itertools import pairwise
from typing import get_args

import pytest

from exporter.model import FEDERATED, LLAMA_CPP, MLX, Kind
from exporter.simulator import RELEASES, Event, Request, Scenario, Stage, parse_action, parse_scenario
from exporter.simulator.actions import (
    Action,
    Crowd,
    Flap,
    Join,
    KeyChange,
    Kill,
    Outage,
    Restart,
    Switch,
    Upgrade,
)
from exporter.simulator.fleetactions import (
    Busy,
    Change,
    ChangeOfNode,
    FleetAction,
    Load,
    NoRoom,
    Register,
    Want,
    Watch,
)
from exporter.usage import UsageError

START = 1_795_381_500.0
DEMO = (files("exporter.simulator") / "demo.scenario").read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("worker gpu-01", Join(LLAMA_CPP, "gpu-01")),
        ("worker mac-studio mlx", Join(MLX, "mac-studio")),
        ("worker fast-clock skew 10m", Join(LLAMA_CPP, "fast-clock", 600.0)),
        ("worker slow-mac mlx skew -15s", Join(MLX, "slow-mac", -15.0)),
        ("federated gateway-2", Join(FEDERATED, "gateway-2")),
        ("federated gateway-2 skew 1m30s", Join(FEDERATED, "gateway-2", 90.0)),
        ("workers 5000", Crowd(5000)),
        ("kill gpu-01", Kill("gpu-01")),
        ("kill gpu-01 2", Kill("gpu-01", 2)),
        ("restart gpu-01", Restart("gpu-01")),
        ("flap gpu-02 every 90s", Flap("gpu-02", 90.0)),
        ("outage 20s", Outage(20.0)),
        ("upgrade v4.7.1", Upgrade(RELEASES["v4.7.1"])),
        ("webui off", Switch("webui", on=False)),
        ("webui on", Switch("webui", on=True)),
        ("p2p off", Switch("p2p", on=False)),
        ("p2p on", Switch("p2p", on=True)),
        ("key s3cret#1", KeyChange("key", "s3cret#1")),
        ("key off", KeyChange("key", None)),
        ("reader-key s3cret", KeyChange("reader_key", "s3cret")),
        ("reader-key off", KeyChange("reader_key", None)),
        ("distributed on", Switch("distributed", on=True)),
        ("distributed off", Switch("distributed", on=False)),
        ("node gpu-09", Register("gpu-09")),
        ("node gpu-09 pending", Register("gpu-09", approved=False)),
        ("node gpu-09 cpu", Register("gpu-09", gpu=False)),
        ("node gpu-09 pending cpu", Register("gpu-09", approved=False, gpu=False)),
        ("approve gpu-01", Change("approve", "gpu-01")),
        ("drain gpu-01", Change("drain", "gpu-01")),
        ("resume gpu-01", Change("resume", "gpu-01")),
        ("silence gpu-01", Change("silence", "gpu-01")),
        ("remove gpu-01", Change("remove", "gpu-01")),
        ("watch on", Watch(on=True)),
        ("watch off", Watch(on=False)),
        ("load llama-3 gpu-01", Load("llama-3", "gpu-01")),
        ("unload llama-3 gpu-01", Load("llama-3", "gpu-01", loaded=False)),
        ("busy gpu-01 0", Busy("gpu-01", 0)),
        ("plan llama-3 2", Want("llama-3", 2)),
        ("plan llama-3 2 3", Want("llama-3", 2, 3)),
        ("no-room llama-3 3", NoRoom("llama-3", 3)),
    ],
)
def test_every_verb(text: str, action: Action) -> None:
    assert parse_action(text) == action
    before = "worker gpu-01\nworker gpu-02\nnode gpu-01\nplan llama-3 1"
    assert parse_scenario(f"{before}\nat 5s {text}  # said").events == (Event(5.0, action),)


VERBS = (
    "worker, workers, federated, kill, restart, flap, outage, upgrade, webui, p2p, distributed, key, reader-key, "
    "node, approve, drain, resume, silence, remove, watch, load, unload, busy, plan, no-room"
)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("explode gpu-01", f"line 1: 'explode' is no action: use one of {VERBS}"),
        ("at 5s", "line 1: cannot read what stands after 'at': write at DURATION ACTION"),
        ("at", "line 1: cannot read what stands after 'at': write at DURATION ACTION"),
        ("at 5s at 6s kill a", f"line 1: 'at' is no action: use one of {VERBS}"),
        ("worker", "line 1: cannot read what stands after 'worker': write worker HOST [mlx] [skew DURATION]"),
        ("worker a cuda", "line 1: cannot read what stands after 'worker': write worker HOST [mlx] [skew DURATION]"),
        ("worker a mlx b", "line 1: cannot read what stands after 'worker': write worker HOST [mlx] [skew DURATION]"),
        ("federated a mlx", "line 1: cannot read what stands after 'federated': write federated HOST [skew DURATION]"),
        ("workers", "line 1: cannot read what stands after 'workers': write workers COUNT"),
        ("workers 0", "line 1: '0' is no count: write a whole number from 1 on"),
        ("workers many", "line 1: 'many' is no count: write a whole number from 1 on"),
        ("kill", "line 1: cannot read what stands after 'kill': write kill HOST [COUNT]"),
        ("kill a -1", "line 1: '-1' is no count: write a whole number from 1 on"),
        ("restart a b", "line 1: cannot read what stands after 'restart': write restart HOST"),
        ("flap a 90s", "line 1: cannot read what stands after 'flap': write flap HOST every DURATION"),
        (
            "flap a every 79s",
            "line 1: flap every 79s would never show: LocalAI calls a node offline after 40s, so give at least 1m20s",
        ),
        ("outage", "line 1: cannot read what stands after 'outage': write outage DURATION"),
        ("outage 0s", "line 1: '0s' is no time at all: give at least 1s"),
        ("upgrade", "line 1: cannot read what stands after 'upgrade': write upgrade RELEASE"),
        ("upgrade v9", "line 1: release 'v9' is not simulated: use one of v3.6.0, v3.12.1, v4.7.1"),
        ("webui maybe", "line 1: cannot read what stands after 'webui': write webui on or webui off"),
        ("p2p", "line 1: cannot read what stands after 'p2p': write p2p on or p2p off"),
        ("key", "line 1: cannot read what stands after 'key': write key SECRET or key off"),
        ("key my secret", "line 1: cannot read what stands after 'key': write key SECRET or key off"),
        ("reader-key", "line 1: cannot read what stands after 'reader-key': write reader-key SECRET or reader-key off"),
        (
            "worker a skew soon",
            "line 1: 'soon' is no duration: write it as Prometheus does, for example 15s, 1m30s or 500ms",
        ),
        (
            "at noon kill a",
            "line 1: 'noon' is no duration: write it as Prometheus does, for example 15s, 1m30s or 500ms",
        ),
        ("every", "line 1: cannot read what stands after 'every': write every DURATION"),
        ("host a b", "line 1: cannot read what stands after 'host': write host NAME"),
        ("release", "line 1: cannot read what stands after 'release': write release RELEASE"),
        ("every 0s", "line 1: '0s' is no time at all: give at least 1s"),
        ("release v1", "line 1: release 'v1' is not simulated: use one of v3.6.0, v3.12.1, v4.7.1"),
        (
            "\nevery 5m\n\nevery 6m",
            "line 4: every stands here for the second time: leave one of them out",
        ),
        ("distributed", "line 1: cannot read what stands after 'distributed': write distributed on or distributed off"),
        ("node a gpu", "line 1: cannot read what stands after 'node': write node HOST [pending] [cpu]"),
        ("node", "line 1: cannot read what stands after 'node': write node HOST [pending] [cpu]"),
        ("drain", "line 1: cannot read what stands after 'drain': write drain HOST"),
        ("watch", "line 1: cannot read what stands after 'watch': write watch on or watch off"),
        ("load a", "line 1: cannot read what stands after 'load': write load MODEL HOST"),
        ("busy a", "line 1: cannot read what stands after 'busy': write busy HOST REQUESTS"),
        ("busy a -1", "line 1: '-1' is no number: write a whole one from 0 on"),
        ("plan a", "line 1: cannot read what stands after 'plan': write plan MODEL MIN [MAX]"),
        ("no-room a", "line 1: cannot read what stands after 'no-room': write no-room MODEL TIMES"),
        ("at 5s node a\nat 4s drain a", "line 2: no node 'a' has registered by then: write node a first"),
        ("node a\nat 5s remove a\nat 6s drain a", "line 3: no node 'a' has registered by then: write node a first"),
        ("node a\nevery 1m\nat 5s remove a", "line 3: no node 'a' has registered by then: write node a first"),
        ("worker a\nload llama-3 a", "line 2: no node 'a' has registered by then: write node a first"),
        ("busy a 2", "line 1: no node 'a' has registered by then: write node a first"),
        ("no-room llama-3 3", "line 1: nothing is wanted of 'llama-3' by then: plan it first"),
        ("worker a\nat 5s kill b", "line 2: nothing has joined on host 'b' by then: let it join first"),
        ("at 5s worker b\nat 4s restart b", "line 2: nothing has joined on host 'b' by then: let it join first"),
        (
            "workers 2\nflap crowd-00003 every 2m",
            "line 2: nothing has joined on host 'crowd-00003' by then: let it join first",
        ),
        ("host gw\nat 1s kill gw", "line 2: 'gw' is LocalAI's own host: use outage or upgrade"),
        (
            "every 1m\nat 70s outage 5s",
            "line 2: that lasts until 1m15s, but the script begins again every 1m: make the period longer",
        ),
        (
            "every 1m\nat 50s outage 10s",
            "line 2: that lasts until 1m, but the script begins again every 1m: make the period longer",
        ),
    ],
)
def test_every_error_names_its_line_and_says_what_to_write(text: str, error: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_scenario(text)
    assert str(raised.value) == error


def test_a_script() -> None:
    text = """
        # A cluster.
        release v3.12.1   # the second generation
        host gateway-1
        every 10m
        worker gpu-01#1
        at 60s kill gpu-01#1
        at 30s workers 2
        at 30s kill crowd-00002
    """
    assert parse_scenario(text) == Scenario(
        release=RELEASES["v3.12.1"],
        host="gateway-1",
        start=(Join(LLAMA_CPP, "gpu-01#1"),),
        events=(Event(30.0, Crowd(2)), Event(30.0, Kill("crowd-00002")), Event(60.0, Kill("gpu-01#1"))),
        every=600.0,
    )
    assert parse_scenario("") == Scenario(RELEASES["v4.7.1"], "localai")


def test_a_secret_does_not_show_in_the_representation_of_a_script() -> None:
    assert "s3cret" not in repr(parse_scenario("key s3cret"))


def total(stage: Stage, now: float, kind: Kind = LLAMA_CPP) -> int:
    return sum(entry.kind == kind for entry in stage.cluster.entries(now))


def test_events_happen_at_their_own_time_however_late_the_stage_is_asked() -> None:
    stage = Stage(parse_scenario("worker gpu-01\nat 50s kill gpu-01\nat 90s worker gpu-02"), START)
    stage.advance(START + 89)
    assert total(stage, START + 89) == 1
    stage.advance(START + 1000)
    first, second = (entry for entry in stage.cluster.entries(START + 1000) if entry.kind == LLAMA_CPP)
    assert first.last_seen_ns / 1e9 <= START + 50
    assert second.last_seen_ns / 1e9 > START + 960


def test_a_script_repeats_and_what_was_so_from_the_start_does_not() -> None:
    stage = Stage(parse_scenario("every 1m\nworker gpu-01\nat 10s worker gpu-02\nat 20s worker gpu-02"), START)
    totals = {}
    for second in (9, 10, 20, 69, 70, 80, 130, 600):
        stage.advance(START + second)
        totals[second] = total(stage, START + second)
    assert totals == {9: 1, 10: 2, 20: 3, 69: 3, 70: 4, 80: 5, 130: 6, 600: 21}


def test_an_outage_ends_by_itself_with_a_localai_that_has_forgotten_the_dead() -> None:
    stage = Stage(parse_scenario("worker gpu-01\nworker gpu-02\nkill gpu-02\nat 90s outage 20s"), START)
    stage.advance(START + 89)
    assert (stage.down, stage.boots, total(stage, START + 89)) == (False, 1, 2)
    stage.advance(START + 109)
    assert (stage.down, stage.boots) == (True, 1)
    assert stage.answer(Request("/readyz"), START + 109) is None
    stage.advance(START + 110)
    assert (stage.down, stage.boots, total(stage, START + 110)) == (False, 2, 1)


def test_an_outage_that_begins_and_ends_between_two_looks_still_restarted_localai() -> None:
    stage = Stage(parse_scenario("worker gpu-01\nkill gpu-01\nat 90s outage 20s"), START)
    stage.advance(START + 200)
    assert (stage.down, stage.boots, total(stage, START + 200)) == (False, 2, 0)


def test_an_upgrade_is_a_new_localai() -> None:
    script = "release v3.6.0\nworker gpu-01\nworker mac mlx\nworker gone\nkill gone\nat 10s upgrade v4.7.1"
    stage = Stage(parse_scenario(script), START)
    before = stage.answer(Request("/api/p2p"), START)
    assert before is not None
    assert set(json.loads(before.partition(b"\r\n\r\n")[2])) == {"nodes", "federated_nodes"}
    stage.advance(START + 10)
    after = stage.answer(Request("/api/p2p"), START + 10)
    assert after is not None
    lists = json.loads(after.partition(b"\r\n\r\n")[2])
    assert {name: [node["ID"][:-11] for node in nodes] for name, nodes in lists.items()} == {
        "llama_cpp_nodes": ["gpu-01"],
        "federated_nodes": ["localai"],
        "mlx_nodes": ["mac"],
    }
    assert stage.boots == 2


def test_p2p_that_is_turned_on_again_remembers_nobody() -> None:
    stage = Stage(parse_scenario("worker gpu-01\nkill gpu-01\nat 10s p2p off\nat 20s p2p on"), START)
    (before,) = (entry.name for entry in stage.cluster.entries(START) if entry.kind == FEDERATED)
    stage.advance(START + 20)
    (after,) = stage.cluster.entries(START + 20)
    assert after.kind == FEDERATED
    assert after.name != before


class TestDemo:
    def test_the_demo_shows_every_kind_of_node_and_of_event(self) -> None:
        scenario = parse_scenario(DEMO)
        actions = [*scenario.start, *(event.action for event in scenario.events)]
        assert {type(action) for action in actions} == {
            *(Join, Kill, Restart, Flap, Outage),
            *(Switch, Register, Change, Load, Busy, Want, NoRoom),
        }
        assert {action.kind for action in actions if isinstance(action, Join)} == {LLAMA_CPP, MLX, FEDERATED}
        assert any(isinstance(action, Join) and action.skew > 0 for action in actions)
        assert {action.what for action in actions if isinstance(action, Change)} == set(get_args(ChangeOfNode))
        registered = [action for action in actions if isinstance(action, Register)]
        assert {(one.approved, one.gpu) for one in registered} >= {(False, True), (True, False)}
        assert scenario.release == RELEASES["v4.7.1"]

    @pytest.mark.parametrize("of_fleet", [False, True], ids=["p2p", "distributed"])
    def test_something_happens_at_least_every_30_s_and_three_times_in_the_first_minute(self, *, of_fleet: bool) -> None:
        scenario = parse_scenario(DEMO)
        assert scenario.every is not None
        happens = [event.at for event in scenario.events if isinstance(event.action, FleetAction) == of_fleet]
        moments = [0.0, *happens, scenario.every + happens[0]]
        assert max(after - before for before, after in pairwise(moments)) <= 30
        assert sum(moment <= 60 for moment in moments) > 3

    def test_the_demo_can_run_for_a_week_without_growing(self) -> None:
        stage = Stage(parse_scenario(DEMO), START)
        stage.advance(START + 600)
        grown, fleet = len(stage.cluster.entries(START + 600)), stage.fleet.listing(START + 600)
        stage.advance(START + 600_000)
        assert len(stage.cluster.entries(START + 600_000)) == grown
        listed = stage.fleet.listing(START + 600_000)
        assert [(one.name, one.status, one.models, one.in_flight) for one in listed.members] == [
            (one.name, one.status, one.models, one.in_flight) for one in fleet.members
        ]
        assert [(one.model, one.least, one.most, one.ticks) for one in listed.plans] == [
            (one.model, one.least, one.most, one.ticks) for one in fleet.plans
        ]
