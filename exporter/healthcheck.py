"""Ask a running exporter for its health: for containers, whose images need no curl then."""

import errno
import http.client
import ssl
from contextlib import closing

from exporter.settings import HEALTHY_PATH, ListenAddress

_TIMEOUT_SECONDS = 3.0

_WANTS_CERTIFICATE = "it ends the TLS connection, as where a client certificate is wanted: use --web.health-address"


def complaint(address: ListenAddress) -> str:
    """Return what is wrong with the exporter that listens on `address`; nothing where it answers that it is healthy.

    It is asked in plain HTTP, and over TLS where it hangs up on that.
    """
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)  # noqa: S104
    try:
        return _status(http.client.HTTPConnection(host, address.port, timeout=_TIMEOUT_SECONDS))
    except (http.client.BadStatusLine, ConnectionResetError, BrokenPipeError):
        pass  # TLS, or no server of HTTP
    except (OSError, http.client.HTTPException) as error:
        return _in_words(error)
    return _over_tls(host, address.port)


def _over_tls(host: str, port: int) -> str:
    with closing(_secured(host, port)) as connection:
        try:
            connection.connect()
        except ssl.SSLError as error:
            # Below TLS 1.3 the handshake fails by an alert where a certificate is missing.
            return _WANTS_CERTIFICATE if "ALERT" in (error.reason or "") else "it speaks neither HTTP nor TLS"
        except OSError as error:
            return _in_words(error)
        try:
            return _status(connection)
        except TimeoutError as error:
            return _in_words(error)
        except (OSError, http.client.HTTPException):
            return _WANTS_CERTIFICATE


def _in_words(error: OSError | http.client.HTTPException) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {_TIMEOUT_SECONDS:g} s"
    if isinstance(error, OSError):
        return f"no connection ({errno.errorcode.get(error.errno or 0, 'no such host')})"
    return "what answers does not keep to HTTP"


def _secured(host: str, port: int) -> http.client.HTTPSConnection:
    # It asks this very machine, and tells nothing: whose name the certificate bears makes no difference.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_SECONDS, context=context)


def _status(connection: http.client.HTTPConnection) -> str:
    try:
        connection.request("GET", HEALTHY_PATH)
        status = connection.getresponse().status
    finally:
        connection.close()
    return "" if status == http.client.OK else f"it answers with status {status}"
