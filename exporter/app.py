"""The parts put together: what `serve`, `once` and `demo` each need of them."""

import logging
import socket
import ssl
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from exporter.clock import Clock
from exporter.collector import P2PCollector
from exporter.errors import UsageError
from exporter.guard import OPEN, Guard
from exporter.listen import bind, bind_all
from exporter.log import fields, origin
from exporter.server import CLOSE_SECONDS, Server
from exporter.settings import Settings, Target
from exporter.store import Store
from exporter.transport import tls_context
from exporter.web import Metrics, health_routes, routes

if TYPE_CHECKING:
    from exporter.fleetpoller import FleetPoller
    from exporter.poller import Poller
    from exporter.questions import Questions

_log = logging.getLogger(__name__)

_PAUSE_SECONDS = 1.0
"""How late a wait may end before it counts as a pause of the whole process."""

_HANG_SECONDS = 5.0
"""How late a poll may be before the loop counts as hung, and how long a server's thread may be silent: ten times what a
deadline is missed by at worst."""


def make_poller(target: Target, store: Store, clock: Clock, context: ssl.SSLContext | None = None) -> "Poller":
    """Put the way of the data together for one LocalAI.

    Args:
        target: which LocalAI, and how it is watched.
        store: where the outcomes go.
        clock: the clocks.
        context: as for `Client`.

    Raises:
        UsageError: a TLS file cannot be used.
    """
    # Imported here, and so by the thread that polls: the HTTP libraries are a third of a start, and no page needs them.
    from exporter.client import Client  # noqa: PLC0415
    from exporter.localai import LocalAI  # noqa: PLC0415
    from exporter.poller import Poller  # noqa: PLC0415

    client = Client(target, clock.monotonic, context=context)
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
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
    return registry


def _guard(web_config_file: Path | None, clock: Clock) -> Guard:
    if web_config_file is None:
        return OPEN
    # Imported here, so that who serves to everyone in plain HTTP loads neither bcrypt nor YAML.
    from exporter.gate import Gate  # noqa: PLC0415
    from exporter.webguard import WebGuard  # noqa: PLC0415

    return Gate(WebGuard(web_config_file, clock.monotonic))


class Exporter:
    """The running program: the loop in one thread, the servers in others.

    Args:
        settings: what the operator asked for.
        clock: the clocks.
        sockets: bound ones to serve on instead of the settings' addresses.

    Raises:
        UsageError: a TLS file or the web configuration cannot be used, nothing can listen on an address, or no thread
            is to be had.
    """

    def __init__(self, settings: Settings, clock: Clock, sockets: Sequence[socket.socket] | None = None) -> None:
        self._settings = settings
        self._clock = clock
        self._store = Store()
        self._stop = threading.Event()
        self._resumed_at = float("-inf")
        self._context = tls_context(settings.target)
        self._made_at = clock.awake()
        self._poller: Poller | None = None  # it is made by the loop's thread
        registry = make_registry(settings.target, self._store, clock, process=settings.exporter_metrics)
        self._metrics = Metrics(registry)
        table = routes(self._metrics, settings.telemetry_path, self.is_healthy, self.is_ready)
        self._loop = threading.Thread(target=self._run, name="poller", daemon=True)
        self._servers: list[Server] = []
        guard = _guard(settings.web_config_file, clock)
        if sockets is None:
            sockets = bind_all(settings.listen_addresses, "--web.listen-address")
        try:
            self._servers.append(Server(sockets, table, guard))
            if settings.health_address:
                # A server of its own, so that nothing that happens to the other one keeps a probe waiting.
                health = bind(settings.health_address, "--web.health-address")
                self._servers.append(Server([health], health_routes(self.is_healthy, self.is_ready), name="health"))
            _log.info(
                "serving",
                extra=fields(urls=" ".join(self.urls), metrics=settings.telemetry_path, localai=settings.target.url),
            )
            self._loop.start()
        except BaseException as error:
            self._close_servers()
            if isinstance(error, RuntimeError):  # what Thread.start() raises
                raise UsageError("no thread is to be had: raise the limit of processes and threads") from None
            raise

    def _run(self) -> None:
        try:
            self._poller = make_poller(self._settings.target, self._store, self._clock, self._context)
            self._poller.run(self._stop, self._prepare)
        except BaseException as bug:  # noqa: BLE001 - a traceback of Python's own would print the exception's text
            _log.error("the poll loop died", extra=fields(error=type(bug).__name__, at=origin(bug)))

    def _prepare(self) -> None:
        try:
            self._metrics.prepare()
        except Exception as bug:  # noqa: BLE001 - the loop outlives it, and the scrape that meets it is told
            _log.error("the pages could not be prepared", extra=fields(error=type(bug).__name__, at=origin(bug)))

    @property
    def urls(self) -> tuple[str, ...]:
        """Where this machine reaches the pages."""
        return self._servers[0].urls

    def is_healthy(self) -> bool:
        """Whether the loop and the servers live and none of them hangs; what LocalAI does makes no difference."""
        target = self._settings.target
        now = self._clock.awake()
        awake_for = now - self._resumed_at
        beat = self._poller.beat if self._poller else self._made_at
        overdue = min(now - beat, awake_for) - target.poll_interval - target.poll_timeout
        # None yet: the first one answers already while it is put into the list.
        silent = max((min(server.silent_seconds(), awake_for) for server in self._servers), default=0.0)
        begun = self._loop.ident is not None  # the servers are there first, so that an address in use polls nobody
        lives = (self._loop.is_alive() or not begun) and all(server.lives for server in self._servers)
        return lives and max(overdue, silent) <= _HANG_SECONDS

    def is_ready(self) -> bool:
        """Whether the first poll has ended, whatever came of it."""
        return self._store.latest() is not None

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
        self._stop.set()
        self._close_servers()

    def _close_servers(self) -> None:
        for server in self._servers:
            server.stop()
        until = self._clock.awake() + CLOSE_SECONDS
        for server in self._servers:
            server.close(max(0.0, until - self._clock.awake()))
