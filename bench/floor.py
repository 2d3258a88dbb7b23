"""The floor below every server in Python: a socket to which a finished answer is written.

    floor.py PLAIN GZIP

Each of the two files is a whole HTTP answer. It prints where it serves them, and does so until it is ended.
"""

import socket
import sys
import threading
from pathlib import Path

_MOST_BYTES = 65_536  # of a request, which is not looked at


def serve(connection: socket.socket, plain: bytes, compressed: bytes) -> None:
    """Answer a client until it goes."""
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while request := connection.recv(_MOST_BYTES):
            connection.sendall(compressed if b"gzip" in request else plain)


def main() -> None:
    """Serve until the process is ended."""
    plain, compressed = (Path(name).read_bytes() for name in sys.argv[1:])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"127.0.0.1:{listener.getsockname()[1]}", flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, plain, compressed), daemon=True).start()


if __name__ == "__main__":
    main()
