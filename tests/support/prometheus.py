"""A real Prometheus that scrapes what a test gives it."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

PATIENCE_SECONDS = 60.0
"""How long Prometheus may take to come up, or to scrape: a loaded machine is no failure."""

SCRAPE_INTERVAL_SECONDS = 0.5


def tool(name: str) -> str:
    """Return the path of a program: from a variable of its name in capitals, or from PATH."""
    path = os.environ.get(name.upper().replace("-", "_")) or shutil.which(name)
    assert path, f"{name} is missing: ./run installs it"
    return path


def free_port() -> int:
    """Return a loopback port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@dataclass(frozen=True)
class Target:
    """Whom Prometheus scrapes.

    Attributes:
        url: without a path.
        labels: of the target, besides its job; an `instance` stands for the address.
    """

    url: str
    labels: Mapping[str, str] = field(default_factory=dict)


class Prometheus:
    """What a running Prometheus knows."""

    def __init__(self, url: str, process: subprocess.Popen[bytes]) -> None:
        self._url = url
        self._process = process
        self._tick = threading.Event()

    def ask(self, path: str, **parameters: str | float) -> Mapping[str, Any]:
        """Return what the HTTP API answers at a path below `/api/v1/`, its warnings included."""
        text = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self._url}/api/v1/{path}?{text}", timeout=PATIENCE_SECONDS) as reply:
                answer: Mapping[str, Any] = json.load(reply)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{error.code} for {parameters}: {error.read().decode()}") from None
        return answer

    def query(self, promql: str) -> dict[frozenset[tuple[str, str]], float]:
        """Return an instant vector by labels; those of the target are left out."""
        result: list[Mapping[str, Any]] = self.ask("query", query=promql)["data"]["result"]
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
        """Return when a scrape of each target is stored that began after `moment`, in Unix seconds."""
        self.wait(lambda: (self.value("min(timestamp(up))") or 0.0) > moment, max(0.0, moment - time.time()))

    def wait_for_rules(self) -> None:
        """Return when each rule has been evaluated."""
        self.wait(lambda: all(rule["health"] == "ok" for rule in self._rules()))

    def _rules(self) -> Iterator[Mapping[str, Any]]:
        return (rule for group in self.ask("rules")["data"]["groups"] for rule in group["rules"])

    def wait(self, holds: Callable[[], object], soonest: float = 0.0) -> None:
        """Return when something holds that a scrape or a rule brings about, in so many seconds at the soonest."""
        until = time.monotonic() + soonest + PATIENCE_SECONDS
        while not holds():
            assert self._process.poll() is None, "Prometheus ended"
            assert time.monotonic() < until, "Prometheus did not get there in time"
            # Prometheus tells nobody when it has scraped: it has to be asked.
            self._tick.wait(SCRAPE_INTERVAL_SECONDS / 5)


def _answers(url: str, trusted: ssl.SSLContext | None) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1, context=trusted):
            return True
    except (urllib.error.URLError, OSError):
        return False


@contextmanager
def started(
    words: list[str], log: Path, url: str, ready: str = "/-/ready", trusted: ssl.SSLContext | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server, from when it answers at `url` and the path `ready` to the end of the block.

    Args:
        words: its command line.
        log: the file that it writes to.
        url: where it answers.
        ready: the path that it answers well once it is ready.
        trusted: which certificates of it are, where it has one.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(words, stdout=output, stderr=output)
    try:
        until = time.monotonic() + PATIENCE_SECONDS
        tick = threading.Event()
        while not _answers(f"{url}{ready}", trusted):
            assert process.poll() is None, f"{words[0]} ended: see {log}"
            assert time.monotonic() < until, f"{words[0]} did not get there in time"
            tick.wait(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def _static(target: Target) -> dict[str, Any]:
    return {"targets": [target.url.removeprefix("http://")], "labels": dict(target.labels)}


@contextmanager
def prometheus(
    folder: Path, *targets: Target | str, interval: float = SCRAPE_INTERVAL_SECONDS, rules: Sequence[Path] = ()
) -> Iterator[Prometheus]:
    """Run Prometheus on a free loopback port.

    Args:
        folder: for its files; what is already in `data` below it is its past.
        targets: whom it scrapes; a URL is a target without labels.
        interval: seconds from one scrape, and from one evaluation of the rules, to the next.
        rules: files with rules.
    """
    every = f"{interval * 1000:.0f}ms"
    configuration = {
        "global": {"scrape_interval": every, "scrape_timeout": "500ms", "evaluation_interval": every},
        "rule_files": [str(file) for file in rules],
        "scrape_configs": [
            {
                "job_name": "localai-p2p",
                "static_configs": [
                    _static(target if isinstance(target, Target) else Target(target)) for target in targets
                ],
            }
        ],
    }
    with configured(folder, configuration) as running:
        yield running


@contextmanager
def configured(folder: Path, configuration: Mapping[str, Any]) -> Iterator[Prometheus]:
    """Run Prometheus on a free loopback port with any configuration, with its files in `folder`."""
    port = free_port()
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


def impatient(file: Path, folder: Path) -> Path:
    """Return a copy of a rule file in which no alert waits."""
    document = yaml.safe_load(file.read_text("utf-8"))
    for rule in (rule for group in document["groups"] for rule in group["rules"] if "for" in rule):
        rule["for"] = "0s"
    copy = folder / file.name
    copy.write_text(json.dumps(document), "utf-8")
    return copy
