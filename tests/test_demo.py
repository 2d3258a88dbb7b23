"""What the demo shows of distributed mode: something of every metric, on every panel, and for an alert."""

import json
import time
from collections.abc import Iterator, Mapping
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import pytest
from distributed_alerts import MODELS
from generate import FILES, FOLDER
from support.answered import answers
from support.asking import Asking
from support.dashboard import DISTRIBUTED
from support.exposition import Exposition
from support.fleet_scene import LONGEST_STEP
from support.history import write_blocks
from support.interpolation import Window
from support.processes import serving
from support.prometheus import Prometheus, impatient, prometheus
from support.rules import Case, promtool
from support.scene import RANGE_SECONDS
from support.stories import POLL_SECONDS, Watch

from exporter.fleetmetrics import DEFINITIONS, NODE_DISK, NODE_DISK_AVAILABLE

DEMO = (files("exporter.simulator") / "demo.scenario").read_text("utf-8")
PERIOD_SECONDS = 300
WORST_SECONDS = 135
"""Into a period: a node is offline, another one drains, and a third one that left is what a model waits for."""

TOO_FEW, UNSATISFIABLE = MODELS

UNSAID = {NODE_DISK.name, NODE_DISK_AVAILABLE.name}
"""Metrics of what the demo's release does not tell."""

SILENT = {
    ("Distributed mode", "B"): "only where that mode is off",
    ("Alerts firing", "A"): "nothing that happens is critical",
    ("Alerts firing", "C"): "no alert of distributed mode is an info",
    ("Alerts firing", "D"): "only while nothing fires",
    ("Nodes", "H"): "the release does not tell of disks",
    ("Disk free", "A"): "likewise",
}
"""Queries of the dashboard that give nothing."""


def test_both_modes_are_shown() -> None:
    with serving(name="demo") as demo:
        demo.log_until("nodes of distributed mode")
        page = Exposition(demo.read("/metrics"), "localai_")
        known = json.loads(demo.read("/api/v1/cluster"))
        demo.process.terminate()
        written = demo.finish()
    assert demo.process.returncode == 0
    assert (page.value("p2p_up"), page.value("p2p_enabled")) == (1, 1)
    assert (page.value("distributed_up"), page.value("distributed_enabled")) == (1, 1)
    assert page.value("distributed_nodes", status="healthy") == len(page.series("distributed_node_info")) > 0
    assert known["distributed"]["up"]
    assert f" {demo.url}/metrics\n" in written
    assert f" {demo.url}/\n" in written


@pytest.mark.parametrize(
    ("flags", "variables"),
    [(("--no-collector.distributed",), {}), ((), {"P2P_EXPORTER_COLLECTOR_DISTRIBUTED": "false"})],
    ids=["flag", "variable"],
)
def test_distributed_mode_is_left_out_where_nobody_wants_it(
    flags: tuple[str, ...], variables: Mapping[str, str]
) -> None:
    with serving(*flags, name="demo", variables=variables) as demo:
        known = json.loads(demo.read("/api/v1/cluster"))
    assert known["distributed"] is None


def test_a_period_has_samples_of_every_metric_of_distributed_mode() -> None:
    samples = [sample for sample in Watch(DEMO, distributed=True).scrapes(PERIOD_SECONDS, POLL_SECONDS) if sample]
    names = {series.partition("{")[0] for sample in samples for series in sample}
    assert {one.name for one in DEFINITIONS} - names == UNSAID


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Give a Prometheus that knows two periods, and of the third one what was before its worst moment, which is now."""
    folder = tmp_path_factory.mktemp("live")
    seconds = 2 * PERIOD_SECONDS + WORST_SECONDS
    watch = Watch(DEMO, distributed=True, began=time.time() - seconds)
    write_blocks(folder / "data", (watch,), seconds)
    with prometheus(folder, rules=[impatient(FOLDER / name, folder) for name in FILES]) as server:
        server.wait(lambda: UNSATISFIABLE.full_name in server.by("alertname", "ALERTS"))
        yield server


@pytest.mark.prometheus
def test_every_query_of_the_dashboard_gives_something(live: Prometheus) -> None:
    # So far from now that every graph has a point at which the alerts have fired.
    end = time.time() + LONGEST_STEP
    asking = Asking(DISTRIBUTED.dashboard, live, Window(end - RANGE_SECONDS, end), {})
    silent = {place for place, series in answers(asking, DISTRIBUTED.dashboard) if not series}
    assert silent == SILENT.keys()


@pytest.mark.prometheus
def test_an_alert_sees_a_shortage_of_replicas_and_that_it_heals(live: Prometheus) -> None:
    expr, end = TOO_FEW.filled(TOO_FEW.expr), time.time()
    range_ = {"start": end - 2 * PERIOD_SECONDS, "end": end, "step": POLL_SECONDS}
    (series,) = live.ask("query_range", query=expr, **range_)["data"]["result"]
    assert series["metric"] == {"cluster": "home", "model": "llama-3.1-8b"}
    seen = [moment for moment, _ in series["values"]]
    heals = [after for before, after in pairwise(seen) if after - before > POLL_SECONDS]
    assert len(heals) == 1, "it is seen once in each of two periods"


@pytest.mark.prometheus
def test_of_distributed_mode_one_alert_fires(tmp_path: Path) -> None:
    case = Case(
        "demo",
        20,
        (Watch(DEMO, distributed=True),),
        firing={5: "", (10, 20): UNSATISFIABLE.name},
        passing="HostFlapping NodeClockAhead",
    )
    wrong = promtool(case, tmp_path)
    assert not wrong, wrong
