"""The picture of the exporter's page: of a cluster that stands still, so that only a change of the page changes it."""

from pathlib import Path

from exporter.api import ClusterApi, Shared
from exporter.model import FEDERATED, LLAMA_CPP, MLX, Hidden, Outcome, PollTotals, ServerInfo, Track, View
from exporter.page import Page
from exporter.settings import CLUSTER_PATH, Target
from exporter.store import Store
from support.browser import chromium
from support.clocks import FakeClock
from support.values import SERVER_NOW, node, snapshot
from support.web import serving

WIDTH, HEIGHT = 1_000, 860
"""Of a picture, in CSS pixels; it has two points for each."""

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


def draw_page(folder: Path) -> None:
    """Draw it into a folder, dark and light."""
    now = FakeClock(wall=SERVER_NOW)
    store = Store()
    target = Target(expected={"worker": 8, "federated": 2}, expected_hosts=("tower-4090", "nuc-kitchen"))
    nodes = tuple(
        node(one, kind=kind, last_seen=SERVER_NOW - age, online=online)._replace(tunnel_address="")
        for one, kind, age, online in NODES
    )
    seen = snapshot(*nodes, monotonic=now.monotonic_now, server=ServerInfo("v4.7.1 ()", enabled=True))
    hidden = {(kind, why): 0 for kind in seen.counts for why in Hidden}
    view = View(seen, now.monotonic_now, tuple(Track(one, now.monotonic_now, one.last_seen) for one in nodes), hidden)
    store.publish(Outcome(SERVER_NOW - now.monotonic_now, None, view, {}, PollTotals(1)))
    api = Shared(ClusterApi(store, now.clock, target))
    with serving({"/": Page("/metrics", many=False), CLUSTER_PATH: api}) as server, chromium() as browser:
        for theme in ("dark", "light"):
            browser.open(server.urls[0], dark=theme == "dark", width=WIDTH, height=HEIGHT)
            browser.until("document.querySelectorAll('.row').length")
            browser.evaluate("arrived = performance.now(); tick()")  # no age grows by what the browser took
            browser.picture(folder / f"page-{theme}.png")
