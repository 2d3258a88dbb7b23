"""Who may connect and what they may read, as the web configuration says, which is read again when it changes."""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from exporter.files import read_file
from exporter.refreshed import Note, Refreshed
from exporter.settings import HEALTH_PATHS, Secret
from exporter.usage import UsageError
from exporter.webconfig import ClientAuth, WebConfig, parse_config
from exporter.webtls import admits, server_context
from exporter.webusers import Access, BasicAuth


@dataclass(frozen=True, slots=True)
class _State:
    config: WebConfig
    context: ssl.SSLContext | None

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
        self._basic_auth = BasicAuth()
        self._state = Refreshed(self._load, monotonic, "web configuration")

    def tls_context(self) -> ssl.SSLContext | None:
        """Return the context for the next connection; None is plain HTTP, and stays so until the program ends."""
        return self._state.get().context

    def check_peer(self, connection: ssl.SSLSocket) -> bool:
        """Whether the client may stay, now that the handshake is done."""
        tls = self._state.get().config.tls
        return tls is None or admits(tls, connection.getpeercert())

    def asks(self, path: str) -> bool:
        """Whether it takes credentials to read a path, which is without a query."""
        return bool(self._users(path))

    def authorize(self, path: str, authorization: str) -> Access:
        """Decide on a request that reads.

        Args:
            path: without a query.
            authorization: its header of that name, as it was sent; empty where it has none.
        """
        users = self._users(path)
        return self._basic_auth.access(users, authorization) if users else Access.GRANTED

    def response_headers(self) -> Mapping[str, str]:
        """Return what every response carries; a name that it has already is replaced."""
        return self._state.get().config.headers

    def _users(self, path: str) -> Mapping[str, Secret]:
        """Return who may read a path; where it is nobody in particular, everybody may."""
        return {} if path in HEALTH_PATHS else self._state.get().config.users

    def _load(self, before: _State | None, note: Note) -> _State:
        note(self._path)
        config = parse_config(read_file(self._path, f"--web.config.file: {self._path}"), self._path)
        context = None
        if config.tls is not None:
            for file in config.tls.files:
                note(file)
            context = server_context(config.tls)
        state = _State(config, context)
        if before is not None:
            self._check_kept(before, state)
        return state

    def _check_kept(self, old: _State, new: _State) -> None:
        """Refuse what would open the server, as a file does that was written to its half.

        Raises:
            UsageError: a protection is gone, or TLS came to what serves plain HTTP.
        """
        before, after = old.protections(), new.protections()
        place = f"--web.config.file: {self._path}"
        for name, is_there in before.items():
            if is_there and not after[name]:
                raise UsageError(f"{place}: {name} protects less than before: if it should, restart the exporter")
        if after["tls_server_config"] and not before["tls_server_config"]:
            raise UsageError(f"{place}: tls_server_config is new: to serve TLS, restart the exporter")
