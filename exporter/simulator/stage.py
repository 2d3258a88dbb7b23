"""The stage on which a scenario plays: what is so at a moment, without a socket. Time is an argument."""

from dataclasses import replace
from math import inf
from typing import Literal

from exporter.simulator.actions import Action, Crowd, Flap, Join, KeyChange, Kill, Outage, Restart, Switch, Upgrade
from exporter.simulator.answers import TOKEN, Settings, answer
from exporter.simulator.cluster import Cluster
from exporter.simulator.fleet import Fleet
from exporter.simulator.fleetactions import Busy, Change, FleetAction, Load, NoRoom, Register, Want, Watch
from exporter.simulator.scenario import Scenario
from exporter.simulator.wire import Request


class Stage:
    """A cluster, the LocalAI that is asked, and the script that moves both.

    Attributes:
        cluster: the nodes of P2P.
        fleet: those of distributed mode.
        settings: how LocalAI is configured.
        down: whether LocalAI is gone, so that nothing listens.
        boots: how often LocalAI has been started; every connection to an earlier one is gone.
    """

    def __init__(self, scenario: Scenario, now: float, *, seed: int = 0, token: str = TOKEN) -> None:
        self.cluster = Cluster(now, scenario.host, seed)
        self.fleet = Fleet(now, seed)
        self.settings = Settings(release=scenario.release, token=token)
        self.down = False
        self.boots = 1
        self._scenario = scenario
        self._began = now
        self._back_at = inf
        self._next = 0
        for action in scenario.start:
            self.apply(action, now)
        self.advance(now)

    def advance(self, now: float) -> None:
        """Let everything happen that is due at `now`, in Unix seconds, each thing at its own time."""
        while (due := min(self._back_at, self._next_at())) <= now:
            if due == self._back_at:
                self.end_outage(due)
            else:
                events = self._scenario.events
                self._next += 1
                self.apply(events[(self._next - 1) % len(events)].action, due)

    def apply(self, action: Action, now: float) -> None:  # noqa: C901 - one arm for each action
        """Let one thing happen.

        Raises:
            UsageError: it names a host on which nothing ever ran, or LocalAI's own.
        """
        match action:
            case Join(kind, host, skew):
                self.cluster.join(kind, host, now, skew=skew)
            case Crowd(count):
                self.cluster.crowd(count, now)
            case Kill(host, count):
                self.cluster.kill(host, now, count)
            case Restart(host):
                self.cluster.restart(host, now)
            case Flap(host, period):
                self.cluster.flap(host, now, period)
            case Outage(seconds):
                self.begin_outage(now + seconds)
            case Upgrade(release):
                self.settings = replace(self.settings, release=release)
                self._boot(now)
            case Switch(setting, on):
                self._switch(setting, now, on=on)
            case KeyChange("key", secret):
                self.settings = replace(self.settings, key=secret)
            case KeyChange(_, secret):
                self.settings = replace(self.settings, reader_key=secret)
            case _:
                _apply_to(self.fleet, action, now)

    def _switch(self, setting: Literal["webui", "p2p", "distributed"], now: float, *, on: bool) -> None:
        match setting:
            case "webui":
                self.settings = replace(self.settings, webui=on)
            case "p2p":
                self.settings = replace(self.settings, p2p=on)
                self.cluster.restart_localai(now)
            case "distributed":
                self.settings = replace(self.settings, distributed=on)
                self._boot(now)

    def begin_outage(self, until: float = inf) -> None:
        """Stop LocalAI until then, in Unix seconds, or until `end_outage`."""
        self.down = True
        self._back_at = until

    def end_outage(self, now: float) -> None:
        """Start LocalAI again, if it is down: a new process, which has forgotten the dead."""
        self._back_at = inf
        if self.down:
            self.down = False
            self._boot(now)

    def answer(self, request: Request, now: float) -> bytes | None:
        """Return what LocalAI answers at `now`, or None while it is down."""
        if self.down:
            return None
        return answer(request, self.settings, self.cluster.entries(now), now, self.fleet.listing(now))

    def _boot(self, now: float) -> None:
        self.boots += 1
        self.cluster.restart_localai(now)

    def _next_at(self) -> float:
        events, every = self._scenario.events, self._scenario.every
        if not events:
            return inf
        cycle, index = divmod(self._next, len(events))
        if cycle and every is None:
            return inf
        return self._began + cycle * (every or 0.0) + events[index].at


def _apply_to(fleet: Fleet, action: FleetAction, now: float) -> None:  # noqa: C901 - likewise
    match action:
        case Register(host, approved, gpu):
            fleet.register(host, now, approved=approved, gpu=gpu)
        case Change("approve", host):
            fleet.approve(host, now)
        case Change("drain", host):
            fleet.drain(host, now)
        case Change("resume", host):
            fleet.resume(host, now)
        case Change("silence", host):
            fleet.silence(host, now)
        case Change(_, host):
            fleet.remove(host, now)
        case Watch(on):
            fleet.watch(now, on=on)
        case Load(model, host, loaded):
            fleet.load(model, host, now, loaded=loaded)
        case Busy(host, requests):
            fleet.busy(host, requests, now)
        case Want(model, least, most):
            fleet.plan(model, least, most, now)
        case NoRoom(model, ticks):
            fleet.no_room(model, ticks)
