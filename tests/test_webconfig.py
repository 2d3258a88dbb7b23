import base64
import json
import os
import re
import ssl
import string
import traceback
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.webconfig import FIXTURES, PASSPHRASE, make_keys

from exporter.files import read_file
from exporter.settings import Secret
from exporter.usage import UsageError
from exporter.webconfig import ClientAuth, WebConfig, parse_config
from exporter.webguard import WebGuard

CANARY = "canary-8c41d9"
HASH = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"

TLS_KEYS = (
    "tls_server_config knows cert, cert_file, cipher_suites, client_allowed_sans, client_auth_type, "
    "client_ca, client_ca_file, curve_preferences, key, key_file, max_version, min_version, "
    "prefer_server_cipher_suites"
)
SECTIONS = "the file knows basic_auth_users, http_server_config, rate_limit, tls_server_config"
HEADERS = (
    "headers knows Content-Security-Policy, Strict-Transport-Security, X-Content-Type-Options, X-Frame-"
    "Options, X-XSS-Protection"
)
OF_GO = (
    "is not supported: its names are those of Go. Leave it out: OpenSSL's defaults are served, and "
    "min_version TLS13 leaves out every cipher of TLS 1.2"
)
NO_HEADER = "holds a line break or another character that no HTTP header can carry"
TOO_OLD = "is too old: TLS 1.0 and 1.1 must not be used any more. Write TLS12 or TLS13"
NO_HASH = "this is no bcrypt hash: make one with htpasswd -nBC 10 USER"
NOBODY_VERIFIES = (
    "asks for a certificate that nobody verifies, which protects nothing: write "
    "RequireAndVerifyClientCert, and give client_ca_file"
)
NO_EFFECT = "has no effect without client_auth_type: write RequireAndVerifyClientCert there"
NEEDS_CA = "needs client_ca_file: whom else should a client's certificate descend from?"
NO_NAME = "a user's name holds a colon or a control character: nobody could log in"
FOR_PLAIN = "for plain HTTP leave the section out"

