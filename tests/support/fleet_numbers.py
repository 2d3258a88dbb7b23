"""What each panel of distributed mode's dashboard shows of a scene, and what is true: two values that are equal."""

from collections.abc import Callable, Mapping

from queries import STATES
from rulebook import FAMILY

from exporter.fleet import Status
from exporter.simulator.fleet import Listing, Member
from support.asking import Answers
from support.fleet_scene import HOME, INSTANCES, LAB, LAB_NODES, PLAIN, RETENTION_SECONDS, SIZE
from support.panel_numbers import AGE_TOLERANCE_SECONDS, Held, values_by

BEAT_SECONDS = 10.0
LAB_BEAT_SECONDS = 5.5
"""The age of the lab's heartbeats: its clock stands, and is read to the second."""

_NODE = ("cluster", "name")
_MODEL = ("cluster", "model")
_US = 1e6


class Fleet:
    """What is true at a moment."""

    def __init__(self, listing: Listing, now: float) -> None:
        self.listing = listing
        self.now = now

    @property
    def shown(self) -> list[Member]:
        """The nodes of home that have series."""
        return [one for one in self.listing.members if one.status != "offline" or self.age(one) <= RETENTION_SECONDS]

    def age(self, member: Member) -> float:
        """Return how long ago a node was heard of."""
        return self.now - member.last_heartbeat / _US

    def counted(self, *statuses: Status) -> int:
        """Return how many nodes have one of these statuses, those of the lab too."""
        lab = sum(status in statuses for status, _ in LAB_NODES.values())
        return lab + sum(one.status in statuses for one in self.listing.members)

    def states(self) -> dict[tuple[str, str], float]:
        """Return the number that stands for the status of each node."""
        lab = {(LAB, name): float(STATES[status]) for name, (status, _) in LAB_NODES.items()}
        return lab | {(HOME, one.name): float(STATES[Status(one.status)]) for one in self.shown}

    def of_nodes(self, read: Callable[[Member], float], lab: float) -> dict[tuple[str, str], float]:
        """Return a figure of each node, one and the same for all of the lab."""
        return {(LAB, name): lab for name in LAB_NODES} | {(HOME, one.name): read(one) for one in self.shown}

    def loaded(self) -> dict[tuple[str, str], float]:
        """Return how many replicas of each model are loaded."""
        models = {plan.model for plan in self.listing.plans} | {one.model for one in self.listing.replicas}
        found = {(HOME, model): float(sum(one.model == model for one in self.listing.replicas)) for model in models}
        return found | {(LAB, "qwen-2.5"): 1.0}

    def wanted(self) -> dict[tuple[str, str], float]:
        """Return how many are wanted at least."""
        return {(HOME, plan.model): float(plan.least) for plan in self.listing.plans}

    @property
    def missing(self) -> float:
        """How many replicas are."""
        loaded = self.loaded()
        return sum(max(0.0, least - loaded[model]) for model, least in self.wanted().items())


def _values(shown: Answers) -> dict[str, list[float]]:
    return {ref: [one.last for one in series] for ref, series in shown.items()}


def _close(ages: Mapping[tuple[str, ...], float], true: Mapping[tuple[str, str], float]) -> bool:
    # An exporter may not have heard of a heartbeat that has just come.
    return ages.keys() == true.keys() and all(
        min(abs(ages[node] - age - late) for late in (0, BEAT_SECONDS)) <= AGE_TOLERANCE_SECONDS
        for node, age in true.items()
    )


def _mode(shown: Answers, _fleet: Fleet) -> Held:
    return (values_by(shown["A"], "cluster", "instance"), values_by(shown["B"], "cluster")), (
        {(cluster, instance): 1 for instance, cluster in INSTANCES.items()},
        {(PLAIN,): 0},
    )


def _by_status(shown: Answers, fleet: Fleet) -> Held:
    aside = fleet.counted(Status.PENDING, Status.REGISTERING, Status.DRAINING, Status.UNKNOWN)
    return _values(shown), {
        "A": [fleet.counted(Status.HEALTHY)],
        "B": [fleet.counted(Status.OFFLINE, Status.UNHEALTHY)],
        "C": [aside],
    }


def _missing(shown: Answers, fleet: Fleet) -> Held:
    return _values(shown), {"A": [fleet.missing]}


def _requests(shown: Answers, fleet: Fleet) -> Held:
    return _values(shown), {"A": [sum(one.in_flight for one in fleet.listing.members)]}


def _oldest(shown: Answers, fleet: Fleet) -> Held:
    oldest = max(fleet.age(one) for one in fleet.listing.members if one.status == "healthy")
    return abs(shown["A"][0].last - oldest) <= AGE_TOLERANCE_SECONDS, True


def _alerts(shown: Answers, _fleet: Fleet) -> Held:
    found = {
        ref: {one.labels["alertname"].removeprefix(FAMILY): one.last for one in series}
        for ref, series in shown.items()
        if ref != "D"
    }
    warnings = {
        "DistributedHeartbeatOld": 1,
        "DistributedNodeDraining": 1,
        "DistributedNodeOffline": 2,  # one of home, and one of the lab
        "DistributedNodePending": 1,
        "DistributedTooFewReplicas": 2,
        "DistributedUnsatisfiable": 1,
    }
    return found, {"A": {"P2PExporterDown": 1}, "B": warnings, "C": {}}


