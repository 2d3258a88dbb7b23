"""Bytes of any LocalAI release become values, or a `PollError`.

Three generations of the API answer differently:

=========== ============ ================================================== =====================================
generation  releases     `/api/p2p`                                         `/api/p2p/workers`
=========== ============ ================================================== =====================================
1           v2.19-v3.6   `nodes`, `federated_nodes`                         404
2           v3.7-v3.12   `nodes`, `federated_nodes`                         `nodes`
3           v4.0-        `llama_cpp_nodes`, `federated_nodes`, `mlx_nodes`  `llama_cpp.nodes`, `mlx.nodes`
=========== ============ ================================================== =====================================

A key that nobody knows is never an error. What is huge takes its time and its memory: a `Budget` bounds both.
"""

import hashlib
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from exporter.entries import SPELLED_BY_LISTS, SPELLED_BY_P2P, NodeList, figure_of, read_list
from exporter.errors import PollError, Reason
from exporter.labels import label
from exporter.model import FEDERATED, LLAMA_CPP, MLX, ClockReading, Kind, RoleCounts, Snapshot, Source
from exporter.strictjson import Budget, parse_object

UNLIMITED = Budget()

_TOKEN = re.compile(rb"[A-Za-z0-9+/=_-]{16,8192}")
_RELEASE = re.compile(r"v(\d{1,4})\.(\d{1,4})\.")
_FIRST_OF_GENERATION_2 = (3, 7)
_FIRST_OF_GENERATION_3 = (4, 0)
_NAMED_LISTS = 10
_LIST_KEYS = re.compile(r"(?:.*_)?nodes")


@dataclass(frozen=True, slots=True)
class Lists:
    """What `/api/p2p/workers` or `/api/p2p/federation` says.

    Attributes:
        generation: which the shape of the answer tells.
        by_kind: its lists.
        unknown_lists: names of lists beside them that nobody knows.
    """

    generation: str
    by_kind: Mapping[Kind, NodeList]
    unknown_lists: tuple[str, ...] = ()


def _shape(detail: str) -> NoReturn:
    raise PollError(Reason.SHAPE, detail)


def workers(body: bytes, now: float, budget: Budget = UNLIMITED) -> Lists:
    """Read `/api/p2p/workers`.

    Args:
        body: the answer.
        now: LocalAI's Unix time in seconds.
        budget: what the reading may take.

    Raises:
        PollError: `NOT_JSON` or `SHAPE`.
    """
    where = "/api/p2p/workers"
    value = parse_object(body, where, budget)
    if "llama_cpp" not in value and "mlx" not in value:
        only = {LLAMA_CPP: read_list(value, "nodes", LLAMA_CPP, SPELLED_BY_LISTS, now=now, where=where, budget=budget)}
        return Lists("2", only, _unknown_lists(value, "nodes"))
    if not isinstance(value.get("nodes", []), list | None):
        # It repeats llama_cpp.nodes for older readers. It is not read, but it tells whether we understand the rest.
        _shape(f"{where} has no list 'nodes'")
    lists = {}
    for kind in (LLAMA_CPP, MLX):
        backend = value.get(kind.backend)
        if not isinstance(backend, dict):
            _shape(f"{where} has no object {kind.backend!r}")
        lists[kind] = read_list(backend, "nodes", kind, SPELLED_BY_LISTS, now=now, where=where, budget=budget)
    return Lists("3", lists, _unknown_lists(value, "nodes", *(kind.backend for kind in lists)))


def federation(body: bytes, now: float, budget: Budget = UNLIMITED) -> Lists:
    """Read `/api/p2p/federation`, which is the same in generations 2 and 3; arguments and errors as for `workers`."""
    where = "/api/p2p/federation"
    value = parse_object(body, where, budget)
    found = read_list(value, "nodes", FEDERATED, SPELLED_BY_LISTS, now=now, where=where, budget=budget)
    return Lists("2-3", {FEDERATED: found}, _unknown_lists(value, "nodes"))


def _unknown_lists(value: Mapping[str, Any], *known: str) -> tuple[str, ...]:
    """Return the keys of the first few lists of nodes that are none of the known ones."""
    unknown = (
        key
        for key, item in value.items()
        if key not in known and (_LIST_KEYS.fullmatch(key) or (isinstance(item, dict) and "nodes" in item))
    )
    return tuple(label(key) for key in itertools.islice(unknown, _NAMED_LISTS))


_STATS_KEYS = {
    "2": {LLAMA_CPP: "workers", FEDERATED: "federated"},
    "3": {LLAMA_CPP: "llama_cpp_workers", FEDERATED: "federated", MLX: "mlx_workers"},
}


def _count(value: Mapping[str, Any], key: str) -> int:
    count = figure_of(value, key)
    if count is None:
        _shape(f"/api/p2p/stats has no count {key!r}")
    return count


