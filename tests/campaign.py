"""The fault campaign: every fault at every endpoint, over and over, against one exporter that lives all the while.

    ./run campaign [POLLS] [--deadline SECONDS]

Prints a line for each fault and ends non-zero when a poll crashed or was late, when the poll after a fault did not
succeed, when a page was invalid by promtool or by our own reader, or when memory, threads or descriptors grew.
"""

import argparse
import gc
import itertools
import logging
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from support.hostile import CELLS
from support.judges import pages_that_promtool_refuses
from support.watching import LONG, Polled, complaints_of_fault, complaints_of_page, complaints_of_recovery, watching

POLLS = 40_000
DEADLINE = 0.5
"""Of a poll, in seconds: a loopback needs a fiftieth of it, and a stall lasts all of it."""

GROWTH_BYTES = 16 * 2**20
"""The most that the process may grow by after its first round: what an allocator keeps, and far below a leak."""

_PAGES_AT_ONCE = 200
_MORE_THREADS = 4  # connections of the hostile server that have not noticed their end
_MORE_DESCRIPTORS = 8


def resident_bytes(pid: int | str = "self") -> int:
    """Return the resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1_024
    raise ProcessLookupError(pid)


def descriptors(pid: int | str = "self") -> int:
    """Return how many descriptors a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@dataclass
class Row:
    """What one fault did."""

    polls: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    crashes: int = 0
    late: int = 0
    wrong: int = 0
    recovered: int = 0
    invalid: int = 0
    rss_before: int = 0
    rss_after: int = 0


@dataclass
class Report:
    """What a campaign found.

    Attributes:
        rows: by the fault's name.
        complaints: whatever must not be, in words.
    """

    rows: dict[str, Row] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    def table(self) -> str:
        """Return the rows as a table, memory in MiB."""
        columns = f"{'polls':>6} {'crashes':>7} {'late':>5} {'wrong':>5} {'recovered':>9} {'invalid':>7} {'RSS':>13}"
        lines = [f"{'fault':44} {columns}  reasons"]
        for name, row in self.rows.items():
            reasons = " ".join(f"{reason}:{count}" for reason, count in sorted(row.reasons.items()))
            memory = f"{row.rss_before / 2**20:6.1f} {row.rss_after / 2**20:6.1f}"
            lines.append(
                f"{name:44} {row.polls:6} {row.crashes:7} {row.late:5} {row.wrong:5} {row.recovered:9} "
                f"{row.invalid:7} {memory}  {reasons}"
            )
        return "\n".join(lines)


def _complain(report: Report, row: Row, what: str, found: list[str]) -> None:
    for one in found:
        kind = one.partition(":")[0]
        row.crashes += kind == "crash"
        row.late += kind == "late"
        row.wrong += kind not in ("crash", "late")
        report.complaints.append(f"{what}: {one}")


def campaign(polls: int, deadline: float = DEADLINE, say: Callable[[str], None] = lambda _: None) -> Report:
    """Make so many polls, half of them against a fault and half of them after one.

    Args:
        polls: how many.
        deadline: of each, in seconds.
        say: is told how far it has come.
    """
    report = Report()
    pages: list[tuple[str, Row]] = []
    steady: tuple[int, int, int] | None = None
    said = 0

    def judge() -> None:
        by_page = dict(pages)
        for page, complaint in pages_that_promtool_refuses([page for page, _ in pages]):
            if page:
                by_page[page].invalid += 1
            report.complaints.append(f"promtool: {complaint}")
        pages.clear()

    with watching(deadline) as watch:
        for number, (fault, path) in enumerate(itertools.islice(itertools.cycle(CELLS), polls // 2)):
            if number == min(len(CELLS), polls // 4):
                gc.collect()
                steady = resident_bytes(), threading.active_count(), descriptors()
            row = report.rows.setdefault(fault.name, Row(rss_before=resident_bytes()))
            watch.server.play(fault, path)
            polled = watch.poll(LONG if number % 2 else 15.0)
            _complain(report, row, f"{fault} at {path}", complaints_of_fault(polled, fault, path, deadline))
            row.reasons[polled.reason or "understood"] += 1
            watch.server.behave(path)
            after = watch.poll()
            complaints = complaints_of_recovery(after, path, deadline)
            _complain(report, row, f"after {fault} at {path}", complaints)
            row.recovered += not complaints
            row.polls += 2
            row.invalid += sum(map(_is_invalid, (polled, after)))
            row.rss_after = resident_bytes()
            pages.extend((page.text, row) for page in (polled, after))
            if len(pages) >= _PAGES_AT_ONCE:
                judge()
                say(f"{2 * number + 2} polls, {len(report.complaints)} complaints, {row.rss_after / 2**20:.1f} MiB")
                for complaint in report.complaints[said:]:
                    say(f"  {complaint}")
                said = len(report.complaints)
        judge()
        if steady is not None:
            gc.collect()
            _check_steady(report, steady)
    return report


def _is_invalid(polled: Polled) -> bool:
    view = polled.outcome.view
    return bool(complaints_of_page(polled, view.shown if view else None))


def _check_steady(report: Report, before: tuple[int, int, int]) -> None:
    memory, threads, files = resident_bytes(), threading.active_count(), descriptors()
    if memory > before[0] + GROWTH_BYTES:
        report.complaints.append(f"memory grew from {before[0]} to {memory} bytes")
    if threads > before[1] + _MORE_THREADS:
        report.complaints.append(f"threads grew from {before[1]} to {threads}")
    if files > before[2] + _MORE_DESCRIPTORS:
        report.complaints.append(f"descriptors grew from {before[2]} to {files}")


def main(arguments: list[str] | None = None) -> int:
    """Run a campaign, print its table, and return the exit status."""
    parser = argparse.ArgumentParser(description="Every fault at every endpoint, over and over.")
    parser.add_argument("polls", nargs="?", type=int, default=POLLS)
    parser.add_argument("--deadline", type=float, default=DEADLINE, help="of each poll, in seconds")
    options = parser.parse_args(arguments)
    report = campaign(options.polls, options.deadline, lambda text: print(text, file=sys.stderr))
    print(report.table())
    for complaint in report.complaints[:50]:
        print(f"FAILED {complaint}")
    total = sum(row.polls for row in report.rows.values())
    print(f"{total} polls of {len(report.rows)} faults, {len(report.complaints)} complaints")
    return bool(report.complaints)


if __name__ == "__main__":
    logging.getLogger("exporter").addHandler(logging.NullHandler())  # a failed poll is no news here
    sys.exit(main())
