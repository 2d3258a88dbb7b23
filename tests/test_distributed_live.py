"""Distributed mode's dashboard on a live Prometheus that scrapes four exporters: every query says what is true."""

from collections.abc import Iterator, Mapping

import pytest
from generate import FILES, FOLDER
from support.answered import Chosen, answers, check_answers, check_names
from support.asking import Asking
from support.cookbook import OF_DISTRIBUTED, short
from support.dashboard import DISTRIBUTED
from support.fleet_numbers import NUMBERS, Fleet
from support.fleet_scene import HOME, INSTANCES, LAB, LAB_NODES, FleetScene, fleet_scene
from support.interpolation import Window
from support.prometheus import impatient
from support.scene import RANGE_SECONDS, STEP_SECONDS

pytestmark = [pytest.mark.prometheus, pytest.mark.heavy]

DASHBOARD = DISTRIBUTED.dashboard

CHOSEN: Mapping[str, Chosen] = {
    "all": {},
    "home": {"cluster": (HOME,)},
    "lab": {"cluster": (LAB,)},
    "job": {"job": ("localai-p2p",)},
    "instance": {"instance": ("two:10040",)},
    "a node with dots and dashes": {"name": ("gpu-01.dc-1.example.org",)},
    "two nodes": {"name": ("gpu-02.dc-1.example.org", "tower-4090")},
    "a model with a dot": {"model": ("qwen-2.5",)},
    "one of each": {
        "cluster": (HOME,),
        "job": ("localai-p2p",),
        "instance": ("one:10040",),
        "name": ("gpu-01.dc-1.example.org",),
        "model": ("llama-3",),
    },
}

_WRONG = "shows what is wrong, or has changed, and nothing is or has of what is chosen"
_UNSAID = "home's release does not tell of disks"
_UNWANTED = "of the lab nothing is wanted, and of one model no most"
EMPTY = {
    ("Distributed mode", "B"): _WRONG,
    ("Alerts firing", "A"): _WRONG,
    ("Changes of status", "Anno"): _WRONG,
    ("Failed questions, by reason", "B"): _WRONG,
    ("Nodes", "H"): _UNSAID,
    ("Disk free", "A"): _UNSAID,
    ("Replicas missing", "A"): _UNWANTED,
    ("Replicas loaded", "B"): _UNWANTED,
    **{("Models", ref): _UNWANTED for ref in "BCDE"},
}
"""Queries that give nothing under some choice."""
NEVER = {
    ("Alerts firing", "C"): "no alert of distributed mode is an info",
    ("Alerts firing", "D"): "only while nothing fires",
}
"""Queries that give nothing here at all; tests/test_dashboard_numbers.py has them."""
WHOLE = {
    ("Firing alerts", "Anno"): "a cluster's, whatever else is chosen",
}
"""Queries that do not follow each choice."""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetScene]:
    folder = tmp_path_factory.mktemp("live")
    with fleet_scene(folder, [impatient(FOLDER / name, folder) for name in FILES]) as lives:
        yield lives


@pytest.fixture(scope="module")
def now(live: FleetScene) -> float:
    return live.moment()


def window(now: float) -> Window:
    return Window(now - RANGE_SECONDS, now)


@pytest.mark.parametrize("query", OF_DISTRIBUTED, ids=short)
def test_a_query_of_the_cookbook_is_answered(live: FleetScene, now: float, query: str) -> None:
    assert live.server.ask("query", query=query, time=now)["data"]["result"]


@pytest.mark.parametrize("chosen", CHOSEN.values(), ids=CHOSEN)
def test_every_query_answers_for_what_is_chosen(live: FleetScene, now: float, chosen: Chosen) -> None:
    check_answers(DASHBOARD, live.server, window(now), chosen, silent=EMPTY | NEVER, whole=WHOLE)


