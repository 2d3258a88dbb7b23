"""What many targets take of one exporter: memory, threads, and the processor time of a poll and of a scrape."""

import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fleet import LAST, Fleet, bodies
from peers import Peer, peer
from scraping import Client, request

from exporter.durations import format_duration
from exporter.settings import MINIMUM_INTERVAL_SECONDS
from exporter.simulator import Request
from exporter.simulator.listener import Listener

NODES = 10
"""What each target's LocalAI lists."""

_SCRAPES = 1_000
_PATIENCE_SECONDS = 60.0
_THREADS = re.compile(r"^Threads:\s+(\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Load:
    """What so many targets take.

    Attributes:
        targets: how many.
        peak_bytes: the most memory that was ever resident.
        threads: how many there were in the end.
        poll: processor time of a poll, and of the page that is made anew after it, in seconds.
        scrape: that of a scrape with gzip, in seconds.
    """

    targets: int
    peak_bytes: int
    threads: int
    poll: float
    scrape: float


class _LocalAIs:
    """Many LocalAIs behind one port, each below a path of its own; all of them say the same.

    Attributes:
        url: of the first part of all paths.
    """

    def __init__(self) -> None:
        now = time.time()
        self._answers = {path: _answer(body) for path, body in bodies(Fleet(NODES, 0.0, now).entries(now), now).items()}
        self._missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        self._polls = 0
        self._polled = threading.Condition()
        self._listener = Listener(0, self._reply)
        self.url = f"http://127.0.0.1:{self._listener.port}"

    @property
    def polls(self) -> int:
        """How many were answered."""
        return self._polls

    def wait_for(self, polls: int, seconds: float) -> None:
        """Return when so many were answered.

        Raises:
            TimeoutError: they were not, in so many seconds.
        """
        with self._polled:
            if not self._polled.wait_for(lambda: self._polls >= polls, seconds):
                raise TimeoutError("the exporter does not poll")

    def close(self) -> None:
        self._listener.close()

    def _reply(self, request: Request) -> bytes:
        path = f"/{request.path.split('/', 2)[2]}"
        if path == LAST:
            with self._polled:
                self._polls += 1
                self._polled.notify_all()
        return self._answers.get(path, self._missing)


def _answer(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@contextmanager
def _watching(localais: _LocalAIs, targets: int, interval: float) -> Iterator[Peer]:
    every = f"poll_interval: {format_duration(interval)}"
    lines = (f"- {{name: cluster-{number}, url: '{localais.url}/{number}'}}\n" for number in range(targets))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "targets.yml"
        file.write_text(f"defaults: {{{every}}}\ntargets:\n{''.join(lines)}", "utf-8")
        flags = ["--web.listen-address", "127.0.0.1:0", "--config.file", str(file)]
        with peer([sys.executable, "-P", "-m", "exporter", "serve", *flags]) as served:
            yield served


def load(targets: int, interval: float) -> Load:
    """Measure one exporter with so many targets, each of which is scraped.

    Args:
        targets: how many.
        interval: seconds from poll to poll of a thousand, and for how long polls are timed; fewer targets are polled
            more often, so that there are enough of them.
    """
    every = max(MINIMUM_INTERVAL_SECONDS, interval * min(1.0, targets / 1_000))
    with closing(_LocalAIs()) as localais, _watching(localais, targets, every) as served:
        localais.wait_for(2 * targets, _PATIENCE_SECONDS + 2 * every)
        with closing(Client(served.port, compressed=True)) as client:
            names = [f"/probe?target=cluster-{number}" for number in range(targets)]
            _scrape(client, names)  # from now on its page is made after each poll
            poll = _poll_seconds(localais, served, interval)
            before, began = localais.polls, served.cpu_seconds()
            rounds = -(-_SCRAPES // targets)
            for _ in range(rounds):
                _scrape(client, names)
            # The polls that went on meanwhile have their share.
            taken = served.cpu_seconds() - began - (localais.polls - before) * poll
        status = Path(f"/proc/{served.pid}/status").read_text("utf-8")
        threads = _THREADS.search(status)
        if threads is None:
            raise ProcessLookupError(served.pid)
        return Load(targets, served.peak_bytes(), int(threads[1]), poll, taken / (rounds * targets))


def _scrape(client: Client, paths: Sequence[str]) -> None:
    for path in paths:
        client.ask(request(compressed=True, path=path))


def _poll_seconds(localais: _LocalAIs, served: Peer, seconds: float) -> float:
    """Return the processor time of a poll, timed for so many seconds."""
    before, began = localais.polls, served.cpu_seconds()
    time.sleep(seconds)
    return (served.cpu_seconds() - began) / (localais.polls - before)
