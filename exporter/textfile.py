"""A page for node_exporter's textfile collector: the file is the old one or the new one, never a half."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from exporter.usage import UsageError

_MODE = 0o644  # node_exporter runs as another user


def write_atomically(path: Path, body: bytes) -> None:
    """Replace `path` by a file with this content.

    It is written beside its place under a name that does not end in `.prom`, which the collector would read. Only
    SIGKILL or a power cut leaves that draft behind.

    Raises:
        UsageError: it cannot be written; what stood there stands there still.
    """
    # Through a link to the file itself, which is no file where it is a device: replacing /dev/stdout would break it.
    place = Path(os.path.realpath(path))
    try:
        if place.exists() and not place.is_file():
            raise UsageError(f"--output: {path} is no regular file: leave --output out to print")
        # Under a name that nobody can foresee, in a file that was not there: no planted link leads elsewhere.
        descriptor, draft = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.", suffix=".tmp")
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no path
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
                os.fchmod(file.fileno(), _MODE)
            Path(draft).replace(place)
        except BaseException:  # an end by a signal too leaves no draft
            with suppress(OSError):
                Path(draft).unlink()
            raise
    except OSError as error:
        raise UsageError(
            f"--output: {path} cannot be written ({error.strerror}); its old content is untouched"
        ) from None
