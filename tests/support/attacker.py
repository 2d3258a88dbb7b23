"""Clients that wear a server out, as a process of their own: `attacker.py ATTACK HOST PORT COUNT SECONDS [tls]`.

Bounded in count and time, on loopback alone: `COUNT` connections at once, each opened again half a second after the
server has dropped it, as an attacker would, until `SECONDS` have passed.
"""

import ipaddress
import selectors
import socket
import ssl
import sys
import time
from dataclasses import dataclass

BYTE_EVERY_SECONDS = 0.5
AGAIN_AFTER_SECONDS = 0.5

REQUESTS = {
    "silent": b"",
    "slowloris": b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    "slow-readers": b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n",
}
"""What each attack sends at once."""


@dataclass(eq=False)
class Client:
    sock: socket.socket
    moves_at: float


class Attacker:
    def __init__(self, attack: str, host: str, port: int, *, tls: bool) -> None:
        self._attack = attack
        self._address = (host, port)
        self._context: ssl.SSLContext | None = None
        if tls and attack != "silent":  # who is silent does not shake hands
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._context.check_hostname = False
            self._context.verify_mode = ssl.CERT_NONE
        self._selector = selectors.DefaultSelector()
        self._clients: set[Client] = set()
        self.opened = 0

    def open(self) -> None:
        sock = socket.socket()
        if self._attack == "slow-readers":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        sock.settimeout(5)
        try:
            sock.connect(self._address)
            if self._context is not None:
                sock = self._context.wrap_socket(sock)
            sock.sendall(REQUESTS[self._attack])
        except OSError:  # the server would not have it: try again later, as any other that is dropped
            sock.close()
            return
        self.opened += 1
        client = Client(sock, time.monotonic() + BYTE_EVERY_SECONDS)
        self._clients.add(client)
        if self._attack != "slow-readers":
            self._selector.register(sock, selectors.EVENT_READ, client)

    def run(self, count: int, until: float) -> None:
        again: list[float] = []
        for _ in range(count):
            self.open()
        sys.stdout.write("attacking\n")
        sys.stdout.flush()
        while (now := time.monotonic()) < until:
            gone = {key.data for key, _ in self._selector.select(0.05) if self._has_ended(key.data)}
            for client in [one for one in self._clients - gone if one.moves_at <= now]:
                client.moves_at = now + BYTE_EVERY_SECONDS
                if not self._move(client):
                    gone.add(client)
            for client in gone:
                self._forget(client)
                again.append(now + AGAIN_AFTER_SECONDS)
            for moment in [one for one in again if one <= now]:
                again.remove(moment)
                self.open()
        for client in tuple(self._clients):
            self._forget(client)

    def _has_ended(self, client: Client) -> bool:
        try:
            client.sock.settimeout(0.0)
            return not client.sock.recv(1_024)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True

    def _move(self, client: Client) -> bool:
        """Send or read a byte, and tell whether the connection still stands."""
        if self._attack == "slow-readers":
            return not self._has_ended(client)
        try:
            client.sock.settimeout(1)
            if self._attack == "slowloris":
                client.sock.sendall(b"a")
        except OSError:
            return False
        return True

    def _forget(self, client: Client) -> None:
        if self._attack != "slow-readers":
            self._selector.unregister(client.sock)
        self._clients.discard(client)
        client.sock.close()


def main(attack: str, host: str, port: str, *rest: str) -> None:
    count, seconds, *tls = rest
    assert ipaddress.ip_address(host).is_loopback
    attacker = Attacker(attack, host, int(port), tls=bool(tls))
    attacker.run(int(count), time.monotonic() + float(seconds))
    sys.stdout.write(f"{attacker.opened}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
