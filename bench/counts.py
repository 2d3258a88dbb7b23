"""Instructions in place of seconds: what callgrind counts is the same on a busy machine, to a thousandth."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from figures import per_repetition
from peers import BOUND_TO_US

FOLDER = Path(__file__).parent
RECORDED = FOLDER / "recorded.json"
"""The ratios that the gate asks for, as `bench.py --record` wrote them."""

SLACK = 0.2
"""By so much of what was recorded a ratio may be lower: another Python, or another library."""

REPETITIONS = {"ours-scrape": 20, "stock-scrape": 1, "ours-rebuild": 2, "stock-rebuild": 1}
"""What is counted, and how often it is repeated: what takes long once need not be."""

_AT_ONCE = 2
_PATIENCE_SECONDS = 170.0

_THE_SAME = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
"""Without a seed sets and dicts put strings elsewhere each time; and one run would read what another one compiled."""

_Run = tuple[str, int, int]
"""What `counted.py` does, with how many nodes, and how often."""


@contextmanager
def _counting(run: _Run, file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a run under callgrind, which writes into a file, and end it."""
    valgrind = ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={file}"]
    with subprocess.Popen(
        [*BOUND_TO_US, *valgrind, sys.executable, str(FOLDER / "counted.py"), *map(str, run)],
        env={**os.environ, **_THE_SAME},
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def instructions(runs: Sequence[_Run]) -> list[int]:
    """Return how many instructions each run takes, from its start to its end.

    Raises:
        subprocess.SubprocessError: valgrind failed, or is late.
    """
    found = []
    for start in range(0, len(runs), _AT_ONCE):
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench")))
            started = [
                (stack.enter_context(_counting(run, folder / str(number))), folder / str(number))
                for number, run in enumerate(runs[start : start + _AT_ONCE])
            ]
            for process, file in started:
                if status := process.wait(_PATIENCE_SECONDS):
                    raise subprocess.CalledProcessError(status, process.args)
                found.append(_total(file.read_text("utf-8")))
    return found


def _total(text: str) -> int:
    """Return the sum that callgrind puts into its file."""
    match = re.search(r"^summary: (\d+)$", text, re.MULTILINE)
    if not match:
        raise subprocess.SubprocessError("callgrind counted nothing")
    return int(match[1])


def count(nodes: int, *names: str) -> Mapping[str, float]:
    """Return how many instructions one repetition of each takes; errors as above.

    Args:
        nodes: how many there are.
        names: of `REPETITIONS`.
    """
    # Without repetition all of them come to the same: what is made ready is the same.
    none, *some = instructions([(names[0], nodes, 0), *((name, nodes, REPETITIONS[name]) for name in names)])
    return {
        name: per_repetition((0, none), (REPETITIONS[name], counted)) for name, counted in zip(names, some, strict=True)
    }


def ratios(counted: Mapping[str, float]) -> Mapping[str, float]:
    """Return how many times our instructions the stock encoder takes, by what is done."""
    return {what: counted[f"stock-{what}"] / counted[f"ours-{what}"] for what in ("scrape", "rebuild")}


def falls_short(found: Mapping[str, float], asked: Mapping[str, float]) -> list[str]:
    """Return, in words, where a ratio is lower than what was asked for, by more than `SLACK` allows."""
    return [
        f"{what}: {found[what]:.3g} times fewer instructions than the stock encoder, and it was {ratio:.3g}"
        for what, ratio in asked.items()
        if found[what] < ratio * (1 - SLACK)
    ]


def recorded() -> Mapping[str, float]:
    """Return the ratios that were recorded."""
    found: Mapping[str, float] = json.loads(RECORDED.read_text("utf-8"))
    return found


def record(found: Mapping[str, float]) -> None:
    """Write the ratios that the gate asks for from now on."""
    text = json.dumps({what: float(f"{ratio:.3g}") for what, ratio in found.items()}, indent=2)
    RECORDED.write_text(f"{text}\n", "utf-8")
