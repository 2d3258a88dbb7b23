"""A cluster that split in two, the exporters that watch either side of it, and the Prometheus that scrapes them.

Hours of it lie behind when a test begins: they are in Prometheus as blocks, and the simulated LocalAIs have lived
through them. So what is live goes on from what is stored.
"""

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from exporter.durations import format_duration
from exporter.model import Kind
from exporter.simulator import Simulator, Stage, parse_scenario
from support.history import write_blocks
from support.processes import Served, nobody, serving
from support.prometheus import Prometheus, Target, prometheus
from support.stories import Watch

CLUSTER = "home"
GONE = "gone:10040"
"""An exporter that nobody started."""
PAST_SECONDS = 7 * 3600.0
RANGE_SECONDS = 6 * 3600.0
"""The dashboard's time range."""
STEP_SECONDS = 20
"""From one point of a graph of that to the next."""
RETENTION_SECONDS = 2 * 3600.0
EXPECTED = {"worker": 14, "federated": 3}
UNKNOWN_HOST = "ghost.dc-1.example.org"
EXPECTED_HOSTS = ("rack-01.dc-1.example.org", UNKNOWN_HOST)

_COMMON = """
release   v4.7.1
federated gateway-3.branch-office.example.org
worker    rack-01.dc-1.example.org
worker    rack-01.dc-1.example.org
worker    rack-02.dc-1.example.org
worker    tower-4090
worker    edge-01.branch-office.example.org
worker    nas.lan
worker    retired.lan
worker    fast-clock.lan skew 10m
worker    fast-and-dead.lan skew 3h
worker    slow-clock.lan skew -20s
worker    bad-wifi.lan
worker    mac-mini.lan mlx
worker    mac-studio.lan mlx
flap      bad-wifi.lan every 5m
at 50m    restart tower-4090
at 3h     kill retired.lan
at 5h30m  restart tower-4090
at 6h10m  restart tower-4090
at 6h20m  kill nas.lan
at 6h20m  kill fast-and-dead.lan
"""

SCRIPTS = {
    # It restarted and has forgotten who was dead; since the split it does not hear the branch office's worker.
    "one:10040": f"""
host      gateway-1
federated gateway-2
{_COMMON}
at 1h30m  outage 20s
at 6h40m  kill gateway-2
at 6h40m  kill edge-01.branch-office.example.org
""",
    # It has run all the time, and so knows everybody who ever was.
    "two:10040": f"""
host      gateway-2
federated gateway-1
{_COMMON}
at 1h30m20s restart gateway-1
at 6h40m    kill gateway-1
""",
}
"""What happened, by the instance whose LocalAI saw it so."""

_POLL_SECONDS = 0.5
_SCRAPE_SECONDS = 1.0
_FLAGS = (
    *("--poll.interval", format_duration(_POLL_SECONDS)),
    *("--poll.stale-after", "60s"),
    "--collector.token",
    *("--node.retention", format_duration(RETENTION_SECONDS)),
    *("--expect.workers", str(EXPECTED["worker"])),
    *("--expect.federated", str(EXPECTED["federated"])),
    *(word for host in EXPECTED_HOSTS for word in ("--expect.host", host)),
)
_LIFETIME_SECONDS = 600.0
_LOOK_SECONDS = 0.25
_UNPOLLED_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Sight:
    """One node as one LocalAI lists it at a moment.

    Attributes:
        online: its verdict.
        age: of the newest heartbeat, in seconds.
        age_before: of the newest one that an exporter knew of that has not polled just now.
        shown: whether it has series of its own.
    """

    online: bool
    age: float
    age_before: float
    shown: bool


Node = tuple[Kind, str, str]
"""Kind, host and id."""


class Truth:
    """What the scripts say. It is asked for one moment after the other, never for an earlier one while they play."""

    def __init__(self, began: float) -> None:
        self._stages = {one: Stage(parse_scenario(script), began) for one, script in SCRIPTS.items()}

    def sights(self, now: float) -> dict[str, dict[Node, Sight]]:
        """Return what each instance's LocalAI lists."""
        return {instance: dict(_listed(stage, now)) for instance, stage in self._stages.items()}

    def nodes(self, now: float) -> dict[Node, dict[str, Sight]]:
        """Return each node once, with how each instance that knows it sees it."""
        found: dict[Node, dict[str, Sight]] = {}
        for instance, listed in self.sights(now).items():
            for node, sight in listed.items():
                found.setdefault(node, {})[instance] = sight
        return found

    def holds_still(self, since: float, until: float) -> bool:
        """Tell whether no verdict changed between two moments."""
        steps = int((until - since) / _LOOK_SECONDS)
        first, *others = (self._verdicts(until - step * _LOOK_SECONDS) for step in range(steps, -1, -1))
        return all(other == first for other in others)

    def _verdicts(self, now: float) -> dict[str, dict[Node, bool]]:
        return {
            instance: {node: sight.online for node, sight in listed.items()}
            for instance, listed in self.sights(now).items()
        }


