"""What is made of files, and made anew when one of them changes; while that fails, the last one serves."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from exporter.log import fields
from exporter.usage import UsageError

_log = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
"""How often the files are looked at, at most."""

Value = TypeVar("Value")

Note = Callable[[Path], None]
"""Takes a file before it is read: a change in between is seen at the next look."""

_Stamp = tuple[int, ...] | None


class Refreshed(Generic[Value]):
    """A value that follows its files. For any number of threads.

    Args:
        load: makes it. It is given the one before, None at first, and notes each file; it raises UsageError where a
            file, or what would become of it, cannot be used.
        monotonic: a clock in seconds that never jumps.
        name: what the log calls it.

    Raises:
        UsageError: it cannot be made.
    """

    def __init__(self, load: Callable[[Value | None, Note], Value], monotonic: Callable[[], float], name: str) -> None:
        self._load = load
        self._monotonic = monotonic
        self._name = name
        self._looking = threading.Lock()
        self._looked_at = monotonic()
        self._trouble = ""
        self._value, self._stamps = self._loaded(None)

    def get(self) -> Value:
        """Return it as its files are by now; a fault of theirs is said in one log line."""
        now = self._monotonic()
        # While one thread looks, the others go on with what is known.
        if now - self._looked_at >= CHECK_SECONDS and self._looking.acquire(blocking=False):
            try:
                self._looked_at = now
                if self._trouble or any(_stamp(path) != stamp for path, stamp in self._stamps.items()):
                    self._renew()
            finally:
                self._looking.release()
        return self._value

    def _renew(self) -> None:
        try:
            self._value, self._stamps = self._loaded(self._value)
        except UsageError as error:
            if str(error) != self._trouble:
                _log.error("the new %s is not used", self._name, extra=fields(reason=str(error)))
            self._trouble = str(error)
            return
        self._trouble = ""
        _log.info("the %s was read again", self._name)

    def _loaded(self, before: Value | None) -> tuple[Value, dict[Path, _Stamp]]:
        stamps: dict[Path, _Stamp] = {}

        def note(path: Path) -> None:
            stamps[path] = _stamp(path)

        return self._load(before, note), stamps


def _stamp(path: Path) -> _Stamp:
    """Return what changes when the file does, also when a link on its way is turned, as Kubernetes does it."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
