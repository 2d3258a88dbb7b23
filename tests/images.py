"""Draws docs/images: the exporter's page, and the dashboards' panels as Grafana's own components show them.

    ./run images

An evening that is simulated goes through the exporter's own pipeline into Prometheus's past; a real Prometheus with our
rules answers the dashboard's queries. Grafana's state timeline is in no library, so the panels Hosts and Status are on
no picture.
"""

import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from generate import FILES, FOLDER, OPTIONAL_FILE
from rulebook import FAMILY, PREFIX
from support.asking import Asking
from support.dashboard import DISTRIBUTED, P2P, Sheet
from support.history import write_blocks
from support.interpolation import Window
from support.pagepicture import draw_page
from support.prometheus import impatient, prometheus, tool
from support.shown import document, drawn
from support.stories import Watch

IMAGES = Path(__file__).parents[1] / "docs" / "images"
HOURS = 3600.0
PAST_SECONDS = 7 * HOURS
WIDTH = 1_400
"""Of a picture, in CSS pixels; it has two points for each."""

_COMMON = """
release   v4.7.1
federated cellar-gateway
worker    tower-4090
worker    tower-3060
worker    proxmox-llm
worker    proxmox-llm
worker    nuc-kitchen
worker    raspberrypi-5 skew 10m
worker    mac-mini mlx
worker    mac-studio mlx
at 2h10m  worker macbook-air mlx
at 3h5m   restart tower-4090
at 3h50m  kill nuc-kitchen
at 4h25m  worker nuc-kitchen
at 5h10m  kill macbook-air
at 6h10m  kill tower-3060
"""

SPLIT = {
    "gateway:10040": f"host gateway\nfederated attic-gateway\n{_COMMON}\nat 6h25m kill attic-gateway",
    "attic:10040": f"host attic-gateway\nfederated gateway\n{_COMMON}\nat 6h25m kill gateway",
}
"""What happened, by the instance whose LocalAI saw it so: a host is lost, and then the network splits."""

FLEET = """
release   v4.7.1
host      frontend
distributed on
node      tower-4090
node      tower-3090
node      proxmox-llm
node      nuc-kitchen cpu
plan      llama-3.3 2 3
plan      qwen-2.5-coder 1
load      llama-3.3 tower-4090
load      llama-3.3 tower-3090
load      qwen-2.5-coder proxmox-llm
busy      tower-4090 3
at 2h     node mac-studio pending
at 2h20m  approve mac-studio
at 3h     busy tower-3090 2
at 3h40m  drain nuc-kitchen
at 4h30m  resume nuc-kitchen
at 5h     plan flux 1
at 5h10m  load flux mac-studio
at 6h10m  node raspberrypi-5 pending cpu
at 6h20m  silence tower-3090
"""
"""Another evening: nodes come, one waits to be approved, and one dies with a replica."""


@dataclass(frozen=True)
class Evening:
    """What is drawn of one dashboard.

    Attributes:
        sheet: the dashboard.
        watches: the exporters.
        firing: the alerts to which all of it leads.
        pictures: the panels of each, in their places on the dashboard.
    """

    sheet: Sheet
    watches: tuple[Watch, ...]
    firing: frozenset[str]
    pictures: Mapping[str, tuple[str, ...]]


def split(began: float) -> Evening:
    """Return the evening of P2P, which begins at a moment in Unix seconds."""
    expected = {"worker": 8, "federated": 3}
    return Evening(
        P2P,
        tuple(Watch(script, instance=one, expected=expected, began=began) for one, script in SPLIT.items()),
        frozenset(f"{PREFIX}{name}" for name in ("BelowExpected", "HostLost", "NodeClockAhead", "ViewsDisagree")),
        {
            "overview": (
                *("LocalAI API", "Workers", "Federated", "Known, but offline", "Oldest living heartbeat"),
                *("Alerts firing", "Nodes online", "Joins and losses"),
            ),
            "nodes": ("Nodes", "Age of heartbeats"),
            "trust": (
                *("Nodes whose clock is wrong", "Nodes online, as each instance counts them"),
                *("Clock offset", "Ids per host", "Not shown"),
            ),
        },
    )


def fleet(began: float) -> Evening:
    """Return that of distributed mode likewise."""
    return Evening(
        DISTRIBUTED,
        (Watch(FLEET, instance="frontend:10040", distributed=True, began=began),),
        frozenset(f"{FAMILY}Distributed{name}" for name in ("NodeOffline", "NodePending", "TooFewReplicas")),
        {
            "distributed": (
                *("Distributed mode", "Nodes by status", "Replicas missing", "Requests in flight"),
                *("Oldest healthy heartbeat", "Alerts firing", "Nodes", "Models", "Replicas loaded"),
            ),
        },
    )


def draw(evening: Evening) -> None:
    """Draw the pictures of one, dark and light."""
    dashboard = evening.sheet.dashboard
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_blocks(folder / "data", evening.watches, PAST_SECONDS)
        # What the alerts would have waited for lies in the past.
        files = [impatient(FOLDER / file, folder) for file in FILES if file != OPTIONAL_FILE]
        with prometheus(folder, rules=files) as server:
            server.wait(lambda: server.by("alertname", "ALERTS").keys() >= evening.firing)
            now = time.time()
            asking = Asking(dashboard, server, Window(now - 6 * HOURS, now), {})
            for picture, titles in evening.pictures.items():
                panels = [(panel, tuple(asking.answers(panel))) for panel in map(dashboard.panel, titles)]
                read = document(dashboard, Window(now - 6 * HOURS, now), panels)
                for theme in ("dark", "light"):
                    drawn(read, IMAGES / f"{picture}-{theme}.png", theme, WIDTH)


def main() -> None:
    """Draw every picture."""
    draw_page(IMAGES)
    for evening in (split, fleet):
        draw(evening(time.time() - PAST_SECONDS))
    subprocess.run([tool("pngquant"), "--force", "--ext", ".png", "--strip", *IMAGES.glob("*.png")], check=True)


if __name__ == "__main__":
    main()
