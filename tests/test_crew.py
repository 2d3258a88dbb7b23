"""The threads that poll many targets, with polls that wait for the test."""

import logging
import threading
from collections.abc import Callable, Iterator

import pytest
from support.clocks import FakeClock

from exporter.clock import Clock
from exporter.crew import BEAT_SECONDS, Crew, Load
from exporter.schedule import Turn

PATIENCE_SECONDS = 10.0
HANG_SECONDS = 5.0
FOREVER = float("inf")


class Polls:
    """Polls of some targets, of which some hang until they are released."""

    def __init__(self, *hanging: str) -> None:
        self.hanging = set(hanging)
        self.released = threading.Event()
        self.threads: dict[str, str] = {}
        self._begun: dict[str, threading.Semaphore] = {}

    def turn(self, name: str, interval: float = 0.1, timeout: float = 0.1) -> Turn:
        self._begun[name] = threading.Semaphore(0)
        return Turn(name, lambda: self._poll(name), interval, timeout)

    def wait(self, name: str, times: int = 1) -> None:
        """Return when so many further polls of a target have begun."""
        for _ in range(times):
            assert self._begun[name].acquire(timeout=PATIENCE_SECONDS), f"{name} was not polled"

    def _poll(self, name: str) -> None:
        self.threads[name] = threading.current_thread().name
        self._begun[name].release()
        if name in self.hanging:
            self.released.wait(PATIENCE_SECONDS)
        if name == "broken":
            raise ValueError("s3cret")


@pytest.fixture
def polls() -> Polls:
    return Polls("hangs-1", "hangs-2")


@pytest.fixture
def crew(polls: Polls) -> Iterator[Crew]:
    crew = Crew(Clock.system())
    yield crew
    polls.released.set()
    crew.stop()


def test_each_is_polled_again_and_again_while_another_hangs(crew: Crew, polls: Polls) -> None:
    crew.start()
    crew.change((), [polls.turn("hangs-1"), polls.turn("a"), polls.turn("b")])
    for name in ("a", "b"):
        polls.wait(name, 5)
    assert polls.threads["hangs-1"] not in (polls.threads["a"], polls.threads["b"])
    assert crew.load().targets == 3
    assert crew.load().workers == 3
    polls.released.set()
    polls.wait("hangs-1", 2)


def test_a_worker_is_started_when_it_is_needed(crew: Crew, polls: Polls) -> None:
    before = threading.active_count()
    crew.start()
    crew.change((), [polls.turn(f"quick-{number}", 30.0) for number in range(40)])
    for number in range(40):
        polls.wait(f"quick-{number}")
    assert threading.active_count() - before < 1 + 32


def test_what_is_gone_is_polled_no_more_and_what_is_new_is(crew: Crew, polls: Polls) -> None:
    crew.start()
    crew.change((), [polls.turn("a"), polls.turn("b")])
    polls.wait("a")
    crew.change(["a"], [polls.turn("c")])
    polls.wait("c", 3)
    polls.wait("b", 3)
    assert crew.load().targets == 2


def test_a_poll_that_breaks_takes_nothing_with_it(crew: Crew, polls: Polls, caplog: pytest.LogCaptureFixture) -> None:
    crew.start()
    crew.change((), [polls.turn("broken"), polls.turn("a")])
    polls.wait("broken", 3)
    polls.wait("a", 3)
    assert crew.is_well(FOREVER, HANG_SECONDS)
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * len(caplog.records)
    assert {record.getMessage() for record in caplog.records} == {"a poll broke"}
    assert "s3cret" not in caplog.text


