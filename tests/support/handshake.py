"""One TLS connection over loopback between a guard's server and a client."""

import socket
import ssl
import threading
import warnings
from contextlib import suppress
from dataclasses import dataclass

from exporter.webguard import WebGuard
from support.acceptor import HANG_SECONDS
from support.certificates import Certificate


@dataclass
class Outcome:
    """What the two sides saw.

    Attributes:
        served: whether the client read the server's word, which is sent to a peer that may stay.
        version: of TLS, as the client has it.
        certificate: the server's, in DER.
        alpn: the protocol that was agreed on.
        client_fault: OpenSSL's word for why the client failed.
        server_fault: likewise the server.
    """

    served: bool = False
    version: str | None = None
    certificate: bytes | None = None
    alpn: str | None = None
    client_fault: str | None = None
    server_fault: str | None = None


def client_context(authority: Certificate, own: Certificate | None = None) -> ssl.SSLContext:
    """A client that trusts `authority` and shows `own`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority.cert_file)
    if own is not None:
        context.load_cert_chain(own.cert_file, own.key_file)
    return context


def limit(context: ssl.SSLContext, version: ssl.TLSVersion) -> ssl.SSLContext:
    """Let the client speak this version alone, also one that OpenSSL would not offer by itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
    return context


def shake(guard: WebGuard, client: ssl.SSLContext) -> Outcome:
    """Connect once."""
    outcome = Outcome()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.settimeout(HANG_SECONDS)
        context = guard.tls_context()
        assert context is not None
        try:
            with context.wrap_socket(connection, server_side=True) as secured:
                if guard.check_peer(secured):
                    secured.sendall(b"ok")
        except ssl.SSLError as error:
            outcome.server_fault = error.reason
        finally:
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(HANG_SECONDS)
        server = threading.Thread(target=serve, args=(listener,), daemon=True)
        server.start()
        try:
            with (
                socket.create_connection(listener.getsockname(), HANG_SECONDS) as plain,
                client.wrap_socket(plain, server_hostname="localhost") as secured,
            ):
                outcome.version, outcome.alpn = secured.version(), secured.selected_alpn_protocol()
                outcome.certificate = secured.getpeercert(binary_form=True)
                # With TLS 1.3 a refusal comes only now; the server may hang up without a word.
                with suppress(ConnectionError):
                    outcome.served = secured.recv(2) == b"ok"
        except ssl.SSLError as error:
            outcome.client_fault = error.reason
        server.join(HANG_SECONDS)
        assert not server.is_alive()
    return outcome
