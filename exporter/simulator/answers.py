"""Which answer LocalAI gives: what was asked, how it is configured and what it lists, to a whole HTTP answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from exporter.simulator import bodies, fleetbodies
from exporter.simulator.cluster import Entry
from exporter.simulator.fleet import Listing
from exporter.simulator.releases import RELEASES, Release, well_known_document
from exporter.simulator.wire import HTML, JSON, TEXT, Reply, Request, render

TOKEN = "cm9vbTogdGhlIHNpbXVsYXRvcidzLCBhbmQgbm9ib2R5IGVsc2Uncwo="  # noqa: S105 - opens nothing
"""The join token that the simulator shows unless told otherwise."""

P2P_PATHS: Mapping[str, str] = {
    "/api/p2p": "p2p",
    "/api/p2p/workers": "workers",
    "/api/p2p/federation": "federation",
    "/api/p2p/stats": "stats",
    "/api/p2p/token": "token",
}
"""The routes of the P2P API, and what the captures call them."""
FLEET_PATHS: Mapping[str, str] = {
    "/api/nodes": "nodes",
    "/api/nodes/models": "nodes-models",
    "/api/nodes/scheduling": "nodes-scheduling",
}
"""The routes of distributed mode, and what the captures call them."""
PATHS: Mapping[str, str] = {
    **P2P_PATHS,
    **FLEET_PATHS,
    "/version": "version",
    "/readyz": "readyz",
    "/.well-known/localai.json": "well-known",
}
"""Every route that the simulator has, and what the captures call it."""

_NO_FLEET = Listing()
_WEB_UI_ROUTES = ("workers", "federation", "stats")
_FLEET_BODIES: Mapping[str, Callable[[Listing], str]] = {
    "nodes": lambda fleet: fleetbodies.nodes(fleet.members),
    "nodes-models": lambda fleet: fleetbodies.models(fleet.replicas),
    "nodes-scheduling": lambda fleet: fleetbodies.scheduling(fleet.plans),
}
_ADMINS_PATHS = {**P2P_PATHS, **FLEET_PATHS}


@dataclass(frozen=True, slots=True)
class Settings:
    """How LocalAI is configured.

    Attributes:
        release: which LocalAI it is.
        webui: False as with `LOCALAI_DISABLE_WEBUI=true`.
        p2p: whether P2P is on.
        distributed: whether it is in distributed mode, which v4 has.
        key: the API key, or with user accounts an admin's; None for none.
        reader_key: with user accounts, which v4 has, the key of one who is no admin; None for none.
        token: the network's join token.
    """

    release: Release = RELEASES["v4.7.1"]
    webui: bool = True
    p2p: bool = True
    distributed: bool = False
    key: str | None = None
    reader_key: str | None = None
    token: str = TOKEN


def answer(
    request: Request, settings: Settings, entries: Sequence[Entry], now: float, fleet: Listing = _NO_FLEET
) -> bytes:
    """Return the whole HTTP answer of LocalAI.

    Args:
        request: what was asked.
        settings: how LocalAI is configured.
        entries: what it lists, in its order; kinds that the release does not know are left out.
        now: its clock, in Unix seconds.
        fleet: what it lists in distributed mode.
    """
    path = request.path.partition("?")[0].rstrip("/")
    route = PATHS.get(path, "")
    if request.method not in ("GET", "HEAD"):
        reply = _error(HTTPStatus.METHOD_NOT_ALLOWED, "Method Not Allowed", "")
    else:
        reply = (
            _refusal(request, path, settings)
            or _found_in_fleet(route, settings, fleet)
            or _found(route, settings, entries, now)
            or _missing(request, settings)
        )
    return render(reply, request, settings.release, now)


def not_found(request: Request, release: Release, now: float) -> bytes:
    """Return what LocalAI answers where it has no such route, to one who may ask."""
    return render(_error(HTTPStatus.NOT_FOUND, "Resource not found", ""), request, release, now)


def _error(status: HTTPStatus, message: str, kind: str) -> Reply:
    return Reply(bodies.error(status, message, kind), JSON, status)


def _refusal(request: Request, path: str, settings: Settings) -> Reply | None:
    """Return what one is told who may not ask that, or None."""
    v4 = settings.release.v4
    open_path = path == "/readyz" or (v4 and not path.startswith("/api/"))
    if open_path or (settings.key is None and settings.reader_key is None):
        return None
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if given == settings.key:
        return None
    if v4 and given == settings.reader_key:
        forbidden = _error(HTTPStatus.FORBIDDEN, "Admin access required", "authorization_error")
        return forbidden if path in _ADMINS_PATHS and _exists(PATHS[path], settings) else None
    if v4 or (settings.release.go_http and JSON in request.headers.get("content-type", "")):
        return _error(HTTPStatus.UNAUTHORIZED, "An authentication key is required", "invalid_request_error")
    return Reply(settings.release.page, HTML, HTTPStatus.UNAUTHORIZED)


def _exists(route: str, settings: Settings) -> bool:
    if route in _WEB_UI_ROUTES:
        return settings.webui and settings.release.generation > 1
    if route in _FLEET_BODIES:
        return settings.distributed and settings.release.v4
    return settings.release.well_known if route == "well-known" else bool(route)


def _found_in_fleet(route: str, settings: Settings, fleet: Listing) -> Reply | None:
    """Return what stands at a route of distributed mode, or None if nothing does."""
    write = _FLEET_BODIES.get(route)
    return Reply(write(fleet)) if write and _exists(route, settings) else None


def _found(route: str, settings: Settings, entries: Sequence[Entry], now: float) -> Reply | None:
    """Return what stands at `route`, or None if nothing does."""
    if not _exists(route, settings):
        return None
    release, shown = settings.release, entries if settings.p2p else ()
    match route:
        case "p2p":
            body = bodies.p2p(shown, release)
        case "workers":
            body = bodies.workers(shown, release, now)
        case "federation":
            body = bodies.federation(shown, now)
        case "stats":
            body = bodies.stats(shown, release, now)
        case "version":
            body = f'{{"version":{bodies.json_string(release.version)}}}'
        case "well-known":
            body = well_known_document(p2p=settings.p2p, distributed=settings.distributed)
        case "token" if settings.p2p:
            return Reply(settings.token, TEXT)
        case "token":
            return Reply("", TEXT if release.go_http else None)  # fasthttp leaves the type out where there is no body
        case _:
            return Reply(release.ready, TEXT if release.ready else None)
    return Reply(body)


def _missing(request: Request, settings: Settings) -> Reply:
    headers = request.headers
    wants_page = HTML in headers.get("accept", "") and JSON not in headers.get("content-type", "")
    if settings.release.v4 and settings.webui and wants_page:
        return Reply(settings.release.page, HTML)  # its web page finds its own way in the browser
    return _error(HTTPStatus.NOT_FOUND, "Resource not found", "")
