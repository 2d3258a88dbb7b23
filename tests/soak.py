"""The soak: the exporter as it is installed, a real Prometheus every second, and faults that never end.

    ./run soak [DURATION]

Prints memory, threads and descriptors of the exporter over time, and ends non-zero when they are not flat, when a
scrape failed, when the exporter died, or when it did not recover in the end. Everything is on the loopback interface.
"""

import argparse
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from campaign import descriptors, resident_bytes
from support.hostile import CELLS, GOOD_IDS, WORKERS, Hostile
from support.processes import serving
from support.prometheus import prometheus

from exporter.durations import parse_duration

DURATION = "10m"
SAMPLES = 40
SCRAPE_SECONDS = 1.0
POLL_SECONDS = 0.5
_SHORTEST_SECONDS = 8.0
_PATIENCE_SECONDS = 120.0

GROWTH_BYTES = 8 * 2**20
"""By so much memory may differ between the second quarter and the last one."""

MORE_THREADS = 3  # scrapes and lookups in flight
MORE_DESCRIPTORS = 6


@dataclass(frozen=True)
class Sample:
    """What the exporter took, so many seconds after the start."""

    at: float
    memory: int
    threads: int
    descriptors: int

    @classmethod
    def of(cls, pid: int, at: float) -> "Sample":
        """Look at a process."""
        threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
        return cls(at, resident_bytes(pid), threads, descriptors(pid))

    def __str__(self) -> str:
        memory = f"{self.memory / 2**20:7.1f} MiB"
        return f"{self.at:8.0f} s  {memory}  {self.threads:3} threads  {self.descriptors:3} descriptors"


def not_flat(samples: list[Sample]) -> list[str]:
    """Return what grew from the second quarter to the last one; the first is for warming up."""
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    found = []
    for name, most in (("memory", GROWTH_BYTES), ("threads", MORE_THREADS), ("descriptors", MORE_DESCRIPTORS)):
        before, after = (statistics.median(getattr(sample, name) for sample in part) for part in (early, late))
        if after > before + most:
            found.append(f"{name} grew from {before:.0f} to {after:.0f}")
    return found


def _drain(pipe: IO[str] | None) -> None:
    with suppress(ValueError):  # it is closed when the exporter has ended
        while pipe and pipe.readline():
            pass


def soak(seconds: float, say: Callable[[str], None]) -> list[str]:
    """Run for so long and return what must not be, in words.

    Args:
        seconds: the duration.
        say: is told each sample.
    """
    milliseconds = f"{POLL_SECONDS * 1000:.0f}ms"
    flags = ["--poll.interval", milliseconds, "--poll.timeout", milliseconds, "--poll.stale-after", "10s"]
    flags += ["--localai.max-response-bytes", "1MiB", "--collector.token"]
    chosen = random.Random()  # noqa: S311 - which fault comes next is no secret
    tick = threading.Event()
    samples: list[Sample] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        Hostile(time.time) as localai,
        serving("--localai.url", localai.url, *flags, lifetime=seconds + _PATIENCE_SECONDS) as served,
        prometheus(Path(folder), served.url, interval=SCRAPE_SECONDS) as server,
    ):
        # A full pipe would make the exporter wait for its reader.
        threading.Thread(target=_drain, args=(served.process.stderr,), name="log", daemon=True).start()
        started = time.monotonic()
        while (at := time.monotonic() - started) < seconds and served.process.poll() is None:
            if at >= len(samples) * seconds / SAMPLES:
                samples.append(Sample.of(served.process.pid, at))
                say(str(samples[-1]))
            fault, path = chosen.choice(CELLS)
            localai.play(fault, path)
            tick.wait(POLL_SECONDS)
            if chosen.random() < 1 / 4:
                localai.behave(path)
                tick.wait(POLL_SECONDS)
        if served.process.poll() is not None:
            return [f"the exporter ended with status {served.process.returncode}"]
        found = not_flat(samples)
        localai.behave(WORKERS)
        server.wait_for_scrape_after(time.time() + 3 * POLL_SECONDS)
        if server.value("localai_p2p_up") != 1 or set(server.by("id", "localai_p2p_node_online")) != GOOD_IDS:
            found.append("the exporter did not recover")
        if (failed := server.value("count_over_time(up[1d]) - sum_over_time(up[1d])")) != 0:
            found.append(f"{failed} scrapes failed")
        polls = server.value("localai_p2p_exporter_polls_total")
        failures = server.by("reason", "localai_p2p_exporter_poll_failures_total > 0")
        say(f"{polls:.0f} polls, failed: " + " ".join(f"{name}:{count:.0f}" for name, count in failures.items()))
        if "internal" in failures:
            found.append("a poll crashed")
        return found


def main(arguments: list[str] | None = None) -> int:
    """Run a soak, print what it sees, and return the exit status."""
    parser = argparse.ArgumentParser(description="Continuous faults under a real Prometheus.")
    parser.add_argument("duration", nargs="?", default=DURATION, help="as 90s or 1h (default: %(default)s)")
    seconds = max(_SHORTEST_SECONDS, parse_duration(parser.parse_args(arguments).duration))
    found = soak(seconds, lambda text: print(text, flush=True))
    for one in found:
        print(f"FAILED {one}")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
