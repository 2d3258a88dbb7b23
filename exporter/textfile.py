"""A page for node_exporter's textfile collector: the file is the old one or the new one, never a half."""

import os
from pathlib import Path

from exporter.errors import UsageError

_MODE = 0o644  # node_exporter runs as another user


def write_atomically(path: Path, body: bytes) -> None:
    """Replace `path` by a file with this content.

    It is written beside its place under a name that does not end in `.prom`, which the collector would read.

    Raises:
        UsageError: it cannot be written; what stood there stands there still.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with draft.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(_MODE)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise UsageError(
            f"--output: {path} cannot be written ({error.strerror}); its old content is untouched"
        ) from None
