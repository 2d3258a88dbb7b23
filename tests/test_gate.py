"""The served program under a web configuration: TLS, client certificates, users and headers, end to end."""

import http.client
import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path

import bcrypt
import pytest
from support.certificates import Certificate, make_leaf
from support.processes import Served, run, serving
from support.webconfig import Keys, basic, copy_keys, make_keys

from exporter.simulator import Simulator

PASSWORD = "canary-password-7f2e"  # noqa: S105
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"))


Start = Callable[..., Served]


@pytest.fixture
def start(tmp_path: Path, keys: Keys) -> Iterator[Start]:
    """Serve under a configuration, which is written as JSON, because that is YAML."""
    copy_keys(keys, tmp_path)
    running: list[AbstractContextManager[Served]] = []

    def start(configuration: object, *flags: str) -> Served:
        file = tmp_path / "web.yml"
        file.write_text(json.dumps(configuration), "utf-8")
        context = serving("--web.config.file", str(file), "--localai.url", localai.url, *flags)
        running.append(context)
        return context.__enter__()

    with Simulator() as localai:
        yield start
        for context in running:
            context.__exit__(None, None, None)


def ask(
    served: Served, path: str, headers: dict[str, str] | None = None, client: Certificate | None = None
) -> http.client.HTTPResponse:
    place = served.url.partition("://")[2]
    if served.url.startswith("https"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if client:
            context.load_cert_chain(client.cert_file, client.key_file)
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(place, timeout=10, context=context)
    else:
        connection = http.client.HTTPConnection(place, timeout=10)
    with closing(connection):
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        answer.read()
    return answer


TLS = {"tls_server_config": {"cert_file": "server.pem", "key_file": "server.key"}}
USERS = {"basic_auth_users": {"prometheus": HASH}}


def test_tls_users_and_headers(start: Start) -> None:
    served = start(TLS | USERS | {"http_server_config": {"headers": {"X-Frame-Options": "deny"}}})
    assert served.url.startswith("https://")
    right = {"Authorization": basic(f"prometheus:{PASSWORD}")}
    granted, refused = ask(served, "/metrics", right), ask(served, "/metrics")
    assert (granted.status, granted.headers["X-Frame-Options"]) == (200, "deny")
    assert (refused.status, refused.headers["WWW-Authenticate"]) == (
        401,
        'Basic realm="localai-p2p-exporter", charset="UTF-8"',
    )
    assert ask(served, "/metrics", {"Authorization": basic("prometheus:wrong")}).status == 401
    assert ask(served, "/").status == 401
    served.log_until("LocalAI answers")
    assert [ask(served, path).status for path in ("/-/healthy", "/-/ready")] == [200, 200]
    address = served.url.partition("://")[2]
    assert run("healthcheck", "--web.listen-address", address).returncode == 0
    served.process.terminate()
    assert PASSWORD not in served.finish()


@pytest.mark.parametrize("version", ["TLS12", "TLS13"])
def test_a_client_without_a_certificate_gets_no_page_and_a_probe_its_own_address(
    version: str, start: Start, keys: Keys, tmp_path: Path
) -> None:
    mutual = {
        "client_auth_type": "RequireAndVerifyClientCert",
        "client_ca_file": "ca.pem",
        "min_version": version,
        "max_version": version,
    }
    served = start({"tls_server_config": TLS["tls_server_config"] | mutual}, "--web.health-address", "127.0.0.1:0")
    client = make_leaf(tmp_path, "client", keys.ca, "DNS:prometheus.test")
    assert ask(served, "/metrics", client=client).status == 200
    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask(served, "/metrics")
    address = served.url.partition("://")[2]
    probed = run("healthcheck", "--web.listen-address", address)
    assert probed.returncode == 1
    assert probed.stderr == (
        f"localai-p2p-exporter: {address} is not healthy: "
        "it ends the TLS connection, as where a client certificate is wanted: use --web.health-address\n"
    )


@pytest.mark.parametrize(("name", "admitted"), [("prometheus.test", True), ("mallory.test", False)])
def test_a_name_that_is_not_on_the_list_stays_outside(
    name: str, admitted: bool, start: Start, keys: Keys, tmp_path: Path
) -> None:
    mutual = {
        "client_auth_type": "RequireAndVerifyClientCert",
        "client_ca_file": "ca.pem",
        "client_allowed_sans": ["prometheus.test"],
    }
    served = start({"tls_server_config": TLS["tls_server_config"] | mutual})
    client = make_leaf(tmp_path, "client", keys.ca, f"DNS:{name}")
    if admitted:
        assert ask(served, "/metrics", client=client).status == 200
    else:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask(served, "/metrics", client=client)


def test_a_broken_configuration_does_not_start(tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text("tls_server_confg: {}\n")
    done = run("serve", "--web.listen-address", "127.0.0.1:0", "--web.config.file", str(file))
    assert done.returncode == 2
    assert "tls_server_confg" in done.stderr
    assert "line 1" in done.stderr
