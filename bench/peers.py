"""The peers as processes: started on free loopback ports, watched through the kernel, ended with the benchmark."""

import ctypes
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from scraping import Client, request

from exporter.durations import format_duration
from exporter.settings import Target

FOLDER = Path(__file__).parent
CLIENT_GOLANG = os.environ.get("CLIENT_GOLANG", "client_golang")
PUSHGATEWAY = os.environ.get("PUSHGATEWAY", "prometheus-pushgateway")

_STARTING_SECONDS = 60.0
_ENDING_SECONDS = 10.0
_MOMENT_SECONDS = 0.05
_IDLE_SHARE = 0.05
_ADDRESS = re.compile(r"127\.0\.0\.1:([1-9]\d*)")
# The kernel ends them where the benchmark was ended in a way that leaves it no time to do so.
BOUND_TO_US = ("setpriv", "--pdeathsig", "KILL", "--")


class Peer:
    """A process that serves.

    Attributes:
        pid: its id.
        port: where it serves on the loopback interface.
    """

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.pid = process.pid
        self.port = port
        self._clock = _cpu_clock(process.pid)

    def cpu_seconds(self) -> float:
        """Return the processor time that all its threads have taken, the ended ones included."""
        return time.clock_gettime(self._clock)

    def wait_until_idle(self) -> None:
        """Return when it has taken next to no processor time for a moment.

        Raises:
            TimeoutError: it does not come to rest.
        """
        until = time.monotonic() + _STARTING_SECONDS
        before = float("-inf")
        while (now := self.cpu_seconds()) - before > _IDLE_SHARE * _MOMENT_SECONDS:
            if time.monotonic() > until:
                raise TimeoutError(f"process {self.pid} is never idle")
            before = now
            time.sleep(_MOMENT_SECONDS)

    def peak_bytes(self) -> int:
        """Return the most memory that it ever had resident."""
        status = Path(f"/proc/{self.pid}/status").read_text("utf-8")
        match = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        if not match:
            raise ProcessLookupError(self.pid)
        return int(match[1]) * 1_024


def _cpu_clock(pid: int) -> int:
    """Return the clock of a process's processor time, which is exact to the nanosecond where /proc counts ticks."""
    clock = ctypes.c_int()
    error = ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock))
    if error:
        raise OSError(error, os.strerror(error))
    return clock.value


def _drain(pipe: IO[str]) -> None:
    with suppress(ValueError):  # it is closed when the process has ended
        while pipe.readline():
            pass


@contextmanager
def peer(command: Sequence[str]) -> Iterator[Peer]:
    """Start a program that says in a line where it serves, and end it.

    Raises:
        RuntimeError: it ended before it served, or took a minute without.
    """
    # A session of its own: Ctrl-C is for the benchmark, which ends the others in order.
    with subprocess.Popen(
        [*BOUND_TO_US, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        watchdog = threading.Timer(_STARTING_SECONDS, process.kill)
        watchdog.start()
        try:
            pipe = process.stdout
            if pipe is None:
                raise RuntimeError("a pipe was asked for")
            said = []
            for line in pipe:
                said.append(line)
                if match := _ADDRESS.search(line):
                    break
            else:
                raise RuntimeError(f"{command[0]} does not serve:\n{''.join(said)}")
            watchdog.cancel()
            # A full pipe would make it wait for its reader.
            threading.Thread(target=_drain, args=(pipe,), daemon=True).start()
            yield Peer(process, int(match[1]))
        finally:
            watchdog.cancel()
            process.terminate()
            try:
                process.wait(_ENDING_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def ours(localai: str, nodes: int, interval: float, *, self_metrics: bool) -> list[str]:
    """Return the command line of the exporter, as it is installed.

    Args:
        localai: the URL of what it polls.
        nodes: how many have series of their own.
        interval: seconds from poll to poll.
        self_metrics: whether it has series of its process too.
    """
    flags = {
        "--web.listen-address": "127.0.0.1:0",
        "--localai.url": localai,
        "--localai.max-response-bytes": "64MiB",
        "--node.limit": str(nodes),
        "--poll.interval": format_duration(interval),
        "--poll.timeout": format_duration(min(Target().poll_timeout, interval)),
    }
    more = [] if self_metrics else ["--web.disable-exporter-metrics"]
    return [sys.executable, "-P", "-m", "exporter", "serve", *(word for pair in flags.items() for word in pair), *more]


def script(name: str, *files: Path) -> list[str]:
    """Return the command line of a peer that is a script beside this module."""
    return [sys.executable, str(FOLDER / f"{name}.py"), *map(str, files)]


def client_golang(series: Path) -> list[str]:
    """Return the command line of the exporter in Go."""
    return [CLIENT_GOLANG, str(series)]


def pushgateway() -> list[str]:
    """Return the command line of Debian's Pushgateway, which keeps what it is given in memory alone."""
    return [PUSHGATEWAY, "--web.listen-address=127.0.0.1:0", "--persistence.file="]


def push(port: int, page: bytes) -> None:
    """Give the Pushgateway a page in the text format.

    Raises:
        OSError: it did not take it.
    """
    client = Client(port, compressed=False)
    try:
        client.ask(request(compressed=False, method="PUT", path="/metrics/job/localai-p2p", body=page))
    finally:
        client.close()
