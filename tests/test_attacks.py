"""Clients that want to keep the server from everyone else, plain and over TLS; a scrape does not notice them.

Server and attackers are processes of their own: an interpreter's lock is not what is measured here.
"""

import http.client
import re
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.certificates import Certificate, make_authority, make_leaf
from support.processes import PATIENCE_SECONDS, environment
from support.victim import LARGE_BYTES, MANY_NODES

from exporter.places import PAGES
from exporter.server import WORKERS

pytestmark = pytest.mark.alone

SUPPORT = Path(__file__).parent / "support"

SCRAPE_EVERY_SECONDS = 0.05
LEAST_SCRAPES = 50
P99_SECONDS = 0.1
ROUNDS = 4
"""One good round will do: what else a shared machine is at makes scrapes slower, and never faster."""
MOST_THREADS = 20

ATTACK_SECONDS = 7.0
"""Longer than a client has to send its request: some are dropped, and come again."""

CONNECTION_BYTES = 128 * 1024  # OpenSSL's share of it is the most
PAGES_BYTES = (PAGES + 2 * WORKERS) * LARGE_BYTES  # those on their way, being made, and just made


@dataclass(frozen=True)
class Victim:
    process: subprocess.Popen[str]
    url: str
    context: ssl.SSLContext | None

    def scrape(self, path: str = "/metrics", nodes: int = 100) -> float:
        """Scrape as Prometheus does for the first time, and return how many seconds that took."""
        place = urlsplit(self.url).netloc
        started = time.perf_counter()
        connection = (
            http.client.HTTPSConnection(place, timeout=PATIENCE_SECONDS, context=self.context)
            if self.context
            else http.client.HTTPConnection(place, timeout=PATIENCE_SECONDS)
        )
        with closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            page = answer.read()
        assert answer.status == http.client.OK
        assert page.count(b"\nlocalai_p2p_node_online{") == nodes
        return time.perf_counter() - started

    def memory(self) -> int:
        return self._status("VmRSS") * 1_024

    def most_memory(self) -> int:
        return self._status("VmHWM") * 1_024

    def threads(self) -> int:
        return self._status("Threads")

    def descriptors(self) -> int:
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())

    def _status(self, name: str) -> int:
        match = re.search(rf"^{name}:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text(), re.MULTILINE)
        assert match
        return int(match[1])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="module")
def leaf(authority: Certificate, tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_leaf(tmp_path_factory.mktemp("leaf"), "leaf", authority, "IP:127.0.0.1")


@contextmanager
def python(script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, str(SUPPORT / script), *arguments],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(params=["plain", "tls"])
def victim(request: pytest.FixtureRequest, authority: Certificate, leaf: Certificate) -> Iterator[Victim]:
    files = (str(leaf.cert_file), str(leaf.key_file)) if request.param == "tls" else ()
    context = ssl.create_default_context(cafile=str(authority.cert_file)) if files else None
    with python("victim.py", *files) as process:
        assert process.stdout
        victim = Victim(process, process.stdout.readline().strip(), context)
        for _ in range(10):
            victim.scrape()
        yield victim
        process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0


@pytest.mark.parametrize(
    ("attack", "count", "growth"),
    [
        pytest.param("silent", 200, 200 * CONNECTION_BYTES, id="200-silent-connections"),
        pytest.param("slowloris", 200, 200 * CONNECTION_BYTES, id="200-slowloris"),
        pytest.param("slow-readers", 40, PAGES_BYTES + 40 * CONNECTION_BYTES, id="40-slow-readers"),
    ],
)
def test_a_scrape_does_not_notice(victim: Victim, attack: str, count: int, growth: int) -> None:
    memory, threads, descriptors = victim.memory(), victim.threads(), victim.descriptors()
    pause = threading.Event()
    rounds: list[float] = []
    for _ in range(ROUNDS):
        rounds.append(_attacked(victim, attack, count, threads, descriptors))
        assert victim.most_memory() - memory <= growth
        # Nothing of it stays.
        deadline = time.monotonic() + PATIENCE_SECONDS
        while victim.descriptors() > descriptors:
            assert time.monotonic() < deadline
            pause.wait(0.01)
        assert victim.threads() == threads
        if rounds[-1] < P99_SECONDS and victim.scrape() < P99_SECONDS:
            return
    pytest.fail(f"p99 of each round, in seconds: {rounds}")


def _attacked(victim: Victim, attack: str, count: int, threads: int, descriptors: int) -> float:
    """Scrape through one attack, and return what 99 of 100 scrapes took at most, in seconds."""
    parts = urlsplit(victim.url)
    words = [attack, str(parts.hostname), str(parts.port), str(count), str(ATTACK_SECONDS)]
    pause = threading.Event()
    took: list[float] = []
    most_descriptors = 0
    with python("attacker.py", *words, *(["tls"] if victim.context else [])) as attacker:
        while attacker.poll() is None:
            took.append(victim.scrape())
            assert threads <= victim.threads() <= MOST_THREADS
            most_descriptors = max(most_descriptors, victim.descriptors())
            pause.wait(SCRAPE_EVERY_SECONDS)
        written, _ = attacker.communicate(timeout=PATIENCE_SECONDS)
    # It was an attack: all of them were connected at once, and those that were dropped came again.
    assert most_descriptors >= descriptors + count
    assert int(written.split()[-1]) > count
    assert len(took) >= LEAST_SCRAPES
    return sorted(took)[len(took) * 99 // 100 - 1]


@pytest.mark.parametrize(("path", "nodes"), [("/metrics", 100), ("/many", MANY_NODES)])
def test_64_clients_scrape_5_times_each(victim: Victim, path: str, nodes: int) -> None:
    failures: list[Exception] = []

    def scrape() -> None:
        try:
            for _ in range(5):
                victim.scrape(path, nodes)
        except Exception as error:  # noqa: BLE001 - it is counted, in the thread that can tell
            failures.append(error)

    threads = [threading.Thread(target=scrape) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert victim.threads() <= MOST_THREADS
