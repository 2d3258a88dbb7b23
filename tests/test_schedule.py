"""The schedule on a clock of the tests: what begins when, and that nobody waits for those that hang."""

import heapq
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.schedule import Schedule, Turn, next_moment, reserved, workers
from exporter.shard import fraction

INTERVAL, TIMEOUT, QUICK = 15.0, 10.0, 0.02
START = 1_000.0


def nothing() -> None:
    """Stand for a poll, which takes what the world says."""


def turns(count: int, interval: float = INTERVAL) -> list[Turn]:
    return [Turn(f"cluster-{number}", nothing, interval, TIMEOUT) for number in range(count)]


class World:
    """Lets time pass: begins what is due, and ends each poll after as long as it takes.

    Attributes:
        begun: when each target's polls began.
        due: when they were due.
        most: the most that were under way at once, of those that were not removed.
    """

    def __init__(self, added: Iterable[Turn], takes: Callable[[str, float], float]) -> None:
        self.schedule = Schedule()
        self.takes = takes
        self.now = START
        self.begun: Mapping[str, list[float]] = defaultdict(list)
        self.due: Mapping[str, list[float]] = defaultdict(list)
        self.most = 0
        self._ends: list[tuple[float, int, Turn]] = []
        self._number = itertools.count()
        self._active: set[Turn] = set()
        self.schedule.add(added, self.now)

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while True:
            while (turn := self.schedule.begin(self.now)) is not None:
                assert turn not in self._active, "it is polled twice at once"
                self._active.add(turn)
                self.begun[turn.name].append(self.now)
                self.due[turn.name].append(turn.due)
                end = self.now + self.takes(turn.name, self.now)
                heapq.heappush(self._ends, (end, next(self._number), turn))
            self.most = max(self.most, sum(not turn.is_gone for turn in self.schedule.under_way))
            due = self.schedule.next_due
            moments = [until, *([due] if due is not None else []), *([self._ends[0][0]] if self._ends else [])]
            self.now = max(self.now, min(moments))
            if self.now >= until:
                return
            while self._ends and self._ends[0][0] <= self.now:
                ended = heapq.heappop(self._ends)[2]
                self._active.remove(ended)
                self.schedule.end(ended, self.now)

    def latest(self, names: Iterable[str]) -> float:
        """How late a poll of these began at worst."""
        return max(began - due for name in names for began, due in zip(self.begun[name], self.due[name], strict=True))


def quick(_name: str, _now: float) -> float:
    return QUICK


