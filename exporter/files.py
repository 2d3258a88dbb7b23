"""A small file that the operator named, read whole: never waited for, never too much of it."""

import errno
import os
import stat
from pathlib import Path

from exporter.usage import MachineError, UsageError

MOST_BYTES = 2**20

# What an operator mends at the file itself; every other error is the machine's.
_FAULTS_OF_A_FILE = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EACCES,
        errno.EPERM,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENXIO,
        errno.ENODEV,
    }
)


def _open(path: str, flags: int) -> int:
    # A named pipe would else be waited for without end.
    return os.open(path, flags | os.O_NONBLOCK)


def named(path: Path) -> str:
    """Return how an error's text names a file that may hold a secret.

    What names no file may be the secret itself, given in the place of its file.
    """
    # Path.exists() raises for a long one.
    return str(path) if os.path.exists(path) else "the file"  # noqa: PTH110


def read_file(path: Path, place: str) -> bytes:
    """Return a file's content.

    Raises:
        UsageError: it cannot be read, is no regular file, or is too large to be what it should be; the text begins
            with `place`. `MachineError` where that says nothing of the file.
    """
    try:
        with open(path, "rb", opener=_open) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UsageError(f"{place} is no regular file")
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        if error.errno in _FAULTS_OF_A_FILE:
            raise UsageError(f"{place} cannot be read ({type(error).__name__})") from None
        code = errno.errorcode.get(error.errno or 0, "unknown error")
        raise MachineError(f"{place} cannot be read ({code})") from None
    except ValueError as error:  # a NUL in the path
        raise UsageError(f"{place} cannot be read ({type(error).__name__})") from None
    if len(content) > MOST_BYTES:
        raise UsageError(f"{place} is larger than 1MiB")
    return content
