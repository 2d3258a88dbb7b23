"""The file of `--config.file` at work: read again when it changes, on SIGHUP, and when a request says so."""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from exporter.clienttls import ClientTLS
from exporter.clock import Clock
from exporter.files import read_file
from exporter.log import fields, origin
from exporter.settings import Target
from exporter.shard import Shard
from exporter.targets import FLAG, NamedTarget, in_words_of_keys, parse_targets
from exporter.usage import UsageError

_log = logging.getLogger(__name__)

CHECK_SECONDS = 5.0
"""How often the file is looked at. Kubernetes takes up to a minute to bring a changed ConfigMap into a pod."""

RETRY_SECONDS = 60.0
"""How often a file that was refused is tried again: what it names, a key's file for one, may be mended by then."""

Ready = tuple[NamedTarget, ClientTLS | None]
"""A target, and what its TLS connections are made with."""


def _targets(path: Path) -> Sequence[NamedTarget]:
    return parse_targets(_content(path), path)


def choose(path: Path, name: str | None) -> Sequence[tuple[str, Target]]:
    """Read the file, and return the target of that name, or all where none is given, each with its name.

    Raises:
        UsageError: the file, or one that it names, cannot be used, or has no such target.
    """
    chosen = [(one.name, one.target) for one in _targets(path) if name in (None, one.name)]
    if not chosen:
        raise UsageError(f"--target: {path} names no such target")
    return chosen


def check(path: Path, shard: Shard | None) -> int:
    """Read the file and all that it names, and return how many targets of it a shard has.

    Raises:
        UsageError: the file, or one that it names, cannot be used.
    """
    return len(_ready(_targets(path), shard, Clock.system()))


def _content(path: Path) -> bytes:
    return read_file(path, f"{FLAG}: {path}")


def _ready(targets: Sequence[NamedTarget], shard: Shard | None, clock: Clock) -> Sequence[Ready]:
    # One for all that need the same: the certificates of a system take a megabyte.
    made: dict[tuple[object, ...], ClientTLS | None] = {}
    return [(one, _tls(one, clock, made)) for one in targets if shard is None or shard.holds(one.name)]


def _tls(one: NamedTarget, clock: Clock, made: dict[tuple[object, ...], ClientTLS | None]) -> ClientTLS | None:
    target: Target = one.target
    files = target.tls_ca_file, target.tls_cert_file, target.tls_key_file
    needs = (target.is_secure, *files, target.tls_insecure)
    if needs not in made:
        try:
            made[needs] = ClientTLS.of(target, clock.monotonic)
        except UsageError as error:
            raise UsageError(f"{FLAG}: target {one.name}: {in_words_of_keys(str(error))}") from None
    return made[needs]


@dataclass(frozen=True, slots=True)
class Reloads:
    """How the newest reading went.

    Attributes:
        succeeded: whether the file as it is now is at work.
        success_at: when one was last taken, in Unix seconds.
    """

    succeeded: bool
    success_at: float


class ConfigFile:
    """Reads the file, and hands what it holds on; what cannot be used is said, and changes nothing.

    Args:
        path: the file.
        shard: whose targets are wanted.
        clock: for when it was read, and to space the tries of one that was refused.
        apply: is given the targets, first by the making; it raises nothing.

    Raises:
        UsageError: the file cannot be used.
    """

    def __init__(self, path: Path, shard: Shard | None, clock: Clock, apply: Callable[[Sequence[Ready]], None]) -> None:
        self._path = path
        self._shard = shard
        self._clock = clock
        self._apply = apply
        self._reading = threading.Lock()
        self._digest = b""
        self._seen = b""
        self._trouble = ""
        self._tried_at = clock.monotonic()
        self.reloads = Reloads(succeeded=False, success_at=0.0)
        with self._reading:
            self._read()

    def reload(self) -> None:
        """Read the file again, changed or not.

        Raises:
            UsageError: it cannot be used; what was at work is at work still.
        """
        with self._reading, self._refusing():
            self._read()

    def look(self) -> None:
        """Read the file again if it has changed, and is not just being written: it must look the same twice."""
        with self._reading, suppress(UsageError), self._refusing():
            digest = _digest(self._content())
            settled, self._seen = digest == self._seen, digest
            is_new = digest != self._digest and settled
            may_retry = bool(self._trouble) and self._clock.monotonic() - self._tried_at >= RETRY_SECONDS
            if is_new or may_retry:
                self._read()

    def watch(self, stop: threading.Event, again: threading.Event) -> None:
        """Look at the file now and then until `stop` is set, and read it at once whenever `again` is."""
        while not stop.is_set():
            asked = again.wait(CHECK_SECONDS)
            again.clear()
            if stop.is_set():
                return
            if asked:
                with suppress(UsageError):  # it is said already
                    self.reload()
            else:
                self.look()

    def _read(self) -> None:
        self._tried_at = self._clock.monotonic()
        content = self._content()
        # Also of one that is refused, so that the same is not parsed again at every look.
        self._digest = self._seen = _digest(content)
        ready = _ready(parse_targets(content, self._path), self._shard, self._clock)
        self._apply(ready)
        self._trouble = ""
        self.reloads = Reloads(succeeded=True, success_at=self._clock.wall())
        _log.info("the targets were read", extra=fields(file=self._path, targets=len(ready), shard=self._shard))

    def _content(self) -> bytes:
        try:
            return _content(self._path)
        except UsageError:
            self._digest = b""  # whatever is there next is new
            raise

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Note why a file is refused, and raise UsageError whatever it was."""
        try:
            yield
        except UsageError as error:
            self._refuse(str(error))
            raise
        except Exception as bug:  # noqa: BLE001 - whatever nobody thought of, what is at work goes on
            text = f"{FLAG}: {self._path}: internal error: {type(bug).__name__} at {origin(bug)}"
            self._refuse(text)
            raise UsageError(text) from None

    def _refuse(self, trouble: str) -> None:
        self.reloads = Reloads(succeeded=False, success_at=self.reloads.success_at)
        if trouble != self._trouble:
            for line in trouble.splitlines():
                _log.error("the new targets are not used", extra=fields(reason=line))
        self._trouble = trouble


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
