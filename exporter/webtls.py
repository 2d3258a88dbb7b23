"""TLS as the web configuration wants it: the server's context, and whether a client may stay after the handshake."""

import ipaddress
import os
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

from exporter.usage import UsageError
from exporter.webconfig import PEM, ClientAuth, TLSConfig

_VERIFY = {
    ClientAuth.NONE: ssl.CERT_NONE,
    ClientAuth.IF_GIVEN: ssl.CERT_OPTIONAL,
    ClientAuth.REQUIRED: ssl.CERT_REQUIRED,
}
_MISMATCH = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH")


def server_context(tls: TLSConfig) -> ssl.SSLContext:
    """Build the server's TLS configuration from what the files hold now.

    Raises:
        UsageError: a file cannot be used; the text has the line that names it.
    """
    # Not ssl.create_default_context(): that writes session keys into the file that SSLKEYLOGFILE names.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = tls.min_version
    context.maximum_version = tls.max_version
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    if not tls.prefer_server_ciphers:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    _load_key(context, tls)
    if tls.client_ca is not None:
        _trust(context, tls.client_ca, tls.client_ca.read())
        # As Go does: every certificate in the file is an authority, also one that another has signed.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_mode = _VERIFY[tls.client_auth]
    return context


def _trust(context: ssl.SSLContext, pem: PEM, content: bytes) -> None:
    try:
        # OpenSSL's bundles have comments, in any language.
        context.load_verify_locations(cadata=content.decode("ascii", "ignore"))
    except (ssl.SSLError, ValueError):
        raise UsageError(f"{pem.place} holds no certificate in PEM") from None


def _load_key(context: ssl.SSLContext, tls: TLSConfig) -> None:
    certificate, key = tls.cert.read(), tls.key.read()
    _trust(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), tls.cert, certificate)

    if b"PRIVATE KEY-----" not in key:
        raise UsageError(f"{tls.key.place} holds no private key in PEM")

    def refuse_to_ask() -> NoReturn:  # OpenSSL would ask on the terminal
        raise UsageError(f"{tls.key.place} is encrypted: give a key without a passphrase")

    try:
        with _as_file(certificate) as certificate_path, _as_file(key) as key_path:
            context.load_cert_chain(certificate_path, key_path, refuse_to_ask)
    except ssl.SSLError as error:
        if error.reason in _MISMATCH:
            raise UsageError(f"{tls.key.place} does not belong to the certificate") from None
        # The reason is a constant of OpenSSL.
        reason = f" ({error.reason})" if error.reason else ""
        raise UsageError(f"{tls.key.place} and its certificate are not accepted by OpenSSL{reason}") from None
    except OSError as error:
        raise UsageError(f"{tls.key.place} cannot be handed to OpenSSL ({type(error).__name__})") from None


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """Give bytes a path, for OpenSSL takes a key from a file alone: in memory where the system can."""
    in_memory = getattr(os, "memfd_create", None)
    with os.fdopen(in_memory("pem"), "wb") if in_memory else tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}" if in_memory else file.name


def admits(tls: TLSConfig, certificate: Mapping[str, Any] | None) -> bool:
    """Whether the client with this certificate may stay.

    Args:
        tls: the configuration.
        certificate: what `SSLSocket.getpeercert` says after the handshake; nothing where none was verified.
    """
    if tls.client_auth is ClientAuth.NONE:
        return True
    if not certificate:
        return tls.client_auth is ClientAuth.IF_GIVEN
    names = {_comparable(kind, text) for kind, text in certificate.get("subjectAltName", ())}
    return not tls.allowed_sans or any(_allowed(san) in names for san in tls.allowed_sans)


def _comparable(kind: str, text: str) -> str:
    if kind == "IP Address":
        return _address(text) or ""
    # A name that is written like an address is none.
    return text if kind in ("DNS", "email", "URI") and not _address(text) else ""


def _allowed(san: str) -> str:
    return _address(san) or san


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        return None