def test_what_may_be_silent_is_so_under_some_choice_and_not_under_another(live: FleetScene, now: float) -> None:
    silent: dict[str, set[tuple[str, str]]] = {}
    for name, chosen in CHOSEN.items():
        found = answers(Asking(DASHBOARD, live.server, window(now), chosen), DASHBOARD)
        silent[name] = {place for place, series in found if not series}
    assert set.union(*silent.values()) == EMPTY.keys() | NEVER.keys()
    assert set.intersection(*silent.values()) == NEVER.keys()


def test_every_name_stands_for_something(live: FleetScene, now: float) -> None:
    check_names(DASHBOARD, live.server, window(now))


def test_what_can_be_chosen_is_what_there_is(live: FleetScene, now: float) -> None:
    fleet = Fleet(live.listing(now), now)
    offered = Asking(DASHBOARD, live.server, window(now), {}).options
    assert offered == {
        "cluster": sorted(set(INSTANCES.values())),
        "job": ["localai-p2p"],
        "instance": sorted(INSTANCES),
        # Of the time range: the one that is hidden by now was there.
        "name": sorted({*LAB_NODES, *(one.name for one in fleet.listing.members)}),
        "model": sorted({model for _, model in fleet.loaded()}),
    }
    lab = Asking(DASHBOARD, live.server, window(now), {"cluster": (LAB,)}).options
    assert (lab["name"], lab["model"]) == (sorted(LAB_NODES), ["qwen-2.5"])


@pytest.mark.parametrize("title", NUMBERS)
def test_a_panel_shows_what_is_true(live: FleetScene, now: float, title: str) -> None:
    asking, panel = Asking(DASHBOARD, live.server, window(now), {}), DASHBOARD.panel(title)
    shown, true = NUMBERS[title](asking.panel(panel), Fleet(live.listing(now), now))
    assert shown == true


@pytest.mark.parametrize(
    ("title", "old", "new"),
    [
        ("Nodes by status", "sum(max by (cluster, status)", "sum(sum by (cluster, status)"),
        ("Requests in flight", "sum(max by (cluster, name)", "sum(sum by (cluster, name)"),
        ("Replicas missing", "- max by (cluster, model)", "- min by (cluster, instance, model)"),
        ("Oldest healthy heartbeat", r"max(\n  min by", r"min(\n  min by"),
        ("Status", "6 * (max by", "5 * (max by"),
        ("VRAM free", "localai_distributed_node_vram_available", "localai_distributed_node_ram_available"),
    ],
)
def test_a_wrong_number_is_noticed(live: FleetScene, now: float, title: str, old: str, new: str) -> None:
    dashboard = DISTRIBUTED.altered(old, new)
    asking = Asking(dashboard, live.server, window(now), {})
    shown, true = NUMBERS[title](asking.panel(dashboard.panel(title)), Fleet(live.listing(now), now))
    assert shown != true


def test_every_panel_is_held_to_the_truth() -> None:
    assert {panel.title for panel in DASHBOARD.panels} == NUMBERS.keys()


def test_changes_of_status_are_marked_when_they_were(live: FleetScene, now: float) -> None:
    changes, alerts = map(Asking(DASHBOARD, live.server, window(now), {}).annotation, DASHBOARD.annotations)
    marks = {
        one.named("name", "status"): min(one.values) - live.began for one in changes if one.labels["cluster"] == HOME
    }
    assert marks.keys() == {("nas.lan", "draining"), ("gpu-02.dc-1.example.org", "offline")}
    assert 4 * 3600 <= marks["nas.lan", "draining"] <= 4 * 3600 + 180
    assert {one.labels["alertname"] for one in alerts} >= {"LocalAIDistributedNodeOffline"}


def test_the_past_and_the_present_are_one(live: FleetScene, now: float) -> None:
    panel = DASHBOARD.panel("Requests by node")
    lines = Asking(DASHBOARD, live.server, window(now), {"cluster": (HOME,)}).panel(panel)["A"]
    always = [one for one in lines if one.labels["name"] in ("gpu-01.dc-1.example.org", "tower-4090", "nas.lan")]
    assert {len(one.values) for one in always} == {RANGE_SECONDS // STEP_SECONDS + 1}
