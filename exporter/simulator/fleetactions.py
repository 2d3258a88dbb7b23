"""What can happen to the nodes of distributed mode, and the words for it.

node HOST [pending] [cpu]      a node registers, or does so again; pending is to be approved first, cpu is without a GPU
approve HOST                   a pending node may take part
drain HOST, resume HOST        a node is given no more requests, and is again
silence HOST                   its heartbeats stop arriving: a minute later LocalAI calls it offline
remove HOST                    somebody deletes its entry; when it registers again it has another one
watch on|off                   LocalAI's look at the heartbeats: without it every status stays
load MODEL HOST                a replica of a model is loaded on a healthy node
unload MODEL HOST              it is no more
busy HOST REQUESTS             what is loaded on a node answers so many requests
plan MODEL MIN [MAX]           so many replicas of a model are wanted
no-room MODEL TIMES            LocalAI has found no room for it so many times in a row
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from exporter.usage import UsageError

ChangeOfNode = Literal["approve", "drain", "resume", "silence", "remove"]
"""The words for what happens to a node that has registered."""


@dataclass(frozen=True, slots=True)
class Register:
    """A node registers."""

    host: str
    approved: bool = True
    gpu: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """Something happens to a node that has registered."""

    what: ChangeOfNode
    host: str


@dataclass(frozen=True, slots=True)
class Watch:
    """LocalAI looks at heartbeats, or does not."""

    on: bool


@dataclass(frozen=True, slots=True)
class Load:
    """A replica of a model is loaded on a node, or is no more."""

    model: str
    host: str
    loaded: bool = True


@dataclass(frozen=True, slots=True)
class Busy:
    """What is loaded on a node answers so many requests."""

    host: str
    requests: int


@dataclass(frozen=True, slots=True)
class Want:
    """So many replicas of a model are wanted; a most of 0 is no limit."""

    model: str
    least: int
    most: int = 0


@dataclass(frozen=True, slots=True)
class NoRoom:
    """LocalAI has found no room for a model so many times in a row."""

    model: str
    ticks: int


FleetAction = Register | Change | Watch | Load | Busy | Want | NoRoom
"""Everything that can happen to distributed mode."""


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"{text!r} is no number: write a whole one from 0 on")
    return int(text)


def _register(words: list[str]) -> Register | None:
    match words:
        case [host, *rest] if rest in ([], ["pending"], ["cpu"], ["pending", "cpu"]):
            return Register(host, approved="pending" not in rest, gpu="cpu" not in rest)
        case _:
            return None


def _change(what: ChangeOfNode) -> Callable[[list[str]], Change | None]:
    return lambda words: Change(what, words[0]) if len(words) == 1 else None


def _watch(words: list[str]) -> Watch | None:
    return Watch(words == ["on"]) if words in (["on"], ["off"]) else None


def _load(*, loaded: bool) -> Callable[[list[str]], Load | None]:
    return lambda words: Load(words[0], words[1], loaded) if len(words) == 2 else None  # noqa: PLR2004 - as written


def _busy(words: list[str]) -> Busy | None:
    return Busy(words[0], _number(words[1])) if len(words) == 2 else None  # noqa: PLR2004 - as written


def _want(words: list[str]) -> Want | None:
    match words:
        case [model, least]:
            return Want(model, _number(least))
        case [model, least, most]:
            return Want(model, _number(least), _number(most))
        case _:
            return None


def _no_room(words: list[str]) -> NoRoom | None:
    return NoRoom(words[0], _number(words[1])) if len(words) == 2 else None  # noqa: PLR2004 - as written


FLEET_VERBS: Mapping[str, tuple[str, Callable[[list[str]], FleetAction | None]]] = {
    "node": ("node HOST [pending] [cpu]", _register),
    "approve": ("approve HOST", _change("approve")),
    "drain": ("drain HOST", _change("drain")),
    "resume": ("resume HOST", _change("resume")),
    "silence": ("silence HOST", _change("silence")),
    "remove": ("remove HOST", _change("remove")),
    "watch": ("watch on or watch off", _watch),
    "load": ("load MODEL HOST", _load(loaded=True)),
    "unload": ("unload MODEL HOST", _load(loaded=False)),
    "busy": ("busy HOST REQUESTS", _busy),
    "plan": ("plan MODEL MIN [MAX]", _want),
    "no-room": ("no-room MODEL TIMES", _no_room),
}
"""For each verb how it is written, and what reads the words after it; None for words that do not fit."""
