"""The pages: metrics, a landing page, and two health paths that never depend on LocalAI."""

import html
from collections.abc import Callable, Mapping
from http import HTTPStatus

from prometheus_client import CollectorRegistry

from exporter import __version__
from exporter.exposition import render
from exporter.http1 import Request, Response, say
from exporter.server import Route
from exporter.settings import HEALTH_PATHS, HEALTHY_PATH, READY_PATH


def routes(
    registry: CollectorRegistry, telemetry_path: str, healthy: Callable[[], bool], ready: Callable[[], bool]
) -> Mapping[str, Route]:
    """Return what is served under which path.

    Args:
        registry: what the metrics come from.
        telemetry_path: where they are.
        healthy: whether the program, its loop and its servers live.
        ready: whether the first poll has ended.
    """
    landing = Response(_landing(telemetry_path), "text/html; charset=utf-8")

    def metrics(request: Request) -> Response:
        page = render(registry, request.headers.get("accept", ""), request.headers.get("accept-encoding", ""))
        encoding = {"Content-Encoding": page.content_encoding} if page.content_encoding else {}
        return Response(page.body, page.content_type, headers=encoding)

    return {"/": lambda _: landing, telemetry_path: metrics, **health_routes(healthy, ready)}


def health_routes(healthy: Callable[[], bool], ready: Callable[[], bool]) -> Mapping[str, Route]:
    """Return the health paths alone; as for `routes`."""

    def said(holds: Callable[[], bool], yes: str, no: str) -> Response:
        return say(HTTPStatus.OK, yes) if holds() else say(HTTPStatus.SERVICE_UNAVAILABLE, no)

    return {
        HEALTHY_PATH: lambda _: said(healthy, "Healthy.", "The poll loop or the server has stopped."),
        READY_PATH: lambda _: said(ready, "Ready.", "The first poll has not ended yet."),
    }


def _landing(telemetry_path: str) -> bytes:
    links = ((telemetry_path, "Metrics"), *zip(HEALTH_PATHS, ("Health", "Readiness"), strict=True))
    items = "\n".join(f'<li><a href="{html.escape(path)}">{name}</a></li>' for path, name in links)
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>LocalAI P2P Exporter</title></head>
<body>
<h1>LocalAI P2P Exporter</h1>
<p>Prometheus exporter for the P2P API of LocalAI, version {html.escape(__version__)}.</p>
<ul>
{items}
</ul>
</body>
</html>
""".encode()
