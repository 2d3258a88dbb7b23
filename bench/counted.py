"""What is run under callgrind: everything is made ready, and then one thing is done so many times.

    counted.py WHAT NODES REPETITIONS

WHAT is one of what `prepare` returns; no repetition at all costs what making ready does.
"""

import gc
import sys
from collections.abc import Callable, Mapping

from fleet import SETTLED_POLLS, Fleet, bodies
from ours import Pipeline, Replayed, snapshot, ticking_clock
from prometheus_client import generate_latest
from stock import stock_registry

BEGINNING = 1_800_000_000.0
MOST_REPETITIONS = 2
_INTERVAL_SECONDS = 15.0
_CHURN = 0.01


def prepare(nodes: int) -> Mapping[str, Callable[[], object]]:
    """Return what can be done, by its name, each ready and used once."""
    clock = ticking_clock(BEGINNING)
    fleet = Fleet(nodes, _CHURN, BEGINNING)
    times = [BEGINNING + number * _INTERVAL_SECONDS for number in range(SETTLED_POLLS + MOST_REPETITIONS)]
    snapshots = [snapshot(bodies(fleet.entries(now), now), now, clock) for now in times]
    mine, other = (Pipeline(Replayed(snapshots), nodes, clock, exposed=exposed) for exposed in (True, False))
    registry = stock_registry(other.families)
    generate_latest(stock_registry(lambda: ()))
    for _ in range(SETTLED_POLLS):
        mine.poll()
        other.poll()
    mine.page()

    def ours() -> None:
        mine.page()

    def stock() -> None:
        generate_latest(registry)

    def rebuild(pipeline: Pipeline, scrape: Callable[[], None]) -> Callable[[], None]:
        def both() -> None:
            pipeline.poll()
            scrape()

        return both

    return {
        "ours-scrape": ours,
        "stock-scrape": stock,
        "ours-rebuild": rebuild(mine, ours),
        "stock-rebuild": rebuild(other, stock),
    }


def main() -> None:
    """Do it."""
    gc.disable()  # when a collection falls due is chance, and it would cost more than what is counted
    what, nodes, repetitions = sys.argv[1:]
    act = prepare(int(nodes))[what]
    for _ in range(int(repetitions)):
        act()


if __name__ == "__main__":
    main()
