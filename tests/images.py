"""Draws docs/images: the exporter's page, and the dashboard's panels as Grafana's own components show them.

    ./run images

The panels are of an evening that was simulated. It goes through the exporter's own pipeline into Prometheus's past; a
real Prometheus with our rules answers the dashboard's queries. Grafana's state timeline is in no library, so the panel
Hosts is on no picture.
"""

import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from dashboard import FILE
from generate import FILES, FOLDER, OPTIONAL_FILE
from rulebook import PREFIX
from support.asking import Asking
from support.browser import chromium
from support.clocks import FakeClock
from support.grafana import Dashboard
from support.history import write_blocks
from support.interpolation import Window
from support.prometheus import impatient, prometheus, tool
from support.shown import document, drawn
from support.stories import Watch
from support.values import SERVER_NOW, node, snapshot
from support.web import serving

from exporter.api import ClusterApi, Shared
from exporter.model import FEDERATED, LLAMA_CPP, MLX, Hidden, Outcome, PollTotals, ServerInfo, ShownNode, View
from exporter.page import Page
from exporter.settings import CLUSTER_PATH, Target
from exporter.store import Store

IMAGES = Path(__file__).parents[1] / "docs" / "images"
HOURS = 3600.0
PAST_SECONDS = 7 * HOURS
WIDTH = 1_400
"""Of a picture of panels, in CSS pixels; it has two points for each."""

PAGE_WIDTH, PAGE_HEIGHT = 1_000, 860
"""Of the picture of the page, likewise."""

NODES = (
    ("gateway-VbTqXrzKpe", FEDERATED, 11.4, True),
    ("office-gateway-kQmWdLsyRa", FEDERATED, 3.4, True),
    ("tower-4090-mENxBjydya", LLAMA_CPP, 8.4, True),
    ("tower-3060-hTzPcFgWux", LLAMA_CPP, 17.4, True),
    ("nuc-kitchen-rYwDnJkQse", LLAMA_CPP, 1_290.4, False),
    ("proxmox-llm-aLcVbMtHoi", LLAMA_CPP, 5.4, True),
    ("proxmox-llm-ePqZxUyRfg", LLAMA_CPP, 14.4, True),
    ("raspberrypi-5-wKjSdNvBlt", LLAMA_CPP, -594.4, True),
    ("mac-mini-oHgFcXzQem", MLX, 2.4, True),
    ("mac-studio-uTrYpLkWan", MLX, 19.4, True),
)
"""Those on the page: id, kind, age in seconds and whether it is online."""

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

EVENING = {
    "gateway:10040": f"host gateway\nfederated attic-gateway\n{_COMMON}\nat 6h25m kill attic-gateway",
    "attic:10040": f"host attic-gateway\nfederated gateway\n{_COMMON}\nat 6h25m kill gateway",
}
"""What happened, by the instance whose LocalAI saw it so: a host is lost, and then the network splits."""

EXPECTED = {"worker": 8, "federated": 3}

FIRING = {f"{PREFIX}{name}" for name in ("BelowExpected", "HostLost", "NodeClockAhead", "ViewsDisagree")}
"""What all of that leads to."""

PICTURES: Mapping[str, tuple[str, ...]] = {
    "overview": (
        *("LocalAI API", "Workers", "Federated", "Known, but offline", "Oldest living heartbeat", "Alerts firing"),
        *("Nodes online", "Joins and losses"),
    ),
    "nodes": ("Nodes", "Age of heartbeats"),
    "trust": (
        *("Nodes whose clock is wrong", "Nodes online, as each instance counts them"),
        *("Clock offset", "Ids per host", "Not shown"),
    ),
}
"""The panels of each picture, in their places on the dashboard."""


THEMES = ("dark", "light")


def main() -> None:
    """Draw every picture, dark and light."""
    draw_page()
    draw_panels()
    subprocess.run([tool("pngquant"), "--force", "--ext", ".png", "--strip", *IMAGES.glob("*.png")], check=True)


def draw_page() -> None:
    """Draw the page of a cluster that stands still, so that only a change of the page changes its picture."""
    now = FakeClock(wall=SERVER_NOW)
    store = Store()
    target = Target(expected={"worker": 8, "federated": 2}, expected_hosts=("tower-4090", "nuc-kitchen"))
    nodes = tuple(
        replace(node(one, kind=kind, last_seen=SERVER_NOW - age, online=online), tunnel_address="")
        for one, kind, age, online in NODES
    )
    seen = snapshot(*nodes, monotonic=now.monotonic_now, server=ServerInfo("v4.7.1 ()", enabled=True))
    hidden = {(kind, why): 0 for kind in seen.counts for why in Hidden}
    view = View(seen, now.monotonic_now, tuple(ShownNode(one, None) for one in nodes), hidden)
    store.publish(Outcome(SERVER_NOW - now.monotonic_now, None, view, {}, PollTotals(1)))
    api = Shared(ClusterApi(store, now.clock, target))
    with serving({"/": Page("/metrics", many=False), CLUSTER_PATH: api}) as server, chromium() as browser:
        for theme in THEMES:
            browser.open(server.urls[0], dark=theme == "dark", width=PAGE_WIDTH, height=PAGE_HEIGHT)
            browser.until("document.querySelectorAll('.row').length")
            browser.picture(IMAGES / f"page-{theme}.png")


def draw_panels() -> None:
    """Draw panels of the dashboard."""
    dashboard = Dashboard.read(FILE)
    began = time.time() - PAST_SECONDS
    watches = tuple(Watch(script, instance=one, expected=EXPECTED, began=began) for one, script in EVENING.items())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_blocks(folder / "data", watches, PAST_SECONDS)
        # What the alerts would have waited for lies in the past.
        files = [impatient(FOLDER / file, folder) for file in FILES if file != OPTIONAL_FILE]
        with prometheus(folder, rules=files) as server:
            server.wait(lambda: server.by("alertname", "ALERTS").keys() >= FIRING)
            now = time.time()
            asking = Asking(dashboard, server, Window(now - 6 * HOURS, now), {})
            for picture, titles in PICTURES.items():
                panels = [(panel, tuple(asking.answers(panel))) for panel in map(dashboard.panel, titles)]
                read = document(dashboard, Window(now - 6 * HOURS, now), panels)
                for theme in THEMES:
                    drawn(read, IMAGES / f"{picture}-{theme}.png", theme, WIDTH)


if __name__ == "__main__":
    main()
