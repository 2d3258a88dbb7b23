"""What each panel of the dashboard shows of a scene, and what is true: two values that are equal."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from rulebook import PREFIX

from exporter import __version__
from support.asking import Answers, Series
from support.facts import Facts
from support.scene import CLUSTER, EXPECTED, SCRIPTS, UNKNOWN_HOST

AGE_TOLERANCE_SECONDS = 1.5
"""LocalAI tells its time to the second, and a scrape is half a second old."""

GRAPH_SECONDS = (-5, 60)
"""The graph of ages has those between."""

_KIND = ("role", "backend")
_HOST = (*_KIND, "host")
_NODE = (*_HOST, "id")
_INSTANCE = ("cluster", "instance")
_EACH = [(CLUSTER, instance) for instance in SCRIPTS]

Held = tuple[object, object]
"""What is shown, and what is true."""


def values_by(series: tuple[Series, ...], *labels: str) -> dict[tuple[str, ...], float]:
    """Return values by labels, of graphs those of the last point: what has ended is not shown there."""
    end = max((max(one.values) for one in series), default=0.0)
    found = {one.named(*labels): one.values[end] for one in series if end in one.values}
    assert len(found) == sum(end in one.values for one in series), f"several series have one value of {labels}"
    return found


def _values(answers: Answers) -> dict[str, list[float]]:
    return {ref: [one.last for one in series] for ref, series in answers.items()}


def _wrong(shown: Mapping[Any, float], true: Mapping[Any, tuple[float, float]]) -> dict[Any, Any]:
    """Return the ages that are none of those that they can be, and those that should not be there, or should."""
    return {
        key: (shown.get(key), true.get(key))
        for key in shown.keys() | true.keys()
        if not any(abs(shown.get(key, math.inf) - age) <= AGE_TOLERANCE_SECONDS for age in true.get(key, ()))
    }


def _small(series: tuple[Series, ...], least: float, most: float) -> dict[tuple[str, ...], bool]:
    """Return for each instance whether its value is plausible."""
    return {instance: least < value < most for instance, value in values_by(series, *_INSTANCE).items()}


def _api(shown: Answers, _now: Facts, _point: Facts) -> Held:
    return values_by(shown["A"], *_INSTANCE), dict.fromkeys(_EACH, 1)


def _of_role(role: str) -> Callable[[Answers, Facts, Facts], Held]:
    def held(shown: Answers, now: Facts, _point: Facts) -> Held:
        missing = [now.missing(role)] if now.missing(role) else []
        return _values(shown), {"A": [now.online(role)], "B": missing, "C": [EXPECTED[role]]}

    return held


def _offline(shown: Answers, now: Facts, _point: Facts) -> Held:
    return _values(shown), {"A": [now.offline]}


def _oldest(shown: Answers, now: Facts, _point: Facts) -> Held:
    least, most = now.oldest_online
    return least - AGE_TOLERANCE_SECONDS <= shown["A"][0].last <= most + AGE_TOLERANCE_SECONDS, True


def _alerts(shown: Answers, _now: Facts, _point: Facts) -> Held:
    found = {
        ref: {one.labels["alertname"].removeprefix(PREFIX): one.last for one in series}
        for ref, series in shown.items()
        if ref != "D"
    }
    warnings = {
        "BelowExpected": 1,  # of workers
        "ExpectedHostMissing": 1,
        "HostFlapping": 2,  # that with the bad Wi-Fi, and that whose clock lags
        "HostLost": 1,
        "NodeClockAhead": 2,
        "NodeClockBehind": 1,
        "ViewsDisagree": 2,  # of either role
    }
    return found, {"A": {"ExporterDown": 1}, "B": warnings, "C": {"DuplicateNodesOnHost": 1}}


def _online(shown: Answers, _now: Facts, point: Facts) -> Held:
    expected = {(role,): count for role, count in EXPECTED.items()}
    return (values_by(shown["A"], *_KIND), values_by(shown["B"], "role")), (point.online_by_kind(), expected)


def _hosts(shown: Answers, _now: Facts, point: Facts) -> Held:
    return (values_by(shown["A"], *_HOST), values_by(shown["B"], "host")), (
        point.online_by_host(),
        {(UNKNOWN_HOST,): 0},
    )


def _nodes(shown: Answers, now: Facts, _point: Facts) -> Held:
    changes = values_by(shown["C"], "host", "id")
    steady = ("nas.lan", "gateway-1", "mac-mini.lan", "rack-02.dc-1.example.org")
    versions = [(one.named(*_NODE), one.labels["version"]) for one in shown["E"]]
    return (
        values_by(shown["A"], *_NODE),
        _wrong(values_by(shown["B"], *_NODE), now.ages()),
        [sum(count for (host, _), count in changes.items() if host == one) for one in steady],
        changes.keys() == {(host, name) for _, _, host, name in now.statuses()},
        values_by(shown["D"], *_NODE),
        sorted(versions),
    ), (
        now.statuses(),
        {},
        [1, 1, 0, 0],
        True,
        now.listed_by(),
        sorted((row, "v4.7.1 ()") for row in now.statuses()),
    )


def _graph_of_ages(shown: Answers, _now: Facts, point: Facts) -> Held:
    least, most = GRAPH_SECONDS
    lines = values_by(shown["A"], "id")
    wrong = {}
    for (*_, name), (lowest, greatest) in point.greatest_ages().items():
        low, high = lowest - AGE_TOLERANCE_SECONDS, greatest + AGE_TOLERANCE_SECONDS
        age = lines.pop((name,), None)
        can_be_gone = low < least or high >= most
        if not (can_be_gone if age is None else max(low, least) <= age <= min(high, most)):
            wrong[name] = (age, low, high)
    return (wrong, lines), ({}, {})


def _clocks(shown: Answers, _now: Facts, _point: Facts) -> Held:
    return sorted(one.named("host", "clock") for one in shown["A"]), [
        ("fast-and-dead.lan", "runs ahead"),
        ("fast-clock.lan", "runs ahead"),
        ("slow-clock.lan", "lags"),
    ]


def _views(shown: Answers, _now: Facts, point: Facts) -> Held:
    return (values_by(shown["A"], "instance", "role"), values_by(shown["B"], "cluster")), (
        point.online_by_instance(),
        {(CLUSTER,): point.disputed},
    )


def _offset(shown: Answers, _now: Facts, _point: Facts) -> Held:
    return _small(shown["A"], -1, 1), dict.fromkeys(_EACH, True)


def _ids(shown: Answers, now: Facts, _point: Facts) -> Held:
    bars, every = values_by(shown["A"], *_HOST), now.ids_by_host()
    return (sorted(bars.values()), bars.items() <= every.items()), (sorted(every.values())[-9:], True)


def _hidden(shown: Answers, now: Facts, _point: Facts) -> Held:
    return (values_by(shown["A"], "reason"), values_by(shown["B"], "reason")), (
        {("limit",): 0, ("retention",): now.hidden},
        {("duplicate",): 0, ("invalid",): 0},
    )


def _understood(shown: Answers, _now: Facts, _point: Facts) -> Held:
    # A poll may end between the moment that Prometheus gives a scrape and the making of its page.
    return _small(shown["A"], -1, 10), dict.fromkeys(_EACH, True)


def _failures(shown: Answers, _now: Facts, _point: Facts) -> Held:
    return (shown["A"][0].last, [one.named("reason") for one in shown["B"]]), (0, [("connect",)])


def _durations(shown: Answers, _now: Facts, _point: Facts) -> Held:
    true = dict.fromkeys(_EACH, True)
    return (_small(shown["A"], 0, 10), _small(shown["B"], 0, 10)), (true, true)


def _instances(shown: Answers, _now: Facts, _point: Facts) -> Held:
    labels = {
        "A": (),
        "B": ("localai",),
        "C": ("generation", "source"),
        "D": ("fingerprint",),
        "E": ("exporter",),
        "F": (),
    }
    found = {ref: values_by(shown[ref], "instance", *more) for ref, more in labels.items()}
    fingerprints = {fingerprint for _, fingerprint in found["D"]}
    return (found, len(fingerprints)), (
        {
            "A": {(one,): 1 for one in SCRIPTS},
            "B": {(one, "v4.7.1 ()"): 1 for one in SCRIPTS},
            "C": {(one, "3", "workers+federation+stats"): 1 for one in SCRIPTS},
            "D": {(one, fingerprint): 1 for one in SCRIPTS for fingerprint in fingerprints},
            "E": {(one, __version__): 1 for one in SCRIPTS},
            "F": {(one,): 0 for one in SCRIPTS},
        },
        1,
    )


def _scrapes(shown: Answers, _now: Facts, _point: Facts) -> Held:
    return _small(shown["A"], 0, 1), dict.fromkeys(_EACH, True)


def _memory(shown: Answers, _now: Facts, _point: Facts) -> Held:
    return _small(shown["A"], 10 * 2**20, 512 * 2**20), dict.fromkeys(_EACH, True)


NUMBERS: Mapping[str, Callable[[Answers, Facts, Facts], Held]] = {
    "LocalAI API": _api,
    "Workers": _of_role("worker"),
    "Federated": _of_role("federated"),
    "Known, but offline": _offline,
    "Oldest living heartbeat": _oldest,
    "Alerts firing": _alerts,
    "Nodes online": _online,
    "Hosts": _hosts,
    "Nodes": _nodes,
    "Age of heartbeats": _graph_of_ages,
    "Nodes whose clock is wrong": _clocks,
    "Nodes online, as each instance counts them": _views,
    "Clock offset": _offset,
    "Ids per host": _ids,
    "Not shown": _hidden,
    "LocalAI last understood": _understood,
    "Failed polls, by reason": _failures,
    "Poll duration": _durations,
    "Instances": _instances,
    "Scrape duration": _scrapes,
    "Memory": _memory,
}
"""By the panel's title: from its answers, what is true now and at the last point of graphs, to both values."""
