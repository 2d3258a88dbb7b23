"""A page for node_exporter's textfile collector: the file is the old one or the new one, never a half."""

import os
from contextlib import suppress
from pathlib import Path

from exporter.errors import UsageError

_MODE = 0o644  # node_exporter runs as another user


def write_atomically(path: Path, body: bytes) -> None:
    """Replace `path` by a file with this content.

    It is written beside its place under a name that does not end in `.prom`, which the collector would read.

    Raises:
        UsageError: it cannot be written; what stood there stands there still.
    """
    # Through a link to the file itself, which is no file where it is a device: replacing /dev/stdout would break it.
    place = Path(os.path.realpath(path))
    draft = place.parent / f".{place.name}.{os.getpid()}.tmp"
    try:
        if place.exists() and not place.is_file():
            raise UsageError(f"--output: {path} is no regular file: leave --output out to print")
        with draft.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(_MODE)
        draft.replace(place)
    except OSError as error:
        # Where the draft could not even be made, its removal fails too, and for the same reason.
        with suppress(OSError):
            draft.unlink()
        raise UsageError(
            f"--output: {path} cannot be written ({error.strerror}); its old content is untouched"
        ) from None
