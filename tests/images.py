"""Draws docs/images: the dashboard's panels as Grafana's own components show them, of an evening that was simulated.

    ./run images

The evening goes through the exporter's own pipeline into Prometheus's past; a real Prometheus with our rules answers
the dashboard's queries. Grafana's state timeline is in no library, so the panel Hosts is on no picture.
"""

import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from generate import FILES, FOLDER, OPTIONAL_FILE
from rulebook import PREFIX
from support.asking import Asking
from support.dashboard import P2P
from support.history import write_blocks
from support.interpolation import Window
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


def main() -> None:
    """Draw every picture, dark and light."""
    dashboard = P2P.dashboard
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
                for theme in ("dark", "light"):
                    drawn(read, IMAGES / f"{picture}-{theme}.png", theme, WIDTH)
    subprocess.run([tool("pngquant"), "--force", "--ext", ".png", "--strip", *IMAGES.glob("*.png")], check=True)


if __name__ == "__main__":
    main()
