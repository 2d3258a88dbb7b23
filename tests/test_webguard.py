"""The files really change, and the clock moves only when a test moves it."""

import logging
import os
import shutil
import ssl
import threading
from pathlib import Path

import bcrypt
import pytest
from support.acceptor import HANG_SECONDS
from support.certificates import Certificate, make_leaf
from support.clocks import FakeClock
from support.handshake import client_context, shake
from support.webconfig import Keys, basic, copy_keys, make_keys

from exporter.settings import HEALTH_PATHS
from exporter.usage import UsageError
from exporter.webguard import WebGuard
from exporter.webusers import Access

TLS = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"
MTLS = f"{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"
SANS = f"{MTLS}  client_allowed_sans: [prometheus.test]\n"
NOT_USED = "the new web configuration is not used"
READ_AGAIN = "the web configuration was read again"


def users(*names: str) -> str:
    """Users, each with the own name as the password."""
    rows = [f"  {name}: {bcrypt.hashpw(name.encode(), bcrypt.gensalt(4)).decode()}\n" for name in names]
    return "basic_auth_users:\n" + "".join(rows)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def client(keys: Keys) -> Certificate:
    return make_leaf(keys.ca.cert_file.parent, "client", keys.ca, "DNS:prometheus.test")


class Served:
    """A guard, its files and its clock."""

    def __init__(self, folder: Path, text: str) -> None:
        self.folder = folder
        self.path = folder / "web.yml"
        self.clock = FakeClock()
        self.write(text)
        self.guard = WebGuard(self.path, self.clock.clock.monotonic)

    def write(self, text: str) -> None:
        self.path.write_text(text)

    def put(self, certificate: Certificate) -> None:
        """Make it the server's."""
        shutil.copy(certificate.cert_file, self.folder / "server.pem")
        shutil.copy(certificate.key_file, self.folder / "server.key")

    def lets_in(self, name: str) -> bool:
        return self.guard.authorize("/metrics", basic(f"{name}:{name}")) is Access.GRANTED


@pytest.fixture
def folder(tmp_path: Path, keys: Keys) -> Path:
    copy_keys(keys, tmp_path)
    return tmp_path


def der(certificate: Certificate) -> bytes:
    return ssl.PEM_cert_to_DER_cert(certificate.cert_file.read_text())


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str, str]]:
    """Level, words and reason of each line."""
    found = [(r.levelno, r.getMessage(), getattr(r, "fields", {}).get("reason", "")) for r in caplog.records]
    caplog.clear()
    return found


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


