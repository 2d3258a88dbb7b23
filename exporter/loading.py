"""What a start loads and makes, kept out of the search for garbage."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lasting() -> Iterator[None]:
    """Take all that is loaded and made meanwhile for what lasts until the end.

    To look through it for garbage would take a twentieth of the start, and its part of every full collection later.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
