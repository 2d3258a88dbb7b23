"""What can happen to a simulated cluster, and the words for it.

worker HOST [mlx] [skew 10m]   a worker joins; its clock may be ahead, or behind as in -15s
federated HOST [skew 10m]      a federated node joins
workers 5000                   a crowd of workers joins, on hosts crowd-00001 and so on
kill HOST [1]                  the processes of a host die, or so many of them, the oldest first
restart HOST                   they start anew, each with a new id; LocalAI keeps the old entries
flap HOST every 90s            its heartbeats get lost for the first half of each period
outage 20s                     nothing listens; afterwards LocalAI is a new process, which has forgotten the dead
upgrade v4.7.1                 LocalAI starts anew under this release
webui on|off                   LocalAI's web UI
p2p on|off                     LocalAI's P2P; turned on, it starts with nobody remembered
distributed on|off             LocalAI's distributed mode; what its registry holds outlives that
key SECRET|off                 LocalAI's API key, or an admin's where there are user accounts
reader-key SECRET|off          with user accounts, which v4 has, the key of one who is no admin

What can happen to the nodes of distributed mode stands in `fleetactions`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from exporter.durations import format_duration, parse_duration
from exporter.model import FEDERATED, LLAMA_CPP, MLX, Kind
from exporter.simulator.cluster import ONLINE_FOR
from exporter.simulator.fleetactions import FLEET_VERBS, FleetAction
from exporter.simulator.releases import Release, find_release
from exporter.usage import UsageError


@dataclass(frozen=True, slots=True)
class Join:
    """A node of `kind` starts on `host`, its clock `skew` seconds ahead."""

    kind: Kind
    host: str
    skew: float = 0.0


@dataclass(frozen=True, slots=True)
class Crowd:
    """`count` workers start, each on a host of its own."""

    count: int


@dataclass(frozen=True, slots=True)
class Kill:
    """The `count` oldest processes of `host` die; all where it is None."""

    host: str
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Restart:
    """The processes of `host` start anew."""

    host: str


@dataclass(frozen=True, slots=True)
class Flap:
    """The heartbeats of `host` get lost in the first half of every `period` seconds."""

    host: str
    period: float


@dataclass(frozen=True, slots=True)
class Outage:
    """Nothing listens for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Upgrade:
    """LocalAI starts anew under `release`."""

    release: Release


@dataclass(frozen=True, slots=True)
class Switch:
    """A setting is turned on or off."""

    setting: Literal["webui", "p2p", "distributed"]
    on: bool


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A key becomes `secret`; None is no key."""

    setting: Literal["key", "reader_key"]
    secret: str | None = field(repr=False)


Action = Join | Crowd | Kill | Restart | Flap | Outage | Upgrade | Switch | KeyChange | FleetAction
"""Everything that can happen."""


def parse_action(text: str) -> Action:
    """Read one action; the module's docstring is the grammar.

    Raises:
        UsageError: it cannot be used; the text says what to write.
    """
    words = text.split()
    verb, rest = (words[0], words[1:]) if words else ("", [])
    if verb not in _VERBS:
        raise UsageError(f"{verb!r} is no action: use one of {', '.join(_VERBS)}")
    usage, read = _VERBS[verb]
    action = read(rest)
    if action is None:
        # Its words are not repeated: one of them may be a key.
        raise UsageError(f"cannot read what stands after {verb!r}: write {usage}")
    return action


def positive_duration(text: str) -> float:
    """Return the seconds that `text` stands for.

    Raises:
        UsageError: `text` is no duration, or is zero.
    """
    seconds = duration(text)
    if not seconds:
        raise UsageError(f"{text!r} is no time at all: give at least 1s")
    return seconds


def duration(text: str) -> float:
    """Return the seconds that `text` stands for.

    Raises:
        UsageError: `text` is no duration.
    """
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise UsageError(f"{text!r} is no count: write a whole number from 1 on")
    return int(text)


def _join(kind: Kind, words: list[str]) -> Join | None:
    match words:
        case [host]:
            return Join(kind, host)
        case [host, "skew", skew]:
            seconds = duration(skew.removeprefix("-"))
            return Join(kind, host, -seconds if skew.startswith("-") else seconds)
        case _:
            return None


def _worker(words: list[str]) -> Join | None:
    match words:
        case [host, "mlx", *rest]:
            return _join(MLX, [host, *rest])
        case _:
            return _join(LLAMA_CPP, words)


def _federated(words: list[str]) -> Join | None:
    return _join(FEDERATED, words)


def _crowd(words: list[str]) -> Crowd | None:
    return Crowd(_count(words[0])) if len(words) == 1 else None


def _kill(words: list[str]) -> Kill | None:
    match words:
        case [host]:
            return Kill(host)
        case [host, count]:
            return Kill(host, _count(count))
        case _:
            return None


def _restart(words: list[str]) -> Restart | None:
    return Restart(words[0]) if len(words) == 1 else None


def _flap(words: list[str]) -> Flap | None:
    match words:
        case [host, "every", text]:
            period = positive_duration(text)
        case _:
            return None
    if period < 2 * ONLINE_FOR:
        shortest = format_duration(2 * ONLINE_FOR)
        raise UsageError(
            f"flap every {text} would never show: LocalAI calls a node offline after {format_duration(ONLINE_FOR)}, "
            f"so give at least {shortest}"
        )
    return Flap(host, period)


def _outage(words: list[str]) -> Outage | None:
    return Outage(positive_duration(words[0])) if len(words) == 1 else None


def _upgrade(words: list[str]) -> Upgrade | None:
    return Upgrade(find_release(words[0])) if len(words) == 1 else None


def _switch(setting: Literal["webui", "p2p", "distributed"]) -> Callable[[list[str]], Switch | None]:
    return lambda words: Switch(setting, words == ["on"]) if words in (["on"], ["off"]) else None


def _key_change(setting: Literal["key", "reader_key"]) -> Callable[[list[str]], KeyChange | None]:
    return lambda words: KeyChange(setting, None if words == ["off"] else words[0]) if len(words) == 1 else None


_VERBS: Mapping[str, tuple[str, Callable[[list[str]], Action | None]]] = {
    "worker": ("worker HOST [mlx] [skew DURATION]", _worker),
    "workers": ("workers COUNT", _crowd),
    "federated": ("federated HOST [skew DURATION]", _federated),
    "kill": ("kill HOST [COUNT]", _kill),
    "restart": ("restart HOST", _restart),
    "flap": ("flap HOST every DURATION", _flap),
    "outage": ("outage DURATION", _outage),
    "upgrade": ("upgrade RELEASE", _upgrade),
    "webui": ("webui on or webui off", _switch("webui")),
    "p2p": ("p2p on or p2p off", _switch("p2p")),
    "distributed": ("distributed on or distributed off", _switch("distributed")),
    "key": ("key SECRET or key off", _key_change("key")),
    "reader-key": ("reader-key SECRET or reader-key off", _key_change("reader_key")),
    **FLEET_VERBS,
}
"""For each verb how it is written, and what reads the words after it; None for words that do not fit."""
