"""Nodes and snapshots in a line each."""

from exporter.model import FEDERATED, LLAMA_CPP, MLX, ClockReading, Kind, Node, RoleCounts, ServerInfo, Snapshot, Source

SERVER_NOW = 1_800_000_000.0


def node(node_id: str, *, kind: Kind = LLAMA_CPP, online: bool = True, last_seen: float | None = SERVER_NOW) -> Node:
    host, _, name = node_id.rpartition("-")
    return Node(kind, node_id, host or node_id, name, name, "127.0.0.1:4000", online, last_seen)


def snapshot(
    *nodes: Node,
    monotonic: float = 1_000.0,
    kinds: tuple[Kind, ...] = (LLAMA_CPP, MLX, FEDERATED),
    exact: bool = True,
    server: ServerInfo | None = None,
) -> Snapshot:
    counts = {}
    for kind in kinds:
        mine = [one for one in nodes if one.kind == kind]
        counts[kind] = RoleCounts(len(mine), sum(one.online for one in mine))
    clock = ClockReading(SERVER_NOW, monotonic, exact)
    return Snapshot(Source.LISTS, "3", counts, nodes, clock, server or ServerInfo())
