"""What differs between LocalAI's releases in an answer's head and fixed texts, as the captures have it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from exporter.usage import UsageError

_V4_GENERATION = 3
_SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob: https:; media-src 'self' data: blob:; font-src 'self' data:; "
        "connect-src 'self' ws: wss: https: blob:; frame-src 'self' blob:; worker-src 'self' blob:; object-src 'none'; "
        "base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
    ),
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
}


@dataclass(frozen=True, slots=True)
class Release:
    """One release of LocalAI.

    Attributes:
        name: as a scenario names it.
        version: as `/version` names it.
        generation: of the P2P API, 1 to 3; the third is v4's.
        go_http: served by Go's own HTTP server (v3.7 on): sorted headers, JSON ends with a newline, long bodies come
            chunked. Before, by fasthttp: `Date` first, always with a length.
        ready: the body of `/readyz`.
        page: the stand-in for LocalAI's web page, as the captures have it.
        headers: further headers of every answer.
        well_known: whether it has `/.well-known/localai.json`.
    """

    name: str
    version: str
    generation: int
    go_http: bool
    ready: str
    page: str
    headers: Mapping[str, str] = field(default_factory=dict)
    well_known: bool = False

    @property
    def v4(self) -> bool:
        """Whether it knows MLX workers and user accounts, and asks for keys below `/api/` only."""
        return self.generation == _V4_GENERATION


def _page(size: str) -> str:
    return f"<!DOCTYPE html>\n<html><!-- {size}LocalAI's web page, left out --></html>\n"


RELEASES: Mapping[str, Release] = {
    release.name: release
    for release in (
        Release("v3.6.0", "v3.6.0 (8fb95686)", 1, go_http=False, ready="OK", page=_page("21703 bytes of ")),
        Release("v3.12.1", "v3.12.1 (fcecc12e)", 2, go_http=True, ready="", page=_page("15331 bytes of ")),
        Release(
            "v4.7.1", "v4.7.1 ()", 3, go_http=True, ready="", page=_page(""), headers=_SECURITY_HEADERS, well_known=True
        ),
    )
}
"""The releases that the simulator can be: one of each generation of the P2P API."""


def find_release(name: str) -> Release:
    """Return the release called `name`.

    Raises:
        UsageError: the simulator cannot be that release.
    """
    try:
        return RELEASES[name]
    except KeyError:
        raise UsageError(f"release {name!r} is not simulated: use one of {', '.join(RELEASES)}") from None


def nearest_release(name: str) -> Release:
    """Return the simulated release of the generation of `name`, such as `v3.9.0`; the newest if it cannot be told."""
    match = re.match(r"v?(\d+)\.(\d+)", name)
    version = (int(match[1]), int(match[2])) if match else (4, 0)
    if version >= (4, 0):
        return RELEASES["v4.7.1"]
    return RELEASES["v3.12.1" if version >= (3, 7) else "v3.6.0"]


@cache
def well_known_document(*, p2p: bool, distributed: bool) -> str:
    """Return the well-known document of v4.7.1 in one of its modes, as captured."""
    document = (files(__package__) / "well-known-v4.7.1.json").read_text(encoding="utf-8").removesuffix("\n")
    if not p2p:
        document = document.replace('"p2p":true', '"p2p":false')
    if distributed:
        document = _BACKEND_LOGS.sub("", document).replace(_SYSTEM, _NODE_LOGS + _SYSTEM)
    return document


# In distributed mode the logs of backends are those of a node.
_BACKEND_LOGS = re.compile(r'"backend_logs(?:_\w+)?":"[^"]+",')
_NODE_LOGS = (
    '"node_backend_logs":"/api/nodes/:id/backend-logs",'
    '"node_backend_logs_model":"/api/nodes/:id/backend-logs/:modelId",'
    '"node_backend_logs_ws":"/ws/nodes/:id/backend-logs/:modelId",'
)
_SYSTEM = '"system":"/system"'
