"""The files that the web configurations of the tests name, and the configurations themselves."""

import base64
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from support.certificates import Certificate, make_authority, make_leaf

FIXTURES = Path(__file__).parent.parent / "webconfig"

PASSPHRASE = "canary-passphrase-51ab"  # noqa: S105


@dataclass(frozen=True)
class Keys:
    """An authority, the server's certificate, its successor, and a stranger's authority."""

    ca: Certificate
    server: Certificate
    next: Certificate
    stranger: Certificate


def make_keys(folder: Path) -> Keys:
    """Make them, and `encrypted.key` besides."""
    ca = make_authority(folder, "ca")
    server, successor = (make_leaf(folder, name, ca, "DNS:localhost,IP:127.0.0.1") for name in ("server", "next"))
    encrypt = ["openssl", "ec", "-in", str(server.key_file), "-aes128", "-passout", f"pass:{PASSPHRASE}"]
    subprocess.run([*encrypt, "-out", str(folder / "encrypted.key")], check=True, capture_output=True, timeout=30)
    return Keys(ca, server, successor, make_authority(folder, "stranger"))


def copy_keys(keys: Keys, folder: Path) -> None:
    """Put the authority's and the server's files into `folder` under the names that the configurations use."""
    for file in (*keys.ca.cert_file.parent.glob("*.pem"), *keys.ca.cert_file.parent.glob("*.key")):
        shutil.copy(file, folder / file.name)


def basic(credentials: str | bytes, scheme: str = "Basic") -> str:
    """The `Authorization` header of these credentials."""
    raw = credentials.encode() if isinstance(credentials, str) else credentials
    return f"{scheme} {base64.b64encode(raw).decode()}"
