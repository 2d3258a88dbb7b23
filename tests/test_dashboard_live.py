"""The dashboard on a live Prometheus that scrapes two exporters: every query is answered, and says what is true."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from generate import FILES, FOLDER, RECORDS_FILE
from support import answered
from support.answered import Chosen, answers, check_names
from support.asking import Answers, Asking, Series
from support.cookbook import OF_P2P, short
from support.dashboard import P2P
from support.exemptions import ELSEWHERE, EMPTY, SHORT, WHOLE
from support.facts import Facts
from support.fields import unknown_in_panel
from support.grafana import Dashboard
from support.interpolation import Window
from support.panel_numbers import NUMBERS
from support.prometheus import Prometheus, impatient
from support.scene import CLUSTER, PAST_SECONDS, RANGE_SECONDS, SCRIPTS, STEP_SECONDS, Past, Scene, Truth, scene

pytestmark = [pytest.mark.prometheus, pytest.mark.heavy]

DASHBOARD = P2P.dashboard

ONE, TWO = SCRIPTS
DOTTED = "rack-01.dc-1.example.org"
LATE_SECONDS = 60
"""So long after something happened a story's scrapes tell of it, also where a poll failed."""

CHOSEN: Mapping[str, Chosen] = {
    "all": {},
    "cluster": {"cluster": (CLUSTER,)},
    "job": {"job": ("localai-p2p",)},
    "instance": {"instance": (ONE,)},
    "both instances": {"instance": (ONE, TWO)},
    "workers": {"role": ("worker",)},
    "federated": {"role": ("federated",)},
    "a host with dots and dashes": {"host": (DOTTED,)},
    "two hosts": {"host": (DOTTED, "gateway-3.branch-office.example.org")},
    "one of each": {
        "cluster": (CLUSTER,),
        "job": ("localai-p2p",),
        "instance": (TWO,),
        "role": ("worker",),
        "host": ("edge-01.branch-office.example.org",),
    },
}


def window(now: float) -> Window:
    return Window(now - RANGE_SECONDS, now)


def check_answers(dashboard: Dashboard, server: Prometheus, shown: Window, chosen: Chosen) -> None:
    answered.check_answers(dashboard, server, shown, chosen, silent=EMPTY | ELSEWHERE, whole=WHOLE)


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    return Past(tmp_path_factory.mktemp("past"))


