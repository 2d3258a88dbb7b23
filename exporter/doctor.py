"""What is right and wrong between here and LocalAI, in plain words, with what to do about it."""

import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from http import HTTPStatus

from exporter.client import Client
from exporter.clock import Clock
from exporter.errors import PollError
from exporter.finding import Finding, Severity, failure, some
from exporter.fleetdoctor import examine_fleet
from exporter.localai import LocalAI
from exporter.model import Snapshot, Source
from exporter.plain import plain
from exporter.settings import Target, concerns

READYZ = "/readyz"

POLLS = 4
"""Polls over connections of their own: two instances that take turns, or are drawn at random, show in so many."""

CLOCK_TOLERANCE_SECONDS = 5.0
"""An eighth of LocalAI's 40 seconds: more than a second of rounding and a slow answer, less than does harm."""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was found, in the order in which it was looked at."""

    url: str
    findings: tuple[Finding, ...]

    @property
    def severity(self) -> Severity:
        """The worst finding's."""
        return max(finding.severity for finding in self.findings)

    def as_text(self) -> str:
        """Write the report for a terminal; the first line alone is what a monitoring system shows."""
        worst = next(finding for finding in self.findings if finding.severity == self.severity)
        summary = "everything is in order" if self.severity == Severity.OK else worst.message
        lines = [f"LOCALAI P2P {self.severity.name}: {summary}", f"asked: {self.url}", ""]
        for finding in self.findings:
            lines.append(f"{finding.severity.name:<9} {finding.check:<11} {finding.message}")
            if finding.advice:
                lines.append(f"{'':<21} -> {finding.advice}")
        # Nodes and LocalAI chose some of the words. Monitoring systems read figures after a `|`.
        return "\n".join(plain(line).replace("|", "\\u007c") for line in lines)

    def as_json(self) -> str:
        """Write the report for a script."""
        findings = [asdict(finding) | {"severity": finding.severity.name.lower()} for finding in self.findings]
        return json.dumps({"url": self.url, "severity": self.severity.name.lower(), "findings": findings}, indent=2)


def examine(target: Target, clock: Clock, client: Client | None = None) -> Report:
    """Ask LocalAI step by step.

    Args:
        target: which LocalAI, and how.
        clock: for deadlines, and to compare LocalAI's clock with.
        client: who asks; made from `target` where none is given.

    Raises:
        UsageError: a TLS file cannot be used.
    """
    client = client or Client(target, clock.monotonic)
    findings = [Finding("settings", Severity.WARNING, concern) for concern in concerns(target)]
    reachable = _reachable(target, client, clock.monotonic() + target.poll_timeout)
    findings.append(reachable)
    if reachable.severity != Severity.CRITICAL:
        findings.extend(_api(target, clock, client))
        if target.collect_distributed:
            known = all(finding.severity != Severity.CRITICAL for finding in findings)
            findings.extend(examine_fleet(target, clock, client, known=known))
    return Report(target.url, tuple(findings))


def _reachable(target: Target, client: Client, deadline: float) -> Finding:
    try:
        client.get(READYZ, deadline)
    except PollError as error:
        found = failure(error, target)
        if found.check == "reachable":
            return found
        if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
            return Finding("reachable", Severity.CRITICAL, "LocalAI is still starting", "Wait, and look at its log.")
    return Finding("reachable", Severity.OK, "something answers in HTTP")


def _api(target: Target, clock: Clock, client: Client) -> Iterator[Finding]:
    snapshots: list[Snapshot] = []
    offset = None
    for _ in range(POLLS):
        # A connection and a memory of its own each, so that every poll asks everything of whoever answers.
        client.close()
        try:
            localai = LocalAI(client, clock, target.max_response_bytes, collect_token=target.collect_token)
            snapshot = localai.poll(clock.monotonic() + target.poll_timeout)
        except PollError as error:
            yield failure(error, target)
            break
        if offset is None and snapshot.clock.exact:
            offset = snapshot.clock.at(clock.monotonic()) - clock.wall()
        snapshots.append(snapshot)
    if not snapshots:
        return
    newest = snapshots[-1]
    yield Finding("key", Severity.OK, "accepted" if target.api_key else "none is given, and none is wanted")
    yield _generation(newest)
    yield _p2p(newest, asked_token=target.collect_token)
    yield from _nodes(newest, target)
    yield _clock(offset)
    yield from _node_clocks(newest, clock)
    if len(snapshots) > 1:
        yield _same_server(snapshots)


def _generation(snapshot: Snapshot) -> Finding:
    version = snapshot.server.version or "does not say its version"
    message = f"LocalAI {version}, API generation {snapshot.generation}, read from {snapshot.source}"
    advice = ""
    if snapshot.source == Source.P2P and snapshot.generation in ("2", "3"):
        advice = (
            "The web UI is off (LOCALAI_DISABLE_WEBUI), and LocalAI gives no verdict: the exporter applies the "
            "40-second rule itself. Nothing is lost."
        )
    if snapshot.unknown_lists:
        return Finding(
            "api",
            Severity.WARNING,
            f"{message}; it also lists {', '.join(snapshot.unknown_lists)}, which this exporter does not know",
            "Look for a newer release of the exporter.",
        )
    return Finding("api", Severity.OK, message, advice)


