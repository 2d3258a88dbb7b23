"""Answers of a LocalAI by path, without a socket."""

import json
from collections.abc import Mapping
from typing import Any

from exporter.client import Answer
from exporter.errors import PollError, Reason
from support.clocks import FakeClock


def entry(node_id: str, *, online: bool = True, seen: str = "2027-01-15T08:00:00Z", **more: Any) -> dict[str, Any]:
    """An entry of `/workers` or `/federation`; the clock of `FakeClock` starts at its last-seen."""
    name = node_id.rpartition("-")[2]
    return {
        "id": node_id,
        "name": name,
        "serviceID": name,
        "tunnelAddress": "127.0.0.1:4000",
        "lastSeen": seen,
        "isOnline": online,
    } | more


def p2p_entry(node_id: str, *, seen: str = "2027-01-15T08:00:00Z") -> dict[str, Any]:
    """An entry of `/api/p2p`."""
    name = node_id.rpartition("-")[2]
    return {"Name": name, "ID": node_id, "TunnelAddress": "", "ServiceID": name, "LastSeen": seen}


def missing() -> PollError:
    return PollError(Reason.HTTP_STATUS, "missing", 404)


def stats(**counts: tuple[int, int]) -> dict[str, dict[str, int]]:
    """`/stats`: total and online of each key."""
    return {key: {"total": total, "online": online} for key, (total, online) in counts.items()}


def generation_1(workers: list[Any], federated: list[Any]) -> dict[str, Any]:
    return {
        "/api/p2p/workers": missing(),
        "/api/p2p": {"nodes": workers, "federated_nodes": federated},
        "/version": {"version": "v3.6.0 (8fb95686)"},
    }


def generation_2(workers: list[Any], federated: list[Any]) -> dict[str, Any]:
    return {
        "/api/p2p/workers": {"nodes": workers},
        "/api/p2p/federation": {"nodes": federated},
        "/api/p2p/stats": stats(workers=_counts(workers), federated=_counts(federated)),
        "/version": {"version": "v3.12.1 (fcecc12e)"},
    }


def generation_3(llama_cpp: list[Any], mlx: list[Any], federated: list[Any]) -> dict[str, Any]:
    return {
        "/api/p2p/workers": {"llama_cpp": {"nodes": llama_cpp}, "mlx": {"nodes": mlx}, "nodes": llama_cpp},
        "/api/p2p/federation": {"nodes": federated},
        "/api/p2p/stats": stats(
            llama_cpp_workers=_counts(llama_cpp), mlx_workers=_counts(mlx), federated=_counts(federated)
        ),
        "/version": {"version": "v4.7.1 ()"},
        "/.well-known/localai.json": {"capabilities": {"p2p": True}},
    }


def _counts(entries: list[Any]) -> tuple[int, int]:
    return len(entries), sum(one["isOnline"] for one in entries)


class FakeClient:
    """Answers what `paths` holds: JSON, bytes, or an error; 404 where it holds nothing. Notes what was asked.

    Attributes:
        paths: what is answered to whom; a test changes it as LocalAI changes.
        asked: the paths of each question since the last look.
        date: whether answers carry LocalAI's clock, which is the fake clock plus `skew`.
        takes: seconds that an answer takes.
        reconnected: whether the next answer comes over a connection that had to be made anew.
    """

    def __init__(self, paths: Mapping[str, Any], time: FakeClock) -> None:
        self.paths = dict(paths)
        self.time = time
        self.date = True
        self.skew = 0.0
        self.takes = 0.0
        self.reconnected = False
        self.deadlines: list[float] = []
        self.media_type = "application/json"
        self._asked: list[str] = []

    def asked(self) -> list[str]:
        asked, self._asked = self._asked, []
        return asked

    def get(self, path: str, deadline: float) -> Answer:
        self._asked.append(path)
        self.deadlines.append(deadline)
        self.time.advance(self.takes)
        answer = self.paths.get(path, missing())
        if isinstance(answer, PollError):
            raise answer
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        date = float(int(self.time.wall_now + self.skew)) if self.date else None
        reconnected, self.reconnected = self.reconnected, False
        return Answer(body, date, self.time.monotonic_now, self.media_type, reconnected)
