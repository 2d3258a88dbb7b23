"""JSON as RFC 8259 and I-JSON (RFC 7493) have it, read a piece at a time: what is refused, and what is not kept.

The values of an answer take many times its bytes: `{},` is three of them, and 88 as a dict in a list. So the entries
of a list are handed on a few at a time and forgotten, and there are bounds, far above what any LocalAI release says,
on how many there are and how large one is.
"""

import codecs
import json
import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NoReturn

from exporter.errors import PollError, Reason

Path = tuple[str, ...]
"""The keys under which a list stands: one or two."""

ENTRIES_FLOOR = 10_000
BYTES_PER_ENTRY = 80
"""LocalAI's shortest entry takes 95 bytes. A list has at most one for so many, and `ENTRIES_FLOOR` besides."""

LARGEST_VALUE = 2**19
"""An entry, or any other value that is read as a whole, which has not ended after so many characters is refused."""

MOST_MEMBERS = 1_000
"""The most keys in the object itself and in those right below it together; LocalAI's answers have eight."""

_PIECE_BYTES = 65_536
_UNFINISHED = 3  # `1.5e+` cut behind its `e+` reads as 1.5: so near to the end of a piece a number may go on
_LEVELS = 2
_SPACE = re.compile(r"[ \t\n\r]+")


def _refuse(_: object) -> NoReturn:
    raise ValueError


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    return value if len(value) == len(pairs) else _refuse(pairs)


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse)


class _Text:
    """What is left of the answer; decoded a piece at a time, since one character beyond the BMP quadruples a text."""

    def __init__(self, body: bytes, where: str, check: Callable[[], None]) -> None:
        self._body = body
        self._where = where
        self._check = check
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._read = 0
        self._text = ""
        self._index = 0
        self._tried = False  # whether the values of this piece were once tried to be read all at once

    def shape(self, detail: str) -> NoReturn:
        raise PollError(Reason.SHAPE, f"{self._where} {detail}")

    def next(self) -> str:
        """Return the next character that is no white space, and stay before it; nothing at the end."""
        while True:
            if space := _SPACE.match(self._text, self._index):
                self._index = space.end()
            if self._index < len(self._text):
                return self._text[self._index]
            if not self._more():
                return ""

    def skip(self, *expected: str) -> str:
        """Return the next character, which has to be one of these, and go past it."""
        found = self.next()
        if found not in expected:
            raise ValueError
        self._index += 1
        return found

    def value(self) -> Any:
        """Return the next value, and go past it."""
        self.next()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._index)
            except json.JSONDecodeError:
                if not self._more():
                    raise
                continue
            if end + _UNFINISHED <= len(self._text) or not self._more():
                self._index = end
                return value

    def values(self) -> list[Any]:
        """Return the next values of a list, as many as are here already but at least one, and go past them."""
        if not self._tried:
            # Many at once are read twice as fast. A cut within a string or a deeper list leaves no list of values.
            self._tried = True
            cut = self._text.rfind("},", self._index) + 1
            with suppress(ValueError):
                values: list[Any] = _DECODER.decode(f"[{self._text[self._index : cut]}]")
                if values:
                    self._index = cut
                    return values
        return [self.value()]

    def _more(self) -> bool:
        """Read a piece as long as what is there already, so that a long value is not begun anew too often."""
        if self._read >= len(self._body):
            return False
        self._check()
        left = self._text[self._index :]
        if len(left) > LARGEST_VALUE:
            self.shape(f"has a value of more than {LARGEST_VALUE} characters")
        end = self._read + max(_PIECE_BYTES, len(left))
        self._text = left + self._decoder.decode(self._body[self._read : end], final=end >= len(self._body))
        self._read, self._index, self._tried = end, 0, False
        return True


class _Reader:
    def __init__(
        self, body: bytes, where: str, takers: Mapping[Path, Callable[[Any], None]], check: Callable[[], None]
    ) -> None:
        self._text = _Text(body, where, check)
        self._takers = takers
        self._members = MOST_MEMBERS
        self._entries = ENTRIES_FLOOR + len(body) // BYTES_PER_ENTRY

    def read(self) -> dict[str, Any]:
        if self._text.next() == "{":
            value = self._object(())
        else:
            self._text.value()
            value = None
        if self._text.next():
            raise ValueError
        return self._text.shape("answered JSON that is not an object") if value is None else value

    def _object(self, path: Path) -> dict[str, Any]:
        value: dict[str, Any] = {}
        self._text.skip("{")
        while not (self._text.next() == "}" and not value):
            if self._text.next() != '"':
                raise ValueError
            key = self._text.value()
            if key in value:
                raise ValueError
            self._members -= 1
            if self._members < 0:
                self._text.shape(f"has more than {MOST_MEMBERS} keys")
            self._text.skip(":")
            value[key] = self._member((*path, key))
            if self._text.skip(",", "}") == "}":
                return value
        self._text.skip("}")
        return value

    def _member(self, path: Path) -> Any:
        first = self._text.next()
        if first == "{" and len(path) < _LEVELS:
            return self._object(path)
        if first == "[":
            self._list(self._takers.get(path, _forget))
            return []
        value = self._text.value()
        return {} if first == "{" else value

    def _list(self, take: Callable[[Any], None]) -> None:
        self._text.skip("[")
        if self._text.next() == "]":
            self._text.skip("]")
            return
        while True:
            values = self._text.values()
            self._entries -= len(values)
            if self._entries < 0:
                self._text.shape("lists more entries than fit into so few bytes")
            for value in values:
                take(value)
            if self._text.skip(",", "]") == "]":
                return


def _forget(_: object) -> None:
    return


def unhurried() -> None:
    """Let reading take as long as it takes."""


def parse_object(
    body: bytes,
    where: str,
    takers: Mapping[Path, Callable[[Any], None]] | None = None,
    check: Callable[[], None] = unhurried,
) -> dict[str, Any]:
    """Return the object that `body` is, without its bulk: what is in its lists goes to `takers`, and is not kept.

    Args:
        body: UTF-8 without a byte order mark.
        where: the path that answered it, for the error's text.
        takers: who is given each entry of the list under these keys, in its order; the entries of other lists are
            read and forgotten.
        check: is called before each piece, and may raise PollError: a large answer is not read in no time.

    Returns:
        The keys of the object and of the objects right below it. A list is empty here, and so is an object further
        below.

    Raises:
        PollError: `NOT_JSON`, also for NaN, an infinite number, a key that stands twice, and a nesting that is too
            deep to follow; `SHAPE`, it is JSON and no object, or beyond the bounds of this module. Takers may have been
            given entries by then.
    """
    try:
        return _Reader(body, where, takers or {}, check).read()
    except (ValueError, RecursionError):
        # From None: the exception holds the answer, and an answer may hold a secret.
        raise PollError(Reason.NOT_JSON, f"{where} answered something that is not JSON") from None