BAD = {
    "cert-file-is-no-cert": "line 2: cert_file holds no certificate in PEM",
    "cert-file-missing": "line 2: cert_file cannot be read (FileNotFoundError)",
    "cert-is-no-cert": "line 2: cert holds no certificate in PEM",
    "cert-twice": "line 4: cert and cert_file exclude each other: give one of them",
    "cipher-suites": f"line 4: cipher_suites {OF_GO}",
    "client-auth-type-unknown": f"line 4: client_auth_type must be one of {', '.join(ClientAuth)}",
    "client-ca-file-is-no-cert": "line 5: client_ca_file holds no certificate in PEM",
    "client-ca-file-missing": "line 5: client_ca_file cannot be read (FileNotFoundError)",
    "client-ca-without-type": f"line 4: client_ca_file {NO_EFFECT}",
    "content-type-options": "line 3: X-Content-Type-Options must be nosniff",
    "control-character": "line 2: there is a control character",
    "curve-preferences-are-text": "line 4: curve_preferences must be a list",
    "curve-preferences": f"line 4: curve_preferences {OF_GO}",
    "duplicate-key": "line 4: cert_file is there twice, first in line 2",
    "duplicate-section": "line 2: http_server_config is there twice, first in line 1",
    "duplicate-user": "line 3: a key of basic_auth_users is there twice, first in line 2",
    "frame-options": "line 3: X-Frame-Options must be deny or sameorigin",
    "hash-2x": f"line 2: basic_auth_users: {NO_HASH}",
    "hash-is-a-list": "line 2: basic_auth_users: must be plain text",
    "hash-missing": f"line 2: basic_auth_users: {NO_HASH}",
    "hash-salt": f"line 2: basic_auth_users: {NO_HASH}",
    "hash-too-cheap": f"line 2: basic_auth_users: {NO_HASH}",
    "hash-too-dear": "line 3: basic_auth_users: the hash costs more than 14: one check would hold up the scrapes",
    "hash-too-short": f"line 2: basic_auth_users: {NO_HASH}",
    "header-in-lower-case": f"line 3: unknown key x-frame-options: {HEADERS}",
    "header-not-ascii": f"line 3: X-XSS-Protection {NO_HEADER}",
    "header-with-a-line-break": f"line 3: Content-Security-Policy {NO_HEADER}",
    "headers-are-a-list": "line 2: headers must hold keys and their values",
    "key-file-has-a-nul": "line 3: key_file cannot be read (ValueError)",
    "key-file-is-a-folder": "line 3: key_file cannot be read (IsADirectoryError)",
    "key-file-is-no-key": "line 3: key_file holds no private key in PEM",
    "key-file-missing": "line 3: key_file cannot be read (FileNotFoundError)",
    "key-is-a-list": "line 2: a key must be plain text",
    "key-is-broken": "line 3: key and its certificate are not accepted by OpenSSL",
    "key-is-encrypted": "line 3: key_file is encrypted: give a key without a passphrase",
    "key-is-no-key": "line 3: key holds no private key in PEM",
    "key-of-another": "line 3: key_file does not belong to the certificate",
    "key-twice": "line 4: key and key_file exclude each other: give one of them",
    "list": "line 1: the file must hold keys and their values",
    "max-version-is-a-number": "line 4: max_version must be TLS12 or TLS13",
    "max-version-too-old": f"line 4: max_version {TOO_OLD}",
    "merge": "line 2: a key must be plain text",
    "min-above-max": "line 4: min_version must not be above max_version",
    "min-version-too-old": f"line 4: min_version {TOO_OLD}",
    "min-version-unknown": "line 4: min_version must be TLS12 or TLS13",
    "no-cert": f"line 1: tls_server_config needs one of cert_file and cert; {FOR_PLAIN}",
    "no-key": f"line 1: tls_server_config needs one of key_file and key; {FOR_PLAIN}",
    "not-utf8": "line 3: this is not UTF-8",
    "not-yaml-escape": "line 2: this is not YAML",
    "not-yaml": "line 2: this is not YAML",
    "password-for-a-hash": f"line 2: basic_auth_users: {NO_HASH}",
    "rate-limit": "line 1: rate_limit is not supported: leave it out; the server bounds its connections by itself",
    "request": f"line 4: client_auth_type {NOBODY_VERIFIES}",
    "require-any": f"line 4: client_auth_type {NOBODY_VERIFIES}",
    "require-without-ca": f"line 4: client_auth_type {NEEDS_CA}",
    "san-is-a-list": "line 8: client_allowed_sans must be plain text",
    "san-is-empty": "line 8: client_allowed_sans has an empty name",
    "sans-are-empty": "line 6: client_allowed_sans is empty: nobody could connect. Name somebody, or leave it out",
    "sans-are-text": "line 6: client_allowed_sans must be a list",
    "sans-without-type": f"line 4: client_allowed_sans {NO_EFFECT}",
    "section-has-a-tag": "line 1: tls_server_config must hold keys and their values",
    "section-is-a-list": "line 1: http_server_config must hold keys and their values",
    "section-is-text": "line 1: tls_server_config must hold keys and their values",
    "switch-is-a-number": "line 2: http2 must be true or false",
    "switch-is-text": "line 4: prefer_server_cipher_suites must be true or false",
    "text-has-a-tag": "line 2: cert_file must be plain text",
    "text-is-a-list": "line 2: cert_file must be plain text",
    "text-is-a-mapping": "line 2: cert_file must be plain text",
    "text-is-half-a-character": "line 2: cert_file must be plain text",
    "tls-is-empty": f"line 1: tls_server_config needs one of cert_file and cert; {FOR_PLAIN}",
    "tls-is-null": f"line 1: tls_server_config needs one of cert_file and cert; {FOR_PLAIN}",
    "too-deep": "line 2: this is nested too deeply",
    "two-documents": "line 2: a second document begins",
    "unknown-alias": "line 3: this is not YAML",
    "unknown-header": f"line 3: unknown key Content-Type: {HEADERS}",
    "unknown-http-key": "line 2: unknown key http3: http_server_config knows headers, http2",
    "unknown-section": f"line 1: unknown key tls_config: {SECTIONS}",
    "unknown-tls-key": f"line 2: unknown key cert_filse: {TLS_KEYS}",
    "unspeakable-key": f"line 2: unknown key: {TLS_KEYS}",
    "user-with-a-colon": f"line 2: basic_auth_users: {NO_NAME}",
    "user-with-a-line-break": f"line 2: basic_auth_users: {NO_NAME}",
    "users-are-empty": "line 1: basic_auth_users is empty: name a user, or leave it out to let everybody in",
    "verify-without-ca": f"line 4: client_auth_type {NEEDS_CA}",
    "words": "line 1: the file must hold keys and their values",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fixtures beside the files that they name."""
    place = tmp_path_factory.mktemp("web")
    make_keys(place)
    for file in FIXTURES.iterdir():
        (place / file.name).write_bytes(file.read_bytes())
    return place


def load(path: Path) -> WebConfig:
    return parse_config(read_file(path, "--web.config.file"), path)


def test_every_fixture_is_in_the_tables_here() -> None:
    names = {path.name for path in FIXTURES.iterdir()}
    assert names == {f"{name}.bad.yml" for name in BAD} | {f"{name}.good.yml" for name in GOOD}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_configuration_is_refused_in_these_words(folder: Path, name: str) -> None:
    path = folder / f"{name}.bad.yml"
    with pytest.raises(UsageError) as caught:
        WebGuard(path, lambda: 0.0)
    assert str(caught.value) == f"--web.config.file: {path}: {BAD[name]}"
    assert caught.value.__cause__ is None
    # Python's own words on what went wrong below would quote the file.
    assert "another exception" not in "".join(traceback.format_exception(caught.value))


GOOD: dict[str, dict[str, Any]] = {
    "empty": {},
    "comment": {},
    "tls": {"tls": (ClientAuth.NONE, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3, True, ())},
    "tls-all": {
        "tls": (
            ClientAuth.REQUIRED,
            ssl.TLSVersion.TLSv1_3,
            ssl.TLSVersion.TLSv1_3,
            False,
            (
                "prometheus.test",
                "192.0.2.7",
                "2001:db8::7",
                "spiffe://cluster.test/prometheus",
                "prometheus@cluster.test",
            ),
        ),
        "headers": {
            "Content-Security-Policy": "default-src 'self'",
            "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "deny",
            "X-XSS-Protection": "1",
        },
        "users": {"alice": HASH, "bób": HASH, "1234": HASH},
    },
    "verify-if-given": {"tls": (ClientAuth.IF_GIVEN, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3, True, ())},
    "no-client-cert": {"tls": (ClientAuth.NONE, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3, True, ())},
    "anchors": {"users": {"alice": HASH, "bob": HASH}},
    "blank-headers": {"headers": {"Strict-Transport-Security": "max-age=60"}},
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_configuration_means_this(folder: Path, name: str) -> None:
    path = folder / f"{name}.good.yml"
    config = load(path)
    found: dict[str, Any] = {}
    if config.tls:
        tls = config.tls
        found["tls"] = (tls.client_auth, tls.min_version, tls.max_version, tls.prefer_server_ciphers, tls.allowed_sans)
        assert tls.files[:2] == (folder / "server.pem", folder / "server.key")
    if config.headers:
        found["headers"] = dict(config.headers)
    if config.users:
        found["users"] = {user: secret.reveal() for user, secret in config.users.items()}
    assert found == GOOD[name]
    context = WebGuard(path, lambda: 0.0).tls_context()
    assert (context is not None) is (config.tls is not None)
    if context is not None and config.tls is not None:
        server_prefers = bool(context.options & ssl.OP_CIPHER_SERVER_PREFERENCE)
        assert server_prefers is config.tls.prefer_server_ciphers


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    with pytest.raises(UsageError) as caught:
        WebGuard(path, lambda: 0.0)
    assert str(caught.value) == f"--web.config.file: {path} cannot be read (FileNotFoundError)"
    path.write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(UsageError) as caught:
        WebGuard(path, lambda: 0.0)
    assert str(caught.value) == f"--web.config.file: {path} is larger than 1MiB"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UsageError) as caught:
        WebGuard(path, lambda: 0.0)
    assert str(caught.value) == f"--web.config.file: {path} is no regular file"


PAGE = (Path(__file__).parent.parent / "docs" / "web-configuration.md").read_text("utf-8")


@pytest.mark.parametrize("example", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
def test_the_examples_of_the_documentation_are_good(example: str) -> None:
    assert parse_config(example.encode(), Path("web.yml")) != WebConfig()


def test_absolute_paths_stay(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text(f"tls_server_config: {{cert_file: {folder}/server.pem, key_file: {folder}/server.key}}")
    assert WebGuard(path, lambda: 0.0).tls_context() is not None


# Each place of the format at which a secret may be put by mistake, or is put rightly.
PLACES = [
    "{0}",
    "- {0}",
    "a: [{0}",
    "a: *{0}",
    '"{0}',
    "%YAML {0}\n---",
    "!{0} x",
    "tls_server_config: {0}",
    "tls_server_config: {{'{0} {0}': x}}",
    "tls_server_config: {{cert_file: {0}, key_file: x}}",
    "tls_server_config: {{cert_file: server.pem, key_file: {0}}}",
    "tls_server_config: {{cert_file: server.pem, key: {0}}}",
    "tls_server_config: {{cert_file: server.pem, key: '-----BEGIN PRIVATE KEY-----\\n{0}'}}",
    "tls_server_config: {{cert: {0}, key: {0}}}",
    "tls_server_config: {{cert_file: server.pem, key_file: server.key, client_auth_type: {0}}}",
    "tls_server_config: {{cert_file: server.pem, key_file: server.key, min_version: {0}}}",
    "tls_server_config: {{cert_file: server.pem, key_file: server.key, prefer_server_cipher_suites: {0}}}",
    "tls_server_config: {{cert_file: server.pem, key_file: server.key, cipher_suites: [{0}]}}",
    "tls_server_config: {{cert_file: server.pem, key_file: server.key, client_allowed_sans: [{0}]}}",
    "http_server_config: {{http2: {0}}}",
    "http_server_config: {{headers: {{X-Frame-Options: {0}}}}}",
    'http_server_config: {{headers: {{X-XSS-Protection: "{0}\\n{0}"}}}}',
    "rate_limit: {0}",
    "basic_auth_users: {0}",
    "basic_auth_users: [{0}]",
    "basic_auth_users: {{alice: {0}}}",
    "basic_auth_users: {{alice: [{0}]}}",
    "basic_auth_users: {{alice: $2y$10${0}}}",
    "basic_auth_users: {{'{0}:': x}}",
    "basic_auth_users: {{{0}: x, {0}: x}}",
]


@pytest.mark.parametrize("text", PLACES)
@pytest.mark.parametrize("at_start", [True, False], ids=["start", "change"])
def test_no_error_repeats_what_the_file_says(
    folder: Path, tmp_path: Path, text: str, at_start: bool, caplog: pytest.LogCaptureFixture
) -> None:
    for file in folder.glob("server.*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    path = tmp_path / "web.yml"
    path.write_text("tls_server_config: {cert_file: server.pem, key_file: server.key}")
    clock = iter(range(100))
    guard = None if at_start else WebGuard(path, lambda: float(next(clock)))
    path.write_text(text.format(CANARY))
    shown = ""
    if guard is None:
        with pytest.raises(UsageError) as caught:
            WebGuard(path, lambda: 0.0)
        shown = "".join((str(caught.value), repr(caught.value), "".join(traceback.format_exception(caught.value))))
    else:
        guard.tls_context()
        assert len(caplog.records) == 1
        shown = repr(vars(caplog.records[0])) + repr(guard)
    for form in (CANARY, base64.b64encode(CANARY.encode()).decode(), repr(CANARY)):
        assert form not in shown


def test_no_repr_shows_a_secret(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    key = (folder / "server.key").read_text()
    path.write_text(
        yaml.safe_dump(
            {
                "tls_server_config": {"cert": (folder / "server.pem").read_text(), "key": key},
                "basic_auth_users": {"alice": HASH},
            }
        )
    )
    config = load(path)
    shown = repr(config) + str(config) + repr(WebGuard(path, lambda: 0.0))
    assert "alice" in shown
    assert "***" in shown
    for secret in (HASH, HASH[7:29], "PRIVATE", key.splitlines()[1]):
        assert secret not in shown
    assert isinstance(config.users["alice"], Secret)


def test_a_passphrase_is_not_asked_for(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError) as caught:
        WebGuard(folder / "key-is-encrypted.bad.yml", lambda: 0.0)
    assert PASSPHRASE not in "".join(traceback.format_exception(caught.value))
    assert capfd.readouterr() == ("", "")


def _text(path: Path) -> str:
    return path.read_text("utf-8")


KEYS = sorted(set(re.findall(r"[A-Za-z][A-Za-z0-9_-]+(?=:)", "".join(map(_text, FIXTURES.glob("*.good.yml"))))))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from([HASH, "TLS12", "TLS13", "server.pem", "deny", *(policy.value for policy in ClientAuth)]),
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner),
    max_leaves=12,
)


def judge(content: bytes) -> None:
    try:
        config = parse_config(content, Path("web.yml"))
    except UsageError as error:
        assert str(error).startswith("--web.config.file: web.yml: line ")
    else:
        assert isinstance(config, WebConfig)


@given(DOCUMENTS)
def test_any_document_is_a_configuration_or_a_usage_error(document: Any) -> None:
    judge(yaml.safe_dump(document, allow_unicode=True).encode())
    judge(json.dumps(document).encode())


@given(st.text(st.sampled_from(string.printable + "\ufeff\x85\u2028é"), max_size=80))
def test_any_text_is_a_configuration_or_a_usage_error(text: str) -> None:
    judge(text.encode())


@given(st.binary(max_size=80))
def test_any_bytes_are_a_configuration_or_a_usage_error(content: bytes) -> None:
    judge(content)
