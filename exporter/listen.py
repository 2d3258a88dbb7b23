"""Where the server listens: sockets of an address, or those that systemd holds for it."""

import errno
import os
import socket
from collections.abc import MutableMapping, Sequence
from contextlib import suppress

from exporter.settings import ListenAddress
from exporter.usage import UsageError

_FIRST_DESCRIPTOR = 3  # SD_LISTEN_FDS_START of sd_listen_fds(3)
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
_SYSTEMD_FLAG = "--web.systemd-socket"


def bind(address: ListenAddress, flag: str) -> socket.socket:
    """Return a socket that is bound to an address; an empty host or `::` is both IPv6 and IPv4.

    Args:
        address: where; port 0 is any free one.
        flag: what the operator gave it with.

    Raises:
        UsageError: nothing can listen there; the text says why.
    """
    host = address.host
    if not host and socket.has_dualstack_ipv6():
        host = "::"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock: socket.socket | None = None
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        sock.bind((host, address.port))
        sock.listen()  # here, so that an address in use is found here
    except (OSError, TypeError) as error:  # TypeError: a name that IDNA cannot encode
        if sock is not None:
            sock.close()
        reason = errno.errorcode.get(getattr(error, "errno", None) or 0, "the host has no such address")
        raise UsageError(f"{flag} {address}: nothing can listen there ({reason})") from None
    return sock


def bind_all(addresses: Sequence[ListenAddress], flag: str) -> list[socket.socket]:
    """Bind every address, or none.

    Raises:
        UsageError: as for `bind`.
    """
    bound: list[socket.socket] = []
    try:
        for address in addresses:
            bound.append(bind(address, flag))  # noqa: PERF401 - those before the failing one are to be closed
    except UsageError:
        for sock in bound:
            sock.close()
        raise
    return bound


def url(sock: socket.socket, *, secure: bool) -> str:
    """Return where this machine reaches a bound socket."""
    host, port = sock.getsockname()[:2]
    host = {"::": "127.0.0.1", "0.0.0.0": "127.0.0.1"}.get(host, host)  # noqa: S104
    return f"{'https' if secure else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def systemd_sockets(environ: MutableMapping[str, str]) -> list[socket.socket]:
    """Take over the sockets that systemd passed, by the protocol of sd_listen_fds(3).

    Args:
        environ: the process' own; the protocol's variables are removed, so that no child takes them for its own.

    Raises:
        UsageError: there are none, they are another process', or one is no listening TCP socket.
    """
    pid, count = (environ.pop(name, "") for name in _VARIABLES[:2])
    environ.pop(_VARIABLES[2], None)
    if not pid or not count:
        raise UsageError(f"{_SYSTEMD_FLAG}: systemd passed no socket: start the exporter by its .socket unit")
    if pid != str(os.getpid()):
        raise UsageError(
            f"{_SYSTEMD_FLAG}: systemd passed its sockets to process {pid[:10]!r}, which is not this one: "
            "what ExecStart= starts has to exec the exporter"
        )
    if not (count.isascii() and count.isdigit() and 0 < int(count[:5]) <= os.sysconf("SC_OPEN_MAX")):
        raise UsageError(f"{_SYSTEMD_FLAG}: LISTEN_FDS is {count[:10]!r}: that is no number of sockets")
    taken: list[socket.socket] = []
    try:
        for descriptor in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(count)):
            taken.append(_listening(descriptor))  # noqa: PERF401 - likewise
    except UsageError:
        for sock in taken:
            sock.close()
        raise
    return taken


def _listening(descriptor: int) -> socket.socket:
    with suppress(OSError):  # it is no socket
        sock = socket.socket(fileno=descriptor)
        if (
            sock.family in (socket.AF_INET, socket.AF_INET6)
            and sock.type == socket.SOCK_STREAM
            and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        ):
            sock.set_inheritable(False)
            return sock
        sock.detach()  # it is not ours to close
    raise UsageError(
        f"{_SYSTEMD_FLAG}: descriptor {descriptor} is no listening TCP socket: "
        "the .socket unit needs ListenStream= with a port, and Accept=no"
    )
