import errno
import logging
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.acceptor import Peer, Script
from support.certificates import Certificate, make_authority, make_leaf
from support.clocks import FakeClock
from support.rawserver import (
    CANARY,
    RawServer,
    answering,
    asking,
    body,
    closed_port,
    deaf_port,
    keeping_alive,
    ok,
    refusal,
    silent,
    tunnelling,
    unvisited,
)

from exporter.client import Client
from exporter.clienttls import ClientTLS
from exporter.errors import PollError, Reason
from exporter.resolver import Addresses, Resolver
from exporter.settings import Secret, Target
from exporter.transport import Dialer, Wire
from exporter.usage import UsageError

SOON = 0.3


@pytest.fixture(autouse=True)
def _no_key_in_any_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    assert CANARY not in caplog.text


def address(port: int, host: str = "127.0.0.1") -> tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]:
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port)


def finding(*addresses: Any) -> Resolver:
    """A resolver that finds these for every name."""
    return Resolver(lambda *_: addresses)


class Hanging:
    """A lookup that hangs until it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.lookups = 0

    def __call__(self, _host: str, port: int, _flags: int) -> Addresses:
        self.lookups += 1
        self.released.wait(10)
        return [address(port)]


class TestNames:
    @pytest.mark.fault("dns-slow")
    def test_a_lookup_that_hangs_ends_at_the_deadline_and_is_not_doubled(self) -> None:
        lookup = Hanging()
        resolver = Resolver(lookup)
        with (
            RawServer(answering(ok(b"{}"))) as server,
            asking(f"http://localai.test:{server.port}", resolver) as client,
        ):
            started = time.monotonic()
            assert refusal(client, SOON).reason == Reason.DNS
            assert time.monotonic() - started >= SOON

            started = time.monotonic()
            assert refusal(client).reason == Reason.DNS
            assert time.monotonic() - started < SOON
            assert lookup.lookups == 1

            lookup.released.set()
            _wait_until_no_thread_is_named("resolver")
            assert body(client) == b"{}"
        assert lookup.lookups == 2

    @pytest.mark.parametrize(
        "failure",
        [socket.gaierror(socket.EAI_NONAME, "none"), socket.gaierror(socket.EAI_AGAIN, "again"), UnicodeError("label")],
        ids=["unknown", "server fails", "not encodable"],
    )
    @pytest.mark.fault("dns-failing")
    def test_that_fail(self, failure: Exception) -> None:
        def lookup(*_: object) -> Addresses:
            raise failure

        with asking("http://localai.test", Resolver(lookup)) as client:
            assert refusal(client).reason == Reason.DNS

    def test_without_an_address(self) -> None:
        with asking("http://localai.test", finding()) as client:
            assert refusal(client).reason == Reason.DNS

    @pytest.mark.parametrize("host", ["a" * 64 + ".test", "a..test"])
    def test_that_no_resolver_takes(self, host: str) -> None:
        with asking(f"http://{host}") as client:
            assert refusal(client).reason == Reason.DNS

    def test_lookups_that_hang_share_their_places(self) -> None:
        places = threading.Semaphore(1)
        hanging, quick = Hanging(), Resolver(lambda *_: [address(80)], places)
        with pytest.raises(PollError):
            Resolver(hanging, places).resolve("hangs.test", 80, 0)
        with pytest.raises(PollError) as caught:
            quick.resolve("localai.test", 80, SOON)
        assert caught.value.reason == Reason.DNS
        assert caught.value.detail == "too many lookups of other host names are still waiting for an answer"
        assert quick.resolve("127.0.0.1", 80, SOON), "an address is not looked up"
        hanging.released.set()
        _wait_until_no_thread_is_named("resolver")
        for _ in range(3):
            assert quick.resolve("localai.test", 80, SOON) == [address(80)]

    def test_a_lookup_that_cannot_begin_leaves_its_place(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def start(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        resolver = Resolver(lambda *_: [address(80)], threading.Semaphore(1))
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", start)
            with pytest.raises(PollError):
                resolver.resolve("localai.test", 80, SOON)
        assert resolver.resolve("localai.test", 80, SOON) == [address(80)]

    @pytest.mark.fault("no-threads")
    def test_no_thread_to_be_had(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def start(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with asking("http://localai.test", finding()) as client:
            with monkeypatch.context() as patched:
                patched.setattr(threading.Thread, "start", start)
                assert refusal(client).reason == Reason.DNS
            assert "could not be resolved" in refusal(client).detail  # it looks again


class TestNumericAddresses:
    @pytest.mark.parametrize("host", ["127.0.0.1", "::1", "fe80::1%lo"])
    def test_are_looked_up_without_the_thread(self, host: str) -> None:
        seen: list[tuple[str, int, bool]] = []

        def lookup(host: str, port: int, flags: int) -> Addresses:
            seen.append((host, flags, threading.current_thread() is threading.main_thread()))
            return [address(port)]

        assert Resolver(lookup).resolve(host, 80, 0) == [address(80)]
        assert seen == [(host, socket.AI_NUMERICHOST, True)]

    @pytest.mark.ipv6
    def test_of_ipv6_are_asked(self) -> None:
        with RawServer(answering(ok(b"{}")), family=socket.AF_INET6) as server, asking(server.url) as client:
            assert body(client) == b"{}"
        assert f"Host: [::1]:{server.port}".encode() in server.requests[0]


class TestConnecting:
    def test_refused(self) -> None:
        port = closed_port()
        with asking(f"http://127.0.0.1:{port}") as client:
            error = refusal(client)
        assert error.reason == Reason.CONNECT
        assert error.detail == f"no connection to port {port} (ECONNREFUSED)"

    def test_a_first_address_that_refuses_is_passed_over(self) -> None:
        with (
            RawServer(answering(ok(b"{}"))) as server,
            asking("http://localai.test", finding(address(closed_port()), address(server.port))) as client,
        ):
            assert body(client) == b"{}"

    def test_a_first_address_that_never_answers_leaves_time_for_the_second(self) -> None:
        with (
            deaf_port() as deaf,
            RawServer(answering(ok(b"{}"))) as server,
            asking("http://localai.test", finding(address(deaf), address(server.port))) as client,
        ):
            assert client.get("/", time.monotonic() + SOON).body == b"{}"

    def test_an_address_family_that_the_host_lacks_is_passed_over(self) -> None:
        # As where IPv6 is off in the kernel, and /etc/hosts has ::1 for localhost all the same.
        lacking = (socket.AF_UNSPEC, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("::1", 1))
        with (
            RawServer(answering(ok(b"{}"))) as server,
            asking("http://localai.test", finding(lacking, address(server.port))) as client,
        ):
            assert body(client) == b"{}"

    def test_no_descriptor_to_be_had(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def no_socket(*_: object) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

        with RawServer(answering(ok(b"{}"))) as server, asking(server.url) as client:
            with monkeypatch.context() as patched:
                patched.setattr("exporter.transport._PlainSocket", no_socket)
                error = refusal(client)
            assert body(client) == b"{}"
        assert (error.reason, "EMFILE" in error.detail) == (Reason.CONNECT, True)

    def test_no_address_accepts(self) -> None:
        with deaf_port() as port, asking(f"http://127.0.0.1:{port}") as client:
            assert refusal(client, SOON).reason == Reason.TIMEOUT

    def test_two_addresses_that_never_answer_share_one_deadline(self) -> None:
        with (
            deaf_port() as first,
            deaf_port() as second,
            asking("http://localai.test", finding(address(first), address(second))) as client,
        ):
            assert refusal(client, SOON).reason == Reason.TIMEOUT

    def test_accepted_by_the_kernel_alone(self) -> None:
        with (
            socket.create_server(("127.0.0.1", 0)) as listener,
            asking(f"http://127.0.0.1:{listener.getsockname()[1]}") as client,
        ):
            assert refusal(client, SOON).reason == Reason.TIMEOUT

    @pytest.mark.parametrize("status", [b"200 OK", b"404 Not Found", b"302 Found"])
    @pytest.mark.parametrize("lines", [b"Content-Length: 2\r\nContent-Length: 3", b"X: y", b"Content-Length: -1"])
    def test_a_failed_get_leaves_no_descriptor_behind(self, status: bytes, lines: bytes) -> None:
        answer = b"HTTP/1.1 " + status + b"\r\n" + lines + b"\r\nTransfer-Encoding: gzip\r\n\r\n{}"
        gone = threading.Event()

        def script(peer: Peer) -> None:
            peer.read_request()
            peer.send(answer)
            peer.wait_for_close()
            gone.set()

        with RawServer(script) as server, asking(server.url) as client:
            error = refusal(client)
            assert gone.wait(5), "the client's socket is still open"
        assert error.reason in {Reason.PROTOCOL, Reason.HTTP_STATUS, Reason.REDIRECT}


@dataclass(frozen=True, slots=True)
class Certificates:
    authority: Certificate
    stranger: Certificate
    server: Certificate
    elsewhere: Certificate
    expired: Certificate
    self_signed: Certificate
    client: Certificate


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("pki")
    authority = make_authority(folder, "authority")
    here = "DNS:localai.test,IP:127.0.0.1"
    return Certificates(
        authority=authority,
        stranger=make_authority(folder, "stranger"),
        server=make_leaf(folder, "server", authority, here),
        elsewhere=make_leaf(folder, "elsewhere", authority, "DNS:elsewhere.test,IP:127.0.0.2"),
        expired=make_leaf(folder, "expired", authority, here, days=-1),
        self_signed=make_authority(folder, "self-signed"),
        client=make_leaf(folder, "client", authority, "DNS:exporter.test"),
    )


def trusting(pki: Certificates) -> dict[str, Any]:
    return {"tls_ca_file": pki.authority.cert_file}


class TestTLS:
    def test_a_trusted_certificate(self, pki: Certificates) -> None:
        script = keeping_alive(ok(b"{}"), ok(b"[]"))
        with (
            RawServer(script, context=pki.server.server_context()) as server,
            asking(server.url, **trusting(pki)) as client,
        ):
            assert [body(client), body(client)] == [b"{}", b"[]"]
        assert len(server.peers) == 1

    def test_by_name(self, pki: Certificates) -> None:
        with RawServer(answering(ok(b"{}")), context=pki.server.server_context()) as server:
            url = f"https://localai.test:{server.port}"
            with asking(url, finding(address(server.port)), **trusting(pki)) as client:
                assert body(client) == b"{}"

    @pytest.mark.parametrize(
        ("certificate", "host", "trusted", "detail"),
        [
            ("server", "127.0.0.1", "stranger", "its issuer is unknown"),
            ("server", "127.0.0.1", None, "its issuer is unknown"),
            ("self_signed", "127.0.0.1", "authority", "it is self-signed"),
            ("elsewhere", "localai.test", "authority", "it is for another host name"),
            ("elsewhere", "127.0.0.1", "authority", "it is for another IP address"),
            ("expired", "127.0.0.1", "authority", "it has expired"),
        ],
    )
    def test_a_certificate_that_is_not_accepted(
        self, pki: Certificates, certificate: str, host: str, trusted: str | None, detail: str
    ) -> None:
        presented: Certificate = getattr(pki, certificate)
        options: dict[str, Any] = {"tls_ca_file": getattr(pki, trusted).cert_file} if trusted else {}
        with RawServer(answering(ok(b"{}")), context=presented.server_context()) as server:
            url = f"https://{host}:{server.port}"
            with asking(url, finding(address(server.port)), **options) as client:
                error = refusal(client)
        assert error.reason == Reason.TLS
        assert error.detail == f"the certificate was not accepted: {detail}"
        assert server.requests == []

    @pytest.mark.parametrize("certificate", ["server", "self_signed", "elsewhere", "expired"])
    def test_insecure_accepts_any(self, pki: Certificates, certificate: str) -> None:
        presented: Certificate = getattr(pki, certificate)
        with (
            RawServer(answering(ok(b"{}")), context=presented.server_context()) as server,
            asking(server.url, tls_insecure=True) as client,
        ):
            assert body(client) == b"{}"

    def test_nothing_from_the_environment(self, pki: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            monkeypatch.setenv(name, str(pki.authority.cert_file))
        with (
            RawServer(answering(ok(b"{}")), context=pki.server.server_context()) as server,
            asking(server.url) as client,
        ):
            assert refusal(client).reason == Reason.TLS

    def test_a_client_certificate_that_is_wanted_and_given(self, pki: Certificates) -> None:
        context = pki.server.server_context(client_ca=pki.authority)
        mine: dict[str, Any] = {"tls_cert_file": pki.client.cert_file, "tls_key_file": pki.client.key_file}
        with (
            RawServer(answering(ok(b"{}")), context=context) as server,
            asking(server.url, **trusting(pki), **mine) as client,
        ):
            assert body(client) == b"{}"

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
    def test_a_client_certificate_that_is_wanted_and_missing(self, pki: Certificates, version: ssl.TLSVersion) -> None:
        context = pki.server.server_context(client_ca=pki.authority)
        context.maximum_version = version
        with RawServer(answering(ok(b"{}")), context=context) as server, asking(server.url, **trusting(pki)) as client:
            assert refusal(client).reason == Reason.TLS
        assert server.requests == []

    def test_a_server_with_old_tls_only(self, pki: Certificates) -> None:
        context = pki.server.server_context()
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        with RawServer(answering(ok(b"{}")), context=context) as server, asking(server.url, **trusting(pki)) as client:
            assert refusal(client).reason == Reason.TLS

    @pytest.mark.parametrize(
        "greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n"], ids=["end", "HTTP", "SSH"]
    )
    def test_a_port_without_it(self, greeting: bytes) -> None:
        gone = threading.Event()

        def script(peer: Peer) -> None:
            peer.sock.recv(1)
            try:
                peer.send(greeting)
                peer.sock.shutdown(socket.SHUT_WR)
            finally:
                peer.wait_for_close()
                gone.set()

        with RawServer(script) as server, asking(f"https://127.0.0.1:{server.port}") as client:
            error = refusal(client)
            assert gone.wait(5), "the client's socket is still open"
        assert error.reason == Reason.TLS
        assert "is this a TLS port?" in error.detail

    def test_a_peer_that_is_silent(self) -> None:
        with RawServer(silent) as server, asking(f"https://127.0.0.1:{server.port}") as client:
            assert refusal(client, SOON).reason == Reason.TIMEOUT

    @pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"], ids=["reply", "body"])
    def test_a_stall_behind_it(self, pki: Certificates, said: bytes) -> None:
        def script(peer: Peer) -> None:
            peer.read_request()
            peer.send(said)
            peer.wait_for_close()

        with (
            RawServer(script, context=pki.server.server_context()) as server,
            asking(server.url, **trusting(pki)) as client,
        ):
            assert refusal(client, SOON).reason == Reason.TIMEOUT

    def test_a_drip_behind_it(self, pki: Certificates) -> None:
        def script(peer: Peer) -> None:
            peer.read_request()
            peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
            peer.drip(b"x")

        with (
            RawServer(script, context=pki.server.server_context()) as server,
            asking(server.url, **trusting(pki)) as client,
        ):
            assert refusal(client, SOON).reason == Reason.TIMEOUT

    def test_a_failed_get_leaves_no_descriptor_behind(self, pki: Certificates) -> None:
        gone = threading.Event()

        def script(peer: Peer) -> None:
            peer.read_request()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}")
            peer.wait_for_close()
            gone.set()

        with (
            RawServer(script, context=pki.server.server_context()) as server,
            asking(server.url, **trusting(pki)) as client,
        ):
            error = refusal(client)
            assert gone.wait(5), "the client's socket is still open"
        assert error.reason == Reason.PROTOCOL

    def test_a_body_that_is_cut(self, pki: Certificates) -> None:
        with (
            RawServer(answering(ok(b"{}")[:-1]), context=pki.server.server_context()) as server,
            asking(server.url, **trusting(pki)) as client,
        ):
            assert refusal(client).reason == Reason.PROTOCOL

    def test_a_reused_connection_that_dies_is_tried_once_more(self, pki: Certificates) -> None:
        with (
            RawServer(keeping_alive(ok(b"{}")), context=pki.server.server_context()) as server,
            asking(server.url, **trusting(pki)) as client,
        ):
            assert [body(client), body(client)] == [b"{}", b"{}"]
        assert [len(peer.requests) for peer in server.peers] == [2, 1]

    def test_without_a_configuration_is_our_own_fault(self) -> None:
        dialer = Dialer(Wire(time.monotonic), Resolver(), None)
        with socket.socket() as sock, pytest.raises(PollError) as caught:
            dialer.tls(sock, "localai.test")
        assert caught.value.reason == Reason.INTERNAL


class TestTLSFiles:
    @pytest.mark.parametrize(
        "content", [None, "", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
    )
    @pytest.mark.parametrize("flags", [("tls_ca_file",), ("tls_cert_file", "tls_key_file")], ids=["CA", "client"])
    def test_that_cannot_be_used(self, content: str | None, flags: tuple[str, ...], tmp_path: Path) -> None:
        file = tmp_path / "file.pem"
        if content is not None:
            file.write_text(content)
        target = Target(url="https://localai.test", **dict.fromkeys(flags, file))  # type: ignore[arg-type]
        with pytest.raises(UsageError) as caught:
            Client(target, time.monotonic)
        for flag in ("--localai.tls-ca-file", "--localai.tls-cert-file", "--localai.tls-key-file"):
            assert flag in str(caught.value)

    def test_that_do_not_fit_together(self, pki: Certificates) -> None:
        target = Target(
            url="https://localai.test", tls_cert_file=pki.client.cert_file, tls_key_file=pki.server.key_file
        )
        with pytest.raises(UsageError, match="fit together"):
            Client(target, time.monotonic)


class TestTLSFilesThatChange:
    """What they hold decides on the next connection; while they cannot be used, the last that could be serve."""

    @pytest.fixture
    def other(self, pki: Certificates, tmp_path: Path) -> Certificate:
        """What the server, or the client, is given by the other authority."""
        return make_leaf(tmp_path, "other", pki.stranger, "DNS:localai.test,IP:127.0.0.1")

    @pytest.fixture
    def now(self) -> FakeClock:
        return FakeClock()

    def put(self, certificate: Certificate, folder: Path) -> None:
        shutil.copy(certificate.cert_file, folder / "cert.pem")
        shutil.copy(certificate.key_file, folder / "key.pem")

    def test_a_new_authority(self, pki: Certificates, other: Certificate, now: FakeClock, tmp_path: Path) -> None:
        file, context = tmp_path / "ca.pem", pki.server.server_context()
        shutil.copy(pki.authority.cert_file, file)
        with RawServer(answering(ok(b"{}")), context=context) as server:
            target = Target(url=server.url, api_key=Secret(CANARY), tls_ca_file=file)
            with closing(Client(target, time.monotonic, tls=ClientTLS(target, now.clock.monotonic))) as client:
                assert body(client) == b"{}"
                context.load_cert_chain(other.cert_file, other.key_file)
                shutil.copy(pki.stranger.cert_file, file)
                assert refusal(client).reason == Reason.TLS
                now.advance(1.0)
                assert body(client) == b"{}"

    def test_a_new_client_certificate(
        self, pki: Certificates, other: Certificate, now: FakeClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.put(other, tmp_path)
        with RawServer(answering(ok(b"{}")), context=pki.server.server_context(pki.authority)) as server:
            target = Target(
                url=server.url,
                api_key=Secret(CANARY),
                tls_ca_file=pki.authority.cert_file,
                tls_cert_file=tmp_path / "cert.pem",
                tls_key_file=tmp_path / "key.pem",
            )
            with closing(Client(target, time.monotonic, tls=ClientTLS(target, now.clock.monotonic))) as client:
                assert refusal(client).reason == Reason.TLS
                shutil.copy(pki.client.cert_file, tmp_path / "cert.pem")  # and its key only later
                for _ in range(2):
                    now.advance(1.0)
                    assert refusal(client).reason == Reason.TLS
                self.put(pki.client, tmp_path)
                now.advance(1.0)
                assert body(client) == b"{}"
        assert [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO] == [
            "the new TLS configuration for LocalAI is not used",
            "the TLS configuration for LocalAI was read again",
        ]

    def test_are_read_once_for_all_that_share_them(self, pki: Certificates, tmp_path: Path) -> None:
        file = tmp_path / "ca.pem"
        shutil.copy(pki.authority.cert_file, file)
        target = Target(url="https://localai.test", tls_ca_file=file)
        tls = ClientTLS(target, time.monotonic)
        file.unlink()
        Client(target, time.monotonic, tls=tls).close()


REFUSALS: list[tuple[Script, Reason]] = [
    (answering(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"), Reason.CONNECT),
    (answering(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"), Reason.CONNECT),
    (answering(b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>"), Reason.CONNECT),
    (answering(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n"), Reason.CONNECT),
    (answering(b"banana\r\n\r\n"), Reason.PROTOCOL),
    (answering(b"HTTP/1.1 200 OK\r\n"), Reason.PROTOCOL),
    (answering(b""), Reason.PROTOCOL),
    (answering(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 20_000 + b"\r\n\r\n"), Reason.PROTOCOL),
]


class TestProxy:
    def test_plain_http_asks_it_with_the_whole_url(self) -> None:
        with (
            unvisited() as localai,
            RawServer(keeping_alive(ok(b"{}"), ok(b"[]"))) as proxy,
            asking(f"{localai}/prefix", proxy_url=proxy.url) as client,
        ):
            assert [body(client), body(client)] == [b"{}", b"[]"]
        assert [request.split(b"\r\n")[0] for request in proxy.requests] == [
            f"GET {localai}/prefix/api/p2p HTTP/1.1".encode()
        ] * 2
        assert len(proxy.peers) == 1

    def test_plain_http_leaves_the_name_to_it(self) -> None:
        with RawServer(answering(ok(b"{}"))) as proxy, asking("http://localai.test", proxy_url=proxy.url) as client:
            assert body(client) == b"{}"

    def test_tls_goes_through_a_tunnel_that_never_sees_the_key(self, pki: Certificates) -> None:
        script = keeping_alive(ok(b"{}"), ok(b"[]"))
        with (
            RawServer(script, context=pki.server.server_context()) as localai,
            RawServer(tunnelling("127.0.0.1", localai.port)) as proxy,
            asking("https://localai.test:8443", proxy_url=proxy.url, **trusting(pki)) as client,
        ):
            assert [body(client), body(client)] == [b"{}", b"[]"]
        (connect,) = proxy.requests
        assert connect.startswith(b"CONNECT localai.test:8443 HTTP/1.1\r\nHost: localai.test:8443\r\n")
        assert CANARY.encode() not in connect
        assert b"uthorization" not in connect
        assert [request.split(b"\r\n")[0] for request in localai.requests] == [b"GET /api/p2p HTTP/1.1"] * 2

    def test_tls_through_a_tunnel_checks_the_name_of_localai(self, pki: Certificates) -> None:
        with (
            RawServer(answering(ok(b"{}")), context=pki.elsewhere.server_context()) as localai,
            RawServer(tunnelling("127.0.0.1", localai.port)) as proxy,
            asking("https://localai.test", proxy_url=proxy.url, **trusting(pki)) as client,
        ):
            error = refusal(client)
        assert (error.reason, error.detail.rpartition(": ")[2]) == (Reason.TLS, "it is for another host name")
        assert localai.requests == []

    def test_an_ipv6_address_is_bracketed_in_the_tunnel(self, pki: Certificates) -> None:
        with (
            RawServer(answering(b"HTTP/1.1 403 No\r\n\r\n")) as proxy,
            asking("https://[::1]:8443", proxy_url=proxy.url, **trusting(pki)) as client,
        ):
            assert refusal(client).reason == Reason.CONNECT
        assert proxy.requests[0].startswith(b"CONNECT [::1]:8443 HTTP/1.1\r\nHost: [::1]:8443\r\n")

    @pytest.mark.parametrize(
        ("script", "reason"),
        REFUSALS,
        ids=["403", "407", "502", "302", "no HTTP", "cut", "nothing", "20 KB"],
    )
    def test_a_tunnel_that_is_refused(self, script: Script, reason: Reason) -> None:
        with RawServer(script) as proxy, asking("https://localai.test", proxy_url=proxy.url) as client:
            assert refusal(client).reason == reason
        assert len(proxy.requests) == 1

    @pytest.mark.parametrize(
        ("scheme", "reason", "detail"),
        [
            ("http", Reason.HTTP_STATUS, "a proxy before LocalAI wants credentials (status 407)"),
            ("https", Reason.CONNECT, "the proxy refuses a connection to LocalAI (status 407)"),
        ],
    )
    def test_that_wants_credentials_is_said_to_be_the_one(self, scheme: str, reason: Reason, detail: str) -> None:
        refuse = answering(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        with RawServer(refuse) as proxy, asking(f"{scheme}://localai.test", proxy_url=proxy.url) as client:
            error = refusal(client)
        assert (error.reason, error.detail) == (reason, detail)

    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_that_is_silent(self, scheme: str) -> None:
        with RawServer(silent) as proxy, asking(f"{scheme}://localai.test", proxy_url=proxy.url) as client:
            assert refusal(client, SOON).reason == Reason.TIMEOUT

    def test_that_resets(self) -> None:
        def script(peer: Peer) -> None:
            peer.read_request()
            peer.reset()

        with RawServer(script) as proxy, asking("https://localai.test", proxy_url=proxy.url) as client:
            assert refusal(client).reason == Reason.PROTOCOL
        assert len(proxy.requests) == 1

    def test_whose_answer_drips(self) -> None:
        def script(peer: Peer) -> None:
            peer.read_request()
            peer.drip(b"HTTP/1.1 200 OK\r\nX: y\r\n")

        with RawServer(script) as proxy, asking("https://localai.test", proxy_url=proxy.url) as client:
            assert refusal(client, SOON).reason == Reason.TIMEOUT

    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_that_is_not_there(self, scheme: str) -> None:
        proxy = f"http://127.0.0.1:{closed_port()}"
        with asking(f"{scheme}://localai.test", proxy_url=proxy) as client:
            assert refusal(client).reason == Reason.CONNECT

    def test_a_missing_client_certificate_is_said_through_a_tunnel_too(self, pki: Certificates) -> None:
        context = pki.server.server_context(client_ca=pki.authority)
        with (
            RawServer(answering(ok(b"{}")), context=context) as localai,
            RawServer(tunnelling("127.0.0.1", localai.port)) as proxy,
            asking("https://localai.test", proxy_url=proxy.url, **trusting(pki)) as client,
        ):
            assert refusal(client).reason == Reason.TLS


def _wait_until_no_thread_is_named(name: str) -> None:
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(5)
            assert not thread.is_alive()
