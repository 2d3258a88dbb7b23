"""A real Prometheus that scrapes what a test gives it."""

import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 60.0
"""How long Prometheus may take to come up, or to scrape: a loaded machine is no failure."""

SCRAPE_INTERVAL_SECONDS = 0.5


def tool(name: str) -> str:
    """Return the path of a program: from a variable of its name in capitals, or from PATH."""
    path = os.environ.get(name.upper().replace("-", "_")) or shutil.which(name)
    assert path, f"{name} is missing: ./run test installs it"
    return path


def free_port() -> int:
    """Return a loopback port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Prometheus:
    """What a running Prometheus knows."""

    def __init__(self, url: str, process: subprocess.Popen[bytes]) -> None:
        self._url = url
        self._process = process
        self._tick = threading.Event()

    def query(self, promql: str) -> dict[frozenset[tuple[str, str]], float]:
        """Return an instant vector by labels; those of the target are left out."""
        text = urllib.parse.urlencode({"query": promql})
        with urllib.request.urlopen(f"{self._url}/api/v1/query?{text}", timeout=10) as answer:
            result: list[Mapping[str, Any]] = json.load(answer)["data"]["result"]
        ours = {"__name__", "instance", "job"}
        return {
            frozenset((name, value) for name, value in one["metric"].items() if name not in ours): float(
                one["value"][1]
            )
            for one in result
        }

    def value(self, promql: str) -> float | None:
        """Return the one sample of a query, None where it has none."""
        values = list(self.query(promql).values())
        assert len(values) <= 1, f"{promql} has {len(values)} samples"
        return values[0] if values else None

    def by(self, label: str, promql: str) -> dict[str, float]:
        """Return an instant vector by the value of one label."""
        return {dict(labels).get(label, ""): value for labels, value in self.query(promql).items()}

    def wait_for_scrape_after(self, moment: float) -> None:
        """Return when a scrape is stored that began after `moment`, in Unix seconds."""
        self._wait(lambda: (self.value("timestamp(up)") or 0.0) > moment)

    def _wait(self, holds: Any) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert self._process.poll() is None, "Prometheus ended"
            assert time.monotonic() < until, "Prometheus did not get there in time"
            # Prometheus tells nobody when it has scraped: it has to be asked.
            self._tick.wait(SCRAPE_INTERVAL_SECONDS / 5)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1):
            return True
    except (urllib.error.URLError, OSError):
        return False


@contextmanager
def started(words: list[str], log: Path, url: str, ready: str = "/-/ready") -> Iterator[subprocess.Popen[bytes]]:
    """Run a server, from when it answers at `url` and the path `ready` to the end of the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(words, stdout=output, stderr=output)
    try:
        until = time.monotonic() + PATIENCE_SECONDS
        tick = threading.Event()
        while not _answers(f"{url}{ready}"):
            assert process.poll() is None, f"{words[0]} ended: see {log}"
            assert time.monotonic() < until, f"{words[0]} did not get there in time"
            tick.wait(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


@contextmanager
def prometheus(folder: Path, target: str, interval: float = SCRAPE_INTERVAL_SECONDS) -> Iterator[Prometheus]:
    """Run Prometheus on a free loopback port, with its data in `folder`, against one target's URL."""
    port = free_port()
    configuration = {
        "global": {"scrape_interval": f"{interval * 1000:.0f}ms", "scrape_timeout": "500ms"},
        "scrape_configs": [
            {"job_name": "localai-p2p", "static_configs": [{"targets": [target.removeprefix("http://")]}]}
        ],
    }
    file = folder / "prometheus.yml"
    file.write_text(json.dumps(configuration), "utf-8")  # JSON is YAML
    words = [
        tool("prometheus"),
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    url = f"http://127.0.0.1:{port}"
    with started(words, folder / "prometheus.log", url) as process:
        yield Prometheus(url, process)
