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
        """The body alone; only of answers that are not chunked."""
        head, _, body = self.raw(endpoint).partition(b"\r\n\r\n")
        assert b"chunked" not in head
        return body


CAPTURES = tuple(Capture(path.parent) for path in sorted(FOLDER.glob("*/*/facts.json")))


def capture(release: str, scenario: str) -> Capture:
    return Capture(FOLDER / release / scenario)
