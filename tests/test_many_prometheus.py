"""A real Prometheus discovers fifty simulated clusters by one exporter's list; one of them hangs and one is hostile."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from support.hostile import CAP, FAULTS, WORKERS, Hostile
from support.processes import Served, serving, silence
from support.prometheus import Prometheus, configured
from support.web import fetch

from exporter.simulator import Simulator, parse_scenario

pytestmark = pytest.mark.prometheus

CLUSTERS = 50
INTERVAL_SECONDS = 2.0
LIFETIME_SECONDS = 300.0


def line(name: str, url: str) -> str:
    """Return a target of the file; each one's cluster is called as it is, so that PromQL can tell them apart."""
    return (
        f"- {{name: {name}, url: '{url}', cluster: {name}, max_response_bytes: {CAP}, "
        f"poll_interval: {INTERVAL_SECONDS * 1_000:.0f}ms, poll_timeout: 2s}}\n"
    )


class Scene:
    """The exporter, its file, the clusters and the Prometheus that was told the exporter's list alone."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.path = path
        self._stack = stack
        self.urls: dict[str, str] = {}
        self.truth: dict[str, float] = {}

    def begin(self, names: Sequence[str]) -> None:
        """Add clusters to those that there are: each with other workers than the one before."""
        for name in names:
            count = len(self.truth) % 7 + 1
            script = "release v4.7.1\n" + f"worker {name}-rack\n" * count
            self.urls[name] = self._stack.enter_context(Simulator(parse_scenario(script))).url
            self.truth[name] = count

    def write(self, names: Sequence[str]) -> None:
        """Have these in the file."""
        self.path.write_text("targets:\n" + "".join(line(name, self.urls[name]) for name in names))

    def start(self, folder: Path) -> tuple[Served, Prometheus]:
        served = self._stack.enter_context(
            serving("--config.file", str(self.path), "--web.enable-lifecycle", lifetime=LIFETIME_SECONDS)
        )
        discovery = {"url": f"{served.url}/sd", "refresh_interval": "1s"}
        every = f"{INTERVAL_SECONDS:.0f}s"
        configuration = {
            "global": {"scrape_interval": every, "scrape_timeout": every},
            "scrape_configs": [{"job_name": "localai-p2p", "http_sd_configs": [discovery]}],
        }
        return served, self._stack.enter_context(configured(folder, configuration))


@contextmanager
def hostile() -> Iterator[str]:
    """Give the URL of a LocalAI whose list of workers is too much for anybody's memory."""
    (endless,) = (fault for fault in FAULTS if fault.name == "hostile-json")
    with Hostile(time.time) as server:
        server.play(endless, WORKERS)
        yield server.url


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with ExitStack() as stack:
        scene = Scene(tmp_path / "targets.yml", stack)
        scene.urls["hangs"] = stack.enter_context(silence())
        scene.urls["hostile"] = stack.enter_context(hostile())
        yield scene


def online(server: Prometheus) -> Mapping[str, float]:
    return server.by("cluster", 'localai_p2p_nodes_online{role="worker",backend="llama_cpp"}')


def test_fifty_clusters_are_found_and_none_is_lost(scene: Scene, tmp_path: Path) -> None:
    healthy = [f"cluster-{number}" for number in range(CLUSTERS - 2)]
    scene.begin(healthy)
    scene.write([*healthy, "hangs", "hostile"])
    served, server = scene.start(tmp_path)

    # All of them are found, by a configuration that names none, and each is seen as it is.
    server.wait(lambda: len(server.by("cluster", "localai_p2p_up")) == CLUSTERS)
    server.wait(lambda: online(server) == scene.truth)
    up = server.by("cluster", "localai_p2p_up")
    assert {name for name, value in up.items() if value == 0} == {"hangs", "hostile"}
    assert server.value('count(up{job="localai-p2p"} == 1)') == CLUSTERS
    assert server.value('count(count by (instance) (up{job="localai-p2p"}))') == CLUSTERS
    # A target's name is its instance: here that of its cluster.
    assert (
        server.value('count(label_replace(up, "cluster", "$1", "instance", "(.+)") == on (instance, cluster) up)') == 50
    )
    reasons = server.query("sum by (cluster, reason) (localai_p2p_exporter_poll_failures_total) > 0")
    assert {frozenset(dict(labels).values()) for labels in reasons} == {
        frozenset({"hangs", "timeout"}),
        frozenset({"hostile", "too_large"}),
    }

    # Some go and some come, while it scrapes.
    changed_at, polled = time.time(), server.by("cluster", "localai_p2p_exporter_polls_total")
    gone, stays = healthy[:2], healthy[2:]
    scene.begin(["new-1", "new-2"])
    scene.write([*stays, "hangs", "hostile", "new-1", "new-2"])
    assert fetch(served.url, "/-/reload", "POST").status == 200
    for name in gone:
        del scene.truth[name]
    server.wait(lambda: online(server) == scene.truth)

    # A file that cannot be used takes nothing away.
    scene.path.write_text("targets: nobody")
    assert fetch(served.url, "/-/reload", "POST").status == 500
    server.wait_for_scrape_after(time.time() + 2 * INTERVAL_SECONDS)
    assert online(server) == scene.truth

    # Of those that stayed not one scrape failed, no counter began anew, and no poll was missed.
    lived = f"{time.time() - changed_at + 60:.0f}s"
    names = "|".join(stays)
    assert server.value(f'min(min_over_time(up{{cluster=~"{names}"}}[{lived}]))') == 1
    assert server.value(f'max(resets(localai_p2p_exporter_polls_total{{cluster=~"{names}"}}[{lived}]))') == 0
    assert server.value(f'max(localai_p2p_exporter_poll_failures_total{{cluster=~"{names}"}})') == 0
    assert server.value(f'count(min_over_time(localai_p2p_up{{cluster=~"{names}"}}[{lived}]) == 1)') == len(stays)
    assert server.value(f'count(max_over_time(scrape_duration_seconds{{cluster=~"{names}"}}[{lived}]) > 1)') is None
    missed = {
        name: (time.time() - changed_at) / INTERVAL_SECONDS - (polls - polled[name])
        for name, polls in server.by("cluster", "localai_p2p_exporter_polls_total").items()
        if name in stays
    }
    # But for what was not scraped yet.
    assert max(missed.values()) <= 3, missed

    served.process.terminate()
    assert "msg=stopped" in served.finish()
