import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from support.processes import nobody, response, run, serving
from support.web import serving as serving_table

from exporter import healthcheck
from exporter.healthcheck import complaint
from exporter.settings import ListenAddress
from exporter.web import health_routes


@contextmanager
def web(healthy: Callable[[], bool], host: str = "127.0.0.1") -> Iterator[int]:
    with serving_table(health_routes(healthy, lambda: True), ListenAddress(host, 0)) as server:
        yield int(server.urls[0].rpartition(":")[2])


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


@pytest.mark.parametrize("healthy", [True, False])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "", "localhost"])  # noqa: S104 - what an operator may write
def test_says_what_the_exporter_says_of_itself(host: str, healthy: bool) -> None:
    with web(lambda: healthy, host) as port:
        assert complaint(ListenAddress(host, port)) == ("" if healthy else "it answers with status 503")


@pytest.mark.ipv6
@pytest.mark.parametrize("host", ["::1", "::"])
def test_reaches_an_exporter_on_ipv6(host: str) -> None:
    with web(lambda: True, host) as port:
        assert complaint(ListenAddress(host, port)) == ""


def test_a_check_that_breaks_is_no_health() -> None:
    def broken() -> bool:
        raise RuntimeError

    with web(broken) as port:
        assert complaint(ListenAddress("127.0.0.1", port)) == "it answers with status 500"


def test_nothing_there_is_no_health() -> None:
    with nobody() as url:
        assert complaint(ListenAddress("127.0.0.1", port_of(url))) == "no connection (ECONNREFUSED)"


def test_a_host_without_an_address_is_no_health() -> None:
    assert complaint(ListenAddress("no-such-host.invalid", 10_040)) == "no connection (no such host)"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "it speaks neither HTTP nor TLS"),
        (b"hello\r\n\r\n", "it speaks neither HTTP nor TLS"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200, "what answers does not keep to HTTP"),
        (response("x", "404 Not Found"), "it answers with status 404"),
        (response("", "204 None"), "it answers with status 204"),
    ],
)
def test_another_program_there_is_no_health(answer: bytes, words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_all() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65_536)
                        connection.sendall(answer)

        threading.Thread(target=answer_all, daemon=True).start()
        assert complaint(ListenAddress("127.0.0.1", listener.getsockname()[1])) == words
        listener.shutdown(socket.SHUT_RDWR)


def test_an_exporter_that_hangs_is_no_health(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(healthcheck, "_TIMEOUT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert complaint(ListenAddress("127.0.0.1", listener.getsockname()[1])) == "no answer within 0.05 s"


def test_the_command_ends_with_0_or_1() -> None:
    with nobody() as localai, serving("--localai.url", localai) as served:
        address = f"127.0.0.1:{port_of(served.url)}"
        found = run("healthcheck", "--web.listen-address", address)
        assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
        found = run("healthcheck", variables={"P2P_EXPORTER_WEB_LISTEN_ADDRESS": address})
        assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
    found = run("healthcheck", "--web.listen-address", address)
    said = f"localai-p2p-exporter: {address} is not healthy: no connection (ECONNREFUSED)\n"
    assert (found.returncode, found.stdout, found.stderr) == (1, "", said)


def test_the_command_asks_the_health_address_where_there_is_one() -> None:
    with web(lambda: True) as port, web(lambda: False) as other:
        words = ("--web.listen-address", f"127.0.0.1:{other}")
        assert run("healthcheck", *words).returncode == 1
        assert run("healthcheck", *words, "--web.health-address", f"127.0.0.1:{port}").returncode == 0