@pytest.fixture(scope="module")
def live(past: Past, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Give a Prometheus with all rules, whose alerts do not wait, one without any, and one that records alone."""
    folder = tmp_path_factory.mktemp("live")
    rules = {name: impatient(FOLDER / name, folder) for name in FILES}
    loaded = {"ruled": [*rules.values()], "bare": [], "recorded": [rules[RECORDS_FILE]]}
    with scene(folder, past, loaded) as lives:
        lives.wait_for_a_point(60)
        yield lives


@pytest.fixture(scope="module")
def now(live: Scene) -> float:
    return live.quiet_moment(live.servers["ruled"], STEP_SECONDS)


@pytest.mark.parametrize("chosen", CHOSEN.values(), ids=CHOSEN)
def test_every_query_answers_for_what_is_chosen(live: Scene, now: float, chosen: Chosen) -> None:
    check_answers(DASHBOARD, live.servers["ruled"], window(now), chosen)


def test_every_query_gives_something_under_some_choice(live: Scene, now: float) -> None:
    silent = EMPTY.keys() | ELSEWHERE.keys()
    for chosen in CHOSEN.values():
        asking = Asking(DASHBOARD, live.servers["ruled"], window(now), chosen)
        silent -= {place for place, series in answers(asking, DASHBOARD) if series}
    assert silent == ELSEWHERE.keys()


@pytest.mark.parametrize("query", OF_P2P, ids=short)
def test_a_query_of_the_cookbook_is_answered(live: Scene, now: float, query: str) -> None:
    assert live.servers["bare"].ask("query", query=query, time=now)["data"]["result"]


def test_without_our_rules_only_alerts_are_missing(live: Scene, now: float) -> None:
    def empty(server: str) -> set[tuple[str, str]]:
        asking = Asking(DASHBOARD, live.servers[server], window(now), {})
        return {place for place, series in answers(asking, DASHBOARD) if not series}

    more = empty("bare") - empty("ruled")
    assert more == {("Alerts firing", "A"), ("Alerts firing", "B"), ("Alerts firing", "C"), ("Firing alerts", "Anno")}


def test_where_nothing_fires_the_panel_says_so(live: Scene, now: float) -> None:
    shown = Asking(DASHBOARD, live.servers["recorded"], window(now), {}).panel(DASHBOARD.panel("Alerts firing"))
    assert {ref: [one.last for one in series] for ref, series in shown.items()} == {"A": [], "B": [], "C": [], "D": [0]}


def test_every_name_stands_for_something(live: Scene, now: float) -> None:
    check_names(DASHBOARD, live.servers["ruled"], window(now))


def test_what_can_be_chosen_is_what_there_is(live: Scene, now: float) -> None:
    def offered(**chosen: tuple[str, ...]) -> dict[str, list[str]]:
        return Asking(DASHBOARD, live.servers["ruled"], window(now), chosen).options

    nodes = live.truth.nodes(now)
    everything = {
        "cluster": [CLUSTER],
        "job": ["localai-p2p"],
        "instance": [ONE, TWO],
        "role": ["federated", "worker"],
        "host": sorted({host for _, host, _ in nodes}),
    }
    federated = sorted({host for kind, host, _ in nodes if kind.role == "federated"})
    assert offered() == everything
    assert offered(role=("federated",)) == everything | {"host": federated}
    assert offered(cluster=("another",)) == {"cluster": [CLUSTER], "job": [], "instance": [], "role": [], "host": []}


def shown_and_true(dashboard: Dashboard, live: Scene, now: float, title: str) -> tuple[object, object]:
    asking, panel = Asking(dashboard, live.servers["ruled"], window(now), {}), dashboard.panel(title)
    shown, point = asking.panel(panel), asking.last_point(panel)
    minute = [live.truth.nodes(point - ago) for ago in range(1, 61)]
    return NUMBERS[title](shown, Facts(live.truth.nodes(now)), Facts(live.truth.nodes(point), minute))


@pytest.mark.parametrize("title", NUMBERS)
def test_a_panel_shows_what_is_true(live: Scene, now: float, title: str) -> None:
    shown, true = shown_and_true(DASHBOARD, live, now, title)
    assert shown == true


def test_every_panel_is_held_to_the_truth() -> None:
    assert {panel.title for panel in DASHBOARD.panels} - NUMBERS.keys() == {"Joins and losses"}


def test_the_hosts_of_six_hours(live: Scene, past: Past, now: float) -> None:
    shown = Asking(DASHBOARD, live.servers["ruled"], window(now), {}).panel(DASHBOARD.panel("Hosts"))["A"]
    series = {one.named("role", "backend", "host"): one.values for one in shown}
    truth, compared = Truth(past.began), dict.fromkeys(series, 0)
    first = min(moment for values in series.values() for moment in values)
    for point in range(int(first), int(past.began + PAST_SECONDS), 13 * STEP_SECONDS):
        before = [Facts(truth.nodes(point - ago)).online_by_host() for ago in range(LATE_SECONDS, -1, -5)]
        for host, count in before[-1].items():
            if all(facts.get(host) == count for facts in before):
                assert series[host].get(point) == count, (host, point - past.began)
                compared[host] += 1
    # The verdicts on the slow clock change all the time.
    assert {host for (_, _, host), times in compared.items() if times < 20} == {"slow-clock.lan"}


def test_joins_and_losses_when_they_were(live: Scene, past: Past, now: float) -> None:
    shown = Asking(DASHBOARD, live.servers["ruled"], window(now), {}).panel(DASHBOARD.panel("Joins and losses"))["A"]
    bars = {
        one.labels["change"]: {moment - past.began for moment, count in one.values.items() if count > 0}
        for one in shown
    }
    localai, tower = 1.5 * 3600, (5.5 * 3600, 6 * 3600 + 600)
    _check_bars(bars["forgotten"], (localai,))
    _check_bars(bars["joined"], (localai, *tower))
    assert len(bars["lost"]) > 50
    assert len(bars["returned"]) > 50


def _check_bars(bars: set[float], moments: tuple[float, ...]) -> None:
    """Let there be a bar after each of these moments, and none that is after no moment."""
    late = 2 * 120 + LATE_SECONDS
    assert all(any(moment < bar <= moment + late for moment in moments) for bar in bars), bars
    assert all(any(moment < bar <= moment + late for bar in bars) for moment in moments), bars


def test_events_are_marked_when_they_were(live: Scene, past: Past, now: float) -> None:
    asking = Asking(DASHBOARD, live.servers["ruled"], window(now), {})
    changes, alerts, restarts = (asking.annotation(annotation) for annotation in DASHBOARD.annotations)
    (restart,) = restarts
    assert restart.named("cluster", "instance") == (CLUSTER, ONE)
    _check_bars({moment - past.began for moment in restart.values}, (1.5 * 3600,))
    joined = {one.named("role", "backend"): one for one in changes if one.labels["change"] == "joined"}
    assert joined.keys() == {("worker", "llama_cpp"), ("federated", "")}
    firing = asking.panel(DASHBOARD.panel("Alerts firing"))
    marked = {one.labels["alertname"] for one in alerts if now // 60 * 60 in one.values}
    assert marked == {one.labels["alertname"] for ref in "ABC" for one in firing[ref]}


def test_samples_lie_all_over_the_time_range(live: Scene, now: float) -> None:
    asking = Asking(DASHBOARD, live.servers["ruled"], window(now), {})
    quarters = [now - RANGE_SECONDS + 900 * quarter for quarter in range(int(RANGE_SECONDS) // 900)]

    def has_gaps(series: tuple[Series, ...]) -> bool:
        moments = [moment for one in series for moment in one.values]
        return not all(any(start <= moment < start + 900 for moment in moments) for start in quarters)

    graphs = {(panel.title, query.ref) for panel in DASHBOARD.panels for query in panel.queries if not query.instant}
    gaps = {place for place, series in answers(asking, DASHBOARD) if place in graphs and has_gaps(series)}
    assert gaps == SHORT.keys()
    # What is live goes on from what is stored: not one point is missing.
    online = asking.panel(DASHBOARD.panel("Nodes online"))["A"]
    assert {len(one.values) for one in online} == {RANGE_SECONDS // STEP_SECONDS + 1}


@pytest.mark.parametrize("hours", [1, 24])
def test_other_time_ranges_are_answered_too(live: Scene, now: float, hours: int) -> None:
    check_answers(DASHBOARD, live.servers["ruled"], Window(now - hours * 3600, now), {})


def test_an_exporter_that_is_killed_shows_as_down(past: Past, tmp_path: Path) -> None:
    with scene(tmp_path, past, {"bare": []}) as lives:
        server = lives.servers["bare"]

        def shown(title: str, moment: float) -> Answers:
            return Asking(DASHBOARD, server, window(moment), {}).panel(DASHBOARD.panel(title))

        moment = lives.quiet_moment(server, 1)
        assert {one.labels["instance"]: one.last for one in shown("LocalAI API", moment)["A"]} == {ONE: 1, TWO: 1}
        lives.kill(TWO)
        moment = lives.quiet_moment(server, 1)
        assert {one.labels["instance"]: one.last for one in shown("LocalAI API", moment)["A"]} == {ONE: 1, TWO: 0}

        left = {node: {ONE: seen[ONE]} for node, seen in lives.truth.nodes(moment).items() if ONE in seen}
        for title in ("Workers", "Federated", "Known, but offline", "Nodes"):
            numbers, true = NUMBERS[title](shown(title, moment), Facts(left), Facts({}))
            assert numbers == true, title


def test_an_instance_whose_p2p_is_off_is_named(past: Past, tmp_path: Path) -> None:
    with scene(tmp_path, past, {"bare": []}) as lives:
        server = lives.servers["bare"]
        lives.localais[TWO].apply("p2p off")
        server.wait(lambda: server.value(f'localai_p2p_enabled{{instance="{TWO}"}}') == 0)
        panel = DASHBOARD.panel("LocalAI API")
        shown = Asking(DASHBOARD, server, window(time.time()), {}).panel(panel)
        assert [(one.labels["instance"], one.last) for one in shown["B"]] == [(TWO, 0)]
        assert not unknown_in_panel(panel, shown, ())


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("localai_p2p_host_nodes_online{", "localai_p2p_host_nodes_on{", r"'Hosts', 'A'\) gives nothing"),
        ('cluster=~\\"$cluster\\"', 'cluster=~\\"$clusters\\"', "left over"),
        ('host=~\\"$host\\"', 'host=~\\"${host:regex}\\"', "400 for"),
        ('role=~\\"$role\\"', 'role!=\\"\\"', "'Nodes online', 'A'"),
    ],
    ids=["a metric that is not there", "a variable that is not there", "escaped once", "a choice that nobody hears of"],
)
def test_a_broken_query_is_noticed(live: Scene, now: float, old: str, new: str, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check_answers(
            P2P.altered(old, new), live.servers["ruled"], window(now), {"role": ("worker",), "host": (DOTTED,)}
        )


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("{{cluster}} {{instance}}", "{{cluster}} {{target}}", "A: target"),
        ("Value #D", "Value #Z", "Value #Z"),
        ("{{alertname}}", "{{alert}}", "'alert'"),
        ("var-host", "var-host=${hots}&x", "hots"),
    ],
)
def test_a_broken_name_is_noticed(live: Scene, now: float, old: str, new: str, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check_names(P2P.altered(old, new), live.servers["ruled"], window(now))


@pytest.mark.parametrize(
    ("title", "old", "new"),
    [
        (
            "Nodes",
            "count by (cluster, role, backend, host, id) (localai",
            "sum by (cluster, role, backend, host, id) (localai",
        ),
        ("Workers", "max by (cluster, role, backend, host, id)", "sum by (cluster, role, backend, host, id)"),
        (
            "Known, but offline",
            "max by (cluster, role, backend) (sum by (cluster, role, backend, instance) (localai_p2p_nodes_hidden{",
            "sum by (cluster, role, backend) (sum by (cluster, role, backend, instance) (localai_p2p_nodes_hidden{",
        ),
        ("Oldest living heartbeat", r"max(\nmin by", r"min(\nmin by"),
        ("Age of heartbeats", "max_over_time((min by", "min_over_time((min by"),
    ],
)
def test_a_wrong_number_is_noticed(live: Scene, now: float, title: str, old: str, new: str) -> None:
    shown, true = shown_and_true(P2P.altered(old, new), live, now, title)
    assert shown != true
