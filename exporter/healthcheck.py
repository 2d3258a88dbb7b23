"""Ask a running exporter for its health: for containers, whose images need no curl then."""

import http.client
import ssl

from exporter.settings import HEALTHY_PATH, ListenAddress

_TIMEOUT_SECONDS = 3.0


def is_healthy(address: ListenAddress) -> bool:
    """Whether the exporter that listens on `address` answers that it is healthy, in plain HTTP or over TLS."""
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)  # noqa: S104
    plain = http.client.HTTPConnection(host, address.port, timeout=_TIMEOUT_SECONDS)
    return _answers(plain) or _answers(_secured(host, address.port))


def _secured(host: str, port: int) -> http.client.HTTPSConnection:
    # It asks this very machine, and tells nothing: whose name the certificate bears makes no difference.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_SECONDS, context=context)


def _answers(connection: http.client.HTTPConnection) -> bool:
    try:
        connection.request("GET", HEALTHY_PATH)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
