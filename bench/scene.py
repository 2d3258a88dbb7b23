"""All peers at one size, up at the same time, and asked in turn."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import peers
from figures import rotated
from fleet import SETTLED_POLLS, FleetServer, fleet_server
from peers import Peer, peer
from scraping import Client, load, text_page, timed, wire_answer
from series import count_samples, dump, families_of, own_part

_TURN_SECONDS = 1.0
_PAUSE_SECONDS = 1.5
"""How long a turn goes on, and how long before the exporter's next poll none begins: polls are no part of a scrape."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class Cost:
    """What one scrape took: seconds of the clock, and of the peer's processor time."""

    wall: float
    cpu: float


class Scene:
    """The peers that serve one set of series.

    Args:
        server: what the exporter polls.
        everybody: the peers by name; the exporter is `ours`.
    """

    def __init__(self, server: FleetServer, everybody: Mapping[str, Peer]) -> None:
        self._server = server
        self._peers = everybody

    def scrapes(self, *, compressed: bool, rounds: int, count: int) -> Mapping[str, list[Cost]]:
        """Scrape every peer in every round, in an order that rotates, and return by name what a scrape cost.

        Args:
            compressed: whether gzip is asked for.
            rounds: how many.
            count: how many scrapes a turn has, where a second allows that.
        """

        def turn(one: Peer, client: Client) -> Cost:
            before = one.cpu_seconds()
            done, wall = timed(client.scrape, count, _TURN_SECONDS)
            return Cost(wall / done, (one.cpu_seconds() - before) / done)

        with ExitStack() as stack:
            clients = {
                name: stack.enter_context(closing(Client(one.port, compressed=compressed)))
                for name, one in self._peers.items()
            }
            for client in clients.values():
                client.scrape()
            return self._rounds(list(clients), rounds, lambda name: turn(self._peers[name], clients[name]))

    def loads(self, *names: str, clients: int, rounds: int, count: int) -> Mapping[str, list[float]]:
        """Let several clients ask a peer at once, and return by name the answers a second; else as for `scrapes`."""
        return self._rounds(names, rounds, lambda name: load(self._peers[name].port, clients, count, _TURN_SECONDS))

    def _rounds(self, names: Sequence[str], rounds: int, turn: Callable[[str], Value]) -> Mapping[str, list[Value]]:
        found: dict[str, list[Value]] = {name: [] for name in names}
        for number in range(rounds):
            for name in rotated(names, number):
                self._server.wait_for_pause(_PAUSE_SECONDS)
                self._peers["ours"].wait_until_idle()
                found[name].append(turn(name))
        return found


@contextmanager
def scene(nodes: int, interval: float, *, self_metrics: bool) -> Iterator[Scene]:
    """Start the exporter and, once it has seen its nodes' heartbeats move, the peers, which serve the same series.

    Args:
        nodes: how many there are.
        interval: seconds from poll to poll.
        self_metrics: whether the exporter serves series of its process besides, as it does unless told otherwise.

    Raises:
        RuntimeError: a peer did not start, or does not serve as many series.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench")))
        server = stack.enter_context(fleet_server(nodes, interval))
        ours = stack.enter_context(peer(peers.ours(server.url, nodes, interval, self_metrics=self_metrics)))
        server.wait_for_polls(SETTLED_POLLS)
        server.wait_for_pause(_PAUSE_SECONDS)
        ours.wait_until_idle()
        page = text_page(ours.port)
        series, plain, compressed = (folder / name for name in ("series.json", "plain", "gzip"))
        dump(families_of(page.decode()), series)
        plain.write_bytes(wire_answer(ours.port, compressed=False))
        compressed.write_bytes(wire_answer(ours.port, compressed=True))
        commands = {
            "client_golang": peers.client_golang(series),
            "pushgateway": peers.pushgateway(),
            "stock": peers.script("stock", series),
            "naive": peers.script("naive", series),
            "floor": peers.script("floor", plain, compressed),
        }
        others = {name: stack.enter_context(peer(command)) for name, command in commands.items()}
        peers.push(others["pushgateway"].port, own_part(page))
        for name, other in others.items():
            other.wait_until_idle()
            if count_samples(text_page(other.port)) != count_samples(page):
                raise RuntimeError(f"{name} does not serve the exporter's series")
        yield Scene(server, {"ours": ours, **others})
