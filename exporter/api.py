"""The JSON of `/api/v1`: of one LocalAI, and of many in a list."""

import json
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from exporter import __version__
from exporter.clock import Clock, steady_epoch
from exporter.clusterview import Seen, Text, cluster, summary
from exporter.exposition import accepts_gzip
from exporter.http1 import Request, Response
from exporter.settings import Target
from exporter.store import Store

_GZIP_LEVEL = 1  # makes the nodes about nine times smaller, the slowest one twelve times for eight times the work
_GZIP = 16 + zlib.MAX_WBITS  # how zlib is told to write gzip's header and trailer
_WORTH_BYTES = 1_024
"""What is shorter goes into one packet of a network anyway."""

_HEADERS = MappingProxyType(
    {
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
    }
)
"""An answer is of its moment alone, and no page."""


class Shared:
    """Makes one answer for all who asked before its making began: it is as fresh as one of their own, and costs once.

    Args:
        make: writes it.
        monotonic: the clock that requests arrive by.
    """

    def __init__(self, make: Callable[[], bytes], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._make = make
        self._monotonic = monotonic
        self._making = threading.Lock()
        self._made: dict[bool, tuple[float, Response]] = {}

    def __call__(self, request: Request) -> Response:
        """Answer a request."""
        packed = accepts_gzip(request.headers.get("accept-encoding", ""))
        with self._making:
            begun_at, response = self._made.get(packed, (float("-inf"), None))
            if response is None or begun_at < request.arrived_at:
                begun_at = self._monotonic()
                response = _response(self._make(), packed=packed)
                self._made[packed] = begun_at, response
        return response


class ClusterApi:
    """Writes what is known of one LocalAI; for one thread at a time.

    Args:
        store: where its outcomes are.
        clock: for ages, and for what is published as wall time.
        target: how it is watched.
    """

    def __init__(self, store: Store, clock: Clock, target: Target) -> None:
        self._store = store
        self._clock = clock
        self._target = target
        self._kept: _Kept | None = None

    def __call__(self) -> bytes:
        """Write it as of now."""
        seen = look(self._store, self._clock, self._target)
        kept = self._kept
        # On from what the newest answer saw: a wall clock that was set is set once, not at every answer.
        known = kept.epoch if kept and kept.key == seen.key else _epoch_of(seen, self._clock)
        epoch = steady_epoch(known, self._clock)
        if kept is None or kept.key != seen.key or kept.epoch != epoch:
            self._kept = kept = _Kept(seen.key, epoch, cluster(seen, epoch))
        return kept.text.at(seen.now)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A text, what it depends on, and by which epoch wall times in it were computed."""

    key: tuple[object, ...]
    epoch: float
    text: Text


class TargetsApi:
    """Writes the list of many LocalAIs.

    Args:
        clock: for what is published as wall time.
        targets: gives the name of each that there is now, how it is watched, and where its outcomes are.
    """

    def __init__(self, clock: Clock, targets: Callable[[], Iterable[tuple[str, Target, Store]]]) -> None:
        self._clock = clock
        self._targets = targets

    def __call__(self) -> bytes:
        """Write it as of now."""
        listed = []
        for name, target, store in self._targets():
            seen = look(store, self._clock, target)
            listed.append(summary(name, seen, steady_epoch(_epoch_of(seen, self._clock), self._clock)))
        written = {"time": self._clock.wall(), "exporter": {"version": __version__}, "targets": listed}
        return json.dumps(written, allow_nan=False, separators=(",", ":")).encode()


def look(store: Store, clock: Clock, target: Target) -> Seen:
    """Return what there is to tell of a LocalAI now."""
    return Seen(target, store.latest(), store.latest_fleet(), clock.monotonic())


def _epoch_of(seen: Seen, clock: Clock) -> float:
    return seen.outcome.epoch if seen.outcome else clock.wall() - clock.monotonic()


def _response(body: bytes, *, packed: bool) -> Response:
    headers: Mapping[str, str] = _HEADERS
    if packed and len(body) > _WORTH_BYTES:
        body = zlib.compress(body, _GZIP_LEVEL, _GZIP)
        headers = {**headers, "Content-Encoding": "gzip"}
    return Response((body,), "application/json", headers=headers)
