"""Real handshakes over loopback."""

import os
import ssl
import warnings
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.certificates import Certificate, make_leaf
from support.handshake import Outcome, client_context, limit, shake
from support.webconfig import Keys, make_keys

from exporter.usage import UsageError
from exporter.webconfig import PEM, ClientAuth, TLSConfig
from exporter.webguard import WebGuard
from exporter.webtls import admits

SANS = "DNS:prometheus.test,IP:192.0.2.7,IP:2001:db8::7,URI:spiffe://cluster.test/prom,email:prom@cluster.test"
OTHERS = "DNS:other.test,DNS:192.0.2.8,IP:192.0.2.9,URI:spiffe://cluster.test,email:other@cluster.test"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def keys(folder: Path) -> Keys:
    return make_keys(folder)


@pytest.fixture(scope="module")
def client(folder: Path, keys: Keys) -> Certificate:
    return make_leaf(folder, "client", keys.ca, SANS)


@pytest.fixture(scope="module")
def clients(folder: Path, keys: Keys, client: Certificate) -> Mapping[str | None, Certificate | None]:
    """What a client may show."""
    stranger = make_leaf(folder, "strange-client", keys.stranger, SANS)
    expired = make_leaf(folder, "expired-client", keys.ca, SANS, days=-1)
    return {None: None, "client": client, "stranger": stranger, "expired": expired}


def guard(folder: Path, *lines: str) -> WebGuard:
    path = folder / "web.yml"
    given = ("cert_file: server.pem", "key_file: server.key", *lines)
    path.write_text("\n  ".join(("tls_server_config:", *given)))
    return WebGuard(path, lambda: 0.0)


REQUIRED = ("client_auth_type: RequireAndVerifyClientCert", "client_ca_file: ca.pem")
IF_GIVEN = ("client_auth_type: VerifyClientCertIfGiven", "client_ca_file: ca.pem")


def allow(*sans: str) -> str:
    return f"client_allowed_sans: [{', '.join(repr(san) for san in sans)}]"


V1_1, V1_2, V1_3 = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize(
    ("lines", "version", "spoken"),
    [
        ((), V1_1, None),
        ((), V1_2, "TLSv1.2"),
        ((), V1_3, "TLSv1.3"),
        (("min_version: TLS12",), V1_1, None),
        (("min_version: TLS13",), V1_2, None),
        (("min_version: TLS13",), V1_3, "TLSv1.3"),
        (("max_version: TLS12",), V1_2, "TLSv1.2"),
        (("max_version: TLS12",), V1_3, None),
        (("min_version: TLS13", "max_version: TLS13"), V1_3, "TLSv1.3"),
        (("prefer_server_cipher_suites: false",), V1_2, "TLSv1.2"),
    ],
)
def test_the_versions_are_those_that_were_asked_for(
    folder: Path, keys: Keys, lines: tuple[str, ...], version: ssl.TLSVersion, spoken: str | None
) -> None:
    outcome = shake(guard(folder, *lines), limit(client_context(keys.ca), version))
    if spoken is None:
        # The server's own alert: the client did offer that version.
        assert outcome == Outcome(client_fault="TLSV1_ALERT_PROTOCOL_VERSION", server_fault="UNSUPPORTED_PROTOCOL")
    else:
        assert (outcome.served, outcome.version) == (True, spoken)


def test_a_client_that_would_speak_http_2_is_told_otherwise(folder: Path, keys: Keys) -> None:
    context = client_context(keys.ca)
    context.set_alpn_protocols(["h2", "http/1.1"])
    assert shake(guard(folder), context).alpn == "http/1.1"


@pytest.mark.parametrize("version", [V1_2, V1_3])
@pytest.mark.parametrize(
    ("lines", "shown", "served"),
    [
        ((), None, True),
        ((), "client", True),
        (REQUIRED, "client", True),
        (REQUIRED, None, False),
        (REQUIRED, "stranger", False),
        (REQUIRED, "expired", False),
        (IF_GIVEN, "client", True),
        (IF_GIVEN, None, True),
        (IF_GIVEN, "stranger", False),
        (IF_GIVEN, "expired", False),
        ((*REQUIRED, allow("prometheus.test")), "client", True),
        ((*REQUIRED, allow("other.test", "192.0.2.7")), "client", True),
        ((*REQUIRED, allow("2001:DB8:0::7")), "client", True),
        ((*REQUIRED, allow("spiffe://cluster.test/prom")), "client", True),
        ((*REQUIRED, allow("prom@cluster.test")), "client", True),
        ((*REQUIRED, allow("other.test")), "client", False),
        ((*REQUIRED, allow("PROMETHEUS.test")), "client", False),
        ((*REQUIRED, allow("*.test", "test", "prometheus.test.")), "client", False),
        ((*REQUIRED, allow("192.0.2.0/24", "192.0.2.70")), "client", False),
        ((*REQUIRED, allow("spiffe://cluster.test", "cluster.test")), "client", False),
        ((*REQUIRED, allow("prometheus.test")), None, False),
        ((*REQUIRED, allow("prometheus.test")), "stranger", False),
        ((*IF_GIVEN, allow("prometheus.test")), "client", True),
        ((*IF_GIVEN, allow("other.test")), "client", False),
        ((*IF_GIVEN, allow("other.test")), None, True),
    ],
)
def test_who_may_stay(
    folder: Path,
    keys: Keys,
    clients: Mapping[str | None, Certificate | None],
    *,
    version: ssl.TLSVersion,
    lines: tuple[str, ...],
    shown: str | None,
    served: bool,
) -> None:
    outcome = shake(guard(folder, *lines), limit(client_context(keys.ca, clients[shown]), version))
    assert outcome.served is served


