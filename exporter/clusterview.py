"""What is known of a LocalAI as JSON, for the page and for whoever writes another; docs/api.md says what a field means.

The text is made once for each outcome, by the thread that asks, with a gap for each number that moves with the clocks.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from exporter import __version__
from exporter.advice import advise
from exporter.errors import PollError
from exporter.fleet import Fleet, FleetNode, FleetOutcome, FleetView
from exporter.model import (
    FEDERATED,
    LLAMA_CPP,
    ClockReading,
    Failure,
    Kind,
    Outcome,
    PollTotals,
    RoleCounts,
    Track,
    View,
)
from exporter.settings import Target

Json = Mapping[str, Any]
"""An object."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to tell of one LocalAI at a moment.

    Attributes:
        target: which one, and how it is watched.
        outcome: the newest; None before the first poll has ended.
        fleet: the newest of distributed mode; None before it was first asked for.
        now: monotonic time.
    """

    target: Target
    outcome: Outcome | None
    fleet: FleetOutcome | None
    now: float

    @property
    def view(self) -> View | None:
        """The newest good answer, while it is fresh enough to be shown."""
        view = self.outcome.view if self.outcome else None
        return view if view and self._is_fresh(view.received_at) else None

    @property
    def is_stale(self) -> bool | None:
        """Whether the newest good answer is too old to be shown; None where there is none."""
        return None if self.outcome is None or self.outcome.view is None else self.view is None

    @property
    def fleet_view(self) -> FleetView | None:
        """The newest good answer on distributed mode, while it is fresh enough to be shown."""
        view = self.fleet.view if self.fleet else None
        return view if view and self._is_fresh(view.received_at) else None

    @property
    def key(self) -> tuple[object, ...]:
        """What the text depends on. It keeps no outcome alive, of which each may have megabytes."""
        newest = self.fleet.view if self.fleet else None
        return (
            self.outcome.totals.polls if self.outcome else None,
            self.view is None,
            self.fleet.failure if self.fleet else None,
            newest.received_at if newest else None,
            self.fleet_view is None,
        )

    def _is_fresh(self, received_at: float) -> bool:
        return self.now - received_at <= self.target.stale_after


@dataclass(frozen=True, slots=True)
class Text:
    """JSON with gaps.

    Attributes:
        template: it, as % takes it.
        moments: for each gap a clock, and since when it is counted on it.
    """

    template: bytes
    moments: tuple[tuple[ClockReading, float], ...]

    def at(self, now: float) -> bytes:
        """Fill the gaps as of a monotonic time."""
        return self.template % tuple(clock.at(now) - since for clock, since in self.moments)


class _Gaps:
    """Gathers the gaps of a text in the order in which it is written."""

    def __init__(self) -> None:
        self.moments: list[tuple[ClockReading, float]] = []

    def since(self, clock: ClockReading, moment: float | None) -> str:
        """Return a gap for the seconds since a moment of a clock; null where that is not known."""
        if moment is None:
            return "null"
        self.moments.append((clock, moment))
        return "%.3f"  # no clock here is read more precisely


def cluster(seen: Seen, epoch: float) -> Text:
    """Write everything that is known of a LocalAI.

    Args:
        seen: it.
        epoch: Unix time at which the monotonic clock was at 0.
    """
    gaps = _Gaps()
    view = seen.view
    newest = seen.outcome.view if seen.outcome else None
    text = _object(
        {
            "exporter": {"version": __version__, "tls_insecure": seen.target.tls_insecure},
            "poll": {**standing(seen, epoch), **_polls(seen)},
            "api": newest and {"generation": newest.snapshot.generation, "source": newest.snapshot.source},
            "roles": [_role(seen, role, with_backends=True) for role in _roles(seen)],
            "expected_hosts": seen.target.expected_hosts,
        },
        time=gaps.since(ClockReading(epoch, 0.0, exact=True), 0.0),
        localai=_object(_localai(view, epoch), time=gaps.since(view.snapshot.clock, 0.0)) if view else "null",
        nodes=_list(_node(view, shown, epoch, gaps) for shown in view.shown) if view else "null",
        distributed=_distributed(seen, epoch, gaps) if seen.target.collect_distributed else "null",
    )
    return Text(text.encode(), tuple(gaps.moments))


def standing(seen: Seen, epoch: float) -> Json:
    """Return how the newest poll went."""
    outcome = seen.outcome
    # As the metrics have it: a loop that hangs until nothing is fresh has no newest poll to speak of.
    up = None if outcome is None else outcome.failure is None and seen.view is not None
    return {
        "up": up,
        "stale": seen.is_stale,
        "failure": _failure(outcome.failure if outcome else None, seen.target),
        "last_success": epoch + outcome.view.received_at if outcome and outcome.view else None,
    }


def summary(name: str, seen: Seen, epoch: float) -> Json:
    """Return what a list of targets says of one of them."""
    return {
        "name": name,
        **standing(seen, epoch),
        "roles": [_role(seen, role, with_backends=False) for role in _roles(seen)],
    }


def _polls(seen: Seen) -> Json:
    totals = seen.outcome.totals if seen.outcome else PollTotals()
    return {
        "polls": totals.polls,
        "failed_polls": sum(totals.failures.values()),
        "interval_seconds": seen.target.poll_interval,
        "stale_after_seconds": seen.target.stale_after,
    }


def _failure(failure: Failure | None, target: Target) -> Json | None:
    if failure is None:
        return None
    error = PollError(failure.reason, failure.detail, failure.status)
    _, advice = advise(error, has_key=target.api_key is not None, has_proxy=target.proxy_url is not None)
    return {
        "reason": failure.reason,
        "detail": failure.detail,
        "advice": advice,
    }


def _localai(view: View, epoch: float) -> Json:
    clock, server = view.snapshot.clock, view.snapshot.server
    return {
        "clock_offset_seconds": clock.server - (epoch + clock.monotonic) if clock.exact else None,
        "version": server.version,
        "p2p_enabled": server.enabled,
        "network": server.fingerprint,
    }


def _roles(seen: Seen) -> Iterable[str]:
    """Return the roles that LocalAI knows, or may know while nothing is known, and those that are expected besides."""
    view = seen.view
    known = [kind.role for kind in view.snapshot.counts] if view else [LLAMA_CPP.role, FEDERATED.role]
    return dict.fromkeys((*known, *seen.target.expected))


def _role(seen: Seen, role: str, *, with_backends: bool) -> Json:
    view = seen.view
    counts = {kind: of for kind, of in view.snapshot.counts.items() if kind.role == role} if view else {}
    backends = [_backend(view, kind, of) for kind, of in counts.items()] if view else None
    return {
        "role": role,
        "online": sum(of.online for of in counts.values()) if counts else None,
        "total": sum(of.total for of in counts.values()) if counts else None,
        "expected": seen.target.expected.get(role),
        **({"backends": backends} if with_backends else {}),
    }


def _backend(view: View, kind: Kind, counts: RoleCounts) -> Json:
    return {
        "backend": kind.backend,
        "online": counts.online,
        "total": counts.total,
        "hidden": {reason: count for (of, reason), count in view.hidden.items() if of == kind},
        "dropped": {"invalid": counts.invalid, "duplicate": counts.duplicate},
    }


def _node(view: View, shown: Track, epoch: float, gaps: _Gaps) -> str:
    node = shown.node
    return _object(
        {
            "role": node.kind.role,
            "backend": node.kind.backend,
            "host": node.host,
            "id": node.id,
            "tunnel_address": node.tunnel_address,
            "online": node.online,
            "last_seen": node.last_seen,
            "heartbeat": None if shown.moved_at is None else epoch + shown.moved_at,
        },
        last_seen_age_seconds=gaps.since(view.snapshot.clock, node.last_seen),
    )


def _distributed(seen: Seen, epoch: float, gaps: _Gaps) -> str:
    outcome, view = seen.fleet, seen.fleet_view
    newest = outcome.view if outcome else None
    fleet = view.fleet if view else None
    return _object(
        {
            "up": None if outcome is None else outcome.failure is None and view is not None,
            "stale": None if newest is None else view is None,
            "failure": _failure(outcome.failure if outcome else None, seen.target),
            "last_success": epoch + newest.received_at if newest else None,
            "enabled": None if view is None else fleet is not None,
            "hidden": view.hidden if view and fleet else None,
        },
        nodes=_list(_fleet_node(fleet, node, gaps) for node in view.nodes) if view and fleet else "null",
    )


def _fleet_node(fleet: Fleet, node: FleetNode, gaps: _Gaps) -> str:
    return _object(
        {
            "name": node.name,
            "type": node.node_type,
            "status": node.status,
            "last_heartbeat": node.last_heartbeat,
            "models_loaded": node.models,
            "requests_in_flight": node.in_flight,
            "vram_size_bytes": node.vram.size if node.vram else None,
            "vram_available_bytes": node.vram.available if node.vram else None,
        },
        last_heartbeat_age_seconds=gaps.since(fleet.clock, node.last_heartbeat),
    )


def _object(known: Json, **gapped: str) -> str:
    """Write an object as a template: what is known of it, and what has gaps."""
    # ASCII alone: a half character, as a hostile id has it, is escaped as any other.
    members = [f'"{name}":{text}' for name, text in gapped.items()]
    return ",".join((json.dumps(known, allow_nan=False, separators=(",", ":"))[:-1].replace("%", "%%"), *members)) + "}"


def _list(elements: Iterable[str]) -> str:
    return f"[{','.join(elements)}]"
