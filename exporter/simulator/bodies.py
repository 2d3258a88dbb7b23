"""The JSON of LocalAI's P2P routes, with its key order and Go's way to write strings and times."""

import json
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache

from exporter.model import FEDERATED, LLAMA_CPP, MLX, Kind
from exporter.simulator.cluster import Entry
from exporter.simulator.releases import Release

_CACHED_NODES = 16_384  # a node's text changes with its heartbeat only, and is asked for by several routes
# encoding/json keeps these out of every string, so that JSON can stand inside HTML and JavaScript.
_GO_ESCAPES = str.maketrans({character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"})


def json_string(text: str) -> str:
    """Write `text` as a JSON string the way Go does."""
    return json.dumps(text, ensure_ascii=False).translate(_GO_ESCAPES)


def go_time(nanoseconds: int) -> str:
    """Write Unix nanoseconds as Go's RFC3339Nano in UTC: up to nine digits, trailing zeros cut."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{f'{fraction:09d}'.rstrip('0')}Z" if fraction else f"{whole}Z"


def p2p(entries: Sequence[Entry], release: Release) -> str:
    """Write the body of `/api/p2p`: every list, no verdict."""
    llama_cpp, federated, mlx = (
        ",".join(_go_node(entry) for entry in _of(entries, kind)) for kind in (LLAMA_CPP, FEDERATED, MLX)
    )
    if not release.v4:
        return f'{{"nodes":[{llama_cpp}],"federated_nodes":[{federated}]}}'
    return f'{{"llama_cpp_nodes":[{llama_cpp}],"federated_nodes":[{federated}],"mlx_nodes":[{mlx}]}}'


def workers(entries: Sequence[Entry], release: Release, now: float) -> str:
    """Write the body of `/api/p2p/workers`; from v4 on the llama.cpp workers stand in it twice."""
    llama_cpp = _nodes(_of(entries, LLAMA_CPP), now)
    if not release.v4:
        return f"{{{llama_cpp}}}"
    return f'{{"llama_cpp":{{{llama_cpp}}},"mlx":{{{_nodes(_of(entries, MLX), now)}}},{llama_cpp}}}'


def federation(entries: Sequence[Entry], now: float) -> str:
    """Write the body of `/api/p2p/federation`."""
    return f"{{{_nodes(_of(entries, FEDERATED), now)}}}"


def stats(entries: Sequence[Entry], release: Release, now: float) -> str:
    """Write the body of `/api/p2p/stats`."""
    llama_cpp, federated, mlx = (_counts(_of(entries, kind), now) for kind in (LLAMA_CPP, FEDERATED, MLX))
    if not release.v4:
        return f'{{"federated":{federated},"workers":{llama_cpp}}}'
    return f'{{"federated":{federated},"llama_cpp_workers":{llama_cpp},"mlx_workers":{mlx}}}'


def error(status: int, message: str, kind: str) -> str:
    """Write the body of an error."""
    return f'{{"error":{{"code":{status},"message":{json_string(message)},"type":{json_string(kind)}}}}}'


def _of(entries: Sequence[Entry], kind: Kind) -> list[Entry]:
    return [entry for entry in entries if entry.kind == kind]


def _nodes(entries: Iterable[Entry], now: float) -> str:
    return '"nodes":[' + ",".join(_listed_node(entry, entry.online(now)) for entry in entries) + "]"


def _counts(entries: Sequence[Entry], now: float) -> str:
    return f'{{"online":{sum(entry.online(now) for entry in entries)},"total":{len(entries)}}}'


@lru_cache(_CACHED_NODES)
def _go_node(entry: Entry) -> str:
    """Write a node with the names of Go's struct, which has no tags; `ServiceID` is the name in practice."""
    name, node_id, tunnel = json_string(entry.name), json_string(entry.id), json_string(entry.tunnel_address)
    seen = go_time(entry.last_seen_ns)
    return f'{{"Name":{name},"ID":{node_id},"TunnelAddress":{tunnel},"ServiceID":{name},"LastSeen":"{seen}"}}'


@lru_cache(_CACHED_NODES)
def _listed_node(entry: Entry, online: bool) -> str:  # noqa: FBT001 - JSON has it as a bare truth value too
    """Write a node as the web UI's routes do: a Go map, so sorted by key."""
    name, node_id, tunnel = json_string(entry.name), json_string(entry.id), json_string(entry.tunnel_address)
    return (
        f'{{"id":{node_id},"isOnline":{"true" if online else "false"},"lastSeen":"{go_time(entry.last_seen_ns)}",'
        f'"name":{name},"serviceID":{name},"tunnelAddress":{tunnel}}}'
    )