def test_a_name_that_is_written_like_an_address_is_none(folder: Path, keys: Keys) -> None:
    other = make_leaf(folder, "other", keys.ca, OTHERS)
    context = client_context(keys.ca, other)
    assert not shake(guard(folder, *REQUIRED, allow("192.0.2.8")), context).served
    assert shake(guard(folder, *REQUIRED, allow("192.0.2.9")), context).served


def test_any_certificate_of_the_file_is_an_authority(folder: Path, keys: Keys, client: Certificate) -> None:
    # As with Go: the client's own certificate, which another has signed, is trusted by itself.
    (folder / "pinned.pem").write_text(f"# Zugelassen für Prometheus\n{client.cert_file.read_text()}", "utf-8")
    pinned = guard(folder, "client_auth_type: RequireAndVerifyClientCert", "client_ca_file: pinned.pem")
    assert shake(pinned, client_context(keys.ca, client)).served
    other = make_leaf(folder, "unpinned", keys.ca, SANS)
    assert not shake(pinned, client_context(keys.ca, other)).served


def indented(file: Path) -> str:
    return "|\n" + "".join(f"      {line}\n" for line in file.read_text().splitlines())


@pytest.mark.parametrize("in_memory", [True, False])
def test_certificates_and_keys_may_stand_in_the_configuration(
    tmp_path: Path, keys: Keys, client: Certificate, in_memory: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not in_memory:  # as on macOS
        monkeypatch.delattr(os, "memfd_create")
    path = tmp_path / "web.yml"
    path.write_text(
        "tls_server_config:\n"
        f"  cert: {indented(keys.server.cert_file)}"
        f"  key: {indented(keys.server.key_file)}"
        f"  client_ca: {indented(keys.ca.cert_file)}"
        "  client_auth_type: RequireAndVerifyClientCert\n"
    )
    inline = WebGuard(path, lambda: 0.0)
    assert shake(inline, client_context(keys.ca, client)).served
    assert not shake(inline, client_context(keys.ca)).served


@pytest.mark.usefixtures("keys")
def test_a_lack_of_descriptors_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_: str) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "memfd_create", none_left)
    with pytest.raises(UsageError) as caught:
        guard(folder)
    assert str(caught.value).endswith("web.yml: line 3: key_file cannot be handed to OpenSSL (OSError)")


def test_no_key_log_is_written(folder: Path, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "keys.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    assert shake(guard(folder), client_context(keys.ca)).served
    assert not log.exists()


@pytest.mark.usefixtures("keys")
def test_the_context_is_made_without_a_warning(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert guard(folder, *REQUIRED).tls_context() is not None


@pytest.mark.parametrize("certificate", [None, {}])
def test_a_connection_from_before_a_change_for_the_stricter_is_not_let_in(certificate: dict[str, str] | None) -> None:
    pem = PEM("here", Path("x"))
    assert admits(TLSConfig(cert=pem, key=pem), certificate)
    assert admits(TLSConfig(cert=pem, key=pem, client_auth=ClientAuth.IF_GIVEN), certificate)
    assert not admits(TLSConfig(cert=pem, key=pem, client_auth=ClientAuth.REQUIRED), certificate)


def test_a_certificate_without_names() -> None:
    pem = PEM("here", Path("x"))
    nameless = {"subject": ((("commonName", "prometheus.test"),),)}
    required = TLSConfig(cert=pem, key=pem, client_auth=ClientAuth.REQUIRED)
    assert admits(required, nameless)
    allowed = TLSConfig(cert=pem, key=pem, client_auth=ClientAuth.REQUIRED, allowed_sans=("prometheus.test",))
    assert not admits(allowed, nameless)
    # What OpenSSL has no text for, it calls by a word of its own.
    odd = {"subjectAltName": (("Registered ID", "prometheus.test"), ("IP Address", "<invalid>"), ("DNS", ""))}
    assert not admits(allowed, odd)
