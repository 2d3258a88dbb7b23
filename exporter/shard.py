"""What a target's name decides, the same in every process and release: its shard, and its moment in an interval."""

import re
from typing import NamedTuple


class Shard(NamedTuple):
    """Which of several exporters this one is, that share the targets of one file; the first has the index 0."""

    ordinal: int
    total: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read `0/3`, or a StatefulSet's pod and the number of its pods, `p2p-exporter-0/3`.

        Raises:
            ValueError: it is neither, or there is no such shard.
        """
        match = re.fullmatch(r"(?:[a-z0-9.-]{1,253}-)?([0-9]{1,5})/([0-9]{1,5})", text)
        if not match:
            raise ValueError(
                f"{text!r} is no shard: write INDEX/TOTAL, as 0/3, or the name of a StatefulSet's pod as the index"
            )
        shard = cls(int(match[1]), int(match[2]))
        if shard.ordinal >= shard.total:
            raise ValueError(
                f"{text!r} is none of its shards: the first has the index 0, and the last one less than TOTAL"
            )
        return shard

    def __str__(self) -> str:
        return f"{self.ordinal}/{self.total}"

    def holds(self, name: str) -> bool:
        """Tell whether a target is one of its own.

        It is of the shard whose index, a slash and the name together have the highest SHA-256 (rendezvous hashing).
        Where the number of shards grows, only targets that the new one takes are moved; where it shrinks, only those of
        the last.
        """
        return max(range(self.total), key=lambda index: _digest(f"{index}/{name}")) == self.ordinal


def fraction(name: str) -> float:
    """Return which part of an interval passes before a target's polls: from 0 up to 1."""
    return int.from_bytes(_digest(name)[:6]) / 2**48


def _digest(text: str) -> bytes:
    import hashlib  # noqa: PLC0415 - who watches one LocalAI parses no shard

    return hashlib.sha256(text.encode()).digest()
