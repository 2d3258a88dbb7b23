"""The parts put together: what `serve`, `once` and `demo` each need of them."""

import logging
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from exporter.clock import Clock
from exporter.collector import P2PCollector
from exporter.guard import OPEN, Guard
from exporter.listen import bind, bind_all
from exporter.log import fields
from exporter.loop import Loop, Single
from exporter.router import Route, Router
from exporter.server import CLOSE_SECONDS, Server
from exporter.settings import Settings, Target
from exporter.store import Store
from exporter.usage import NO_THREAD, UsageError
from exporter.watched import Watched
from exporter.web import Lazy, Metrics, health_routes, routes

if TYPE_CHECKING:
    from exporter.clienttls import ClientTLS
    from exporter.fleetpoller import FleetPoller
    from exporter.poller import Poller
    from exporter.questions import Questions
    from exporter.resolver import Resolver

_log = logging.getLogger(__name__)

_PAUSE_SECONDS = 1.0
"""How late a wait may end before it counts as a pause of the whole process."""

_HANG_SECONDS = 5.0
"""How late a poll may be before the loop counts as hung, and how long a server's thread may be silent: ten times what a
deadline is missed by at worst."""


def make_poller(
    target: Target,
    store: Store,
    clock: Clock,
    tls: "ClientTLS | None" = None,
    resolver: "Resolver | None" = None,
) -> "Poller":
    """Put the way of the data together for one LocalAI.

    Args:
        target: which LocalAI, and how it is watched.
        store: where the outcomes go.
        clock: the clocks.
        tls: as for `Client`.
        resolver: as for `Client`.

    Raises:
        UsageError: a TLS file cannot be used.
    """
    # Imported here, and so by the thread that polls: the HTTP libraries are a third of a start, and no page needs them.
    from exporter.client import Client  # noqa: PLC0415
    from exporter.localai import LocalAI  # noqa: PLC0415
    from exporter.poller import Poller  # noqa: PLC0415

    client = Client(target, clock.monotonic, resolver, tls)
    localai = LocalAI(client, clock, target.max_response_bytes, collect_token=target.collect_token)
    return Poller(
        localai,
        store,
        clock,
        interval=target.poll_interval,
        timeout=target.poll_timeout,
        retention=target.node_retention,
        limit=target.node_limit,
        follower=_make_follower(target, localai.questions, store, clock) if target.collect_distributed else None,
        close=client.close,
    )


def _make_follower(target: Target, questions: "Questions", store: Store, clock: Clock) -> "FleetPoller":
    from exporter.distributed import Distributed  # noqa: PLC0415
    from exporter.fleetpoller import FleetPoller  # noqa: PLC0415

    distributed = Distributed(questions, clock)
    return FleetPoller(distributed, store, clock, retention=target.node_retention, limit=target.node_limit)


def make_registry(target: Target, store: Store, clock: Clock, *, process: bool, ages: bool = True) -> CollectorRegistry:
    """Return a registry of this program's own, with `process_*` and `python_*` where they are wanted."""
    registry = CollectorRegistry()
    registry.register(
        P2PCollector(
            store,
            clock,
            stale_after=target.stale_after,
            expected=target.expected,
            expected_hosts=target.expected_hosts,
            tls_insecure=target.tls_insecure,
            ages=ages,
        )
    )
    if target.collect_distributed:
        from exporter.fleetcollector import FleetCollector  # noqa: PLC0415 - nobody else needs it

        registry.register(FleetCollector(store, clock, stale_after=target.stale_after, ages=ages))
    if process:
        _add_process(registry)
    return registry


def _api(target: Target, store: Store, clock: Clock) -> Lazy:
    def make() -> Route:
        from exporter.api import ClusterApi, Shared  # noqa: PLC0415 - Prometheus does not ask for it

        return Shared(ClusterApi(store, clock, target))

    return Lazy(make)


def _add_process(registry: CollectorRegistry) -> None:
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)


def _guard(web_config_file: Path | None, clock: Clock) -> Guard:
    if web_config_file is None:
        return OPEN
    # Imported here, so that who serves to everyone in plain HTTP loads neither bcrypt nor YAML.
    from exporter.gate import Gate  # noqa: PLC0415
    from exporter.webguard import WebGuard  # noqa: PLC0415

    return Gate(WebGuard(web_config_file, clock.monotonic))


