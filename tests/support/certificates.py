"""A throwaway certificate authority, made by the `openssl` command."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

_CONFIG = """\
[req]
distinguished_name = name
prompt = no
[name]
CN = {name}
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {names}
"""

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its key, each in a PEM file."""

    cert_file: Path
    key_file: Path

    def server_context(self, client_ca: "Certificate | None" = None) -> ssl.SSLContext:
        """A server's TLS; with `client_ca` it wants a client certificate of that authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert_file, self.key_file)
        if client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(client_ca.cert_file)
        return context


def make_authority(folder: Path, name: str) -> Certificate:
    """Make a self-signed authority."""
    made, config = _prepare(folder, name, "DNS:unused.test")
    options = ["-config", str(config), "-extensions", "authority", "-days", "2"]
    _openssl("req", "-x509", *options, *_NEW_KEY, "-keyout", str(made.key_file), "-out", str(made.cert_file))
    return made


def make_leaf(folder: Path, name: str, authority: Certificate, names: str, days: int = 2) -> Certificate:
    """Make a certificate for `names`, as `DNS:localhost,IP:127.0.0.1`, signed by `authority`.

    Args:
        folder: where the files go.
        name: of the files and of the subject.
        authority: who signs.
        names: what it is for.
        days: until it expires; -1 is yesterday.
    """
    made, config = _prepare(folder, name, names)
    request = folder / f"{name}.csr"
    _openssl("req", "-new", "-config", str(config), *_NEW_KEY, "-keyout", str(made.key_file), "-out", str(request))
    signer = ["-CA", str(authority.cert_file), "-CAkey", str(authority.key_file)]
    options = ["-extfile", str(config), "-extensions", "leaf", "-days", str(days)]
    _openssl("x509", "-req", "-in", str(request), *signer, *options, "-out", str(made.cert_file))
    return made


def _prepare(folder: Path, name: str, names: str) -> tuple[Certificate, Path]:
    config = folder / f"{name}.cnf"
    config.write_text(_CONFIG.format(name=name, names=names))
    return Certificate(folder / f"{name}.pem", folder / f"{name}.key"), config


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=30)
