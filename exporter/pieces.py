"""Bytes in pieces: a page of megabytes is never copied for being put together."""

from collections.abc import Iterable, Iterator

Pieces = tuple[bytes, ...]
"""What follows on each other."""

MERGE_BYTES = 65_536
"""Up to so much a copy costs less than a piece, and a packet, of its own."""


def merged(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in fewer pieces: small neighbours become one, of `MERGE_BYTES` at most; none is empty."""
    small: list[bytes] = []
    length = 0
    for piece in filter(None, pieces):
        if small and length + len(piece) > MERGE_BYTES:
            yield b"".join(small)
            small, length = [], 0
        small.append(piece)
        length += len(piece)
    if small:
        yield b"".join(small)
