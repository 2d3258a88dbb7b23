import logging
from collections.abc import Iterator

import pytest
from support.clocks import FakeClock
from support.fleet import fleet, fleet_node

from exporter.errors import PollError, Reason
from exporter.fleet import Fleet, FleetOutcome, Status
from exporter.fleetpoller import FleetPoller
from exporter.model import Failure
from exporter.store import Store

REFUSED = PollError(Reason.AUTH, "no admin's key", 403)


class Script:
    """Gives its answers one by one, each taking some seconds, and notes how it was asked."""

    def __init__(self, time: FakeClock, *answers: Fleet | BaseException | None, takes: float = 0.2) -> None:
        self.time = time
        self.answers: Iterator[Fleet | BaseException | None] = iter(answers)
        self.takes = takes
        self.anew: list[bool] = []
        self.known: list[bool] = []

    def ask(self, deadline: float, *, known: bool, anew: bool = False) -> Fleet | None:
        assert deadline == self.time.monotonic_now + 10
        self.anew.append(anew)
        self.known.append(known)
        self.time.advance(self.takes)
        answer = next(self.answers)
        if isinstance(answer, BaseException):
            raise answer
        return answer


class Polled:
    def __init__(self, time: FakeClock, *answers: Fleet | BaseException | None, takes: float = 0.2) -> None:
        self.store = Store()
        self.script = Script(time, *answers, takes=takes)
        self._time = time
        self._poller = FleetPoller(self.script, self.store, time.clock, retention=86_400.0, limit=10)

    def poll(self, *, known: bool = True, anew: bool = False) -> FleetOutcome:
        outcome = self._poller.poll(self._time.monotonic_now + 10, known=known, anew=anew)
        assert self.store.latest_fleet() is outcome
        return outcome


@pytest.fixture
def time() -> FakeClock:
    return FakeClock()


def test_before_it_was_asked_nothing_is_known() -> None:
    assert Store().latest_fleet() is None


def test_a_good_answer(time: FakeClock) -> None:
    answered = fleet(fleet_node("gpu-1"))
    outcome = Polled(time, answered).poll()
    assert outcome.failure is None
    assert outcome.view is not None
    assert (outcome.view.fleet, outcome.view.received_at) == (answered, time.monotonic_now)
    assert outcome.view.nodes == answered.nodes
    assert outcome.failures == dict.fromkeys(Reason, 0)


def test_a_failure_is_counted_and_keeps_the_last_good_view(time: FakeClock) -> None:
    polled = Polled(time, fleet(fleet_node("gpu-1")), REFUSED, REFUSED, fleet())
    good = polled.poll()
    assert polled.poll().view is good.view
    outcome = polled.poll()
    assert outcome.view is good.view
    assert outcome.failure == Failure(Reason.AUTH, "no admin's key", 403)
    assert outcome.failures[Reason.AUTH] == 2
    assert good.failures[Reason.AUTH] == 0
    outcome = polled.poll()
    assert (outcome.failure, sum(outcome.failures.values())) == (None, 2)


def test_off_is_an_answer(time: FakeClock) -> None:
    polled = Polled(time, fleet(fleet_node("gpu-1")), None)
    polled.poll()
    outcome = polled.poll()
    assert outcome.failure is None
    assert outcome.view is not None
    assert (outcome.view.fleet, outcome.view.nodes) == (None, ())


def test_after_a_failure_everything_is_asked_anew(time: FakeClock) -> None:
    polled = Polled(time, None, REFUSED, None, None, None)
    for anew in (False, False, False, False, True):
        polled.poll(anew=anew)
    assert polled.script.anew == [False, False, True, False, True]


def test_whether_localai_is_known_is_handed_on(time: FakeClock) -> None:
    polled = Polled(time, None, None)
    for known in (True, False):
        polled.poll(known=known)
    assert polled.script.known == [True, False]


def test_what_comes_too_late_is_a_timeout(time: FakeClock) -> None:
    outcome = Polled(time, fleet(fleet_node("gpu-1")), takes=10.1).poll()
    assert outcome.view is None
    assert outcome.failure is not None
    assert outcome.failure.reason == Reason.TIMEOUT


def test_a_bug_is_internal_and_says_where_and_never_what(time: FakeClock) -> None:
    outcome = Polled(time, ValueError("s3cret")).poll()
    assert outcome.failure is not None
    assert outcome.failure.reason == Reason.INTERNAL
    assert "ValueError at " in outcome.failure.detail
    assert "s3cret" not in outcome.failure.detail


def test_a_line_for_each_thing_that_is_otherwise(time: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    one, other = fleet(fleet_node("a"), fleet_node("b", Status.PENDING)), fleet(fleet_node("a"), fleet_node("b"))
    answers = (None, None, one, one, REFUSED, REFUSED, one, other)
    polled = Polled(time, *answers)
    with caplog.at_level(logging.INFO, "exporter"):
        for _ in answers:
            polled.poll()
    said = [(record.levelname, record.message, getattr(record, "fields", None)) for record in caplog.records]
    assert said == [
        ("INFO", "LocalAI is not in distributed mode", {}),
        ("INFO", "nodes of distributed mode", {"pending": 1, "healthy": 1}),
        ("WARNING", "distributed mode could not be read", {"reason": "auth", "detail": "no admin's key"}),
        ("INFO", "nodes of distributed mode", {"pending": 1, "healthy": 1}),
        ("INFO", "nodes of distributed mode", {"healthy": 2}),
    ]
