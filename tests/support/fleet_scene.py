"""The distributed modes of three LocalAIs, the exporters that watch them, and the Prometheus that scrapes these.

`HOME` has two frontends that show one registry, and hours of it lie behind: they are in Prometheus as blocks, and the
simulated LocalAIs have lived through them. `LAB` is a LocalAI of a newer release, which says more of each node, and
`PLAIN` one that is not in that mode.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from exporter.fleet import Status
from exporter.simulator import Simulator, Stage, parse_scenario
from exporter.simulator.answers import FLEET_PATHS
from exporter.simulator.fleet import Listing
from support.fleet import loaded, registered
from support.history import write_blocks
from support.processes import Peer, date_of, nobody, recorded, replaying, response, serving
from support.prometheus import Prometheus, Target, prometheus
from support.scene import GONE, PAST_SECONDS, localai
from support.stories import Watch

HOME, LAB, PLAIN = "home", "lab", "plain"
INSTANCES = {"one:10040": HOME, "two:10040": HOME, "three:10040": LAB, "four:10040": PLAIN}
"""The cluster of each exporter."""
RETENTION_SECONDS = 2 * 3600.0

SCRIPT = """
release   v4.7.1
host      frontend
distributed on
node      gpu-01.dc-1.example.org
node      gpu-02.dc-1.example.org
node      tower-4090
node      nas.lan cpu
node      old-rig.lan
plan      llama-3 2 3
plan      qwen-2.5 1
plan      huge 1
load      llama-3 gpu-01.dc-1.example.org
load      llama-3 gpu-02.dc-1.example.org
load      qwen-2.5 tower-4090
busy      gpu-01.dc-1.example.org 4
busy      tower-4090 1
at 30m    silence old-rig.lan
at 4h     drain nas.lan
at 5h     node late.lan pending
at 5h30m  no-room huge 3
at 6h20m  silence gpu-02.dc-1.example.org
at 6h40m  watch off
at 6h41m  silence tower-4090
"""
"""What happened at home: a node is hidden by now, one has just died, and one that LocalAI does not look at."""

LOST = ((3 * 3600.0, 3 * 3600.0 + 10),)
"""When the questions on distributed mode failed."""

SIZE = 2**40
LAB_NODES = {
    "disk-1": (Status.HEALTHY, SIZE // 20),
    "disk-2": (Status.UNHEALTHY, 0),
    "new": (Status.REGISTERING, SIZE // 2),
    "odd": (Status.UNKNOWN, SIZE // 2),
}
"""The status of each node of the lab, and what is free of its disk."""

LONGEST_STEP = 60.0
"""Between two points of a graph, in seconds."""

_FLAGS = (
    "--collector.distributed",
    *("--poll.interval", "500ms"),
    *("--poll.stale-after", "60s"),
    *("--node.retention", "2h"),
)
_LIFETIME_SECONDS = 600.0


class FleetPast:
    """The hours of home until now, as Prometheus stores them.

    Attributes:
        began: their start, in Unix seconds.
    """

    def __init__(self, folder: Path) -> None:
        self.began = time.time() // 20 * 20 - 15 - PAST_SECONDS
        watches = tuple(
            Watch(
                SCRIPT,
                cluster=HOME,
                instance=instance,
                distributed=True,
                began=self.began,
                retention=RETENTION_SECONDS,
                lost_questions=LOST,
            )
            for instance, cluster in INSTANCES.items()
            if cluster == HOME
        )
        write_blocks(folder / "data", watches, PAST_SECONDS)


@dataclass(frozen=True, slots=True)
class FleetScene:
    """What lives now.

    Attributes:
        server: the Prometheus.
        began: when home did, in Unix seconds.
    """

    server: Prometheus
    began: float

    def listing(self, now: float) -> Listing:
        """Return what home's registry lists at a moment."""
        stage = Stage(parse_scenario(SCRIPT), self.began)
        stage.advance(now)
        return stage.fleet.listing(now)

    def moment(self) -> float:
        """Return a moment of which all exporters have told, soon after one at which all graphs have points."""
        self.server.wait_for_scrape_after((time.time() // LONGEST_STEP + 1) * LONGEST_STEP)
        newest = self.server.value("max(timestamp(localai_distributed_up))")
        assert newest is not None
        return newest


@contextmanager
def fleet_scene(folder: Path, rules: Sequence[Path]) -> Iterator[FleetScene]:
    """Let the exporters and their Prometheus live to the end of the block.

    Args:
        folder: for the files of Prometheus.
        rules: that it evaluates.
    """
    past = FleetPast(folder)
    with ExitStack() as stack:
        localais: dict[str, Simulator | Peer] = {
            instance: stack.enter_context(localai(SCRIPT, past.began))
            for instance, cluster in INSTANCES.items()
            if cluster == HOME
        }
        localais["three:10040"] = stack.enter_context(replaying(_lab()))
        localais["four:10040"] = stack.enter_context(Simulator(parse_scenario("federated gateway-2")))
        urls = {
            instance: stack.enter_context(serving("--localai.url", peer.url, *_FLAGS, lifetime=_LIFETIME_SECONDS)).url
            for instance, peer in localais.items()
        }
        targets = [Target(url, {"cluster": INSTANCES[one], "instance": one}) for one, url in urls.items()]
        targets.append(Target(stack.enter_context(nobody()), {"cluster": HOME, "instance": GONE}))
        server = stack.enter_context(prometheus(folder, *targets, interval=1.0, rules=rules))
        server.wait(lambda: server.value("count(localai_distributed_enabled)") == len(INSTANCES))
        server.wait_for_rules()
        yield FleetScene(server, past.began)


def _lab() -> Mapping[str, bytes]:
    """Return the answers of a LocalAI whose clock stands, with an element in its list that nobody can read."""
    answers = recorded("v4.7.1/cluster")
    beat = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(date_of(answers) - 5))
    nodes = [
        registered(name, "sleeping" if status == Status.UNKNOWN else status, total_disk=SIZE, available_disk=free)
        | {"last_heartbeat": beat, "model_count": int(status == Status.HEALTHY), "in_flight_count": 0}
        for name, (status, free) in LAB_NODES.items()
    ]
    bodies = {"nodes": [*nodes, {}], "nodes-models": [loaded("disk-1", "qwen-2.5")], "nodes-scheduling": []}
    return answers | {path: response(json.dumps(bodies[name])) for path, name in FLEET_PATHS.items()}
