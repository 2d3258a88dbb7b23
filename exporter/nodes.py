"""The families that have a sample for each node: of megabytes, where there are thousands of nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import starmap
from operator import attrgetter, eq, itemgetter
from typing import TYPE_CHECKING

from exporter.ages import Ages
from exporter.families import COUNT, EXACT, TEXT, Lasts, Written, escaped, needs_escape
from exporter.metrics import HOST_NODES_ONLINE, NODE_AGE, NODE_HEARTBEAT, NODE_INFO, NODE_LAST_SEEN, NODE_ONLINE

if TYPE_CHECKING:
    from exporter.model import Kind, Node, Track

_TEXTS_OF_A_NODE = tuple(map(attrgetter, ("id", "host", "name", "service_id", "tunnel_address")))
_ALL_BUT_LAST_SEEN = itemgetter(slice(None, -1))

_NO_OR_YES = b"0.0", b"1.0"


class Standing:
    """What stands for many polls: all that LocalAI says of its nodes, but for when they were seen.

    Args:
        shown: the nodes that have series of their own.

    Attributes:
        labels: of each node, as a template takes them.
        families: what stands.
    """

    def __init__(self, shown: tuple[Track, ...]) -> None:
        self._nodes = tuple(track.node for track in shown)
        # Nearly always all texts can stand in a template as they are, and it is looked at once.
        self._is_plain = not any(needs_escape("".join(map(text_of, self._nodes))) for text_of in _TEXTS_OF_A_NODE)
        self.labels = [
            f'{{backend="{node.kind.backend}",host="{node.host}",id="{node.id}",role="{node.kind.role}"}}'
            for node in self._written()
        ]
        self.families: tuple[Written, ...] = (
            NODE_INFO.large(self._infos, Lasts.MANY_PAGES),
            HOST_NODES_ONLINE.large(self._hosts, Lasts.MANY_PAGES),
            NODE_ONLINE.large(self._online, Lasts.MANY_PAGES),
        )

    def follows(self, shown: tuple[Track, ...]) -> bool:
        """Tell whether all of it stands for these nodes too, and keep them instead of those before."""
        nodes = tuple(track.node for track in shown)
        if len(nodes) != len(self._nodes):
            return False
        pairs = zip(map(_ALL_BUT_LAST_SEEN, nodes), map(_ALL_BUT_LAST_SEEN, self._nodes), strict=True)
        if not all(starmap(eq, pairs)):
            return False
        self._nodes = nodes
        return True

    def _written(self) -> Iterable[Node]:
        return self._nodes if self._is_plain else map(_escaped, self._nodes)

    def _online(self) -> Iterator[bytes]:
        return NODE_ONLINE.written(self.labels, TEXT, (_NO_OR_YES[node.online] for node in self._nodes))

    def _infos(self) -> Iterator[bytes]:
        labels = (
            f'{{backend="{node.kind.backend}",host="{node.host}",id="{node.id}",name="{node.name}",role="{node.kind.role}",'
            f'service_id="{node.service_id}",tunnel_address="{node.tunnel_address}"}}'
            for node in self._written()
        )
        return NODE_INFO.written(labels, "1.0")

    def _hosts(self) -> Iterator[bytes]:
        online: dict[tuple[Kind, str], int] = {}
        for node in self._written():
            key = node.kind, node.host
            online[key] = online.get(key, 0) + node.online
        labels = (f'{{backend="{kind.backend}",host="{host}",role="{kind.role}"}}' for kind, host in online)
        return HOST_NODES_ONLINE.written(labels, COUNT, online.values())


class Moments:
    """When nodes were seen.

    Args:
        labels: of each node, as a template takes them.
        shown: the nodes.
        epoch: Unix time at which the exporter's monotonic clock was at 0.
    """

    def __init__(self, labels: list[str], shown: tuple[Track, ...], epoch: float) -> None:
        self._labels = labels
        self._shown = shown
        self._epoch = epoch

    def families(self) -> Iterator[Written]:
        """Yield them, where there is a node that has such a moment."""
        if any(track.node.last_seen is not None for track in self._shown):
            yield NODE_LAST_SEEN.large(self._last_seen)
        if any(track.moved_at is not None for track in self._shown):
            yield NODE_HEARTBEAT.large(self._heartbeats)

    def ages(self, server_now: float) -> Ages | None:
        """Return what the ages are made of from a moment of LocalAI's clock on; None where nobody was seen."""
        labels, moments = self._known([track.node.last_seen for track in self._shown])
        return Ages(NODE_AGE, labels, moments, server_now) if labels else None

    def _known(self, values: list[float | None]) -> tuple[list[str], list[float]]:
        """Return the labels and the values of the nodes that have one."""
        known = [value for value in values if value is not None]
        if len(known) == len(values):  # as it is nearly always
            return self._labels, known
        return [labels for labels, value in zip(self._labels, values, strict=True) if value is not None], known

    def _last_seen(self) -> Iterator[bytes]:
        labels, moments = self._known([track.node.last_seen for track in self._shown])
        return NODE_LAST_SEEN.written(labels, EXACT, moments)

    def _heartbeats(self) -> Iterator[bytes]:
        labels, moments = self._known([track.moved_at for track in self._shown])
        # To the millisecond, as no clock here is read more precisely. Most moved at the same poll.
        texts = {moment: b"%.3f" % (self._epoch + moment) for moment in set(moments)}
        return NODE_HEARTBEAT.written(labels, TEXT, map(texts.__getitem__, moments))


def _escaped(node: Node) -> Node:
    return node._replace(
        id=escaped(node.id),
        host=escaped(node.host),
        name=escaped(node.name),
        service_id=escaped(node.service_id),
        tunnel_address=escaped(node.tunnel_address),
    )
