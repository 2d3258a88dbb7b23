"""Standard output, whose reader may go at any time."""

import os
import sys

from exporter.usage import UsageError


def write(text: bytes) -> None:
    """Write to standard output, here, where a reader that has gone is expected, and not on Python's way out.

    Raises:
        BrokenPipeError: whoever read has gone.
        UsageError: it cannot be written.
    """
    try:
        sys.stdout.buffer.write(text)
        sys.stdout.flush()
    except OSError as error:
        # What Python would write on its way out goes nowhere either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        raise UsageError(f"standard output cannot be written ({error.strerror})") from None
