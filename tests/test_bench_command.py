"""The benchmarks as a command, in small: every figure is measured, and whatever was started ends with it."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

pytestmark = pytest.mark.heavy

BENCH = Path(__file__).parent.parent / "bench" / "bench.py"
PATIENCE_SECONDS = 300.0


@contextmanager
def benchmarks(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(BENCH), "--shrink", "100", *arguments]
    environment = {**os.environ, "TMPDIR": str(folder)}  # where what is killed leaves its files
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def children(pid: int) -> set[int]:
    """Return who was started by any thread of a process."""
    found: set[int] = set()
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError):
            found.update(map(int, file.read_text("utf-8").split()))
    return found


@contextmanager
def watched(pids: set[int]) -> Iterator[list[int]]:
    """Give descriptors that are readable once these processes have ended, whoever started them."""
    with ExitStack() as stack:
        descriptors = [os.pidfd_open(pid) for pid in pids]
        for descriptor in descriptors:
            stack.callback(os.close, descriptor)
        yield descriptors


def test_every_figure_is_in_the_table(tmp_path: Path) -> None:
    with benchmarks(tmp_path, "--rounds", "1") as process:
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, err
    head, rule, *rows = out.splitlines()
    assert head.startswith("| figure ")
    assert set(rule) == {"|", "-"}
    named = [row.split("|")[1].strip() for row in rows]
    assert named == [line.removeprefix("measured: ") for line in err.splitlines() if line.startswith("measured: ")]
    for words in (
        "instructions of a text scrape: stock / ours",
        "gzip: ours / client_golang",
        "plain: ours / client_golang",
        "plain, self metrics off: ours / client_golang",
        "CPU time: ours / floor",
        "exponent with which",
        "steady membership: stock / ours",
        "1% churn: stock / ours",
        "8 clients, requests/s: ours / client_golang",
        "peak RSS for each node",
        "cold start",
        "targets of 10 nodes: peak RSS for each further target",
        "targets of 10 nodes: CPU time of a poll",
    ):
        assert any(words in name for name in named), words
    # No goal is for sizes like these.
    assert {row.split("|")[2].strip() for row in rows} == {""}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_its_peers_end_with_it(number: signal.Signals, tmp_path: Path) -> None:
    with benchmarks(tmp_path, "--rounds", "100000", "--only", "scrapes") as process:
        assert process.stderr
        assert process.stderr.readline() == "up: the peers with 2 nodes\n"
        peers = children(process.pid)
        assert len(peers) == 6
        with watched(peers) as descriptors:
            process.send_signal(number)
            process.communicate(timeout=PATIENCE_SECONDS)
            assert process.returncode == (-number if number == signal.SIGKILL else 130)
            assert number == signal.SIGKILL or not list(tmp_path.iterdir())
            for descriptor in descriptors:
                assert select.select([descriptor], [], [], PATIENCE_SECONDS)[0]
