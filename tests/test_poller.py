import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from support.clocks import FakeClock
from support.values import node, snapshot

from exporter.clock import Clock
from exporter.errors import PollError, Reason
from exporter.model import FEDERATED, LLAMA_CPP, MLX, Change, Outcome, ServerInfo, Snapshot
from exporter.poller import Poller
from exporter.store import Store

REFUSED = PollError(Reason.CONNECT, "refused")


class Script:
    """A source that plays its answers one by one, each taking some seconds."""

    def __init__(self, time: FakeClock, *answers: Snapshot | BaseException, takes: float = 0.2) -> None:
        self.time = time
        self.answers: Iterator[Snapshot | BaseException] = iter(answers)
        self.takes = takes
        self.started: list[float] = []
        self.deadlines: list[float] = []
        self.forgot = 0

    def forget(self) -> None:
        self.forgot += 1

    def poll(self, deadline: float) -> Snapshot:
        self.deadlines.append(deadline)
        self.started.append(self.time.monotonic_now)
        self.time.advance(self.takes)
        answer = next(self.answers)
        if isinstance(answer, BaseException):
            raise answer
        return answer


def polling(script: Script, store: Store, clock: Clock | None = None) -> Poller:
    return Poller(script, store, clock or script.time.clock, interval=15.0, timeout=10.0, retention=86_400.0, limit=10)


def test_who_follows_is_asked_when_the_rest_is_published(time: FakeClock, store: Store) -> None:
    answers = (replace(snapshot(), renewed=True), snapshot(), REFUSED, snapshot(), ValueError("a bug"))
    follower = Follower(time, store)
    poller = Poller(
        Script(time, *answers),
        store,
        time.clock,
        interval=15.0,
        timeout=10.0,
        retention=86_400.0,
        limit=10,
        follower=follower,
    )
    started = time.monotonic_now
    outcomes = [poller.poll() for _ in answers]
    assert follower.published == outcomes
    assert [known for _, known, _ in follower.asked] == [True, True, False, True, False]
    assert [anew for _, _, anew in follower.asked] == [True, False, True, False, True]
    assert [deadline for deadline, _, _ in follower.asked] == [
        pytest.approx(started + 10 + number * 3.2) for number in range(5)
    ]
    assert poller.beat == time.monotonic_now
    assert outcomes[-1].totals.seconds == pytest.approx(5 * 0.2)


class Follower:
    """Notes how it was asked, and what the store had by then."""

    def __init__(self, time: FakeClock, store: Store) -> None:
        self.time = time
        self.store = store
        self.asked: list[tuple[float, bool, bool]] = []
        self.published: list[Outcome | None] = []

    def poll(self, deadline: float, *, known: bool, anew: bool) -> None:
        self.asked.append((deadline, known, anew))
        self.published.append(self.store.latest())
        self.time.advance(3)


class Stop(threading.Event):
    """An event whose waits pass on the fake clock; it is set after so many of them."""

    def __init__(self, time: FakeClock, waits: int) -> None:
        super().__init__()
        self.time = time
        self.left = waits

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.left -= 1
        if self.left == 0:
            self.set()
        self.time.advance(max(0.0, timeout))
        return self.is_set()


@pytest.fixture
def time() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def make(time: FakeClock, store: Store) -> Callable[..., Poller]:
    def make(*answers: Snapshot | BaseException) -> Poller:
        return polling(Script(time, *answers), store)

    return make


def test_before_the_first_poll_nothing_is_known(store: Store) -> None:
    assert store.latest() is None


def test_a_good_poll(make: Callable[..., Poller], store: Store, time: FakeClock) -> None:
    answered = snapshot(node("gpu-a"))
    outcome = make(answered).poll()
    assert store.latest() is outcome
    assert outcome.failure is None
    assert outcome.view is not None
    assert (outcome.view.snapshot, outcome.view.received_at) == (answered, time.monotonic_now)
    assert [item.node.id for item in outcome.view.shown] == ["gpu-a"]


def test_a_failed_poll_keeps_the_last_good_view_and_counts_its_reason(make: Callable[..., Poller]) -> None:
    poller = make(snapshot(node("gpu-a")), REFUSED, REFUSED, PollError(Reason.AUTH, "", 401))
    good = poller.poll()
    outcomes = [poller.poll() for _ in range(3)]
    assert all(outcome.view is good.view for outcome in outcomes)
    last = outcomes[-1]
    assert last.failure is not None
    assert last.failure.reason == Reason.AUTH
    assert last.totals.polls == 4
    assert {reason: count for reason, count in last.totals.failures.items() if count} == {
        Reason.CONNECT: 2,
        Reason.AUTH: 1,
    }


def test_every_reason_is_counted_from_zero(make: Callable[..., Poller]) -> None:
    assert make(snapshot()).poll().totals.failures == dict.fromkeys(Reason, 0)


def test_a_first_poll_that_fails_has_no_view(make: Callable[..., Poller]) -> None:
    outcome = make(REFUSED).poll()
    assert (outcome.view, outcome.changes) == (None, {})


