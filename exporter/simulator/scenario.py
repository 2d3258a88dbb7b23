"""The script of a cluster: readable lines, parsed into frozen events.

One statement a line; `#` begins a comment. Durations are written as Prometheus writes them.

    release v3.12.1              which LocalAI it is at first; v4.7.1 unless said
    host gateway-1               LocalAI's own host name; localai unless said
    every 10m                    what happens at a time happens again after this long
    worker gpu-01                an action without a time: so from the start, once, however often the script repeats
    at 30s kill gpu-01           an action 30 s after the start

The actions are those of `actions` and `fleetactions`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn

from exporter.durations import format_duration
from exporter.simulator.actions import (
    Action,
    Crowd,
    Flap,
    Join,
    Kill,
    Outage,
    Restart,
    duration,
    parse_action,
    positive_duration,
)
from exporter.simulator.cluster import crowd_host
from exporter.simulator.fleetactions import Busy, Change, Load, NoRoom, Register, Want
from exporter.simulator.releases import RELEASES, Release, find_release
from exporter.usage import UsageError

_STATEMENTS = {
    "release": "release RELEASE",
    "host": "host NAME",
    "every": "every DURATION",
    "at": "at DURATION ACTION",
}


@dataclass(frozen=True, slots=True)
class Event:
    """An action, and how many seconds after the start it happens."""

    at: float
    action: Action


@dataclass(frozen=True, slots=True)
class Scenario:
    """A whole script.

    Attributes:
        release: which LocalAI it is at first.
        host: LocalAI's own host name.
        start: what is so from the start.
        events: what happens, in the order of time.
        every: seconds after which the events happen again; None for never.
    """

    release: Release = RELEASES["v4.7.1"]
    host: str = "localai"
    start: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    every: float | None = None


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    event: Event


def parse_scenario(text: str) -> Scenario:
    """Read a script; the module's docstring is its grammar.

    Raises:
        UsageError: a line cannot be used; the text names it and says what to write.
    """
    head: dict[str, str] = {}
    start: list[_Line] = []
    script: list[_Line] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].split()
        try:
            match words:
                case []:
                    pass
                case ["release" | "host" | "every" as name, value]:
                    _check_head(name, value, known=name in head)
                    head[name] = value
                case ["at", moment, _, *_]:
                    script.append(_Line(number, Event(duration(moment), parse_action(" ".join(words[2:])))))
                case ["release" | "host" | "every" | "at" as name, *_]:
                    _refuse(name)
                case _:
                    start.append(_Line(number, Event(0.0, parse_action(" ".join(words)))))
        except UsageError as error:
            raise UsageError(f"line {number}: {error}") from None
    script.sort(key=lambda line: line.event.at)
    scenario = Scenario(
        release=find_release(head["release"]) if "release" in head else RELEASES["v4.7.1"],
        host=head.get("host", "localai"),
        start=tuple(line.event.action for line in start),
        events=tuple(line.event for line in script),
        every=positive_duration(head["every"]) if "every" in head else None,
    )
    _check_hosts([*start, *script], scenario.host)
    # What one run of the script takes away is not there for the next.
    _check_nodes([*start, *script, *(script if scenario.every is not None else ())])
    if scenario.every is not None:
        _check_period(script, scenario.every)
    return scenario


def _refuse(name: str) -> NoReturn:
    raise UsageError(f"cannot read what stands after {name!r}: write {_STATEMENTS[name]}")


def _check_head(name: str, value: str, *, known: bool) -> None:
    if known:
        raise UsageError(f"{name} stands here for the second time: leave one of them out")
    if name == "release":
        find_release(value)
    elif name == "every":
        positive_duration(value)


def _check_hosts(lines: Iterable[_Line], localai: str) -> None:
    """Let nothing happen to a host before something joins there."""
    joined: set[str] = set()
    crowd = 0
    for line in lines:
        match line.event.action:
            case Join(host=host):
                joined.add(host)
            case Crowd(count=count):
                joined.update(crowd_host(number) for number in range(crowd + 1, crowd + count + 1))
                crowd += count
            case Kill(host=host) | Restart(host=host) | Flap(host=host):
                if host == localai:
                    raise UsageError(f"line {line.number}: {host!r} is LocalAI's own host: use outage or upgrade")
                if host not in joined:
                    raise UsageError(
                        f"line {line.number}: nothing has joined on host {host!r} by then: let it join first"
                    )
            case _:
                pass


def _check_nodes(lines: Iterable[_Line]) -> None:
    """Let nothing happen to a node of distributed mode that is not registered, nor to a model before it is planned."""
    registered: set[str] = set()
    planned: set[str] = set()
    for line in lines:
        match line.event.action:
            case Register(host=host):
                registered.add(host)
            case Want(model=model):
                planned.add(model)
            case Change(host=host) | Load(host=host) | Busy(host=host) if host not in registered:
                raise UsageError(
                    f"line {line.number}: no node {host!r} has registered by then: write node {host} first"
                )
            case Change("remove", host):
                registered.remove(host)
            case NoRoom(model=model) if model not in planned:
                raise UsageError(f"line {line.number}: nothing is wanted of {model!r} by then: plan it first")
            case _:
                pass


def _check_period(script: Iterable[_Line], every: float) -> None:
    """Let the script end before it begins again."""
    for line in script:
        action = line.event.action
        end = line.event.at + (action.seconds if isinstance(action, Outage) else 0.0)
        if end >= every:
            raise UsageError(
                f"line {line.number}: that lasts until {format_duration(end)}, "
                f"but the script begins again every {format_duration(every)}: make the period longer"
            )
