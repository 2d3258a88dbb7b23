"""A registry becomes the bytes that a scraper asked for."""

import gzip
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

# The fastest level: it makes a page about 15 times smaller, the slowest one 20 times for six times the work.
_GZIP_LEVEL = 1

# The library takes over whatever version= it is asked for, a folded header's line break included.
_KNOWN = re.compile(
    r"(?:text/plain|application/openmetrics-text); version=(?:0\.0\.4|1\.0\.0); charset=utf-8(?:; escaping=[a-z0-9-]+)?"
)

_MEDIA = {
    "application/openmetrics-text": "application/openmetrics-text;",
    "text/plain": "text/plain;",
    "text/*": "text/plain;",
    "*/*": "text/plain;",
}
"""What may be asked for, and what it is answered with."""

_WEIGHT = re.compile(r"q\s*=\s*([01](?:\.[0-9]*)?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Page:
    """An HTTP body and what its header says of it."""

    body: bytes
    content_type: str
    content_encoding: str | None = None


def render(registry: CollectorRegistry, accept: str = "", accept_encoding: str = "") -> Page:
    """Collect once and write it in the format that `Accept` prefers, compressed where `Accept-Encoding` has gzip."""
    encoder, content_type = _choose(accept)
    body = encoder(registry)
    if accepts_gzip(accept_encoding):
        return Page(gzip.compress(body, _GZIP_LEVEL, mtime=0), content_type, "gzip")
    return Page(body, content_type)


def _choose(accept: str) -> tuple[Callable[[CollectorRegistry], bytes], str]:
    """Return the encoder of the most preferred format that we have, and its `Content-Type` (RFC 9110, 12.5.1)."""
    for media, wanted, _ in sorted(_weighted(accept), key=lambda part: -part[2]):
        if media not in _MEDIA:
            continue
        with suppress(ValueError, IndexError, TypeError):  # a version= that is no version
            encoder, content_type = choose_encoder(wanted)
            if _KNOWN.fullmatch(content_type) and content_type.startswith(_MEDIA[media]):
                return encoder, content_type
    # Whoever asks for what nobody knows is answered in the text format, which everybody reads.
    return choose_encoder("")


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
