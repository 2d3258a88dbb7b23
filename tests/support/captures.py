"""What real LocalAI clusters answered, and what must be said of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "captures"


@dataclass(frozen=True)
class Capture:
    folder: Path

    def __str__(self) -> str:
        return f"{self.folder.parent.name}/{self.folder.name}"

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        facts: Mapping[str, Any] = json.loads((self.folder / "facts.json").read_text("utf-8"))
        return facts

    @property
    def expect(self) -> Mapping[str, Any]:
        expect: Mapping[str, Any] = self.facts["expect"]
        return expect

    def raw(self, endpoint: str) -> bytes:
        """The answer as it stood on the wire."""
        return (self.folder / f"{endpoint}.http").read_bytes()

    def body(self, endpoint: str) -> bytes:
        """The body alone; of chunked answers only those that are one chunk, as all of LocalAI's are."""
        head, _, body = self.raw(endpoint).partition(b"\r\n\r\n")
        if b"chunked" not in head:
            return body
        size, _, rest = body.partition(b"\r\n")
        chunk, end = rest[: int(size, 16)], rest[int(size, 16) :]
        assert end == b"\r\n0\r\n\r\n"
        return chunk


_ALL = tuple(Capture(path.parent) for path in sorted(FOLDER.glob("*/*/facts.json")))
FLEETS = tuple(one for one in _ALL if one.folder.name.startswith("distributed"))
"""Of distributed mode, whose facts say what was true, and not what must be said of it."""
CAPTURES = tuple(one for one in _ALL if one not in FLEETS)
"""Of P2P."""


def capture(release: str, scenario: str) -> Capture:
    return Capture(FOLDER / release / scenario)