def _status(shown: Answers, fleet: Fleet) -> Held:
    return values_by(shown["A"], *_NODE), fleet.states()


def _nodes(shown: Answers, fleet: Fleet) -> Held:
    figures = {ref: values_by(shown[ref], *_NODE) for ref in "ACDEFG"}
    disks = values_by(shown["H"], *_NODE)
    kinds = values_by(shown["I"], *_NODE, "node_type", "gpu_vendor")
    true = {
        "A": fleet.states(),
        "C": fleet.of_nodes(lambda one: one.models, 0) | {(LAB, "disk-1"): 1},
        "D": fleet.of_nodes(lambda one: one.in_flight, 0),
        "E": fleet.of_nodes(lambda one: one.vram[1], 20_000),
        "F": fleet.of_nodes(lambda one: one.vram[0], 24_000),
        "G": fleet.of_nodes(lambda one: one.ram[1], 48_000),
    }
    ages = fleet.of_nodes(fleet.age, LAB_BEAT_SECONDS)
    described = {(LAB, name, "backend", "nvidia"): 1 for name in LAB_NODES} | {
        (HOME, one.name, "backend", one.gpu[0]): 1 for one in fleet.shown
    }
    return (figures, disks, kinds, _close(values_by(shown["B"], *_NODE), ages)), (
        true,
        {(LAB, name): float(free) for name, (_, free) in LAB_NODES.items()},
        described,
        True,
    )


def _ages(shown: Answers, fleet: Fleet) -> Held:
    heard = {(LAB, name) for name in LAB_NODES} | {(HOME, one.name) for one in fleet.shown if fleet.age(one) < 60}
    ages = values_by(shown["A"], *_NODE)
    return {node: 0 <= age < BEAT_SECONDS + 25 for node, age in ages.items()}, dict.fromkeys(heard, True)


def _vram(shown: Answers, fleet: Fleet) -> Held:
    free = {(HOME, one.name): one.vram[1] / one.vram[0] for one in fleet.shown if one.vram[0]}
    return values_by(shown["A"], *_NODE), free | {(LAB, name): 20_000 / 24_000 for name in LAB_NODES}


def _ram(shown: Answers, fleet: Fleet) -> Held:
    return values_by(shown["A"], *_NODE), fleet.of_nodes(lambda one: one.ram[1] / one.ram[0], 0.75)


def _disk(shown: Answers, _fleet: Fleet) -> Held:
    return values_by(shown["A"], *_NODE), {(LAB, name): free / SIZE for name, (_, free) in LAB_NODES.items()}


def _models(shown: Answers, fleet: Fleet) -> Held:
    plans = fleet.listing.plans
    return {ref: values_by(series, *_MODEL) for ref, series in shown.items()}, {
        "A": fleet.loaded(),
        "B": fleet.wanted(),
        "C": {(HOME, plan.model): float(plan.most) for plan in plans if plan.most},
        "D": {(HOME, plan.model): float(plan.model == "huge") for plan in plans},
        "E": {(HOME, plan.model): float(plan.ticks) for plan in plans},
    }


def _replicas(shown: Answers, fleet: Fleet) -> Held:
    return (values_by(shown["A"], *_MODEL), values_by(shown["B"], *_MODEL)), (fleet.loaded(), fleet.wanted())


def _by_node(shown: Answers, fleet: Fleet) -> Held:
    return values_by(shown["A"], *_NODE), fleet.of_nodes(lambda one: one.in_flight, 0)


def _hidden(shown: Answers, fleet: Fleet) -> Held:
    hidden = len(fleet.listing.members) - len(fleet.shown)
    return (values_by(shown["A"], "reason"), _values({"B": shown["B"]}), values_by(shown["C"], "reason")), (
        {("limit",): 0, ("retention",): hidden},
        {"B": [0]},
        {("duplicate",): 0, ("invalid",): 1},
    )


def _understood(shown: Answers, _fleet: Fleet) -> Held:
    ages = values_by(shown["A"], "instance")
    return {one: -1 < age < 10 for one, age in ages.items()}, {(one,): True for one in INSTANCES}


def _failures(shown: Answers, _fleet: Fleet) -> Held:
    return (shown["A"][0].last, {one.named("reason") for one in shown["B"]}), (0, {("timeout",)})


NUMBERS: Mapping[str, Callable[[Answers, Fleet], Held]] = {
    "Distributed mode": _mode,
    "Nodes by status": _by_status,
    "Replicas missing": _missing,
    "Requests in flight": _requests,
    "Oldest healthy heartbeat": _oldest,
    "Alerts firing": _alerts,
    "Status": _status,
    "Nodes": _nodes,
    "Age of heartbeats": _ages,
    "VRAM free": _vram,
    "RAM free": _ram,
    "Disk free": _disk,
    "Models": _models,
    "Replicas loaded": _replicas,
    "Requests by node": _by_node,
    "Not shown": _hidden,
    "Last understood": _understood,
    "Failed questions, by reason": _failures,
}
"""By the panel's title: from its answers and what is true to both values."""
