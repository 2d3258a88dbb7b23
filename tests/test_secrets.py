"""No secret leaves the program but in the one header that it is for, whatever LocalAI answers."""

import base64
import itertools
import re
import resource
import socket
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest
from support.canaries import CANARIES, KEY, NETRC, PASSWORD, PROXY, TOKEN, URL, hits
from support.processes import Peer, Served, command, environment, response, run, serving, silence
from support.webconfig import basic

from exporter.settings import ApiKeyFile, Secret, Settings, Target

USER = "prometheus"

PATIENCE_SECONDS = 60.0
"""How long a round of all answers may take on a loaded machine; six seconds are usual."""


def answers() -> list[bytes]:
    """What says the key back in every place that an answer has, right and wrong."""
    html = f"<html>Authorization: Bearer {KEY}</html>"
    return [
        response('{"nodes": []}'),
        response(html, headers="Content-Type: text/html\r\n"),
        response(html, f"200 {KEY}"),
        response(html, "401 Unauthorized"),
        response(html, f"403 {KEY}"),
        response(html, f"500 {KEY}"),
        response("", "302 Found", f"Location: http://127.0.0.1:9/{KEY}\r\n"),
        response("{}", headers=f"Content-Type: text/{KEY}\r\n"),
        response("not JSON", headers=f"Content-Type: {KEY}\r\nDate: {KEY}\r\n"),
        response("{}", headers=f"Content-Encoding: {KEY}\r\n"),
        response("{}", headers=f"Transfer-Encoding: {KEY}\r\n"),
        response("{}", headers=f"Set-Cookie: key={KEY}\r\n{KEY}\r\n"),
        f"HTTP/1.1 200 OK\r\nContent-Length: {KEY}\r\n\r\n{{}}".encode(),
        f"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{html}".encode(),
        f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{KEY}\r\n".encode(),
        f"{KEY}\r\n\r\n".encode(),
        b"",
        response(f'{{"error": "{KEY}"}}'),
        response(f'{{"nodes": "{KEY}"}}'),
        response(f'{{"nodes": [], "{KEY}": [], "a": {{"b": "{KEY}"}}}}'),
        response(f"[{KEY}"),
    ]


class Faulty(Peer):
    """A LocalAI that answers the P2P API otherwise each time, and shows its token."""

    def __init__(self) -> None:
        faults, of_distributed_mode = itertools.cycle(answers()), itertools.cycle(answers())
        self.round = threading.Event()
        self._left = 4 * len(answers())

        def answer(path: str) -> bytes:
            self._left -= 1
            if self._left == 0:
                self.round.set()
            match path:
                case "/api/p2p/token":
                    return response(TOKEN, headers="Content-Type: text/plain\r\n")
                case "/version":
                    return response('{"version": "v3.12.1 ()"}')
                case "/api/p2p/federation":
                    return response('{"nodes": []}')
                case "/api/p2p/stats":
                    return response('{"workers": {"total": 0, "online": 0}, "federated": {"total": 0, "online": 0}}')
                case "/api/nodes":
                    return next(of_distributed_mode)
                case _:
                    return next(faults)

        super().__init__(answer)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    netrc = tmp_path / ".netrc"
    netrc.write_text(f"machine 127.0.0.1 login anybody password {NETRC}\ndefault login anybody password {NETRC}\n")
    netrc.chmod(0o600)
    return tmp_path


@pytest.fixture(params=[("debug", "logfmt"), ("debug", "json"), ("info", "logfmt")], ids="-".join)
def served(request: pytest.FixtureRequest, home: Path) -> Iterator[tuple[Served, Faulty]]:
    """Stand for the program with every secret in its reach; the levels above only leave out lines of these."""
    level, style = request.param
    proxy = f"http://anybody:{PROXY}@127.0.0.1:9"
    variables = {"HOME": str(home), "LOCALAI_API_KEY": KEY} | dict.fromkeys(
        ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"), proxy
    )
    users = home / "web.yml"
    users.write_text(f"basic_auth_users: {{{USER}: {bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}}}\n")
    flags = ["--poll.interval", "100ms", "--poll.stale-after", "1m", "--collector.token", "--collector.distributed"]
    flags += ["--log.level", level, "--log.format", style, "--web.config.file", str(users)]
    with (
        Faulty() as localai,
        serving("--localai.url", localai.url, *flags, variables=variables, lifetime=2 * PATIENCE_SECONDS) as served,
    ):
        yield served, localai


def fetch(url: str, credentials: str) -> tuple[int, str]:
    request = urllib.request.Request(url, headers={"Authorization": basic(credentials)})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, f"{answer.headers}{answer.read().decode()}"
    except urllib.error.HTTPError as error:
        with error:
            return error.code, f"{error.headers}{error.read().decode()}"


