"""What a target's name decides, the same in every process and release: its shard, and its moment in an interval."""

import hashlib

from exporter.settings import Shard


def holds(shard: Shard | None, name: str) -> bool:
    """Tell whether a target is one of a shard's; without shards all are.

    It is of the shard whose index, a slash and the name together have the highest SHA-256 (rendezvous hashing). Where
    the number of shards grows, only targets that the new one takes are moved; where it shrinks, only those of the last.
    """
    if shard is None:
        return True
    return max(range(shard.total), key=lambda index: _digest(f"{index}/{name}")) == shard.index


def fraction(name: str) -> float:
    """Return which part of an interval passes before a target's polls: from 0 up to 1."""
    return int.from_bytes(_digest(name)[:6]) / 2**48


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
