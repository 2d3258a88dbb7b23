"""TLS to LocalAI: which certificates are accepted, and which one is shown, as the files have it by now."""

import ssl
from collections.abc import Callable
from typing import Self

from exporter.refreshed import Note, Refreshed
from exporter.settings import Target
from exporter.usage import UsageError


class ClientTLS:
    """What connections to one LocalAI, or to several that are reached alike, are secured with. For any thread.

    Args:
        target: which certificates, and whether they are checked.
        monotonic: a clock in seconds that never jumps.

    Raises:
        UsageError: a file cannot be used; the text names its flag.
    """

    def __init__(self, target: Target, monotonic: Callable[[], float]) -> None:
        self._target = target
        self._context = Refreshed(self._load, monotonic, "TLS configuration for LocalAI")

    @classmethod
    def of(cls, target: Target, monotonic: Callable[[], float]) -> Self | None:
        """Return that of a target; None where LocalAI is spoken to in plain HTTP. Else as the class itself."""
        return cls(target, monotonic) if target.is_secure else None

    def context(self) -> ssl.SSLContext:
        """Return what the next connection is made with."""
        return self._context.get()

    def _load(self, _: ssl.SSLContext | None, note: Note) -> ssl.SSLContext:
        target = self._target
        for file in filter(None, (target.tls_ca_file, target.tls_cert_file, target.tls_key_file)):
            note(file)
        # Not ssl.create_default_context(): that writes session keys into the file that SSLKEYLOGFILE names.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if target.tls_insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        try:
            if target.tls_ca_file is None:
                context.load_default_certs()
            else:
                context.load_verify_locations(target.tls_ca_file)
            if target.tls_cert_file is not None:
                context.load_cert_chain(target.tls_cert_file, target.tls_key_file)
        except OSError:  # ssl.SSLError is one
            raise UsageError(
                "--localai.tls-ca-file, --localai.tls-cert-file and --localai.tls-key-file must be PEM files that fit "
                "together, the key without a passphrase"
            ) from None
        return context