def test_memberships_are_compared_with_the_last_good_poll(make: Callable[..., Poller]) -> None:
    poller = make(snapshot(node("gpu-a")), REFUSED, snapshot(node("gpu-a"), node("gpu-b")))
    outcomes = [poller.poll() for _ in range(3)]
    assert [outcome.changes.get((LLAMA_CPP, Change.JOINED)) for outcome in outcomes] == [0, 0, 1]


def test_the_deadline_is_counted_from_the_start_of_each_poll(time: FakeClock, store: Store) -> None:
    script = Script(time, snapshot(), snapshot())
    poller = polling(script, store)
    for _ in range(2):
        poller.poll()
    assert script.deadlines == [started + 10.0 for started in script.started]


def test_an_answer_that_comes_after_the_deadline_is_a_timeout(time: FakeClock, store: Store) -> None:
    script = Script(time, snapshot(node("gpu-a")), snapshot(node("gpu-b")), takes=10.0)
    poller = polling(script, store)
    good = poller.poll()
    assert (good.failure, script.forgot) == (None, 0)
    script.takes = 10.01
    late = poller.poll()
    assert late.failure is not None
    assert late.failure.reason == Reason.TIMEOUT
    assert (late.view, late.changes, script.forgot) == (good.view, good.changes, 1)


@pytest.mark.parametrize("after", [0, 1, 32, 33, 95, 96, 127, 128])
def test_what_is_done_with_an_answer_ends_at_the_deadline_too(after: int, time: FakeClock, store: Store) -> None:
    """The clock is looked at for every 64 of 2,000 nodes that are followed, 4,000 changes, and 2,000 nodes to be shown.

    It passes the deadline after so many looks.
    """
    left: list[None] | None = None

    def monotonic() -> float:
        if left is None:
            return time.monotonic_now
        if left:
            left.pop()
        return time.monotonic_now + (0.0 if left else 11.0)

    class Slow(Script):
        def poll(self, deadline: float) -> Snapshot:
            nonlocal left
            found = super().poll(deadline)
            left = None if len(self.started) != 2 else [None] * (after + 1)
            return found

    before, after_it = (tuple(node(f"{name}-{number}") for number in range(2_000)) for name in "ab")
    script = Slow(time, snapshot(*before), snapshot(*after_it), snapshot(*after_it))
    clock = Clock(wall=lambda: time.wall_now, monotonic=monotonic, awake=time.clock.awake)
    poller = polling(script, store, clock)
    good = poller.poll()
    late = poller.poll()
    assert late.failure is not None
    assert late.failure.reason == Reason.TIMEOUT
    assert late.view is good.view
    assert late.changes == good.changes
    left = None
    recovered = poller.poll()
    assert recovered.failure is None
    assert recovered.changes[LLAMA_CPP, Change.JOINED] == recovered.changes[LLAMA_CPP, Change.FORGOTTEN] == 2_000


@pytest.mark.parametrize("bug", [ValueError("s3cret"), MemoryError("s3cret"), RecursionError("s3cret")], ids=repr)
def test_what_nobody_thought_of_is_internal_and_its_text_stays_out(
    bug: Exception, make: Callable[..., Poller], caplog: pytest.LogCaptureFixture
) -> None:
    poller = make(bug, snapshot())
    outcome = poller.poll()
    assert outcome.failure is not None
    assert outcome.failure.reason == Reason.INTERNAL
    assert type(bug).__name__ in outcome.failure.detail
    assert "test_poller.py" in outcome.failure.detail
    assert "s3cret" not in caplog.text + outcome.failure.detail
    assert poller.poll().failure is None


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(0.0, 0), (0.01, 0), (0.0101, 1), (9.0, 9), (10.0, 9), (10.5, 10)], ids=str
)
def test_a_polls_duration_is_counted_once(seconds: float, bucket: int, time: FakeClock, store: Store) -> None:
    script = Script(time, snapshot(), takes=seconds)
    time.monotonic_now = 0.0
    totals = polling(script, store).poll().totals
    assert totals.durations == tuple(int(number == bucket) for number in range(11))
    assert totals.seconds == seconds