def _p2p(snapshot: Snapshot, *, asked_token: bool) -> Finding:
    info = snapshot.server
    network = f", network {info.fingerprint}" if info.fingerprint else ""
    if info.enabled:
        return Finding("p2p", Severity.OK, f"on{network}")
    if info.enabled is False:
        return Finding(
            "p2p", Severity.WARNING, "off: LocalAI has no join token", "Start LocalAI with --p2p, or give it a TOKEN."
        )
    if snapshot.nodes:
        return Finding("p2p", Severity.OK, "LocalAI does not say whether it is on, but it lists nodes")
    advice = "" if asked_token else " With --collector.token the exporter finds out by whether there is a join token."
    return Finding(
        "p2p",
        Severity.WARNING,
        "LocalAI does not say whether it is on, and lists no node",
        f"Check that LocalAI was started with --p2p; releases before v4.1.1 do not say it.{advice}",
    )


def _nodes(snapshot: Snapshot, target: Target) -> Iterator[Finding]:
    counts = {str(kind): of_kind for kind, of_kind in snapshot.counts.items()}
    listing = ", ".join(f"{name} {of_kind.online} of {of_kind.total} online" for name, of_kind in counts.items())
    yield Finding("nodes", Severity.OK, listing)
    unusable = sum(of_kind.invalid + of_kind.duplicate for of_kind in counts.values())
    if unusable:
        yield Finding(
            "nodes", Severity.WARNING, f"{unusable} entries cannot be used", "See localai_p2p_entries_dropped."
        )
    for role, wanted in target.expected.items():
        online = sum(of_kind.online for kind, of_kind in snapshot.counts.items() if kind.role == role)
        if online < wanted:
            message = f"{online} nodes of role {role} are online, {wanted} are expected"
            yield Finding("nodes", Severity.WARNING, message, "Start the missing ones, and look at their logs.")
    online_hosts = {node.host for node in snapshot.nodes if node.online}
    missing = [host for host in target.expected_hosts if host not in online_hosts]
    if missing:
        message = f"expected hosts without an online node: {', '.join(missing)}"
        yield Finding("nodes", Severity.WARNING, message, "Names are compared exactly with the label host.")


def _clock(offset: float | None) -> Finding:
    if offset is None:
        return Finding(
            "clock",
            Severity.WARNING,
            "no answer carries a Date: ages are computed with this machine's clock",
            "A proxy before LocalAI removes the header: let it pass.",
        )
    if abs(offset) > CLOCK_TOLERANCE_SECONDS:
        direction = "ahead of" if offset > 0 else "behind"
        return Finding(
            "clock",
            Severity.WARNING,
            f"LocalAI's clock is {abs(offset):.0f} s {direction} this machine's",
            "Let both keep time by NTP. Ages are right all the same: they are computed on LocalAI's clock.",
        )
    return Finding("clock", Severity.OK, f"LocalAI's is within {CLOCK_TOLERANCE_SECONDS:.0f} s of this machine's")


def _node_clocks(snapshot: Snapshot, clock: Clock) -> Iterator[Finding]:
    now = snapshot.clock.at(clock.monotonic())
    ahead = sorted(
        {
            node.host
            for node in snapshot.nodes
            if node.last_seen is not None and node.last_seen - now > CLOCK_TOLERANCE_SECONDS
        }
    )
    if ahead:
        yield Finding(
            "clock",
            Severity.WARNING,
            f"nodes whose clock runs ahead of LocalAI's: {some(ahead)}",
            "Let them keep time by NTP: LocalAI calls such a node online long after it has died.",
        )


def _same_server(snapshots: list[Snapshot]) -> Finding:
    for earlier, later in itertools.pairwise(snapshots):
        tell = _other_instance(earlier, later)
        if tell:
            return Finding(
                "instance",
                Severity.WARNING,
                f"{tell} from one poll to the next: a load balancer stands before several instances",
                "Point --localai.url at one instance, and run an exporter, or a target, for each.",
            )
    return Finding("instance", Severity.OK, f"{len(snapshots)} polls over new connections reached the same one")


def _other_instance(earlier: Snapshot, later: Snapshot) -> str:
    """Say by what the second of two polls in quick succession shows that another instance answered it; else nothing.

    Each instance reaches a node by a tunnel port of its own, never forgets one, and its view never steps back. What one
    of the polls could not read is no difference.
    """
    before = {(node.kind, node.id): node for node in earlier.nodes}
    after = {(node.kind, node.id): node for node in later.nodes}
    pairs = [(before[key], after[key]) for key in before.keys() & after.keys()]
    if any(a.tunnel_address != b.tunnel_address for a, b in pairs):
        return "tunnel addresses change"
    if before.keys() - after.keys():
        return "nodes are forgotten"
    if any((b.last_seen or math.inf) < (a.last_seen or 0.0) for a, b in pairs):
        return "last-seen times step back"
    for what, a, b in (
        ("the version changes", earlier.server.version, later.server.version),
        ("the network changes", earlier.server.fingerprint, later.server.fingerprint),
    ):
        if None not in (a, b) and a != b:
            return what
    return ""
