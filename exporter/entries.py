"""One list of nodes becomes values: a bad entry costs itself only, and what is no list costs the answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exporter.deadline import while_on_time
from exporter.errors import PollError, Reason
from exporter.labels import label
from exporter.model import Kind, Node
from exporter.strictjson import Budget
from exporter.timestamps import parse_timestamp

ONLINE_WITHIN_SECONDS = 40.0
"""LocalAI's rule (`IsOnline` in its core/schema): a node is online while its last-seen is younger than this."""

PRESUMED_FUTURE_SECONDS = 366 * 86_400.0
"""A last-seen further ahead of LocalAI's clock than a year is no time at which anybody was seen."""


@dataclass(frozen=True, slots=True)
class NodeList:
    """What one list says.

    Attributes:
        nodes: its usable entries.
        invalid: how many entries are not usable.
        duplicate: how many repeat an id.
        ruled: how many give no verdict on being online, so that the 40-second rule did.
    """

    nodes: tuple[Node, ...]
    invalid: int = 0
    duplicate: int = 0
    ruled: int = 0


def text_of(entry: Mapping[str, Any], key: str) -> str:
    """Return a string; an empty one where it is null or missing.

    Raises:
        TypeError: something else stands there.
    """
    value = entry.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError
    return value


def moment_of(value: object, now: float) -> float | None:
    """Return the Unix seconds of a timestamp; None where that is none at which anybody can have been seen.

    Args:
        value: what an entry says.
        now: LocalAI's Unix time in seconds.
    """
    moment = parse_timestamp(value)
    return moment if moment is not None and 0 <= moment <= now + PRESUMED_FUTURE_SECONDS else None


def figure_of(entry: Mapping[str, Any], key: str) -> int | None:
    """Return a whole number from 0 on; None where none stands there, or one that no sample can hold."""
    figure = entry.get(key)
    # bool is an int to Python; 2**53 is where a float, which a sample is, stops telling integers apart.
    return figure if type(figure) is int and 0 <= figure <= 2**53 else None


@dataclass(frozen=True, slots=True)
class Spelling:
    """The keys of one entry. Where there is no verdict on being online, the 40-second rule gives it."""

    name: str
    id: str
    tunnel: str
    service: str
    last_seen: str
    online: str | None


SPELLED_BY_P2P = Spelling("Name", "ID", "TunnelAddress", "ServiceID", "LastSeen", None)
"""As `/api/p2p` does: with the names of Go's fields, and without a verdict."""

SPELLED_BY_LISTS = Spelling("name", "id", "tunnelAddress", "serviceID", "lastSeen", "isOnline")
"""As `/api/p2p/workers` and `/api/p2p/federation` do."""


def _host_of(node_id: str, name: str) -> str:
    """Return the host name inside an id, which LocalAI builds as `<host>-<name>`; the whole id where it is not so."""
    host = node_id.removesuffix(f"-{name}") if name else node_id
    return host or node_id


def _node(entry: Any, kind: Kind, keys: Spelling, now: float) -> Node:
    """Read one entry; TypeError where it cannot be used."""
    if not isinstance(entry, dict):
        raise TypeError
    node_id, name = text_of(entry, keys.id), text_of(entry, keys.name)
    if not node_id:
        raise TypeError
    last_seen = moment_of(entry.get(keys.last_seen), now)
    if keys.online is None or keys.online not in entry:
        online = last_seen is not None and now - last_seen < ONLINE_WITHIN_SECONDS
    elif isinstance(entry[keys.online], bool):
        online = entry[keys.online]
    else:
        raise TypeError
    shown_name, service_id = label(name), text_of(entry, keys.service)
    return Node(
        kind=kind,
        id=label(node_id),
        host=label(_host_of(node_id, name)),
        name=shown_name,
        service_id=shown_name if service_id == name else label(service_id),  # LocalAI has one for both: so do we
        tunnel_address=label(text_of(entry, keys.tunnel)),
        last_seen=last_seen,
        online=online,
    )


def read_list(
    value: Mapping[str, Any], key: str, kind: Kind, keys: Spelling, *, now: float, where: str, budget: Budget
) -> NodeList:
    """Read the list under `key`; null is an empty one, as Go writes a nil slice.

    Args:
        value: the object that has it.
        key: under which.
        kind: what its nodes are.
        keys: how they are spelled.
        now: LocalAI's Unix time in seconds.
        where: the path that answered, for the error's text.
        budget: what the reading may take; its `on_time` is called all the while.

    Raises:
        PollError: `SHAPE`, there is no list; `TOO_LARGE`, it has more entries than the budget has nodes; and whatever
            `on_time` raises.
    """
    if key not in value or not isinstance(value[key], list | None):
        raise PollError(Reason.SHAPE, f"{where} has no list {key!r}")
    entries = value[key] or ()
    budget.check_nodes(len(entries), where)
    nodes: dict[str, Node] = {}
    invalid = duplicate = ruled = 0
    for entry in while_on_time(entries, budget.on_time):
        try:
            node = _node(entry, kind, keys, now)
        except TypeError:
            invalid += 1
            continue
        ruled += keys.online not in entry
        first = nodes.setdefault(node.id, node)
        if first is not node:
            duplicate += 1
            # The same node listed twice is as alive as its livelier entry says.
            if (node.online, node.last_seen or 0.0) > (first.online, first.last_seen or 0.0):
                nodes[node.id] = node
    return NodeList(tuple(nodes.values()), invalid, duplicate, ruled)
