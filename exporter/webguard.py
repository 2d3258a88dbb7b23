"""Who may connect and what they may read, as the web configuration says, which is read again when it changes."""

import logging
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from exporter.errors import UsageError
from exporter.files import read_file
from exporter.log import fields
from exporter.settings import HEALTH_PATHS
from exporter.webconfig import ClientAuth, WebConfig, parse_config
from exporter.webtls import admits, server_context
from exporter.webusers import Access, BasicAuth

_log = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
"""How often the files are looked at, at most."""

_Stamp = tuple[int, ...] | None


def _stamp(path: Path) -> _Stamp:
    """Return what changes when the file does, also when a link on its way is turned, as Kubernetes does it."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class _State:
    config: WebConfig
    context: ssl.SSLContext | None
    stamps: Mapping[Path, _Stamp]

    @classmethod
    def load(cls, path: Path) -> "_State":
        # Each stamp before its file is read: a change in between is seen at the next look.
        stamps = {path: _stamp(path)}
        config = parse_config(read_file(path, f"--web.config.file: {path}"), path)
        if config.tls is None:
            return cls(config, None, stamps)
        stamps |= {file: _stamp(file) for file in config.tls.files}
        return cls(config, server_context(config.tls), stamps)

    def is_outdated(self) -> bool:
        return any(_stamp(path) != stamp for path, stamp in self.stamps.items())

    def protections(self) -> Mapping[str, bool]:
        tls = self.config.tls
        return {
            "tls_server_config": tls is not None,
            "client_auth_type": tls is not None and tls.client_auth is ClientAuth.REQUIRED,
            "client_allowed_sans": tls is not None and bool(tls.allowed_sans),
            "basic_auth_users": bool(self.config.users),
        }


class WebGuard:
    """The web configuration at work. For any number of threads.

    A file that changed for the worse is said in one log line, and the last good state stays.

    Args:
        path: the file of `--web.config.file`.
        monotonic: a clock in seconds that never jumps.

    Raises:
        UsageError: the file, or one that it names, cannot be used.
    """

    def __init__(self, path: Path, monotonic: Callable[[], float]) -> None:
        self._path = path
        self._monotonic = monotonic
        self._basic_auth = BasicAuth()
        self._looking = threading.Lock()
        self._looked_at = monotonic()
        self._trouble = ""
        self._state = _State.load(path)

    def tls_context(self) -> ssl.SSLContext | None:
        """Return the context for the next connection; None is plain HTTP, and stays so until the program ends."""
        return self._fresh().context

    def check_peer(self, connection: ssl.SSLSocket) -> bool:
        """Whether the client may stay, now that the handshake is done."""
        tls = self._fresh().config.tls
        return tls is None or admits(tls, connection.getpeercert())

    def asks(self, path: str) -> bool:
        """Whether it takes credentials to read a path, which is without a query."""
        return bool(self._fresh().config.users) and path not in HEALTH_PATHS

    def authorize(self, path: str, authorization: str) -> Access:
        """Decide on a request that reads.

        Args:
            path: without a query.
            authorization: its header of that name, as it was sent; empty where it has none.
        """
        users = self._fresh().config.users
        if not users or path in HEALTH_PATHS:
            return Access.GRANTED
        return self._basic_auth.access(users, authorization)

    def response_headers(self) -> Mapping[str, str]:
        """Return what every response carries; a name that it has already is replaced."""
        return self._fresh().config.headers

    def _fresh(self) -> _State:
        now = self._monotonic()
        # While one thread looks, the others go on with what is known.
        if now - self._looked_at >= CHECK_SECONDS and self._looking.acquire(blocking=False):
            try:
                self._looked_at = now
                if self._trouble or self._state.is_outdated():
                    self._reload()
            finally:
                self._looking.release()
        return self._state

    def _reload(self) -> None:
        try:
            state = _State.load(self._path)
            self._check_kept(state)
        except UsageError as error:
            if str(error) != self._trouble:
                _log.error("the new web configuration is not used", extra=fields(reason=str(error)))
            self._trouble = str(error)
            return
        self._state = state
        self._trouble = ""
        _log.info("the web configuration was read again")

    def _check_kept(self, state: _State) -> None:
        """Refuse what would open the server, as a file does that was written to its half.

        Raises:
            UsageError: a protection is gone, or TLS came to what serves plain HTTP.
        """
        before, after = self._state.protections(), state.protections()
        place = f"--web.config.file: {self._path}"
        for name, is_there in before.items():
            if is_there and not after[name]:
                raise UsageError(f"{place}: {name} protects less than before: if it should, restart the exporter")
        if after["tls_server_config"] and not before["tls_server_config"]:
            raise UsageError(f"{place}: tls_server_config is new: to serve TLS, restart the exporter")
