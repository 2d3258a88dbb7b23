"""Benchmarks of the exporter against its peers, in one run and one table: `./run bench`.

    bench.py [--rounds COUNT] [--only PART]... [--shrink FACTOR] [--record] [--write]

It wants the exporter installed, client_golang's exporter built (`CLIENT_GOLANG` names it), Debian's Pushgateway and
valgrind; `run` sees to all of them. Everything is on the loopback interface, and ends with this program.
"""

import argparse
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import alone
import counts
import many
from figures import Bound, Figure, Goal, Spread, growth_exponent, slope
from loop import interval_seconds
from page import write_page
from scene import Cost, Scene, scene
from table import number, seconds, table

ROUNDS = 11

_LEAST, _MOST = Bound.AT_LEAST, Bound.AT_MOST
_CLIENTS = 8
_CHURN = 0.01
_OTHERS = ("pushgateway", "stock", "naive")
"""Who is compared with, without a goal."""


@dataclass(frozen=True)
class Plan:
    """How large everything is.

    Attributes:
        rounds: how many there are of what takes time.
        shrink: by what the sizes are divided; no goal holds then.
    """

    rounds: int
    shrink: int = 1

    def nodes(self, count: int) -> int:
        """Return how many nodes stand for so many."""
        return max(2, count // self.shrink)

    def targets(self, count: int) -> int:
        """Return how many targets stand for so many."""
        return max(1, count // self.shrink)

    def goal(self, bound: Bound, value: float) -> Goal | None:
        """Return a goal, where it holds."""
        return Goal(bound, value) if self.shrink == 1 else None

    @property
    def interval(self) -> float:
        """Seconds from poll to poll: the default."""
        return 15.0 if self.shrink == 1 else 2.0


def _scrape_figures(name: str, costs: Mapping[str, Sequence[Cost]], goal: Goal | None) -> Iterator[Figure]:
    """Yield a row for each peer; the goal is set against client_golang."""
    ours = costs["ours"]
    for peer, asked in {"client_golang": goal, **dict.fromkeys(_OTHERS)}.items():
        others = costs[peer]
        wall = [cost.wall for cost in ours], [cost.wall for cost in others]
        yield Figure(
            f"{name}: ours / {peer}",
            Spread.of_ratios(*wall),
            asked,
            cpu=Spread.of_ratios([cost.cpu for cost in ours], [cost.cpu for cost in others]),
            medians=" / ".join(seconds(Spread.of(values).median) for values in wall),
        )


def instruction_figures(plan: Plan) -> Iterator[Figure]:
    """Yield what callgrind counts: a ratio to the stock encoder's, and how it grows with the nodes."""
    few, many = plan.nodes(100), plan.nodes(1_000)
    counted = counts.count(many, *counts.REPETITIONS)
    fewer = counts.count(few, "ours-scrape")
    goals = {"scrape": plan.goal(_LEAST, 100), "rebuild": None}
    words = {"scrape": "text scrape", "rebuild": "poll with 1% churn and text scrape"}
    for what, ratio in counts.ratios(counted).items():
        yield Figure(
            f"{many:,} nodes, instructions of a {words[what]}: stock / ours",
            Spread.of([ratio]),
            goals[what],
            "{}×",
            medians=" / ".join(f"{number(counted[f'{who}-{what}'] / 1e6)} M" for who in ("stock", "ours")),
        )
    exponent = growth_exponent({few: fewer["ours-scrape"], many: counted["ours-scrape"]})
    yield Figure(
        f"exponent with which the instructions of a text scrape grow, {few:,} → {many:,} nodes",
        Spread.of([exponent]),
        plan.goal(_MOST, 1.02),
    )


def scene_figures(plan: Plan) -> Iterator[Figure]:
    """Yield what a scrape costs, at three sizes, and how many can be had."""
    few, some, many = 2, plan.nodes(1_000), plan.nodes(10_000)
    with _up(plan, few, self_metrics=False) as small:
        yield from _scrape_figures(
            f"{few} nodes, plain, self metrics off",
            small.scrapes(compressed=False, rounds=plan.rounds, count=200),
            plan.goal(_MOST, 1.2),
        )
    with _up(plan, some) as middle:
        yield from _scrape_figures(
            f"{some:,} nodes, gzip",
            middle.scrapes(compressed=True, rounds=plan.rounds, count=50),
            plan.goal(_MOST, 0.10),
        )
        yield from _load_figures(plan, middle, some)
    with _up(plan, many) as large:
        plain = large.scrapes(compressed=False, rounds=plan.rounds, count=20)
        yield from _scrape_figures(
            f"{many:,} nodes, plain",
            plain,
            plan.goal(_MOST, 0.03),
        )
        cpu = [[cost.cpu for cost in plain[name]] for name in ("ours", "floor")]
        yield Figure(
            f"{many:,} nodes, plain, CPU time: ours / floor",
            Spread.of_ratios(*cpu),
            plan.goal(_MOST, 2.5),
            "{}×",
            medians=" / ".join(seconds(Spread.of(values).median) for values in cpu),
        )
        yield from _scrape_figures(
            f"{many:,} nodes, gzip",
            large.scrapes(compressed=True, rounds=plan.rounds, count=20),
            plan.goal(_MOST, 0.06),
        )


@contextmanager
def _up(plan: Plan, nodes: int, *, self_metrics: bool = True) -> Iterator[Scene]:
    with scene(nodes, plan.interval, self_metrics=self_metrics) as peers:
        _say(f"up: the peers with {nodes:,} nodes")
        yield peers


def _load_figures(plan: Plan, middle: Scene, nodes: int) -> Iterator[Figure]:
    goals = {"client_golang": plan.goal(_LEAST, 9), "pushgateway": None, "floor": None}
    rates = middle.loads("ours", *goals, clients=_CLIENTS, rounds=plan.rounds, count=5_000)
    for peer, goal in goals.items():
        yield Figure(
            f"{nodes:,} nodes, gzip, {_CLIENTS} clients, requests/s: ours / {peer}",
            Spread.of_ratios(rates["ours"], rates[peer]),
            goal,
            "{}×",
            medians=" / ".join(f"{number(Spread.of(rates[name]).median)}/s" for name in ("ours", peer)),
        )


def loop_figures(plan: Plan) -> Iterator[Figure]:
    """Yield what an interval costs: a poll and a scrape."""
    nodes = plan.nodes(10_000)
    steady, churning = "steady membership", f"{_CHURN:.0%} churn"
    cases = (
        (steady, 0.0, True, plan.goal(_LEAST, 8)),
        (churning, _CHURN, True, plan.goal(_LEAST, 4)),
        (f"{steady}, answers read before", 0.0, False, None),
        (f"{churning}, answers read before", _CHURN, False, None),
    )
    for words, churn, reading, goal in cases:
        found = interval_seconds(nodes, churn, plan.rounds, reading=reading)
        yield Figure(
            f"{nodes:,} nodes, poll and gzip scrape, {words}: stock / ours",
            Spread.of_ratios(found["stock"], found["ours"]),
            goal,
            "{}×",
            medians=" / ".join(seconds(Spread.of(found[name]).median) for name in ("stock", "ours")),
        )


def machine_figures(plan: Plan) -> Iterator[Figure]:
    """Yield what the exporter takes by itself: memory and the time until it serves."""
    few, many = plan.nodes(10_000), plan.nodes(100_000)
    # Once: memory is not in a hurry, and half a minute long.
    low, high = alone.peak_bytes((few, many), plan.interval)
    yield Figure(
        f"peak RSS for each node, {few:,} → {many:,}",
        Spread.of([slope((few, low), (many, high)) / 1e3]),
        plan.goal(_MOST, 3.4),
        "{} KB",
        medians=f"{number(low / 1e6)} MB, {number(high / 1e6)} MB",
    )
    starts = [alone.start_seconds(plan.interval) for _ in range(plan.rounds)]
    ours, bare = zip(*starts, strict=True)
    yield Figure(
        "cold start until the first 200, in starts of a bare Python",
        Spread.of_ratios(ours, bare),
        plan.goal(_MOST, 7.5),
        medians=" / ".join(seconds(Spread.of(values).median) for values in (ours, bare)),
    )


def target_figures(plan: Plan) -> Iterator[Figure]:
    """Yield how what one exporter takes grows with its targets."""
    sizes = sorted({plan.targets(count) for count in (1, 10, 100, 1_000)})
    loads = [many.load(targets, plan.interval) for targets in sizes]
    first, last = loads[0], loads[-1]
    words = f"{', '.join(f'{one.targets:,}' for one in loads)} targets of {many.NODES} nodes"

    def medians(texts: Iterable[str]) -> str:
        return " / ".join(texts)

    yield Figure(
        f"{words}: peak RSS for each further target",
        Spread.of([slope((first.targets, first.peak_bytes), (last.targets, last.peak_bytes)) / 1e3]),
        unit="{} KB",
        medians=medians(f"{number(one.peak_bytes / 1e6)} MB" for one in loads),
    )
    yield Figure(
        f"{words}: threads, of the most / of one",
        Spread.of([last.threads / first.threads]),
        medians=medians(str(one.threads) for one in loads),
    )
    yield Figure(
        f"{words}: CPU time of a poll, of the most / of one",
        Spread.of([last.poll / first.poll]),
        medians=medians(seconds(one.poll) for one in loads),
    )
    yield Figure(
        f"{words}: CPU time of a scrape with gzip, of the most / of one",
        Spread.of([last.scrape / first.scrape]),
        medians=medians(seconds(one.scrape) for one in loads),
    )


PARTS: Mapping[str, Callable[[Plan], Iterator[Figure]]] = {
    "instructions": instruction_figures,
    "scrapes": scene_figures,
    "loop": loop_figures,
    "machine": machine_figures,
    "targets": target_figures,
}
"""Everything that is measured, in the order of the table."""


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _end(_signal: int, _frame: FrameType | None) -> None:
    # As Ctrl-C: by way of everything that ends what was started.
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks, print the table, and return the exit status."""
    parser = argparse.ArgumentParser(prog="./run bench", description="The exporter against its peers.")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of what takes time (default: %(default)s)")
    parser.add_argument("--only", action="append", choices=PARTS, help="measure this part; repeatable")
    parser.add_argument("--shrink", type=int, default=1, help="divide all sizes by this, to see that all of it works")
    parser.add_argument("--record", action="store_true", help="count instructions alone, and record them for the gate")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    chosen = parser.parse_args(arguments)
    if chosen.write and (chosen.shrink != 1 or chosen.rounds < ROUNDS or chosen.only):
        parser.error(f"the page shows whole runs: --write wants all parts, all sizes and {ROUNDS} rounds")
    signal.signal(signal.SIGTERM, _end)
    try:
        if chosen.record:
            counts.record(counts.ratios(counts.count(1_000, *counts.REPETITIONS)))
            return 0
        plan = Plan(chosen.rounds, chosen.shrink)
        figures = []
        for name, part in PARTS.items():
            for figure in part(plan) if name in (chosen.only or PARTS) else ():
                figures.append(figure)
                _say(f"measured: {figure.name}")
    except KeyboardInterrupt:
        return 130
    text = table(figures)
    print(text, end="")
    if chosen.write:
        write_page(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
