"""The HTTP libraries on our sockets: a requests session's adapter, whose connections a `Dialer` opens."""

from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPResponse
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HeaderParsingError
from urllib3.util.response import assert_header_parsing

from exporter.errors import PollError, Reason
from exporter.transport import Dialer


class _Response(HTTPResponse):
    """An answer whose whole header was understood, after any number of interim ones (RFC 9110, section 15.2)."""

    def begin(self) -> None:
        """Read the header.

        Raises:
            PollError: `PROTOCOL`, it has a line that is none, or LocalAI would go on in another protocol.
        """
        while self.headers is None:
            super().begin()
            self._check_header()
            if self.status == HTTPStatus.SWITCHING_PROTOCOLS:
                raise PollError(Reason.PROTOCOL, "LocalAI switches to a protocol that nobody asked for")
            if self.status < HTTPStatus.OK:
                self.headers = self.msg = None  # as it was before: the next one is read

    def _check_header(self) -> None:
        # Python ends the header at the first line that is none. What stands below would be lost without a word: that
        # the body is compressed, or how long it is. A message within the message would swallow lines too.
        try:
            assert_header_parsing(self.msg)
        except HeaderParsingError:
            whole = False
        else:
            whole = not self.msg.is_multipart()
        if not whole:
            raise PollError(Reason.PROTOCOL, "the answer's header holds a line that is none")


def _pools(dialer: Dialer) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        response_class = _Response

        def connect(self) -> None:
            self.sock = dialer.tcp(self.host, self.port or 80)

    class Secured(HTTPSConnection):
        response_class = _Response
        tunnel_to: tuple[str, int, Mapping[str, str]] | None = None

        def set_tunnel(
            self, host: str, port: int | None = None, headers: Mapping[str, str] | None = None, scheme: str = "http"
        ) -> None:
            super().set_tunnel(host, port, headers, scheme)
            self.tunnel_to = (host, port or 443, headers or {})

        def connect(self) -> None:
            sock = dialer.tcp(self.host, self.port or 443)
            host = self.host
            try:
                if self.tunnel_to:
                    host = self.tunnel_to[0].strip("[]")
                    dialer.tunnel(sock, host, *self.tunnel_to[1:])
                self.sock = dialer.tls(sock, host)
            except PollError:
                sock.close()
                raise
            # Verified as the context was told to; what it was told is the operator's word, said in a log and a metric.
            self.is_verified = True

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecuredPool(HTTPSConnectionPool):
        ConnectionCls = Secured

    return {"http": PlainPool, "https": SecuredPool}


class DeadlineAdapter(HTTPAdapter):
    """The adapter of a requests session whose connections a `Dialer` opens."""

    def __init__(self, dialer: Dialer) -> None:
        self._pools = _pools(dialer)
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Let requests build its pools of our classes."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Let requests build the pools behind a proxy of our classes too."""
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = self._pools
        return manager