def test_a_new_certificate_is_served_to_the_next_connection(
    folder: Path, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    served = Served(folder, TLS)
    assert shake(served.guard, client_context(keys.ca)).certificate == der(keys.server)
    served.put(keys.next)
    served.clock.advance(0.999)
    assert shake(served.guard, client_context(keys.ca)).certificate == der(keys.server)
    served.clock.advance(0.001)
    assert shake(served.guard, client_context(keys.ca)).certificate == der(keys.next)
    assert lines(caplog) == [(logging.INFO, READ_AGAIN, "")]


def test_what_did_not_change_is_not_read_again(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    served = Served(folder, TLS)
    context = served.guard.tls_context()
    for _ in range(5):
        served.clock.advance(60)
        assert served.guard.tls_context() is context
    assert lines(caplog) == []


def test_a_certificate_without_its_key_yet_keeps_the_old_pair(
    folder: Path, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    served = Served(folder, TLS)
    shutil.copy(keys.next.cert_file, folder / "server.pem")
    for _ in range(3):
        served.clock.advance(1)
        assert shake(served.guard, client_context(keys.ca)).certificate == der(keys.server)
    reason = f"--web.config.file: {served.path}: line 3: key_file does not belong to the certificate"
    assert lines(caplog) == [(logging.ERROR, NOT_USED, reason)]
    shutil.copy(keys.next.key_file, folder / "server.key")
    served.clock.advance(1)
    assert shake(served.guard, client_context(keys.ca)).certificate == der(keys.next)
    assert lines(caplog) == [(logging.INFO, READ_AGAIN, "")]


def test_a_file_that_is_gone_and_comes_back(folder: Path, keys: Keys, caplog: pytest.LogCaptureFixture) -> None:
    served = Served(folder, TLS)
    for name, place in (
        ("server.pem", "line 2: cert_file"),
        ("server.key", "line 3: key_file"),
        ("web.yml", ""),
    ):
        (folder / name).rename(folder / "away")
        served.clock.advance(1)
        assert shake(served.guard, client_context(keys.ca)).served
        ((level, words, reason),) = lines(caplog)
        assert (level, words) == (logging.ERROR, NOT_USED)
        begin = f"--web.config.file: {served.path}"
        assert reason == f"{begin}{': ' if place else ''}{place} cannot be read (FileNotFoundError)"
        (folder / "away").rename(folder / name)
        served.clock.advance(1)
        assert shake(served.guard, client_context(keys.ca)).served
        assert lines(caplog) == [(logging.INFO, READ_AGAIN, "")]


def test_a_link_that_is_turned_is_seen_as_kubernetes_does_it(folder: Path, keys: Keys) -> None:
    for name, certificate in (("first", keys.server), ("second", keys.next)):
        (folder / name).mkdir()
        shutil.copy(certificate.cert_file, folder / name / "server.pem")
        shutil.copy(certificate.key_file, folder / name / "server.key")
        for file in (folder / name).iterdir():
            os.utime(file, (1_700_000_000, 1_700_000_000))
    (folder / "data").symlink_to("first")
    served = Served(folder, TLS.replace("server.", "data/server."))
    assert shake(served.guard, client_context(keys.ca)).certificate == der(keys.server)
    (folder / "turned").symlink_to("second")
    (folder / "turned").rename(folder / "data")
    served.clock.advance(1)
    assert shake(served.guard, client_context(keys.ca)).certificate == der(keys.next)


def test_a_new_authority_decides_on_the_next_client(folder: Path, keys: Keys, client: Certificate) -> None:
    served = Served(folder, MTLS)
    assert shake(served.guard, client_context(keys.ca, client)).served
    shutil.copy(keys.stranger.cert_file, folder / "ca.pem")
    served.clock.advance(1)
    assert not shake(served.guard, client_context(keys.ca, client)).served


def test_new_names_decide_on_the_next_client(folder: Path, keys: Keys, client: Certificate) -> None:
    served = Served(folder, SANS)
    assert shake(served.guard, client_context(keys.ca, client)).served
    served.write(SANS.replace("prometheus.test", "other.test"))
    served.clock.advance(1)
    assert not shake(served.guard, client_context(keys.ca, client)).served


def test_new_users_decide_on_the_next_request(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    served = Served(tmp_path, users("alice"))
    assert (served.lets_in("alice"), served.lets_in("bob")) == (True, False)
    served.write(users("bob"))
    assert (served.lets_in("alice"), served.lets_in("bob")) == (True, False)
    served.clock.advance(1)
    assert (served.lets_in("alice"), served.lets_in("bob")) == (False, True)
    assert lines(caplog) == [(logging.INFO, READ_AGAIN, "")]


def test_users_may_come_while_it_runs(tmp_path: Path) -> None:
    served = Served(tmp_path, "")
    assert served.lets_in("alice")
    assert not served.guard.asks("/metrics")
    served.write(users("bob"))
    served.clock.advance(1)
    assert served.guard.asks("/metrics")
    assert not served.lets_in("alice")


@pytest.mark.parametrize("path", HEALTH_PATHS)
def test_a_probe_is_asked_for_nothing(path: str, tmp_path: Path) -> None:
    guard = Served(tmp_path, users("alice")).guard
    assert not guard.asks(path)
    assert guard.authorize(path, "") is Access.GRANTED


def test_new_headers_are_sent_with_the_next_response(tmp_path: Path) -> None:
    served = Served(tmp_path, "http_server_config: {headers: {X-Frame-Options: deny}}")
    assert served.guard.response_headers() == {"X-Frame-Options": "deny"}
    served.write("http_server_config: {headers: {X-Frame-Options: sameorigin}}")
    served.clock.advance(1)
    assert served.guard.response_headers() == {"X-Frame-Options": "sameorigin"}


def test_a_broken_file_keeps_the_old_users_and_says_so_once_for_each_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    served = Served(tmp_path, users("alice"))
    for text, place in (("basic_auth_users: {", "line 1: this is not YAML"), ("x: y", "line 1: unknown key x: ")):
        served.write(text)
        for _ in range(3):
            served.clock.advance(1)
            assert served.lets_in("alice")
        ((level, words, reason),) = lines(caplog)
        assert (level, words) == (logging.ERROR, NOT_USED)
        assert reason.startswith(f"--web.config.file: {served.path}: {place}")


@pytest.mark.parametrize(
    ("before", "after", "name"),
    [
        ("users", "", "basic_auth_users"),
        ("users", "http_server_config: {}", "basic_auth_users"),
        (TLS, "", "tls_server_config"),
        (MTLS, TLS, "client_auth_type"),
        (MTLS, MTLS.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven"), "client_auth_type"),
        (SANS, MTLS, "client_allowed_sans"),
        (f"{TLS}users", TLS, "basic_auth_users"),
    ],
)
def test_no_protection_goes_while_it_runs(
    folder: Path, caplog: pytest.LogCaptureFixture, before: str, after: str, name: str
) -> None:
    served = Served(folder, before.replace("users", users("alice")))
    context, closed = served.guard.tls_context(), not served.lets_in("mallory")
    served.write(after)
    served.clock.advance(1)
    assert (served.guard.tls_context(), not served.lets_in("mallory")) == (context, closed)
    reason = f"--web.config.file: {served.path}: {name} protects less than before: if it should, restart the exporter"
    assert lines(caplog) == [(logging.ERROR, NOT_USED, reason)]
    WebGuard(served.path, served.clock.clock.monotonic)


def test_a_file_that_is_written_bit_by_bit_never_opens_the_server(folder: Path) -> None:
    whole = f"{SANS}{users('alice')}"
    served = Served(folder, whole)
    for length in range(len(whole)):
        served.write(whole[:length])
        served.clock.advance(1)
        assert served.guard.tls_context() is not None
        assert served.guard.authorize("/metrics", "") is Access.REFUSED


def test_tls_does_not_come_while_it_runs(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    served = Served(folder, "")
    served.write(TLS)
    served.clock.advance(1)
    assert served.guard.tls_context() is None
    reason = f"--web.config.file: {served.path}: tls_server_config is new: to serve TLS, restart the exporter"
    assert lines(caplog) == [(logging.ERROR, NOT_USED, reason)]


def test_while_one_thread_looks_the_others_go_on(tmp_path: Path) -> None:
    served = Served(tmp_path, "http_server_config: {headers: {X-Frame-Options: deny}}")
    begun, end = threading.Event(), threading.Event()

    class SlowDisk(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            assert record.getMessage() == NOT_USED
            begun.set()
            assert end.wait(HANG_SECONDS)

    handler = SlowDisk()
    log = logging.getLogger("exporter.refreshed")
    log.addHandler(handler)
    try:
        served.path.unlink()
        served.clock.advance(1)
        looking = threading.Thread(target=served.guard.response_headers, daemon=True)
        looking.start()
        assert begun.wait(HANG_SECONDS)
        served.clock.advance(1)
        assert served.guard.response_headers() == {"X-Frame-Options": "deny"}
        assert looking.is_alive()
        end.set()
        looking.join(HANG_SECONDS)
        assert not looking.is_alive()
    finally:
        end.set()
        log.removeHandler(handler)


def test_a_broken_file_at_the_start_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text(TLS)
    with pytest.raises(UsageError) as caught:
        WebGuard(path, lambda: 0.0)
    assert str(caught.value) == f"--web.config.file: {path}: line 2: cert_file cannot be read (FileNotFoundError)"
