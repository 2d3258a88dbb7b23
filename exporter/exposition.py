"""A registry becomes the bytes that a scraper asked for."""

import operator
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder

from exporter.families import END, Form, Written, encoded
from exporter.pieces import Pieces, merged

# The fastest level: it makes a page about 15 times smaller, the slowest one 20 times for six times the work.
_GZIP_LEVEL = 1
_GZIP = 16 + zlib.MAX_WBITS  # how zlib is told to write gzip's header and trailer

# The library takes over whatever version= it is asked for, a folded header's line break included.
_KNOWN = re.compile(
    r"(text/plain|application/openmetrics-text); version=(?:0\.0\.4|1\.0\.0); charset=utf-8(?:; escaping=[a-z0-9-]+)?"
)

# Ways to write names that change even such as need it not, as all here are: nobody is to ask for other names.
_ESCAPED = re.compile(r"; escaping=(?:dots|values)")

_MEDIA = {
    "application/openmetrics-text": Form.OPENMETRICS,
    "text/plain": Form.TEXT,
    "text/*": Form.TEXT,
    "*/*": Form.TEXT,
}
"""What may be asked for, and what it is answered with."""

_WEIGHT = re.compile(r"q\s*=\s*([01](?:\.[0-9]*)?)", re.IGNORECASE)


class Page(NamedTuple):
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
        form, content_type = _choose(accept)
        families = list(self._registry.collect())
        lasting = tuple(_lasting(families))
        is_packed = accepts_gzip(accept_encoding)
        head = self._head(lasting, form, _Packed if is_packed else _Plain)
        pieces = head.followed_by(merged(_texts(families[len(lasting) :], form)))
        return Page(pieces, content_type, "gzip" if is_packed else None)

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


def _lasting(families: Iterable[Metric]) -> Iterator[Written]:
    """Yield those that last, as far as there are no others."""
    for family in families:
        if not isinstance(family, Written) or not family.lasts:
            return
        yield family


def _texts(families: Iterable[Metric], form: Form) -> Iterator[bytes]:
    """Yield what a page that goes on with these families has of them, to its end."""
    others: list[Metric] = []
    for family in families:
        if isinstance(family, Written):
            yield encoded(others, form)
            others.clear()
            yield family.text(form)
        else:
            others.append(family)
    yield encoded(others, form)
    if form is Form.OPENMETRICS:
        yield END


@lru_cache(maxsize=16)
def _choose(accept: str) -> tuple[Form, str]:
    """Return the most preferred format that we have, and its `Content-Type` (RFC 9110, 12.5.1)."""
    for media, wanted, _ in sorted(_weighted(accept), key=lambda part: -part[2]):
        if media not in _MEDIA:
            continue
        with suppress(ValueError, IndexError, TypeError):  # a version= that is no version
            _, content_type = choose_encoder(wanted)
            known = _KNOWN.fullmatch(content_type)
            if known and _MEDIA[known[1]] is _MEDIA[media]:
                return _MEDIA[media], _ESCAPED.sub("; escaping=underscores", content_type)
    # Whoever asks for what nobody knows is answered in the text format, which everybody reads.
    _, content_type = choose_encoder("")
    return Form.TEXT, content_type


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