def _tls(target: Target, clock: Clock) -> "ClientTLS | None":
    if not target.is_secure:
        return None
    # Before anything starts, as its files may be wrong; only who speaks TLS waits for it.
    from exporter.clienttls import ClientTLS  # noqa: PLC0415

    return ClientTLS(target, clock.monotonic)


def _loop(settings: Settings, clock: Clock, again: threading.Event | None) -> Loop:
    """Return what polls: one LocalAI is watched as each of many is, with a thread and the whole page for itself."""
    is_alone = settings.config_file is None

    def make(target: Target, tls: "ClientTLS | None", resolver: "Resolver | None" = None) -> Watched:
        store = Store()
        registry = make_registry(target, store, clock, process=is_alone and settings.exporter_metrics)
        metrics = Metrics(registry, frugal=not is_alone)
        api = _api(target, store, clock)
        return Watched(metrics, api, store, lambda: make_poller(target, store, clock, tls, resolver))

    if is_alone:
        return Single(settings.target, clock, make(settings.target, _tls(settings.target, clock)))
    # Imported here, so that who watches one LocalAI loads no YAML.
    from exporter.many import Many  # noqa: PLC0415

    own = CollectorRegistry()
    if settings.exporter_metrics:
        _add_process(own)
    return Many(settings, clock, make, own, again or threading.Event())


class Exporter:
    """The running program: the loop in one thread, or more, the servers in others.

    Args:
        settings: what the operator asked for.
        clock: the clocks.
        sockets: bound ones to serve on instead of the settings' addresses.
        again: set whenever `--config.file` is to be read again.

    Raises:
        UsageError: a TLS file, the targets or the web configuration cannot be used, nothing can listen on an address,
            or no thread is to be had.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        sockets: Sequence[socket.socket] | None = None,
        again: threading.Event | None = None,
    ) -> None:
        self._clock = clock
        self._resumed_at = float("-inf")
        self._loop = _loop(settings, clock, again)
        loop = self._loop
        table = routes(loop.metrics, settings.telemetry_path, self.is_healthy, self.is_ready, loop.more)
        self._servers: list[Server] = []
        guard = _guard(settings.web_config_file, clock)
        if sockets is None:
            sockets = bind_all(settings.listen_addresses, "--web.listen-address")
        try:
            self._servers.append(Server(sockets, Router(table, guard, loop.posts)))
            if settings.health_address:
                # A server of its own, so that nothing that happens to the other one keeps a probe waiting.
                health = bind(settings.health_address, "--web.health-address")
                self._servers.append(Server([health], Router(health_routes(self.is_healthy, self.is_ready)), "health"))
            _log.info(
                "serving",
                extra=fields(urls=" ".join(self.urls), metrics=settings.telemetry_path, **loop.told),
            )
            self._loop.start()
        except BaseException as error:
            self._loop.stop()
            self._close_servers()
            if isinstance(error, RuntimeError):  # what Thread.start() raises
                raise UsageError(NO_THREAD) from None
            raise

    @property
    def urls(self) -> tuple[str, ...]:
        """Where this machine reaches the pages."""
        return self._servers[0].urls

    def is_healthy(self) -> bool:
        """Whether the loop and the servers live and none of them hangs; what LocalAI does makes no difference."""
        awake_for = self._clock.awake() - self._resumed_at
        # None yet: the first one answers already while it is put into the list.
        silent = max((min(server.silent_seconds(), awake_for) for server in self._servers), default=0.0)
        lives = all(server.lives for server in self._servers)
        return lives and silent <= _HANG_SECONDS and self._loop.is_well(awake_for, _HANG_SECONDS)

    def is_ready(self) -> bool:
        """Whether the first poll has ended, whatever came of it."""
        return self._loop.is_ready()

    def wait(self, stop: threading.Event, check_every: float = 1.0) -> bool:
        """Wait until `stop` is set and return True, or until the loop or a server is not well and return False."""
        checked_at = self._clock.awake()
        while not stop.wait(check_every):
            now = self._clock.awake()
            if now - checked_at > check_every + _PAUSE_SECONDS:
                # This thread stood still too: the process was paused, as a debugger or a container's freezer does it.
                self._resumed_at = now
            checked_at = now
            if not self.is_healthy():
                return False
        return True

    def close(self) -> None:
        """Let a scrape in flight end, then stop. A poll in flight is abandoned."""
        self._loop.stop()
        self._close_servers()

    def _close_servers(self) -> None:
        for server in self._servers:
            server.stop()
        until = self._clock.awake() + CLOSE_SECONDS
        for server in self._servers:
            server.close(max(0.0, until - self._clock.awake()))
