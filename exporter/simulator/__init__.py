"""A LocalAI P2P API in a box: the demo's cluster, and the peer of the tests.

`Simulator` plays a scenario, `Replay` serves a folder of captured answers; both over real HTTP on a loopback port.
Underneath, everything is pure and takes the time as an argument: `cluster` is the nodes and their heartbeats, `fleet`
those of distributed mode, `answers` what LocalAI says of them, `stage` the script's run. `demo.scenario` is the script
of the demo.
"""

from exporter.simulator.actions import parse_action
from exporter.simulator.answers import TOKEN, Settings, answer
from exporter.simulator.cluster import Cluster, Entry
from exporter.simulator.releases import RELEASES, Release
from exporter.simulator.replay import Replay
from exporter.simulator.scenario import Event, Scenario, parse_scenario
from exporter.simulator.server import Simulator
from exporter.simulator.stage import Stage
from exporter.simulator.wire import Request

__all__ = [
    "RELEASES",
    "TOKEN",
    "Cluster",
    "Entry",
    "Event",
    "Release",
    "Replay",
    "Request",
    "Scenario",
    "Settings",
    "Simulator",
    "Stage",
    "answer",
    "parse_action",
    "parse_scenario",
]