@pytest.mark.parametrize(
    ("targets", "most"),
    [(0, 0), (1, 1), (32, 32), (33, 32), (128, 32), (129, 33), (1_000, 250), (10_000, 2_500)],
)
def test_there_is_a_worker_for_each_of_a_few_and_for_each_four_of_many(targets: int, most: int) -> None:
    assert workers(targets) == most
    assert reserved(targets) == (0 if targets <= 32 else most - most // 2)


def test_a_few_are_polled_at_once_and_then_at_their_moments() -> None:
    world = World(turns(5), quick)
    world.run(5 * INTERVAL)
    for name, begun in world.begun.items():
        assert begun[0] - START < 0.05
        assert INTERVAL / 2 < begun[1] - begun[0] <= INTERVAL * 1.5
        assert {round(later - earlier, 6) for earlier, later in itertools.pairwise(begun[1:])} == {INTERVAL}
        assert begun[1] % INTERVAL == pytest.approx(fraction(name) * INTERVAL)


def test_a_thousand_begin_evenly_and_stay_so() -> None:
    world = World(turns(1_000), quick)
    world.run(4 * INTERVAL)
    begun = sorted(moment for moments in world.begun.values() for moment in moments)
    assert len(begun) == pytest.approx(4_000, rel=0.1)
    for second in range(60):
        in_it = sum(second <= moment - START < second + 1 for moment in begun)
        # Of 67 on average, or 100 of the first ones, beside which the second ones begin.
        assert in_it <= 200, second
    assert world.most <= 10
    assert world.latest(world.begun) == 0
    assert {len(moments) for moments in world.begun.values()} <= {4, 5}


def test_a_tick_that_a_slow_poll_missed_is_skipped() -> None:
    world = World(turns(1), lambda _, now: 20.0 if now < START + 1 else QUICK)
    world.run(4 * INTERVAL)
    (begun,) = world.begun.values()
    assert begun[1] > START + 20
    assert len(begun) >= 3
    for moment in begun[1:]:
        assert moment % INTERVAL == pytest.approx(fraction("cluster-0") * INTERVAL)


def test_hanging_ones_are_as_good_as_alone_where_targets_are_few() -> None:
    world = World(turns(32), lambda name, _: QUICK if name == "cluster-0" else TIMEOUT)
    world.run(4 * INTERVAL)
    assert world.latest(world.begun) == 0


@pytest.mark.parametrize("count", [50, 1_000])
def test_those_that_hang_for_long_cost_the_others_nothing(count: int) -> None:
    names = [f"cluster-{number}" for number in range(count)]
    hanging = set(names[: count * 2 // 3])
    world = World(turns(count), lambda name, _: TIMEOUT if name in hanging else QUICK)
    world.run(8 * INTERVAL)
    healthy = [name for name in names if name not in hanging]
    settled = START + 60
    late = [
        began - due
        for name in healthy
        for began, due in zip(world.begun[name], world.due[name], strict=True)
        if due > settled
    ]
    assert max(late) == 0
    assert world.most <= workers(count)
    # Nor are those that hang forgotten.
    assert min(len(world.begun[name]) for name in hanging) >= 2
    assert world.schedule.slow == len(hanging)


@pytest.mark.parametrize("count", [50, 1_000])
def test_all_but_one_that_begin_to_hang_at_once_make_it_late_by_four_timeouts_at_most(count: int) -> None:
    names = [f"cluster-{number}" for number in range(count)]
    hang_at = START + 2 * INTERVAL
    world = World(turns(count), lambda name, now: TIMEOUT if name != names[0] and now >= hang_at else QUICK)
    world.run(12 * INTERVAL)
    assert world.latest([names[0]]) <= 4 * TIMEOUT
    # By the time that all were tried once it is on time again.
    assert world.begun[names[0]][-1] == world.due[names[0]][-1]


def test_who_is_well_again_is_slow_no_more() -> None:
    well_at = START + 40
    world = World(turns(40), lambda name, now: TIMEOUT if name == "cluster-7" and now < well_at else QUICK)
    world.run(30)
    assert world.schedule.slow == 1
    world.run(60)
    assert world.schedule.slow == 0


def test_what_is_removed_begins_no_more() -> None:
    world = World(turns(3), quick)
    world.run(2 * INTERVAL)
    world.schedule.remove("cluster-1")
    before = len(world.begun["cluster-1"])
    world.run(2 * INTERVAL)
    assert len(world.begun["cluster-1"]) == before
    assert world.schedule.targets == 2
    assert len(world.begun["cluster-0"]) >= before + 2


def test_what_is_removed_while_it_waits_or_is_polled_ends_there() -> None:
    schedule = Schedule()
    schedule.add(turns(2), START)
    later = START + 1
    first = schedule.begin(later)
    assert first is not None
    assert schedule.waiting == 1
    for number in range(2):
        schedule.remove(f"cluster-{number}")
    assert (schedule.targets, schedule.waiting, schedule.limit) == (0, 0, 0)
    assert schedule.begin(later) is None
    schedule.end(first, later + 1)
    assert schedule.next_due is None
    assert schedule.under_way == frozenset()


def test_polls_of_those_that_were_removed_keep_no_worker_from_the_others() -> None:
    well, gone = turns(2), [Turn(f"hangs-{number}", nothing, INTERVAL, TIMEOUT) for number in range(30)]
    world = World([*well, *gone], lambda name, _: 4 * INTERVAL if name.startswith("hangs-") else QUICK)
    world.run(INTERVAL)
    for turn in gone:
        world.schedule.remove(turn.name)
    world.run(2 * INTERVAL)
    assert world.schedule.under_way == set(gone)
    assert world.latest(turn.name for turn in well) == 0
    assert all(len(world.begun[turn.name]) >= 3 for turn in well)


def test_one_of_the_same_name_begins_beside_the_one_that_ends() -> None:
    schedule = Schedule()
    schedule.add(turns(1), START)
    old = schedule.begin(START + 1)
    assert old is not None
    schedule.remove("cluster-0")
    schedule.add(turns(2), START + 1)
    begun = [schedule.begin(START + 2), schedule.begin(START + 2)]
    assert old not in begun
    schedule.end(old, START + 3)
    assert schedule.targets == 2


@pytest.mark.generated
@given(st.floats(0.1, 1e5), st.floats(0, 1e9))
def test_the_next_moment_is_within_an_interval(interval: float, after: float) -> None:
    moment = next_moment("home", interval, after)
    assert after < moment <= after + interval * 1.000001


@pytest.mark.generated
@given(
    st.integers(1, 60).flatmap(
        lambda count: st.tuples(
            st.just(count), st.lists(st.sampled_from([QUICK, 3.0, TIMEOUT]), min_size=count, max_size=count)
        )
    ),
    st.lists(st.sampled_from(["add", "remove"]), max_size=8),
)
def test_whatever_comes_and_goes_no_poll_is_lost_and_none_is_doubled(
    world_of: tuple[int, list[float]], changes: list[str]
) -> None:
    count, durations = world_of
    names = {f"cluster-{number}": seconds for number, seconds in enumerate(durations)}
    world = World(turns(count), lambda name, _: names.get(name, QUICK))
    here = set(names)
    for number, change in enumerate(changes):
        world.run(INTERVAL / 2)
        if change == "remove" and here:
            world.schedule.remove(here.pop())
        else:
            here.add(f"new-{number}")
            world.schedule.add([Turn(f"new-{number}", nothing, INTERVAL, TIMEOUT)], world.now)
    before = {name: len(world.begun[name]) for name in here}
    world.run(8 * INTERVAL)
    assert world.most <= workers(count + len(changes))
    assert world.schedule.targets == len(here)
    for name in here:
        # A quick one is on time; of slow ones the last in the queue wait for their turn.
        assert len(world.begun[name]) - before[name] >= (7 if names.get(name, QUICK) == QUICK else 2)
