"""Peers for the tests to ask, and the program itself as a process."""

import io
import os
import re
import socket
import socketserver
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import exporter
from support.captures import FOLDER

ENDPOINTS = {
    "/api/p2p": "p2p",
    "/api/p2p/workers": "workers",
    "/api/p2p/federation": "federation",
    "/api/p2p/stats": "stats",
    "/api/p2p/token": "token",
    "/version": "version",
    "/readyz": "readyz",
    "/.well-known/localai.json": "well-known",
}
"""Which file of a capture folder answers which path."""

PATIENCE_SECONDS = 20.0
"""How long a process may take before it counts as hung: never waited for where all is well."""

_READ_SECONDS = 5.0  # a scrape has twice that

Answers = Mapping[str, bytes]
"""From path to the bytes on the wire."""


def recorded(name: str) -> dict[str, bytes]:
    """Return the answers of one folder below tests/captures, byte for byte."""
    return {path: (FOLDER / name / f"{file}.http").read_bytes() for path, file in ENDPOINTS.items()}


def date_of(answers: Answers) -> float:
    """Return LocalAI's clock, in Unix seconds, as the answer of `/api/p2p` has it."""
    match = re.search(rb"^Date: (.+)\r$", answers["/api/p2p"], re.MULTILINE)
    assert match
    return parsedate_to_datetime(match[1].decode()).timestamp()


def response(
    body: bytes | str = b"", status: str = "200 OK", headers: str = "Content-Type: application/json\r\n"
) -> bytes:
    """Write an answer as it stands on the wire."""
    content = body.encode() if isinstance(body, str) else body
    return (
        f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode() + content
    )


def without_date(answers: Answers) -> dict[str, bytes]:
    """Return the same answers as a proxy leaves them that removes `Date`."""
    return {path: re.sub(rb"^Date: .+\r\n", b"", answer, flags=re.MULTILINE) for path, answer in answers.items()}


class Peer:
    """An HTTP server that sends prepared bytes and closes the connection.

    Args:
        answer: from a path to what is sent; called once for each request, in the order of arrival.
    """

    def __init__(self, answer: Callable[[str], bytes]) -> None:
        self.paths: list[str] = []
        self.heads: list[str] = []
        lock = threading.Lock()

        class Handler(socketserver.StreamRequestHandler):
            rfile: io.BufferedReader

            def handle(handler) -> None:  # noqa: N805 - `self` is the peer's
                if not handler.rfile.peek(1)[:1].isalpha():
                    handler.wfile.write(response("", "400 Bad Request"))  # as Go answers a TLS handshake
                    return
                lines = list(iter(lambda: handler.rfile.readline().strip(), b""))
                path = lines[0].split()[1].decode()
                with lock:
                    self.paths.append(path)
                    self.heads.append(b"\n".join(lines).decode())
                    content = answer(path)
                handler.wfile.write(content)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def replaying(answers: Answers) -> Peer:
    """Return a peer that answers so, and 404 to every other path."""
    return Peer(lambda path: answers.get(path, response('{"error":{"code":404}}', "404 Not Found")))


@contextmanager
def silence() -> Iterator[str]:
    """Give the URL of a port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def nobody() -> Iterator[str]:
    """Give the URL of a port where nothing listens; it stays reserved meanwhile, so that nothing can begin to."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{reserved.getsockname()[1]}"


def environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment that holds these variables and what a Python process needs, of ours nothing else."""
    ours = {name: text for name, text in os.environ.items() if name == "PATH" or name.startswith("COVERAGE_")}
    # -P below and this: the process imports the very exporter that the tests import.
    return {**ours, "PYTHONPATH": str(Path(exporter.__file__).parents[1]), **(variables or {})}


def status(text: str) -> dict[str, str]:
    """Return what the kernel says of a process, from the text of its `status` below /proc."""
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


def installed(name: str) -> str:
    """Return the path of a program that one of the test's own packages brings."""
    path = Path(sys.executable).with_name(name)
    assert path.exists(), f"{path} is missing: requirements/dev.txt has its package"
    return str(path)


def command(*arguments: str) -> list[str]:
    """Return the command line that runs the program."""
    return [sys.executable, "-P", "-m", "exporter", *arguments]


def run(
    *arguments: str, variables: Mapping[str, str] | None = None, stdout: int | IO[bytes] = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    return subprocess.run(
        command(*arguments),
        env=environment(variables),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )


_URL = re.compile(r"urls?\"?[=:] ?\"?(https?://[^\s\",]+)")


@dataclass
class Served:
    """A server that runs.

    Attributes:
        process: it, or what it was started under.
        url: where it serves, once that was waited for.
        lines: what it had logged when it began to serve; the rest comes from `finish`.
    """

    process: subprocess.Popen[str]
    url: str = ""
    lines: list[str] = field(default_factory=list)

    def wait_until_it_serves(self) -> None:
        """Read its log up to the line that says where it serves, and take the first URL from there."""
        found = _URL.search(self.log_until("serving"))
        assert found, self.lines
        self.url = found[1]

    def log_until(self, beginning: str) -> str:
        """Read its log up to the first line that holds this, and return that line."""
        assert self.process.stderr
        for line in self.process.stderr:
            self.lines.append(line)
            if beginning in line:
                return line
        raise AssertionError(f"the log ended without {beginning!r}:\n{''.join(self.lines)}")

    def read(self, path: str) -> str:
        """Return what it serves there."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=_READ_SECONDS) as answer:
            text: str = answer.read().decode()
        return text

    def finish(self) -> str:
        """Wait for its end and return everything that it wrote."""
        assert self.process.stderr
        assert self.process.stdout
        # Not communicate(), which does not know what the lines read so far left in the pipe's buffer.
        self.lines.extend(self.process.stderr)
        self.lines.extend(self.process.stdout)
        self.process.wait(PATIENCE_SECONDS)
        return "".join(self.lines)


@contextmanager
def serving(
    *arguments: str,
    name: str = "serve",
    variables: Mapping[str, str] | None = None,
    under: tuple[str, ...] = (),
    lifetime: float = PATIENCE_SECONDS,
) -> Iterator[Served]:
    """Start `serve` on a free loopback port and give it once it serves; it is killed where the test did not end it.

    Args:
        arguments: further flags.
        name: of another command that serves.
        variables: its environment.
        under: a command that starts it.
        lifetime: seconds after which it is killed, whatever it does.
    """
    words = command(name, "--web.listen-address", "127.0.0.1:0", *arguments)
    with subprocess.Popen(
        [*under, *words],
        env=environment(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        # A process that hangs without a word would hang the test, which reads its pipe.
        watchdog = threading.Timer(lifetime, process.kill)
        watchdog.start()
        try:
            served = Served(process)
            served.wait_until_it_serves()
            yield served
        finally:
            watchdog.cancel()
            process.kill()
