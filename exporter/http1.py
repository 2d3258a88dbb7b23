"""HTTP/1.0 and 1.1 as far as a server of pages needs it: a request's head from bytes, an answer's head to bytes; pure.

What could be read in two ways is refused, never guessed: whoever stands before the server may guess the other way.
"""

import re
from collections.abc import Collection, Mapping
from email.utils import formatdate
from http import HTTPStatus
from types import MappingProxyType
from typing import NamedTuple

from exporter.pieces import Pieces

HEAD_BYTES = 16_384
"""The largest head of a request; Prometheus sends about 300 bytes, a browser with its cookies a few thousand."""

_HEAD_FIELDS = 64
_TARGET_BYTES = 8_000  # what RFC 9112 asks every recipient to take at least

PLAIN = "text/plain; charset=utf-8"

_SERVER = "localai-p2p-exporter"
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(rb"(%s) ([!-~]+) HTTP/([0-9])\.([0-9])" % _TOKEN)
_FIELD = re.compile(rb"(%s):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*" % _TOKEN)
_PLACE = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(?::[0-9]*)?"
_HOST = re.compile(rf"(?:{_PLACE})?")  # empty where the target has none
# A proxy's form of the target; its host says nothing here. Compiled by whoever sends it: a start waits for no more.
_ABSOLUTE = rf"(?i:https?)://{_PLACE}(?=[/?]|\Z)"


class Request(NamedTuple):
    """What a client asks.

    Attributes:
        method: `GET` or `HEAD`; `POST` where that is served.
        path: as it was sent, without the query: neither decoded nor normalised, so that it means one thing only.
        headers: from each name in lower case to its value; of a name that came twice, both with a comma between.
        keep_alive: whether the client wants to ask more on the same connection.
        arrived_at: monotonic time at which it was whole.
        query: as it was sent, without its question mark.
    """

    method: str
    path: str
    headers: Mapping[str, str] = MappingProxyType({})
    keep_alive: bool = True
    arrived_at: float = 0.0
    query: str = ""


class Response(NamedTuple):
    """What is answered; `headers` are those beside Content-Type, Content-Length, Date, Server and Connection."""

    body: Pieces
    content_type: str = PLAIN
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str] = MappingProxyType({})

    @property
    def length(self) -> int:
        """The body's length in bytes."""
        return sum(map(len, self.body))


def say(status: HTTPStatus, words: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer of one line of words."""
    return Response((f"{words}\n".encode(),), PLAIN, status, headers or {})


class Refused(Exception):  # noqa: N818 - it is an answer, not a fault of ours
    """A request that is not served, and what is said instead; the connection ends with it."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def _bad(words: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> Refused:
    return Refused(say(status, words))


def head_in(received: bytearray) -> bytes | None:
    """Take one request's head off the beginning of what was received; None while it is not whole.

    Raises:
        Refused: it is larger than `HEAD_BYTES`, or nothing but empty lines.
    """
    start = 2 if received.startswith(b"\r\n") else 0  # as some clients end the request before
    if received.startswith(b"\r\n", start) and start:
        raise _bad("That is no HTTP/1 request.")
    end = received.find(b"\r\n\r\n", start, HEAD_BYTES)
    if end >= 0:
        head = bytes(received[start:end])
        del received[: end + 4]
        return head
    if len(received) >= HEAD_BYTES:
        raise _bad("The request's header is too large.", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    return None


def parse(head: bytes, now: float = 0.0, posts: Collection[str] = ()) -> Request:
    """Read a head, without the empty line that ends it.

    Args:
        head: what `head_in` returned.
        now: monotonic time in seconds.
        posts: the paths that take a POST.

    Raises:
        Refused: it is not HTTP/1, is too large, has a body, or wants anything but to read a page or such a POST.
    """
    first, *lines = head.split(b"\r\n")
    asked = _REQUEST_LINE.fullmatch(first)
    if not asked:
        raise _bad("That is no HTTP/1 request.")
    if asked[3] != b"1":
        raise _bad("Only HTTP/1.0 and 1.1 are spoken here.", HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
    path, _, query = _without_origin(asked[2].decode()).partition("?")
    if asked[1] not in (b"GET", b"HEAD") and not (asked[1] == b"POST" and path in posts):
        raise Refused(say(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET and HEAD are served.", {"Allow": "GET, HEAD"}))
    if len(asked[2]) > _TARGET_BYTES:
        raise _bad("The path is too long.", HTTPStatus.REQUEST_URI_TOO_LONG)
    if len(lines) > _HEAD_FIELDS:
        raise _bad("The request has too many headers.", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    headers: dict[str, str] = {}
    for line in lines:
        match = _FIELD.fullmatch(line)
        if not match:  # a folded line too: what it continues is read in two ways
            raise _bad("A header of the request is none.")
        name, value = match[1].decode().lower(), match[2].decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    # RFC 9112, section 3.2: exactly one, and without a comma it was.
    if asked[4] != b"0" and not _HOST.fullmatch(headers.get("host", " ")):
        raise _bad("The request has no usable Host.")
    if "transfer-encoding" in headers or headers.get("content-length", "0") != "0":
        raise _bad("A request for a page has no body.")
    wanted = {word.strip() for word in headers.get("connection", "").lower().split(",")}
    keep_alive = "close" not in wanted and (asked[4] != b"0" or "keep-alive" in wanted)
    return Request(asked[1].decode(), path, headers, keep_alive, now, query)


def _without_origin(target: str) -> str:
    rest = re.sub(_ABSOLUTE, "", target, count=1) if not target.startswith("/") else target
    return f"/{rest}" if rest != target and not rest.startswith("/") else rest


def answer_head(response: Response, more: Mapping[str, str], now: float, *, keep_alive: bool) -> bytes:
    """Write the head of an answer.

    Args:
        response: what is answered.
        more: headers that every answer has; those of the response go first.
        now: Unix time.
        keep_alive: whether the connection stays.
    """
    lines = {
        "Server": _SERVER,
        "Date": formatdate(now, usegmt=True),
        "Content-Type": response.content_type,
        "Content-Length": str(response.length),
        "Connection": "keep-alive" if keep_alive else "close",
        "X-Content-Type-Options": "nosniff",
        **{name: value for name, value in more.items() if name not in response.headers},
        **response.headers,
    }
    fields = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {response.status.value} {response.status.phrase}\r\n{fields}\r\n".encode("latin-1")
