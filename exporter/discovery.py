"""The targets of `--config.file` as Prometheus' http_sd discovers them."""

import json
from collections.abc import Callable, Iterable
from http import HTTPStatus

from exporter.http1 import Request, Response, say
from exporter.settings import PROBE_PATH
from exporter.targets import NamedTarget


class Discovery:
    """Answers what Prometheus' `http_sd_configs` ask: a group for each target, scraped where the list was asked for.

    Args:
        targets: gives those that there are now.
    """

    def __init__(self, targets: Callable[[], Iterable[NamedTarget]]) -> None:
        self._targets = targets

    def __call__(self, request: Request) -> Response:
        """Answer a request. Its `Host` is where Prometheus reaches this exporter, which it does not know itself."""
        address = request.headers.get("host", "")
        if not address:
            return say(HTTPStatus.BAD_REQUEST, "The request has no Host, which every target's address is.")
        groups = [
            {
                "targets": [address],
                "labels": {
                    **one.labels,
                    "instance": one.name,
                    "__metrics_path__": PROBE_PATH,
                    "__param_target": one.name,
                },
            }
            for one in self._targets()
        ]
        return Response((json.dumps(groups).encode(),), "application/json")
