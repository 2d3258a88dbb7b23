import json
from typing import Any

import pytest
from support.captures import capture
from support.clocks import FakeClock
from support.fleet import MODELS, SCHEDULING, fleet_answers, loaded, registered, wanted
from support.localai import FakeClient, missing
from support.processes import recorded, replaying, run

from exporter.errors import PollError, Reason
from exporter.finding import Finding, Severity
from exporter.fleetdoctor import SILENT_SECONDS, examine_fleet
from exporter.settings import Target
from exporter.simulator.answers import FLEET_PATHS

OK, WARNING, CRITICAL = Severity.OK, Severity.WARNING, Severity.CRITICAL


def examined(answers: dict[str, Any], *, later: float = 0.0, known: bool = True) -> list[Finding]:
    """Look at a LocalAI that answers so, whose nodes were heard of so many seconds ago."""
    time = FakeClock()
    time.advance(later)
    client = FakeClient(answers, time)
    found = list(examine_fleet(Target(), time.clock, client, known=known))
    assert set(client.asked()) <= FLEET_PATHS.keys()
    assert {finding.check for finding in found} == {"distributed"}
    return found


def told(found: list[Finding]) -> list[tuple[Severity, str]]:
    return [(finding.severity, finding.message) for finding in found]


def test_a_fleet_that_is_in_order() -> None:
    nodes = [registered("gpu-1"), registered("gpu-2"), registered("gpu-3", "draining")]
    answers = fleet_answers(nodes, [loaded("gpu-1", "x"), loaded("gpu-2", "x")], [wanted("x", 2), wanted("y", 0)])
    assert examined(answers) == [Finding("distributed", OK, "on, nodes: 2 healthy, 1 draining")]


def test_a_localai_that_is_not_in_that_mode() -> None:
    assert examined({}) == [
        Finding(
            "distributed",
            WARNING,
            "off: LocalAI is not in distributed mode",
            "Leave --collector.distributed out, or start LocalAI v4.1 or newer with LOCALAI_DISTRIBUTED=true, which "
            "needs PostgreSQL and NATS.",
        )
    ]


def test_who_is_not_known_to_be_localai_says_nothing_of_that_mode() -> None:
    (found,) = examined({}, known=False)
    assert (found.severity, found.message) == (CRITICAL, "missing")


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (PollError(Reason.AUTH, "refused", 403), "Distributed mode wants an admin's key."),
        (
            PollError(Reason.AUTH, "refused", 401),
            "LocalAI wants a key: give it by --localai.api-key-file or the variable",
        ),
        (PollError(Reason.HTTP_STATUS, "refused", 500), "LocalAI cannot read its registry"),
    ],
)
def test_questions_that_fail(error: PollError, advice: str) -> None:
    (found,) = examined(fleet_answers([], [], []) | {SCHEDULING: error})
    assert (found.severity, found.message) == (CRITICAL, "refused")
    assert found.advice.startswith(advice)


def test_an_empty_registry() -> None:
    (found,) = examined(fleet_answers([], [], []))
    assert (found.severity, found.message) == (WARNING, "on, and no node has ever registered")


@pytest.mark.parametrize(("count", "more"), [(5, ""), (7, " and 2 more")])
def test_nodes_that_wait(count: int, more: str) -> None:
    nodes = [registered(f"gpu-{number}", "pending") for number in range(1, count + 1)]
    assert told(examined(fleet_answers(nodes, [], []))) == [
        (OK, f"on, nodes: {count} pending"),
        (WARNING, f"nodes that wait to be approved: gpu-1, gpu-2, gpu-3, gpu-4, gpu-5{more}"),
    ]


@pytest.mark.parametrize(("later", "silent"), [(SILENT_SECONDS - 1, False), (SILENT_SECONDS + 1, True)])
def test_a_node_that_is_healthy_and_silent(later: float, silent: bool) -> None:
    nodes = [
        registered("gpu-1"),
        registered("gpu-2", "offline"),
        registered("gpu-3", last_heartbeat=None),
    ]
    found = told(examined(fleet_answers(nodes, [], []), later=later))
    message = "nodes that LocalAI calls healthy, and has not heard of for 90 s: gpu-1"
    assert found[2:] == ([(WARNING, message)] if silent else [])


def test_models_of_which_fewer_are_loaded_than_wanted() -> None:
    plans = [wanted("x", 2), wanted("y", 1), wanted("z", 1), wanted("everywhere", spread_all=True)]
    answers = fleet_answers([registered("gpu-1")], [loaded("gpu-1", "x"), loaded("gpu-1", "z")], plans)
    message = "models of which replicas are missing, and how many: x 1, y 1"
    assert told(examined(answers))[1:] == [(WARNING, message)]
    assert told(examined(answers | {MODELS: missing()}))[1:] == []


@pytest.mark.parametrize(("ticks", "found"), [(2, False), (3, True)])
def test_a_model_for_which_there_is_no_room(ticks: int, found: bool) -> None:
    plans = [wanted("x", 1, ticks=ticks), wanted("y", 1, ticks=9)]
    answers = fleet_answers([registered("gpu-1")], [loaded("gpu-1", "y")], plans)
    message = "models for which LocalAI finds no node with room: x"
    assert told(examined(answers))[2:] == ([(WARNING, message)] if found else [])


@pytest.mark.parametrize("status", ["offline", "unhealthy"])
def test_nodes_that_are_down(status: str) -> None:
    found = told(examined(fleet_answers([registered("gpu-1"), registered("gpu-2", status)], [], [])))
    assert found[1:] == [(WARNING, "nodes that are offline or unhealthy: gpu-2")]


def test_elements_that_cannot_be_used() -> None:
    answers = fleet_answers([registered("gpu-1"), registered("gpu-1"), {}], [None], [1])
    (found,) = examined(answers)[1:]
    assert (found.severity, found.message) == (WARNING, "4 elements cannot be used")


def test_it_is_looked_at_with_the_flag_alone() -> None:
    fleet = capture("v4.7.1", "distributed-models")
    answers = recorded("v4.7.1/cluster") | {path: fleet.raw(file) for path, file in FLEET_PATHS.items()}
    with replaying(answers) as localai:
        without = run("doctor", "--json", "--localai.url", localai.url)
        done = run("doctor", "--json", "--localai.url", localai.url, "--collector.distributed")
    found, before = (json.loads(one.stdout)["findings"] for one in (done, without))
    assert all(finding["check"] != "distributed" for finding in before)
    of_it = [(one["severity"], one["message"]) for one in found if one["check"] == "distributed"]
    assert of_it == [
        ("ok", "on, nodes: 1 pending, 1 healthy, 1 draining, 1 offline"),
        ("warning", "nodes that are offline or unhealthy: gpu-worker-3"),
        ("warning", "nodes that wait to be approved: pending-worker"),
        ("warning", "models of which replicas are missing, and how many: llama-3 1"),
    ]


def test_where_p2p_fails_it_is_looked_at_all_the_same() -> None:
    with replaying({}) as localai:
        done = run("doctor", "--localai.url", localai.url, "--collector.distributed")
    assert done.returncode == CRITICAL
    assert "CRITICAL  distributed LocalAI answered with status 404\n" in done.stdout
    assert "not in distributed mode" not in done.stdout
