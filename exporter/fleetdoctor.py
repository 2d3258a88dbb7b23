"""What is right and wrong with LocalAI's distributed mode, for the doctor."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http import HTTPStatus

from exporter.clock import Clock
from exporter.distributed import Distributed
from exporter.errors import PollError
from exporter.finding import Finding, Severity, failure, some
from exporter.fleet import Fleet, Status
from exporter.questions import Getter, Questions
from exporter.settings import Target

SILENT_SECONDS = 90.0
"""LocalAI looks every 15 seconds whether it has not heard of a node for 60: it has looked by then."""

_CHECK = "distributed"

_ADVICE: Mapping[int | None, str] = {
    HTTPStatus.FORBIDDEN: "Distributed mode wants an admin's key.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "LocalAI cannot read its registry: look at its log, and at PostgreSQL.",
}
"""By status, where it is another than of a failed poll."""


def examine_fleet(target: Target, clock: Clock, client: Getter, *, known: bool) -> Iterator[Finding]:
    """Ask once, and yield what there is to say.

    Args:
        target: LocalAI.
        clock: for the deadline, and for how old heartbeats are.
        client: who asks.
        known: whether LocalAI was understood before: else nobody knows who answers.
    """
    deadline = clock.monotonic() + target.poll_timeout
    try:
        fleet = Distributed(Questions(client, clock, target.max_response_bytes), clock).ask(deadline, known=known)
    except PollError as error:
        found = failure(error, target)
        yield replace(found, check=_CHECK, advice=_ADVICE.get(error.status, found.advice))
        return
    if fleet is None:
        yield Finding(
            _CHECK,
            Severity.WARNING,
            "off: LocalAI is not in distributed mode",
            "Leave --collector.distributed out, or start LocalAI v4.1 or newer with LOCALAI_DISTRIBUTED=true, which "
            "needs PostgreSQL and NATS.",
        )
        return
    yield _nodes(fleet)
    yield from _down(fleet)
    yield from _waiting(fleet)
    yield from _silent(fleet, clock)
    yield from _models(fleet)
    unusable = sum(dropped.invalid + dropped.duplicate for dropped in fleet.dropped.values())
    if unusable:
        message = f"{unusable} elements cannot be used"
        yield Finding(_CHECK, Severity.WARNING, message, "See localai_distributed_entries_dropped.")


def _nodes(fleet: Fleet) -> Finding:
    if not fleet.nodes:
        advice = "Start LocalAI's workers, and look at their logs."
        return Finding(_CHECK, Severity.WARNING, "on, and no node has ever registered", advice)
    by_status = Counter(node.status for node in fleet.nodes)
    listing = ", ".join(f"{by_status[status]} {status}" for status in Status if by_status[status])
    return Finding(_CHECK, Severity.OK, f"on, nodes: {listing}")


def _down(fleet: Fleet) -> Iterator[Finding]:
    down = [node.name for node in fleet.nodes if node.status in (Status.OFFLINE, Status.UNHEALTHY)]
    if down:
        yield Finding(
            _CHECK,
            Severity.WARNING,
            f"nodes that are offline or unhealthy: {some(down)}",
            "Start LocalAI's worker there, or delete the node on LocalAI's page of nodes, which keeps it otherwise.",
        )


def _waiting(fleet: Fleet) -> Iterator[Finding]:
    pending = [node.name for node in fleet.nodes if node.status == Status.PENDING]
    if pending:
        yield Finding(
            _CHECK,
            Severity.WARNING,
            f"nodes that wait to be approved: {some(pending)}",
            "Approve them on LocalAI's page of nodes, or let it do so by LOCALAI_AUTO_APPROVE_NODES=true.",
        )


def _silent(fleet: Fleet, clock: Clock) -> Iterator[Finding]:
    now = fleet.clock.at(clock.monotonic())
    silent = [
        node.name
        for node in fleet.nodes
        if node.status == Status.HEALTHY
        and node.last_heartbeat is not None
        and now - node.last_heartbeat > SILENT_SECONDS
    ]
    if silent:
        yield Finding(
            _CHECK,
            Severity.WARNING,
            f"nodes that LocalAI calls healthy, and has not heard of for {SILENT_SECONDS:.0f} s: {some(silent)}",
            "LocalAI does not look at their heartbeats: look at its log, and whether its database answers.",
        )


def _models(fleet: Fleet) -> Iterator[Finding]:
    models = [fleet.model(schedule.model, schedule) for schedule in fleet.schedules or ()]
    short = [f"{model.name} {model.missing}" for model in models if model.missing]
    if short:
        yield Finding(
            _CHECK,
            Severity.WARNING,
            f"models of which replicas are missing, and how many: {some(short)}",
            "Start more nodes that fit the model's schedule, or want fewer replicas.",
        )
    without_room = [model.name for model in models if model.unsatisfiable]
    if without_room:
        yield Finding(
            _CHECK,
            Severity.WARNING,
            f"models for which LocalAI finds no node with room: {some(without_room)}",
            "Compare the schedule's selector with the nodes' labels, and how many replicas each node may have.",
        )
