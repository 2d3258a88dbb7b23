"""A folder of captured answers, served as it is."""

import re
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from exporter.simulator.answers import PATHS, not_found
from exporter.simulator.listener import HOST, Listener
from exporter.simulator.releases import nearest_release
from exporter.simulator.wire import Request
from exporter.usage import UsageError

_LAST_ANSWERS = 2.0  # seconds for which close() waits for a connection's thread
_DATE = re.compile(rb"(?<=\r\nDate: )[^\r]+")
_LAST_SEEN = re.compile(rb'("(?:[Ll]astSeen|last_heartbeat)":")(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?=[.Z])')
_GO_SECONDS = "%Y-%m-%dT%H:%M:%S"


class Replay:
    """Serves the `<endpoint>.http` files of a capture, byte for byte, each on a connection of its own.

    What the folder has no file for is answered with LocalAI's 404.

    Args:
        folder: the capture.
        port: on the loopback interface; 0 for a free one.

    Raises:
        UsageError: the folder holds no capture.
        OSError: the port is taken, or a file cannot be read.
    """

    def __init__(self, folder: Path, *, port: int = 0) -> None:
        self._lock = threading.Lock()
        self._release = nearest_release("")
        self._answers: Mapping[str, bytes] = {}
        self.show(folder)
        self._listener = Listener(port, self._answer, keep_alive=False)

    @property
    def url(self) -> str:
        """LocalAI's base URL."""
        return f"http://{HOST}:{self._listener.port}"

    def show(self, folder: Path, now: float | None = None) -> None:
        """Serve another capture from the next request on.

        Args:
            folder: the capture; the name of the folder above it is its release.
            now: Unix seconds to move the capture to: `Date` and every last-seen move by the same whole seconds, so
                that every age stays, and so does every length. None leaves each byte as it is.

        Raises:
            UsageError: the folder holds no capture.
            OSError: a file cannot be read.
        """
        answers = {path: folder / f"{name}.http" for path, name in PATHS.items()}
        found = {path: file.read_bytes() for path, file in answers.items() if file.is_file()}
        if not found:
            raise UsageError(f"{folder} holds no capture: name a folder with files such as p2p.http")
        if now is not None:
            seconds = int(now) - int(_date(next(iter(found.values()))).timestamp())
            found = {path: _moved(captured, seconds) for path, captured in found.items()}
        with self._lock:
            self._answers, self._release = found, nearest_release(folder.resolve().parent.name)

    def close(self) -> None:
        """Stop listening, and end every connection and thread."""
        self._listener.close()
        self._listener.join(_LAST_ANSWERS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self, request: Request) -> bytes:
        with self._lock:
            answers, release = self._answers, self._release
        captured = answers.get(request.path.partition("?")[0].rstrip("/"))
        if captured is None:
            now = _date(next(iter(answers.values()))).timestamp()
            return not_found(Request(request.path, method=request.method, close=True), release, now)
        head, blank, _ = captured.partition(b"\r\n\r\n")
        return head + blank if request.method == "HEAD" else captured


def _date(captured: bytes) -> datetime:
    match = _DATE.search(captured)
    if not match:
        raise UsageError("a captured answer has no Date header: capture it again")
    return parsedate_to_datetime(match[0].decode())


def _moved(captured: bytes, seconds: int) -> bytes:
    def last_seen(match: re.Match[bytes]) -> bytes:
        stamp = datetime.strptime(match[2].decode(), _GO_SECONDS).replace(tzinfo=UTC).timestamp()
        return match[1] + datetime.fromtimestamp(stamp + seconds, UTC).strftime(_GO_SECONDS).encode()

    date = formatdate(_date(captured).timestamp() + seconds, usegmt=True).encode()
    return _LAST_SEEN.sub(last_seen, _DATE.sub(date, captured, count=1))
