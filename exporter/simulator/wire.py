"""Requests and replies, and how LocalAI's two HTTP servers put a reply on the wire."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus

from exporter.simulator.releases import Release

JSON, TEXT, HTML = "application/json", "text/plain", "text/html"
"""The content types of LocalAI's answers, without their parameters."""

_GO_BUFFER = 2048  # bytes; Go's HTTP server sends what is longer in chunks
_CHARSETS = {JSON: "", TEXT: "; charset=utf-8", HTML: "; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked.

    Attributes:
        path: as it stood in the request line.
        headers: names in lower case.
        method: as it stood in the request line.
        close: whether the connection ends with the answer.
    """

    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    close: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer before it is put into HTTP.

    Attributes:
        body: without the newline with which Go ends JSON.
        content_type: one of the constants of this module, or None for no such header.
        status: the status line's.
    """

    body: str
    content_type: str | None = JSON
    status: HTTPStatus = HTTPStatus.OK


def render(reply: Reply, request: Request, release: Release, now: float) -> bytes:
    """Return the bytes with which `release` gives `reply` at `now`, in Unix seconds."""
    body = reply.body.encode()
    if release.go_http and reply.content_type == JSON:
        body += b"\n"
    lines = [
        f"HTTP/1.1 {reply.status.value} {reply.status.phrase}",
        *_head(reply, release, formatdate(now, usegmt=True)),
    ]
    close = ["Connection: close"] if request.close else []
    length = f"Content-Length: {len(body)}"
    if reply.content_type == HTML:
        # LocalAI streams its pages; the captures, whose pages are stand-ins, have a length where the framing was.
        lines += [*close, length]
    elif release.go_http and len(body) > _GO_BUFFER:
        lines += [*close, "Transfer-Encoding: chunked"]
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    else:
        lines += [length, *close]
    head = "".join(f"{line}\r\n" for line in lines) + "\r\n"
    return head.encode() + (b"" if request.method == "HEAD" else body)


def _head(reply: Reply, release: Release, date: str) -> list[str]:
    """Return the header lines up to those that frame the body."""
    headers = {}
    if reply.content_type:
        charset = _CHARSETS[reply.content_type]
        headers["Content-Type"] = reply.content_type + (charset.replace("utf", "UTF") if release.go_http else charset)
    unauthorized = reply.status is HTTPStatus.UNAUTHORIZED
    if unauthorized:
        headers["Www-Authenticate"] = "Bearer"
    if not release.go_http:
        return [f"Date: {date}", *(f"{name}: {value}" for name, value in headers.items())]
    headers |= release.headers
    if not unauthorized:  # the key is asked for before the middleware that sets it
        headers["Vary"] = "Origin"
    return [*(f"{name}: {value}" for name, value in sorted(headers.items())), f"Date: {date}"]
