"""A listener that gives each connection to a thread of its own, and the server's side of one connection."""

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress

HANG_SECONDS = 10.0
"""How long a thread of a test may take to end; far above what one needs, so that a hang is a failure."""


class Peer:
    """The server's side of one connection."""

    def __init__(self, sock: socket.socket, stop: threading.Event) -> None:
        self.sock = sock
        self.stop = stop
        self.requests: list[bytes] = []

    def read_request(self) -> bytes:
        """Return the next request's header; empty where the client is gone."""
        header = b""
        while not header.endswith(b"\r\n\r\n"):
            byte = self.sock.recv(1)
            if not byte:
                return b""
            header += byte
        self.requests.append(header)
        return header

    def send(self, sent: bytes) -> None:
        self.sock.sendall(sent)

    def drip(self, sent: bytes, every: float = 0.03) -> None:
        """Send one byte at a time, over and over, until the client gives up."""
        while True:
            for byte in sent:
                self.send(bytes([byte]))
                if self.stop.wait(every):
                    return

    def flood(self, sent: bytes) -> None:
        """Send as fast as the client takes it, until it gives up."""
        while not self.stop.is_set():
            self.send(sent)

    def wait_for_close(self) -> None:
        """Say nothing until the client is gone, whichever way."""
        with suppress(OSError):
            while self.sock.recv(65_536):
                pass

    def reset(self) -> None:
        """End the connection with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


Script = Callable[[Peer], None]
"""What is done with one connection, which ends with it. A client that goes away is no error."""


class Acceptor:
    """Accepts until it is closed; keeps nothing of the connections that have ended.

    Args:
        listener: listens already; it is closed at the end.
        choose: called for each connection, in the order of their coming; what it returns runs in a thread.
    """

    def __init__(self, listener: socket.socket, choose: Callable[[Peer], Script]) -> None:
        self._listener = listener
        self._choose = choose
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._live: dict[threading.Thread, Peer] = {}
        self._accepting = threading.Thread(target=self._accept, name="acceptor")
        self._accepting.start()

    def close(self) -> None:
        """Stop, and end every connection."""
        self._stop.set()
        # Wakes the accept; close() alone would not.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join(HANG_SECONDS)
        self._listener.close()
        with self._lock:
            live = dict(self._live)
        for peer in live.values():
            with suppress(OSError):
                peer.sock.shutdown(socket.SHUT_RDWR)
        for thread in live:
            thread.join(HANG_SECONDS)
            assert not thread.is_alive(), "what serves a connection hangs"

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            peer = Peer(sock, self._stop)
            thread = threading.Thread(target=self._run, args=(peer, self._choose(peer)), name="connection")
            with self._lock:
                self._live[thread] = peer
            thread.start()

    def _run(self, peer: Peer, script: Script) -> None:
        try:
            with suppress(OSError):
                script(peer)
        finally:
            peer.sock.close()
            with self._lock:
                del self._live[threading.current_thread()]
