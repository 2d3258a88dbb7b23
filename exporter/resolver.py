"""Host names to addresses, within a deadline."""

import ipaddress
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

from exporter.errors import PollError, Reason

Addresses = Sequence[tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]]


def _getaddrinfo(host: str, port: int, flags: int) -> Addresses:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)


class Resolver:
    """Looks names up in a thread of its own, because a lookup cannot be interrupted; one at a time.

    Args:
        lookup: does it.
        places: shared with other resolvers, so that lookups that hang bring no more than so many threads together.
    """

    def __init__(
        self,
        lookup: Callable[[str, int, int], Addresses] = _getaddrinfo,
        places: threading.Semaphore | None = None,
    ) -> None:
        self._lookup = lookup
        self._places = places
        self._thread: threading.Thread | None = None

    def resolve(self, host: str, port: int, within: float) -> Addresses:
        """Return the addresses of `host`, each ready for a socket.

        Args:
            host: a name or an IP address.
            port: becomes a part of each address.
            within: the seconds that a lookup may take.

        Raises:
            PollError: `DNS`, there are none, or there were none in time.
        """
        found: list[Addresses] = []
        if _is_numeric(host):
            self._look_up(host, port, socket.AI_NUMERICHOST, found)
        elif self._thread is not None and self._thread.is_alive():
            raise PollError(Reason.DNS, "an earlier lookup of the host name is still waiting for an answer")
        elif self._places is not None and not self._places.acquire(blocking=False):
            raise PollError(Reason.DNS, "too many lookups of other host names are still waiting for an answer")
        else:
            arguments = (host, port, 0, found)
            self._thread = threading.Thread(target=self._look_up_there, args=arguments, name="resolver", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:
                self._leave()
                raise PollError(Reason.DNS, "no thread is to be had that looks the host name up") from None
            self._thread.join(within)
            if self._thread.is_alive():
                raise PollError(Reason.DNS, "the host name was not resolved before the deadline")
        if not found or not found[0]:
            raise PollError(Reason.DNS, "the host name could not be resolved")
        return found[0]

    def _look_up_there(self, host: str, port: int, flags: int, found: list[Addresses]) -> None:
        try:
            self._look_up(host, port, flags, found)
        finally:
            self._leave()

    def _leave(self) -> None:
        if self._places is not None:
            self._places.release()

    def _look_up(self, host: str, port: int, flags: int, found: list[Addresses]) -> None:
        try:
            found.append(self._lookup(host, port, flags))
        except (OSError, UnicodeError):  # UnicodeError: a name that IDNA cannot encode
            return


def _is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
