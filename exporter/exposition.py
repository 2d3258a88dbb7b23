"""A registry becomes the bytes that a scraper asked for."""

import operator
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from itertools import chain
from typing import NamedTuple, Protocol, Self

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder

from exporter.families import END, Form, Lasts, Written, encoded
from exporter.pieces import Pieces, merged

# The fastest level: it makes a page about 15 times smaller, the slowest one 20 times for six times the work.
_GZIP_LEVEL = 1
_GZIP = 16 + zlib.MAX_WBITS  # how zlib is told to write gzip's header and trailer
# So much is compressed in a quarter of a millisecond, and a compressor's state is four times that.
_STATE_BYTES = 65_536

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
    families are the same objects. So the families that last longer go first.

    Args:
        registry: whose families may write themselves, or be such as the library's encoders write.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._kept: dict[tuple[Form, type[_Head]], _Kept] = {}
        self._used: set[tuple[Form, type[_Head]]] = set()

    def page(self, accept: str = "", accept_encoding: str = "") -> Page:
        """Collect once and write it in the format that `Accept` prefers, with gzip where `Accept-Encoding` has it."""
        form, content_type = _choose(accept)
        families = list(self._registry.collect())
        many, some = (_lasting(families, lasts) for lasts in (Lasts.MANY_PAGES, Lasts.SOME_PAGES))
        passing = (one for one in families if not isinstance(one, Written) or one.lasts is Lasts.ONE_PAGE)
        is_packed = accepts_gzip(accept_encoding)
        kind = _Packed if is_packed else _Plain
        kept = self._kept.setdefault((form, kind), _Kept(kind()))
        self._used.add((form, kind))
        head = kept.head((many, some), form)
        pieces = head.followed_by(merged(_texts(passing, form)))
        return Page(pieces, content_type, "gzip" if is_packed else None)

    def forget(self) -> None:
        """Keep nothing but what lasts for many pages, as it was asked for since the last time that this was called.

        The rest lasts no more, and its memory is wanted.
        """
        self._kept = {kind: kept for kind, kept in self._kept.items() if kind in self._used}
        self._used.clear()
        for kept in self._kept.values():
            kept.forget()


class _Compressor(Protocol):
    """What `zlib.compressobj` returns, whose type has no name."""

    def compress(self, data: bytes, /) -> bytes:
        """Take more, and return what has come out."""

    def flush(self) -> bytes:
        """Return the rest."""

    def copy(self) -> Self:
        """Return one that goes on from here."""


class _Plain:
    """What pages begin with, as it is."""

    def __init__(self, pieces: Pieces = ()) -> None:
        self._pieces = pieces

    def with_more(self, texts: Iterable[bytes]) -> "_Plain":
        """Return a longer beginning."""
        return _Plain((*self._pieces, *texts))

    def followed_by(self, texts: Iterable[bytes]) -> Pieces:
        """Return a page that goes on so."""
        return (*self._pieces, *texts)


class _Packed:
    """What pages begin with, compressed; more is compressed behind a copy of the compressor's state.

    As long as it is short it is kept as it is, and compressed with each page.
    """

    def __init__(self, pieces: Pieces = (), state: _Compressor | None = None, waiting: tuple[bytes, ...] = ()) -> None:
        self._pieces = pieces
        self._state = state
        self._waiting = waiting

    def with_more(self, texts: Iterable[bytes]) -> "_Packed":
        """Return a longer beginning."""
        texts = chain(self._waiting, texts)
        if self._state is not None:
            state = self._state.copy()
            return _Packed((*self._pieces, b"".join(map(state.compress, texts))), state)
        waiting: list[bytes] = []
        for text in texts:
            waiting.append(text)
            if sum(map(len, waiting)) >= _STATE_BYTES:
                state = _compressor()
                return _Packed((b"".join(map(state.compress, chain(waiting, texts))),), state)
        return _Packed(waiting=tuple(waiting))

    def followed_by(self, texts: Iterable[bytes]) -> Pieces:
        """Return a page that goes on so, as one member of gzip."""
        state = self._state.copy() if self._state else _compressor()
        return (*self._pieces, b"".join([*map(state.compress, chain(self._waiting, texts)), state.flush()]))


def _compressor() -> _Compressor:
    return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP)


_Head = _Plain | _Packed


class _Kept:
    """What pages of one kind begin with: as far as their families are the same as before, it is not written again."""

    def __init__(self, nothing: _Head) -> None:
        self._nothing = nothing
        self._heads: list[tuple[tuple[Written, ...], _Head]] = []

    def head(self, parts: Iterable[tuple[Written, ...]], form: Form) -> _Head:
        """Return a beginning with some families, and then others."""
        head = self._nothing
        for depth, families in enumerate(parts):
            if not self._has(depth, families):
                del self._heads[depth:]  # before it is made anew: it may have megabytes
                texts = chain.from_iterable(family.texts(form) for family in families)
                self._heads.append((families, head.with_more(merged(texts))))
            head = self._heads[depth][1]
        return head

    def forget(self) -> None:
        """Keep the first part alone."""
        del self._heads[1:]

    def _has(self, depth: int, families: tuple[Written, ...]) -> bool:
        if depth >= len(self._heads):
            return False
        kept = self._heads[depth][0]
        return len(kept) == len(families) and all(map(operator.is_, kept, families))


def _lasting(families: Iterable[Metric], lasts: Lasts) -> tuple[Written, ...]:
    return tuple(one for one in families if isinstance(one, Written) and one.lasts is lasts)


def _texts(families: Iterable[Metric], form: Form) -> Iterator[bytes]:
    """Yield what a page that goes on with these families has of them, to its end."""
    others: list[Metric] = []
    for family in families:
        if isinstance(family, Written):
            yield encoded(others, form)
            others.clear()
            yield from family.texts(form)
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
