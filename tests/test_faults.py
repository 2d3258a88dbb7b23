"""Every fault over the wire, at every endpoint: the poll that meets it, the page after it, and the next poll."""

import io
import logging
from collections.abc import Iterator

import pytest
from support.canaries import hits
from support.exposition import Exposition
from support.hostile import CELLS, P2P, READ, Fault
from support.watching import LONG, Watch, complaints_of_fault, complaints_of_recovery, nodes_total, watching

from exporter.errors import Reason
from exporter.log import JSONFormatter, LogfmtFormatter

DEADLINE = 1.0
"""Long enough for the loopback of a loaded machine, short enough for dozens of stalls; in seconds."""

LISTS, INFO = 3, 3
"""How many requests a poll of generation 3 makes for the nodes, and for what LocalAI is."""


@pytest.fixture(scope="module")
def watch() -> Iterator[Watch]:
    with watching(DEADLINE) as watch:
        yield watch


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """Everything that the exporter and the libraries below it log, at every level and in both formats."""
    written = io.StringIO()
    loggers = [logging.getLogger(name) for name in ("exporter", "urllib3", "requests")]
    handlers = []
    for formatter in (LogfmtFormatter(), JSONFormatter()):
        handler = logging.StreamHandler(written)
        handler.setFormatter(formatter)
        handlers.append(handler)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        for handler in handlers:
            logger.addHandler(handler)
    yield written
    for logger in loggers:
        logger.setLevel(logging.NOTSET)
        for handler in handlers:
            logger.removeHandler(handler)


@pytest.mark.parametrize(
    ("fault", "path"),
    [pytest.param(*cell, marks=pytest.mark.fault(cell[0].row), id=f"{cell[0]}-at-{cell[1]}") for cell in CELLS],
)
def test_a_fault_costs_its_poll_at_most(watch: Watch, said: io.StringIO, fault: Fault, path: str) -> None:
    watch.server.behave(path)
    before = watch.poll(LONG)
    asked = watch.server.requests
    watch.server.play(fault, path)
    # What is asked for seldom is due again only after a while.
    polled = watch.poll(15.0 if path in READ and path != P2P else LONG)
    assert complaints_of_fault(polled, fault, path, DEADLINE) == []
    requests = watch.server.requests - asked
    if polled.reason is not None and path != P2P:
        # Each question once, up to the one that failed; what LocalAI said before is still there.
        assert requests == READ.index(path) + 1
        assert nodes_total(polled.text) == nodes_total(before.text)
    else:
        # Where one is missing, the lists are looked for, and /api/p2p is asked.
        assert requests <= LISTS + INFO + 2
    watch.server.behave(path)
    assert complaints_of_recovery(watch.poll(), path, DEADLINE) == []
    assert Exposition(watch.poll().text).value("up") == 1
    assert said.getvalue()
    assert hits(said.getvalue()) == []


@pytest.mark.parametrize("reason", [Reason.TIMEOUT, Reason.PROTOCOL])
def test_the_faults_are_many(reason: Reason) -> None:
    assert sum(fault.reason == reason for fault, _ in CELLS) > 30