def test_no_fault_brings_one_to_light(served: tuple[Served, Faulty]) -> None:
    exporter, localai = served
    assert localai.round.wait(PATIENCE_SECONDS)
    process = Path(f"/proc/{exporter.process.pid}")
    pages = {}
    for path in ("/", "/metrics", "/api/v1/cluster", "/-/healthy", "/-/ready", "/x"):
        status, pages[path] = fetch(f"{exporter.url}{path}", f"{USER}:{PASSWORD}")
        assert status == (404 if path == "/x" else 200)
    for wrong in (f"{USER}:{PASSWORD}x", f"{PASSWORD}:{PASSWORD}", PASSWORD):
        status, pages[wrong] = fetch(f"{exporter.url}/metrics", wrong)
        assert status == 401
    command_line = (process / "cmdline").read_text()
    exporter.process.terminate()
    log = exporter.finish()
    assert exporter.process.returncode == 0
    for where, text in {**pages, "the log": log, "the command line": command_line}.items():
        assert hits(text) == [], where
    # The faults were met, and the key went where it belongs, and nothing else did.
    reasons = {"not_json", "auth", "http_status", "redirect", "protocol", "shape"}
    for counter in ("poll_failures_total", "distributed_failures_total"):
        counted = re.findall(rf'exporter_{counter}{{reason="(\w+)"}} [1-9]', pages["/metrics"])
        assert reasons <= set(counted)
    assert all(f"Authorization: Bearer {KEY}" in head for head in localai.heads)
    assert not any(secret in head for head in localai.heads for secret in (NETRC, PROXY, PASSWORD, TOKEN))
    assert not any("cookie" in head.lower() for head in localai.heads)
    assert "/api/p2p/token" in localai.paths
    assert re.search(r'localai_p2p_token_info{fingerprint="[0-9a-f]{16}"} 1', pages["/metrics"])


WITH_CORES = ("sh", "-c", 'ulimit -S -c "$(ulimit -H -c)" && exec "$@"', "sh")
"""Starts a program that may leave a core as large as this machine allows."""


def leaves_no_core(pid: int) -> bool:
    """Whether the kernel makes no core of a process: 1 is less than any, and the one limit that a pipe obeys too."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_CORE)
    return soft == (1 if hard else 0)


def test_no_core_of_serve_would_hold_the_key() -> None:
    with silence() as url, serving("--localai.url", url, under=WITH_CORES) as served:
        assert leaves_no_core(served.process.pid)


@pytest.mark.parametrize("name", ["once", "doctor", "healthcheck"])
def test_no_core_of_another_command_would_hold_it(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as asked:
        address = f"127.0.0.1:{asked.getsockname()[1]}"
        flags = ("--web.listen-address", address) if name == "healthcheck" else ("--localai.url", f"http://{address}")
        words = [*WITH_CORES, *command(name, *flags)]
        with subprocess.Popen(words, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as done:
            connection, _ = asked.accept()
            with connection:
                none = leaves_no_core(done.pid)
                done.kill()
    assert none


def test_no_core_of_the_demo_would_hold_it() -> None:
    words = [*WITH_CORES, *command("demo", "--web.listen-address", "127.0.0.1:0")]
    with subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as demo:
        assert demo.stdout
        demo.stdout.readline()
        none = leaves_no_core(demo.pid)
        demo.kill()
    assert none


@pytest.mark.parametrize(("name", "status"), [("serve", 2), ("once", 2), ("doctor", 3)])
@pytest.mark.parametrize(
    ("flag", "variable", "text"),
    [
        ("--localai.url", "LOCALAI_URL", f"http://user:{URL}@127.0.0.1:9"),
        ("--localai.url", "P2P_EXPORTER_LOCALAI_URL", f"http://127.0.0.1:9/?key={URL}"),
        ("--localai.proxy-url", "P2P_EXPORTER_LOCALAI_PROXY_URL", f"http://user:{PROXY}@127.0.0.1:9"),
    ],
)
def test_a_url_that_holds_one_is_refused_without_it(
    name: str, status: int, flag: str, variable: str, text: str
) -> None:
    for done in (run(name, flag, text), run(name, variables={variable: text})):
        assert done.returncode == status
        assert re.search(rf"{flag}|{variable}", done.stderr)
        assert hits(done.stdout + done.stderr) == []


@pytest.mark.parametrize("write", [repr, str, "{}".format, "{!r}".format, lambda one: "%s".__mod__((one,)), ascii])
def test_a_settings_value_does_not_show_it(write: object) -> None:
    assert callable(write)
    settings = Settings(target=Target(api_key=Secret(KEY)))
    for value in (settings, settings.target, settings.target.api_key, [Secret(KEY)], {"key": Secret(KEY)}):
        assert hits(write(value)) == []


def test_a_key_file_shows_its_place_and_not_what_is_in_it(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEY)
    key = ApiKeyFile(file)
    assert key.read().reveal() == KEY
    assert hits(repr(key) + str(Target(api_key=key))) == []


def test_the_canaries_would_be_found() -> None:
    for name, secret in CANARIES.items():
        encoded = [base64.b64encode(f"{before}{secret}".encode()).decode() for before in ("", "Bearer ", "user:", "ab")]
        for text in (secret, urllib.parse.quote(secret), repr(secret), *encoded):
            assert any(found.startswith(name) for found in hits(f"before {text} after"))