class TestHealth:
    @pytest.fixture
    def time(self) -> FakeClock:
        return FakeClock()

    @pytest.fixture
    def start(self, time: FakeClock, polls: Polls) -> Iterator[Callable[..., Crew]]:
        crews = []

        def start(*names: str) -> Crew:
            crew = Crew(time.clock)
            crews.append(crew)
            crew.change((), [polls.turn(name, 15.0, 10.0) for name in names])
            time.advance(1)  # all of them are due
            crew.start()
            for name in names:
                polls.wait(name)
            return crew

        yield start
        polls.released.set()
        for crew in crews:
            crew.stop()

    def test_before_its_start_it_is_well(self, time: FakeClock) -> None:
        crew = Crew(time.clock)
        time.advance(100)
        assert crew.is_well(FOREVER, HANG_SECONDS)

    def test_a_poll_that_outlives_its_deadline_is_borne_while_half_of_the_workers_are_left(
        self, start: Callable[..., Crew], time: FakeClock, polls: Polls
    ) -> None:
        crew = start("hangs-1", "a")
        time.advance(10 + HANG_SECONDS + 0.1)
        crew.change((), [polls.turn("b", 15.0)])
        time.advance(1)
        polls.wait("b")
        assert crew.is_well(FOREVER, HANG_SECONDS)

    def test_where_most_of_them_hang_it_is_not_well(
        self, start: Callable[..., Crew], time: FakeClock, polls: Polls
    ) -> None:
        crew = start("hangs-1", "hangs-2")
        time.advance(10 + HANG_SECONDS)
        crew.change((), [polls.turn("b", 15.0)])
        time.advance(1)
        polls.wait("b")
        assert not crew.is_well(FOREVER, HANG_SECONDS)
        # A process that stood still has only just gone on.
        assert crew.is_well(1.0, HANG_SECONDS)

    def test_of_those_that_are_gone_any_may_hang(
        self, start: Callable[..., Crew], time: FakeClock, polls: Polls
    ) -> None:
        crew = start("hangs-1", "hangs-2")
        time.advance(10 + HANG_SECONDS)
        crew.change(["hangs-1", "hangs-2"], [polls.turn("b", 15.0)])
        time.advance(1)
        polls.wait("b")
        assert crew.is_well(FOREVER, HANG_SECONDS)

    def test_a_schedule_that_turns_no_more_is_not_well(
        self, start: Callable[..., Crew], time: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        crew = start("a")
        hangs, end = threading.Event(), threading.Event()

        def hang(*_: object) -> None:
            hangs.set()
            end.wait(PATIENCE_SECONDS)

        monkeypatch.setattr("exporter.schedule.Schedule.begin", hang)
        assert hangs.wait(PATIENCE_SECONDS)
        try:
            time.advance(BEAT_SECONDS + HANG_SECONDS)
            assert crew.is_well(FOREVER, HANG_SECONDS)
            time.advance(0.1)
            assert not crew.is_well(FOREVER, HANG_SECONDS)
        finally:
            end.set()

    def test_a_schedule_that_died_is_not_well(
        self,
        start: Callable[..., Crew],
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        crew = start("a")

        def die(*_: object) -> None:
            raise ValueError("s3cret")

        monkeypatch.setattr("exporter.schedule.Schedule.begin", die)
        crew.change((), ())
        (watcher,) = (thread for thread in threading.enumerate() if thread.name == "schedule")
        watcher.join(PATIENCE_SECONDS)
        assert not crew.is_well(FOREVER, HANG_SECONDS)
        assert "the schedule died" in caplog.text
        assert "s3cret" not in caplog.text


def test_where_no_further_thread_is_to_be_had_polls_wait_for_those_there_are(
    crew: Crew, polls: Polls, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    crew.start()
    crew.change((), [polls.turn("hangs-1", 60.0)])
    polls.wait("hangs-1")
    refused = threading.Event()

    def refuse(_thread: threading.Thread) -> None:
        refused.set()
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    crew.change((), [polls.turn("a"), polls.turn("b")])
    assert refused.wait(PATIENCE_SECONDS)
    polls.released.set()
    for name in ("a", "b"):
        polls.wait(name, 3)
    assert caplog.text.count("no further thread is to be had") == 1


def delay_workers(monkeypatch: pytest.MonkeyPatch, delay: Callable[[], object]) -> None:
    """Have `delay` called before each worker is started but the first."""
    start = threading.Thread.start

    def start_later(thread: threading.Thread) -> None:
        if thread.name.startswith("poller-") and thread.name != "poller-1":
            delay()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_later)


def test_nobody_waits_while_a_worker_starts(crew: Crew, polls: Polls, monkeypatch: pytest.MonkeyPatch) -> None:
    starts, end = threading.Event(), threading.Event()

    def delay() -> None:
        starts.set()
        assert end.wait(PATIENCE_SECONDS)

    delay_workers(monkeypatch, delay)
    crew.start()
    crew.change((), [polls.turn("hangs-1", 60.0), polls.turn("hangs-2", 60.0)])
    assert starts.wait(PATIENCE_SECONDS)
    page = threading.Thread(target=crew.load)
    page.start()
    page.join(PATIENCE_SECONDS / 2)
    waits = page.is_alive()
    end.set()
    page.join()
    assert not waits


def test_a_schedule_is_well_however_many_polls_begin_slowly(
    polls: Polls, time: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew = Crew(time.clock)
    well = []

    def delay() -> None:
        time.advance(BEAT_SECONDS)
        well.append(crew.is_well(FOREVER, HANG_SECONDS))

    delay_workers(monkeypatch, delay)
    names = [f"hangs-{number}" for number in range(10)]
    polls.hanging.update(names)
    crew.change((), [polls.turn(name, 60.0, 60.0) for name in names])
    time.advance(1)  # all of them are due
    crew.start()
    for name in names:
        polls.wait(name)
    polls.released.set()
    crew.stop()
    assert well == [True] * 9


def test_no_thread_at_all_is_said(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            crew.start()


def test_how_busy_it_is(time: FakeClock, polls: Polls) -> None:
    crew = Crew(time.clock)
    crew.change((), [polls.turn(f"quick-{number}", 15.0) for number in range(100)])
    assert crew.load() == Load(targets=100, slow=0, waiting=0, workers=32, busy=0)


@pytest.fixture
def time() -> FakeClock:
    return FakeClock()
