"""The exporter from its client to its page, on a clock that a test sets forward, and what must hold of it."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from exporter.app import make_poller, make_registry
from exporter.clock import Clock
from exporter.errors import Reason
from exporter.exposition import Renderer
from exporter.model import Outcome, Track
from exporter.settings import Secret, Target
from exporter.store import Store
from support import canaries
from support.exposition import Exposition
from support.hostile import CAP, GOOD_IDS, P2P, Fault, Hostile
from support.rawserver import LATE_SECONDS

LONG = 4_000.0
"""After so many seconds a poll asks LocalAI everything anew, and what it said before is stale."""


class Shifted:
    """The machine's clocks, which a test sets forward; `wall_jump` is what the wall clock alone was set by."""

    def __init__(self) -> None:
        real = Clock.system()
        self.passed = 0.0
        self.wall_jump = 0.0
        self.clock = Clock(
            wall=lambda: real.wall() + self.passed + self.wall_jump,
            monotonic=lambda: real.monotonic() + self.passed,
            awake=real.awake,
        )

    def localai(self) -> float:
        """LocalAI's clock, in Unix seconds: nobody sets it."""
        return time.time() + self.passed


@dataclass(frozen=True)
class Polled:
    """One poll and the page after it.

    Attributes:
        outcome: what came of it.
        seconds: how long it took.
        text: the page.
    """

    outcome: Outcome
    seconds: float
    text: str

    @property
    def reason(self) -> Reason | None:
        return self.outcome.failure.reason if self.outcome.failure else None


class Watch:
    """A poller and its page.

    Args:
        server: who is asked.
        shifted: the clocks.
        timeout: the deadline of a poll, in seconds.
        options: further ones of the target.
    """

    def __init__(self, server: Hostile, shifted: Shifted, timeout: float, **options: Any) -> None:
        self.server = server
        self.shifted = shifted
        self.timeout = timeout
        target = Target(
            url=server.url,
            api_key=Secret(canaries.KEY),
            poll_timeout=timeout,
            max_response_bytes=CAP,
            collect_token=True,
            **options,
        )
        self._store = Store()
        self._poller = make_poller(target, self._store, shifted.clock)
        self._renderer = Renderer(make_registry(target, self._store, shifted.clock, process=False))

    def poll(self, after: float = 15.0) -> Polled:
        """Let this long pass, then poll and render."""
        self.shifted.passed += after
        started = time.monotonic()
        outcome = self._poller.poll()
        seconds = time.monotonic() - started
        return Polled(outcome, seconds, self._renderer.page().body.decode())


@contextmanager
def watching(timeout: float, **options: Any) -> Iterator[Watch]:
    """Give a watch on a hostile LocalAI of its own."""
    shifted = Shifted()
    with Hostile(shifted.localai) as server:
        yield Watch(server, shifted, timeout, **options)


def complaints_of_page(polled: Polled, shown: tuple[Track, ...] | None = None) -> list[str]:
    """Judge a page by our own reader: unique series, and every node comes back as it was written."""
    if not polled.text.endswith("\n"):
        return ["the page does not end in a newline"]
    try:
        page = Exposition(polled.text)
    except (AssertionError, ValueError) as error:
        return [f"the page cannot be read: {error}"]
    found = canaries.hits(polled.text)
    if page.value("up") != (polled.reason is None):
        found.append("up is wrong")
    written = {tuple(sorted(labels)) for labels in page.series("node_online")}
    if written and shown is not None:
        nodes = (item.node for item in shown)
        expected = {
            (("backend", one.kind.backend), ("host", one.host), ("id", one.id), ("role", one.kind.role))
            for one in nodes
        }
        if written != expected:
            found.append("nodes do not come back as they were written")
    if any(len(value) > 128 for labels in page.series("node_info") for _, value in labels):
        found.append("a label is too long")
    return found


def complaints_of_poll(polled: Polled, timeout: float, expected: Reason | None) -> list[str]:
    """Judge a poll: on time, and for the right reason."""
    found = []
    if polled.seconds > timeout + LATE_SECONDS:
        found.append(f"late: {polled.seconds:.2f} s")
    if polled.reason == Reason.INTERNAL:
        found.append(f"crash: {polled.outcome.failure}")
    elif polled.reason != expected:
        found.append(f"{polled.outcome.failure} instead of {expected or 'an answer'}")
    view = polled.outcome.view
    return found + complaints_of_page(polled, view.shown if view else None)


def missing_nodes(polled: Polled, path: str) -> set[str]:
    """Return the good nodes that the page does not show."""
    ids = {dict(labels)["id"] for labels in Exposition(polled.text).series("node_online")}
    return GOOD_IDS - ids - ({"mac-01-c"} if path == P2P else set())


def complaints_of_fault(polled: Polled, fault: Fault, path: str, timeout: float) -> list[str]:
    """Judge the poll that met a fault."""
    expected = fault.reason_at(path)
    found = complaints_of_poll(polled, timeout, expected)
    if not found and expected is None and fault.whole and (missing := missing_nodes(polled, path)):
        found.append(f"the good nodes {sorted(missing)} are gone")
    return found


def complaints_of_recovery(polled: Polled, path: str, timeout: float) -> list[str]:
    """Judge the first poll after a fault."""
    found = complaints_of_poll(polled, timeout, None)
    if not found and (missing := missing_nodes(polled, path)):
        found.append(f"the good nodes {sorted(missing)} did not come back")
    return found


def nodes_total(text: str) -> Mapping[str, float]:
    """Return LocalAI's totals on a page, by backend."""
    return {dict(labels)["backend"]: value for labels, value in Exposition(text).series("nodes").items()}
