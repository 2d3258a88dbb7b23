"""A registry becomes the bytes that a scraper asked for."""

import operator
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import TypeGuard

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder, generate_latest

from exporter.families import END, Encoder, Form, Written, encoded
from exporter.pieces import Pieces, merged

# The fastest level: it makes a page about 15 times smaller, the slowest one 20 times for six times the work.
_GZIP_LEVEL = 1
_GZIP = 16 + zlib.MAX_WBITS  # how zlib is told to write gzip's header and trailer

# The library takes over whatever version= it is asked for, a folded header's line break included.
_KNOWN = re.compile(
    r"(text/plain|application/openmetrics-text); version=(?:0\.0\.4|1\.0\.0); charset=utf-8(?:; escaping=([a-z0-9-]+))?"
)

_MEDIA = {
    "application/openmetrics-text": Form.OPENMETRICS,
    "text/plain": Form.TEXT,
    "text/*": Form.TEXT,
    "*/*": Form.TEXT,
}
"""What may be asked for, and what it is answered with."""

_PLAIN_NAMES = {None, "underscores", "allow-utf-8"}
"""The ways to escape names that leave those alone that need it not, as ours."""

_WEIGHT = re.compile(r"q\s*=\s*([01](?:\.[0-9]*)?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Page:
    """An HTTP body and what its header says of it."""

    pieces: Pieces
    content_type: str
    content_encoding: str | None = None

    @property
    def body(self) -> bytes:
        """All of it in one piece."""
        return b"".join(self.pieces)


class Renderer:
    """Writes pages of one registry, for one thread at a time.

    What a page begins with is kept, plain or compressed as it was asked for, and serves the next ones while its
    families are the same objects. So the families that last go first.

    Args:
        registry: whose families may write themselves, or be such as the library's encoders write.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._kept: dict[tuple[Form, type[_Head]], tuple[tuple[Written, ...], _Head]] = {}

    def page(self, accept: str = "", accept_encoding: str = "") -> Page:
        """Collect once and write it in the format that `Accept` prefers, with gzip where `Accept-Encoding` has it."""
        chosen = _choose(accept)
        families = list(self._registry.collect())
        lasting = tuple(filter(_lasts, families)) if chosen.is_plain else ()
        passing = [family for family in families if not _lasts(family)] if chosen.is_plain else families
        is_packed = accepts_gzip(accept_encoding)
        head = self._head(lasting, chosen.form, _Packed if is_packed else _Plain)
        pieces = head.followed_by(merged(chosen.texts(passing)))
        return Page(pieces, chosen.content_type, "gzip" if is_packed else None)

    def forget(self) -> None:
        """Keep nothing: what lasted does so no more, and its memory is wanted for what follows it."""
        self._kept.clear()

    def _head(self, families: tuple[Written, ...], form: Form, kind: "type[_Head]") -> "_Head":
        of, head = self._kept.get((form, kind), ((), None))
        if head is None or len(of) != len(families) or not all(map(operator.is_, of, families)):
            head = kind(merged(family.text(form) for family in families))
            self._kept[form, kind] = families, head
        return head


class _Plain:
    """What pages begin with, as it is."""

    def __init__(self, texts: Iterable[bytes]) -> None:
        self._pieces = tuple(texts)

    def followed_by(self, texts: Iterable[bytes]) -> Pieces:
        """Return a page that goes on so."""
        return (*self._pieces, *texts)


class _Packed:
    """What pages begin with, compressed; another page's end is compressed behind a copy of the compressor's state."""

    def __init__(self, texts: Iterable[bytes]) -> None:
        self._state = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP)
        self._beginning = b"".join(map(self._state.compress, texts))

    def followed_by(self, texts: Iterable[bytes]) -> Pieces:
        """Return a page that goes on so, as one member of gzip."""
        state = self._state.copy()
        return self._beginning, b"".join([*map(state.compress, texts), state.flush()])


_Head = _Plain | _Packed


def _lasts(family: Metric) -> TypeGuard[Written]:
    return isinstance(family, Written) and family.lasts


@dataclass(frozen=True, slots=True)
class _Format:
    """A format that can be asked for.

    Attributes:
        content_type: what an answer's header says of it.
        form: how families write themselves in it.
        is_plain: whether they may: else names are escaped, which only `encoder` does.
        encoder: the library's.
    """

    content_type: str
    form: Form
    is_plain: bool
    encoder: Encoder

    def texts(self, families: Iterable[Metric]) -> Iterator[bytes]:
        """Yield what a page that goes on with these families has of them, to its end."""
        for is_written, group in groupby(families, lambda family: self.is_plain and isinstance(family, Written)):
            if is_written:
                yield from (family.text(self.form) for family in group if isinstance(family, Written))
            else:
                yield encoded(group, self.encoder)
        if self.form is Form.OPENMETRICS:
            yield END


@lru_cache(maxsize=16)
def _choose(accept: str) -> _Format:
    """Return the most preferred format that we have (RFC 9110, 12.5.1)."""
    for media, wanted, _ in sorted(_weighted(accept), key=lambda part: -part[2]):
        if media not in _MEDIA:
            continue
        with suppress(ValueError, IndexError, TypeError):  # a version= that is no version
            chosen = _format(*choose_encoder(wanted))
            if chosen is not None and chosen.form is _MEDIA[media]:
                return chosen
    return _TEXT


def _format(encoder: Encoder, content_type: str) -> _Format | None:
    known = _KNOWN.fullmatch(content_type)
    return known and _Format(content_type, _MEDIA[known[1]], known[2] in _PLAIN_NAMES, encoder)


# What is answered where nothing is asked for that anybody knows: everybody reads it.
_TEXT = _Format(CONTENT_TYPE_PLAIN_0_0_4, Form.TEXT, is_plain=True, encoder=generate_latest)


def accepts_gzip(accept_encoding: str) -> bool:
    """Tell whether a client takes gzip: named, and not at weight 0 (RFC 9110, 12.5.3)."""
    return any(coding == "gzip" for coding, _, _ in _weighted(accept_encoding))


def _weighted(header: str) -> Iterator[tuple[str, str, float]]:
    """Yield each part that is wanted: its name in lower case, all of it, and its weight (RFC 9110, 12.4.2)."""
    for part in header.split(","):
        name, *parameters = (text.strip() for text in part.split(";"))
        weights = [float(match[1]) for text in parameters if (match := _WEIGHT.fullmatch(text))]
        if weight := min(weights, default=1.0):
            yield name.lower(), part, weight