class TestLoop:
    @staticmethod
    def starts(time: FakeClock, store: Store, *takes: float) -> list[float]:
        """When each poll began, counted from the first, where each took so long."""
        script = Script(time, *(snapshot() for _ in takes))
        durations = iter(takes)
        poll = script.poll

        def timed(deadline: float) -> Snapshot:
            script.takes = next(durations)
            return poll(deadline)

        script.poll = timed  # type: ignore[method-assign]
        poller = polling(script, store)
        poller.run(Stop(time, len(takes)), lambda: None)
        return [started - script.started[0] for started in script.started]

    def test_the_rate_is_fixed(self, time: FakeClock, store: Store) -> None:
        assert self.starts(time, store, 0.2, 9.0, 0.2, 14.9) == [0, 15, 30, 45]

    def test_a_missed_tick_is_skipped(self, time: FakeClock, store: Store) -> None:
        assert self.starts(time, store, 0.2, 16.0, 0.2, 50.0, 0.2) == [0, 15, 45, 60, 120]

    @pytest.mark.fault("clock-jump")
    def test_a_jump_of_the_wall_clock_does_not_move_it(self, time: FakeClock, store: Store) -> None:
        script = Script(time, *(snapshot() for _ in range(3)))
        poll = script.poll

        def jumping(deadline: float) -> Snapshot:
            time.jump(-3_600)
            return poll(deadline)

        script.poll = jumping  # type: ignore[method-assign]
        polling(script, store).run(Stop(time, 3), lambda: None)
        assert [started - script.started[0] for started in script.started] == [0, 15, 30]

    def test_it_ends_when_it_is_told_to(self, make: Callable[..., Poller]) -> None:
        stop = threading.Event()
        stop.set()
        make().run(stop, lambda: None)

    def test_its_beat_tells_that_it_lives(self, make: Callable[..., Poller], time: FakeClock) -> None:
        poller = make(REFUSED)
        before = poller.beat
        poller.poll()
        assert before < poller.beat == time.monotonic_now


class TestLines:
    """One line for each change of state, none for each poll."""

    @pytest.fixture
    def lines(self, caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
        caplog.set_level(logging.INFO, "exporter")

        def lines() -> list[str]:
            said = [
                " ".join([record.message, *(f"{k}={v}" for k, v in record.__dict__.get("fields", {}).items())])
                for record in caplog.records
            ]
            caplog.clear()
            return said

        return lines

    def test_an_outage_is_two_lines(self, make: Callable[..., Poller], lines: Callable[[], list[str]]) -> None:
        poller = make(*[snapshot()] * 3, *[REFUSED] * 3, *[snapshot()] * 3)
        for _ in range(9):
            poller.poll()
        answers = "LocalAI answers source=workers+federation+stats generation=3 nodes=0 nodes_online=0"
        assert lines() == [answers, "poll failed reason=connect detail=refused", answers]

    def test_another_reason_is_another_line(self, make: Callable[..., Poller], lines: Callable[[], list[str]]) -> None:
        poller = make(REFUSED, PollError(Reason.TIMEOUT, "late"), REFUSED)
        for _ in range(3):
            poller.poll()
        assert [line.split()[2] for line in lines()] == ["reason=connect", "reason=timeout", "reason=connect"]

    def test_an_upgrade_is_a_line(self, make: Callable[..., Poller], lines: Callable[[], list[str]]) -> None:
        old, new = (snapshot(server=ServerInfo(version=version)) for version in ("v4.7.1", "v4.8.0"))
        poller = make(old, old, new, new)
        for _ in range(4):
            poller.poll()
        assert [line.split()[4] for line in lines()] == ["version=v4.7.1", "version=v4.8.0"]

    def test_memberships_are_a_line_a_kind(self, make: Callable[..., Poller], lines: Callable[[], list[str]]) -> None:
        poller = make(snapshot(node("gpu-a")), snapshot(node("gpu-b"), node("gpu-c")))
        poller.poll()
        lines()
        poller.poll()
        assert lines() == ["membership changed role=worker backend=llama_cpp joined=2 lost=0 returned=0 forgotten=1"]

    @staticmethod
    def listing(*names: str) -> Snapshot:
        return replace(snapshot(), unknown_lists=names)

    def test_an_unknown_list_is_named_once(self, make: Callable[..., Poller], lines: Callable[[], list[str]]) -> None:
        poller = make(self.listing("a_nodes", "b_nodes"), self.listing("b_nodes", "c_nodes"), self.listing("a_nodes"))
        for _ in range(3):
            poller.poll()
        assert [line for line in lines() if "lists=" in line] == [
            "LocalAI lists nodes of an unknown kind lists=a_nodes b_nodes",
            "LocalAI lists nodes of an unknown kind lists=c_nodes",
        ]

    def test_names_that_never_end_are_not_told_for_ever(
        self, make: Callable[..., Poller], lines: Callable[[], list[str]]
    ) -> None:
        poller = make(*(self.listing(*(f"{poll}_{number}" for number in range(10))) for poll in range(50)))
        for _ in range(50):
            poller.poll()
        assert sum("lists=" in line for line in lines()) == 10

    def test_what_a_downgrade_took_away_is_told(
        self, make: Callable[..., Poller], lines: Callable[[], list[str]]
    ) -> None:
        poller = make(snapshot(node("mac-a", kind=MLX)), snapshot(kinds=(LLAMA_CPP, FEDERATED)))
        poller.poll()
        lines()
        poller.poll()
        assert lines() == ["membership changed role=worker backend=mlx joined=0 lost=0 returned=0 forgotten=1"]


def test_the_store_swaps_whole_outcomes(make: Callable[..., Poller], store: Store) -> None:
    first = make(snapshot()).poll()
    second: Outcome = make(REFUSED).poll()
    assert store.latest() is second
    assert first.failure is None
