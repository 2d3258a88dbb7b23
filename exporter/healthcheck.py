"""Ask a running exporter for its health: for containers, whose images need no curl then."""

import http.client

from exporter.settings import ListenAddress

_TIMEOUT_SECONDS = 3.0


def is_healthy(address: ListenAddress) -> bool:
    """Whether the exporter that listens on `address` answers that it is healthy."""
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)  # noqa: S104
    connection = http.client.HTTPConnection(host, address.port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/-/healthy")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