def stats(body: bytes, generation: str, budget: Budget = UNLIMITED) -> Mapping[Kind, tuple[int, int]]:
    """Read `/api/p2p/stats` of a generation: total and online of each of its kinds.

    Raises:
        PollError: `NOT_JSON` or `SHAPE`, also where LocalAI became another release since `/api/p2p/workers`.
    """
    value = parse_object(body, "/api/p2p/stats", budget)
    counts = {}
    for kind, key in _STATS_KEYS[generation].items():
        pair = value.get(key)
        if not isinstance(pair, dict):
            _shape(f"/api/p2p/stats has no object {key!r}, which generation {generation} has")
        total, online = _count(pair, "total"), _count(pair, "online")
        if online > total:
            _shape(f"/api/p2p/stats says that more of {key!r} are online than there are")
        counts[kind] = total, online
    return counts


def lists_snapshot(
    worker_lists: Lists, federated: Lists, totals: Mapping[Kind, tuple[int, int]], clock: ClockReading
) -> Snapshot:
    """Put the three answers of generations 2 and 3 together; LocalAI's totals stand as it gives them."""
    by_kind = {**worker_lists.by_kind, **federated.by_kind}
    return Snapshot(
        source=Source.LISTS,
        generation=worker_lists.generation,
        counts={
            kind: RoleCounts(*totals[kind], invalid=found.invalid, duplicate=found.duplicate)
            for kind, found in by_kind.items()
        },
        nodes=tuple(node for found in by_kind.values() for node in found.nodes),
        clock=clock,
        unknown_lists=worker_lists.unknown_lists + federated.unknown_lists,
    )


_P2P_KEYS = {
    "1-2": {LLAMA_CPP: "nodes", FEDERATED: "federated_nodes"},
    "3": {LLAMA_CPP: "llama_cpp_nodes", MLX: "mlx_nodes", FEDERATED: "federated_nodes"},
}


def p2p_snapshot(body: bytes, now: float, clock: ClockReading, budget: Budget = UNLIMITED) -> Snapshot:
    """Read `/api/p2p`, which gives neither verdicts nor totals: the 40-second rule and a count stand in.

    Args:
        body: the answer.
        now: LocalAI's Unix time in seconds, for the rule.
        clock: LocalAI's clock, for the snapshot.
        budget: what the reading may take.

    Raises:
        PollError: `NOT_JSON` or `SHAPE`.
    """
    where = "/api/p2p"
    value = parse_object(body, where, budget)
    generation = "3" if "llama_cpp_nodes" in value or "mlx_nodes" in value else "1-2"
    keys = _P2P_KEYS[generation]
    by_kind = {
        kind: read_list(value, key, kind, SPELLED_BY_P2P, now=now, where=where, budget=budget)
        for kind, key in keys.items()
    }
    return Snapshot(
        source=Source.P2P,
        generation=generation,
        counts={
            kind: RoleCounts(len(found.nodes), sum(node.online for node in found.nodes), found.invalid, found.duplicate)
            for kind, found in by_kind.items()
        },
        nodes=tuple(node for found in by_kind.values() for node in found.nodes),
        clock=clock,
        unknown_lists=_unknown_lists(value, *keys.values()),
    )


def version(body: bytes, budget: Budget = UNLIMITED) -> str:
    """Read `/version`.

    Raises:
        PollError: `NOT_JSON` or `SHAPE`.
    """
    value = parse_object(body, "/version", budget).get("version")
    return label(value) if isinstance(value, str) and value else _shape("/version names no version")


def capability(body: bytes, budget: Budget = UNLIMITED) -> bool:
    """Read whether P2P is on from `/.well-known/localai.json`.

    Raises:
        PollError: `NOT_JSON` or `SHAPE`.
    """
    where = "/.well-known/localai.json"
    capabilities = parse_object(body, where, budget).get("capabilities")
    enabled = capabilities.get("p2p") if isinstance(capabilities, dict) else None
    return enabled if isinstance(enabled, bool) else _shape(f"{where} does not say whether P2P is on")


def token(body: bytes) -> str:
    """Reduce the join token to 16 hex digits of its SHA-256; to nothing where it is empty, because P2P is off.

    Raises:
        PollError: `SHAPE`, where this is no token: a page, say, whose fingerprint would pass for a network's.
    """
    text = body.strip()
    if not text:
        return ""
    if not _TOKEN.fullmatch(text):
        _shape("/api/p2p/token answered something that is no token")
    return hashlib.sha256(text).hexdigest()[:16]


def generation_of(version_text: str) -> str | None:
    """Tell generation 1 from 2 by a version such as `v3.6.0 (8fb95686)`; None where it does not say.

    `/workers`, `/federation` and `/stats` came with v3.7; on generation 2 they are missing where the web UI is off.
    """
    match = _RELEASE.match(version_text)
    if not match:
        return None
    release = int(match[1]), int(match[2])
    if release < _FIRST_OF_GENERATION_2:
        return "1"
    return "2" if release < _FIRST_OF_GENERATION_3 else None
