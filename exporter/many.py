"""The targets of `--config.file`, each with what was seen of it and a page of its own, and the crew that polls them."""

import logging
import resource
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus

from prometheus_client import CollectorRegistry

from exporter.clienttls import ClientTLS
from exporter.clock import Clock
from exporter.crew import Crew
from exporter.discovery import Discovery
from exporter.http1 import Request, Response, say
from exporter.log import fields
from exporter.owncollector import OwnCollector
from exporter.probe import Probe
from exporter.reload import ConfigFile, Ready
from exporter.resolver import Resolver
from exporter.router import Route
from exporter.schedule import Turn
from exporter.settings import (
    CLUSTER_PATH,
    DISCOVERY_PATH,
    PROBE_PATH,
    RELOAD_PATH,
    TARGETS_PATH,
    Settings,
    Target,
    concerns,
)
from exporter.store import Store
from exporter.targets import NamedTarget
from exporter.usage import UsageError
from exporter.watched import Watched
from exporter.web import Lazy, Metrics

_log = logging.getLogger(__name__)

LOOKUPS = 256
"""The most host names that are looked up at once: a name server that does not answer holds a thread for each."""

_DESCRIPTORS = 1_024
"""What the server, its clients and the files take at most, beside the targets' connections."""

Make = Callable[[Target, ClientTLS | None, Resolver], Watched]
"""Makes what watches a target."""


@dataclass(frozen=True, slots=True)
class _One:
    named: NamedTarget
    watched: Watched


class Many:
    """Watches what the file names.

    Args:
        settings: which file, and which shard of it.
        clock: the clocks.
        make: makes what watches a target.
        own: a registry with what the exporter says of itself beside this.
        again: set whenever the file is to be read again.

    Attributes:
        metrics: the page of what the exporter says of itself.
        posts: the paths that take a POST.

    Raises:
        UsageError: the file cannot be used.
    """

    def __init__(
        self, settings: Settings, clock: Clock, make: Make, own: CollectorRegistry, again: threading.Event
    ) -> None:
        if settings.config_file is None:
            raise ValueError("there is no file of targets")
        self._shard = settings.shard
        self._may_reload = settings.lifecycle
        self._clock = clock
        self._make = make
        self._again = again
        self._stop = threading.Event()
        self._reloading = threading.Lock()
        self._lookups = threading.Semaphore(LOOKUPS)
        self._crew = Crew(clock)
        self._all: Mapping[str, _One] = {}
        self._ready = False
        self._file = ConfigFile(settings.config_file, settings.shard, clock, self._apply)
        self._watcher = threading.Thread(target=self._file.watch, args=(self._stop, again), name="config", daemon=True)
        own.register(OwnCollector(lambda: self._file.reloads, self._crew.load))
        self.metrics: Route = Metrics(own)
        self.posts = (RELOAD_PATH,)

    def start(self) -> None:
        """Begin to poll.

        Raises:
            RuntimeError: no thread is to be had.
        """
        self._crew.start()
        self._watcher.start()

    def stop(self) -> None:
        """Begin no more polls, and do not wait for those that are under way."""
        self._stop.set()
        self._again.set()
        self._crew.stop()

    def is_well(self, awake_for: float, patience: float) -> bool:
        """Whether the targets are polled; as for `Crew.is_well`."""
        begun = self._watcher.ident is not None
        return (self._watcher.is_alive() or not begun) and self._crew.is_well(awake_for, patience)

    def is_ready(self) -> bool:
        """Whether every target's first poll had ended once; a target that comes later does not take that back."""
        self._ready = self._ready or all(one.watched.is_polled for one in self._all.values())
        return self._ready

    @property
    def more(self) -> Mapping[str, Route]:
        """The pages of the targets, the lists of them, and where the file is had read again."""
        return {
            PROBE_PATH: Probe(self._metrics_of),
            CLUSTER_PATH: Probe(self._api_of),
            TARGETS_PATH: Lazy(self._list),
            DISCOVERY_PATH: Discovery(lambda: [one.named for one in self._all.values()]),
            RELOAD_PATH: self._reload,
        }

    @property
    def told(self) -> Mapping[str, object]:
        """What the log says of what is watched."""
        return {"targets": len(self._all), "shard": self._shard}

    def _metrics_of(self, name: str) -> Route | None:
        one = self._all.get(name)
        return one.watched.metrics if one else None

    def _api_of(self, name: str) -> Route | None:
        one = self._all.get(name)
        return one.watched.api if one else None

    def _list(self) -> Route:
        from exporter.api import Shared, TargetsApi  # noqa: PLC0415 - Prometheus does not ask for it

        def targets() -> Iterator[tuple[str, Target, Store]]:
            for one in self._all.values():
                yield one.named.name, one.named.target, one.watched.store

        return Shared(TargetsApi(self._clock, targets))

    def _reload(self, request: Request) -> Response:
        if not self._may_reload:
            return say(
                HTTPStatus.FORBIDDEN, "This is off: --web.enable-lifecycle lets a request have the file read again."
            )
        if request.method != "POST":
            return say(HTTPStatus.METHOD_NOT_ALLOWED, "Only POST is served here.", {"Allow": "POST"})
        # A large file takes a while, and few threads make all the answers: no more than one of them is kept waiting.
        if not self._reloading.acquire(blocking=False):
            return say(HTTPStatus.SERVICE_UNAVAILABLE, "It is being read again: ask anew.", {"Retry-After": "1"})
        try:
            self._file.reload()
        except UsageError as error:
            return say(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        finally:
            self._reloading.release()
        return say(HTTPStatus.OK, "Reloaded.")

    def _apply(self, ready: Sequence[Ready]) -> None:
        """Go on with the targets that are as they were, begin with those that are not, and end those that are gone."""
        before, after, new = self._all, {}, []
        for named, tls in ready:
            one = before.get(named.name)
            if one is not None and one.named.target == named.target:
                after[named.name] = replace(one, named=named)
                continue
            one = _One(named, self._make(named.target, tls, Resolver(places=self._lookups)))
            after[named.name] = one
            new.append(Turn(named.name, one.watched.poll, named.target.poll_interval, named.target.poll_timeout))
            for concern in concerns(named.target):
                _log.warning(concern, extra=fields(target=named.name))
        gone = [name for name, one in before.items() if name not in after or after[name].watched is not one.watched]
        _make_room(len(after))
        self._all = after
        self._crew.change(gone, new)
        for name in gone:
            before[name].watched.end()


def _make_room(targets: int) -> None:
    """Let the process have a connection for each target: many systems give it 1,024 descriptors, more if it asks."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * targets + _DESCRIPTORS  # one that ends lives on for a moment beside the next
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        _log.warning("descriptors may be too few for the targets", extra=fields(limit=hard, wanted=wanted))
        wanted = hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
