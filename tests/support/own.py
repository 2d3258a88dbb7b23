"""What the values of ci/ leave to the operator: the Secrets and ConfigMaps that they name."""

from collections.abc import Mapping
from pathlib import Path

from support.certificates import Certificate, make_authority, make_leaf
from support.pod import Entries

KEY = "sk-mounted-7f3a"
"""LocalAI's key."""

PASSWORD = "for-this-test"  # noqa: S105 - of the user below
_USERS = b"""\
basic_auth_users:
  scraper: $2b$04$h7ulY52dRNKuDZfd/vmFxO.xtn14EaWhdjdVzCST/3ybpiNzXXeAS
"""
_MUTUAL_TLS = b"""\
tls_server_config:
  cert_file: ../tls/tls.crt
  key_file: ../tls/tls.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ../tls/ca.crt
"""


def make_keys(folder: Path) -> Mapping[str, Certificate]:
    """Make an authority `ca`, and a `server` and a `client` that it knows."""
    ca = make_authority(folder, "ca")
    leaves = {name: make_leaf(folder, name, ca, "DNS:localhost,IP:127.0.0.1") for name in ("server", "client")}
    return {"ca": ca, **leaves}


def own_objects(keys: Mapping[str, Certificate]) -> Mapping[tuple[str, str], Entries]:
    """Return what each of them holds, by kind and name."""
    ca = keys["ca"].cert_file.read_bytes()

    def pair(name: str) -> dict[str, bytes]:
        return {"tls.crt": keys[name].cert_file.read_bytes(), "tls.key": keys[name].key_file.read_bytes()}

    return {
        ("Secret", "local-ai-key"): {"key": KEY.encode(), "api-key": KEY.encode()},
        ("Secret", "local-ai-ca"): {"root.pem": ca},
        ("ConfigMap", "p2p-flags"): {"P2P_EXPORTER_EXPECT_HOST": b"gpu-4"},
        ("ConfigMap", "company-ca"): {"bundle.pem": ca},
        ("Secret", "exporter-client"): pair("client"),
        ("Secret", "exporter-tls"): {**pair("server"), "ca.crt": ca},
        ("Secret", "exporter-web"): {"web-config.yml": _MUTUAL_TLS, "web.yaml": _USERS},
    }
