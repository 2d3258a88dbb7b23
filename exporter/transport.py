"""Sockets that keep a deadline: every wait of a connection, from the name to the last byte, ends in time.

A timeout per read never ends a body that drips a byte a second. Here each receive, send, connect and handshake is
given what is left of one deadline, and a wait that outlasts it is a `PollError`, wherever in the libraries it was.
"""

import errno
import os
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any

from exporter.errors import PollError, Reason
from exporter.resolver import Resolver

_TUNNEL_ANSWER_BYTES = 16_384
_TUNNEL_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")

# OpenSSL's X509_V_ERR_* codes that an operator meets, in words that say what to look at.
_CERTIFICATE_FAULTS = {
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is self-signed",
    19: "a self-signed certificate is in its chain",
    20: "its issuer is unknown",
    21: "its issuer is unknown",
    62: "it is for another host name",
    64: "it is for another IP address",
}


class Wire:
    """The budget of one GET, shared by every socket that serves it.

    Attributes:
        opened: whether a connection was made for this GET.
        received: bytes received for it.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._deadline = 0.0
        self._most: int | None = None
        self._socket: socket.socket | None = None
        self.opened = False
        self.received = 0

    def start(self, deadline: float) -> None:
        """Begin a GET that ends at `deadline`, in monotonic seconds."""
        self._deadline = deadline
        self._most = None
        self.opened = False
        self.received = 0

    def use(self, sock: socket.socket) -> None:
        """Note that `sock` serves from now on."""
        self._socket = sock

    def hang_up(self) -> None:
        """Close the socket that serves; a reader that a library forgot would else hold its descriptor open."""
        if self._socket is not None and (descriptor := self._socket.detach()) >= 0:
            os.close(descriptor)

    def allow(self, size: int) -> None:
        """Let no more than `size` further bytes arrive for this GET."""
        self._most = self.received + size

    def count(self, size: int) -> int:
        """Note that `size` bytes arrived, and return it.

        Raises:
            PollError: `TOO_LARGE`, these are more than were allowed.
        """
        self.received += size
        if self._most is not None and self.received > self._most:
            raise PollError(Reason.TOO_LARGE, "the answer and its framing are larger than allowed")
        return size

    def remaining(self) -> float:
        """Return the seconds left.

        Raises:
            PollError: `TIMEOUT`, none are.
        """
        remaining = self._deadline - self._monotonic()
        if remaining <= 0:
            raise _timeout()
        return remaining

    def wait(self, sock: socket.socket, operation: Callable[..., Any], *arguments: Any) -> Any:
        """Call one blocking operation of a socket with what is left as its timeout."""
        sock.settimeout(self.remaining())
        try:
            return operation(*arguments)
        except TimeoutError:
            raise _timeout() from None


def _timeout() -> PollError:
    return PollError(Reason.TIMEOUT, "the deadline passed before the answer was complete")


class _PlainSocket(socket.socket):
    wire: Wire

    def recv_into(self, *arguments: Any) -> int:
        return self.wire.count(self.wire.wait(self, super().recv_into, *arguments))

    def sendall(self, *arguments: Any) -> None:
        self.wire.wait(self, super().sendall, *arguments)


class _TLSSocket(ssl.SSLSocket):
    wire: Wire

    def recv_into(self, *arguments: Any) -> int:
        return self.wire.count(self._wait(super().recv_into, *arguments))

    def send(self, *arguments: Any) -> int:
        return self._wait(super().send, *arguments)

    def _wait(self, operation: Callable[..., int], *arguments: Any) -> int:
        try:
            count: int = self.wire.wait(self, operation, *arguments)
        except ssl.SSLError:
            # TLS 1.3 says only now that it wants a client certificate. Behind a proxy the libraries would blame that.
            raise PollError(Reason.TLS, "the TLS connection failed") from None
        return count


class Dialer:
    """Opens connections whose every wait ends at the wire's deadline.

    Args:
        wire: has the deadline.
        resolver: looks host names up.
        context: returns what the next TLS connection is made with; None where there is to be none.
    """

    def __init__(self, wire: Wire, resolver: Resolver, context: Callable[[], ssl.SSLContext] | None) -> None:
        self._wire = wire
        self._resolver = resolver
        self._context = context

    def tcp(self, host: str, port: int) -> socket.socket:
        """Connect to the first of the host's addresses that answers.

        Raises:
            PollError: `DNS`, `CONNECT` or `TIMEOUT`.
        """
        addresses = self._resolver.resolve(host, port, self._wire.remaining())
        failure = _timeout()
        for tried, (family, kind, protocol, _, address) in enumerate(addresses):
            # A share each: a first address that never answers leaves time for the second.
            share = self._wire.remaining() / (len(addresses) - tried)
            sock: _PlainSocket | None = None
            try:
                # The first line that can fail: the host may lack the address family, or a free descriptor.
                sock = _PlainSocket(family, kind, protocol)
                sock.wire = self._wire
                sock.settimeout(share)
                sock.connect(address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except TimeoutError:
                failure = _timeout()
            except OSError as error:
                name = errno.errorcode.get(error.errno or 0, "unknown error")
                failure = PollError(Reason.CONNECT, f"no connection to port {port} ({name})")
            else:
                self._wire.opened = True
                self._wire.use(sock)
                return sock
            if sock is not None:
                sock.close()
        raise failure

    def tls(self, sock: socket.socket, host: str) -> socket.socket:
        """Wrap a connected socket, with `host` as the name that the certificate must have.

        Raises:
            PollError: `TLS` or `TIMEOUT`.
        """
        if self._context is None:
            raise PollError(Reason.INTERNAL, "a TLS connection was asked for without a TLS configuration")
        held = sock  # what holds the descriptor, and is closed: wrapping takes it from the one that it wraps
        try:
            context = self._context()
            context.sslsocket_class = _TLSSocket
            held = secured = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
            secured.wire = self._wire  # type: ignore[attr-defined] # it is a _TLSSocket
            self._wire.use(secured)
            self._wire.wait(secured, secured.do_handshake)
        except PollError:
            held.close()
            raise
        except ssl.SSLCertVerificationError as error:
            held.close()
            fault = _CERTIFICATE_FAULTS.get(error.verify_code, f"OpenSSL's verification code {error.verify_code}")
            raise PollError(Reason.TLS, f"the certificate was not accepted: {fault}") from None
        except OSError:
            held.close()
            raise PollError(Reason.TLS, "the TLS handshake failed: is this a TLS port?") from None
        return secured

    def tunnel(self, sock: socket.socket, host: str, port: int, headers: Mapping[str, str]) -> None:
        """Ask the proxy at the other end of `sock` for a connection to `host`.

        Raises:
            PollError: `CONNECT`, the proxy refuses; `PROTOCOL`, it does not answer in HTTP; `TIMEOUT`.
        """
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        lines = [
            f"CONNECT {target} HTTP/1.1",
            f"Host: {target}",
            *(f"{name}: {text}" for name, text in headers.items()),
        ]
        answer = b""
        try:
            sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
            while not answer.endswith(b"\r\n\r\n") and len(answer) < _TUNNEL_ANSWER_BYTES:
                # Byte by byte: what follows the empty line belongs to TLS.
                byte = bytearray(1)
                if not sock.recv_into(byte):
                    break
                answer += byte
        except OSError:
            answer = b""
        if not answer.endswith(b"\r\n\r\n"):
            raise PollError(Reason.PROTOCOL, "the proxy ended the connection instead of answering")
        status = _TUNNEL_STATUS.match(answer)
        if not status:
            raise PollError(Reason.PROTOCOL, "the proxy does not answer in HTTP")
        if not status[1].startswith(b"2"):
            raise PollError(Reason.CONNECT, f"the proxy refuses a connection to LocalAI (status {int(status[1])})")