def _listed(stage: Stage, now: float) -> Iterator[tuple[Node, Sight]]:
    stage.advance(now)
    before = {entry.id: entry.last_seen_ns for entry in stage.cluster.entries(now - _UNPOLLED_SECONDS)}
    for entry in stage.cluster.entries(now):
        age, age_before = (now - seen / 1e9 for seen in (entry.last_seen_ns, before.get(entry.id, entry.last_seen_ns)))
        online = entry.online(now)
        sight = Sight(online, age, age_before, online or age <= RETENTION_SECONDS)
        yield (entry.kind, entry.host, entry.id), sight


class Past:
    """The hours until now, as Prometheus stores them.

    Attributes:
        began: their start, in Unix seconds.
    """

    def __init__(self, folder: Path) -> None:
        # The verdicts on slow-clock.lan change every 20 s: away from the multiples of 20 s, where points of graphs lie.
        self.began = time.time() // 20 * 20 - 15 - PAST_SECONDS
        self._data = folder / "data"
        watches = tuple(
            Watch(
                script,
                cluster=CLUSTER,
                instance=instance,
                expected=EXPECTED,
                hosts=EXPECTED_HOSTS,
                began=self.began,
                retention=RETENTION_SECONDS,
            )
            for instance, script in SCRIPTS.items()
        )
        write_blocks(self._data, watches, PAST_SECONDS)

    def put_below(self, folder: Path) -> None:
        """Give it to a Prometheus whose folder this is."""
        shutil.copytree(self._data, folder / "data")


class Scene:
    """What lives now.

    Attributes:
        localais: by the instance that watches them.
        servers: every Prometheus, by the name that the test gave it.
        truth: what they should say.
    """

    def __init__(
        self,
        localais: Mapping[str, Simulator],
        exporters: Mapping[str, Served],
        servers: Mapping[str, Prometheus],
        truth: Truth,
    ) -> None:
        self.localais = localais
        self._living = dict(exporters)
        self.servers = servers
        self.truth = truth

    def kill(self, instance: str) -> None:
        """End an exporter, and return when every Prometheus has noticed."""
        exporter = self._living.pop(instance)
        exporter.process.terminate()
        exporter.finish()
        for server in self.servers.values():
            server.wait_for_scrape_after(time.time())

    def wait_for_a_point(self, step: float) -> None:
        """Return when every Prometheus has scrapes of now, and has rules evaluated, at a multiple of `step` seconds."""
        for server in self.servers.values():
            server.wait_for_scrape_after(time.time())
            server.wait_for_rules()
        point = (time.time() // step + 1) * step
        for server in self.servers.values():
            server.wait_for_scrape_after(point)

    def quiet_moment(self, server: Prometheus, step: float) -> float:
        """Return a moment at which Prometheus knows from each living exporter what was true at that moment.

        The same holds at the newest multiple of `step` seconds before it, where the last points of graphs lie.
        """
        found: list[float] = []
        ours = f'{{instance=~"{"|".join(self._living)}"}}'

        def is_quiet(moment: float) -> bool:
            newest = f"localai_p2p_exporter_last_poll_success_timestamp_seconds{ours} @ {moment:.3f}"
            # A scrape may fail on a loaded machine: then one of them is not there.
            polled = server.value(f"min({newest}) and count({newest}) == {len(self._living)}")
            return polled is not None and self.truth.holds_still(polled - _POLL_SECONDS, moment)

        def is_found() -> bool:
            scraped = server.value(f"max(timestamp(localai_p2p_up{ours}))")
            if scraped is not None and is_quiet(scraped // step * step) and is_quiet(scraped):
                found.append(scraped)
            return bool(found)

        server.wait_for_scrape_after(time.time() + 2 * _POLL_SECONDS)
        server.wait(is_found)
        return found[0]


@contextmanager
def scene(folder: Path, past: Past, rules: Mapping[str, Sequence[Path]]) -> Iterator[Scene]:
    """Let the exporters and their Prometheis live to the end of the block.

    Args:
        folder: for the files of each Prometheus.
        past: what lies behind.
        rules: the rules of each Prometheus, by its name.
    """
    with ExitStack() as stack:
        localais = {one: stack.enter_context(localai(script, past.began)) for one, script in SCRIPTS.items()}
        exporters = {
            instance: stack.enter_context(serving("--localai.url", localai.url, *_FLAGS, lifetime=_LIFETIME_SECONDS))
            for instance, localai in localais.items()
        }
        urls = {instance: served.url for instance, served in exporters.items()}
        urls[GONE] = stack.enter_context(nobody())
        targets = [Target(url, {"cluster": CLUSTER, "instance": instance}) for instance, url in urls.items()]
        servers = {}
        for name, files in rules.items():
            past.put_below(folder / name)
            servers[name] = stack.enter_context(
                prometheus(folder / name, *targets, interval=_SCRAPE_SECONDS, rules=files)
            )
        yield Scene(localais, exporters, servers, Truth(past.began))


def localai(script: str, began: float) -> Simulator:
    """Return a LocalAI that runs since then, and lives through the time until now at once."""
    clock = [began]
    simulator = Simulator(parse_scenario(script), clock=lambda: clock[0] if clock else time.time())
    clock.clear()
    simulator.catch_up()
    return simulator
