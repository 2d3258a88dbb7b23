import errno
import gzip
import logging
import os
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import responses
from hypothesis import given, settings
from hypothesis import strategies as st
from support.acceptor import Peer, Script
from support.rawserver import (
    CANARY,
    RawServer,
    answering,
    asking,
    body,
    chunked,
    keeping_alive,
    ok,
    refusal,
    silent,
    unvisited,
)

from exporter import __version__
from exporter.client import Answer
from exporter.errors import PollError, Reason
from exporter.settings import ApiKeyFile

SOON = 0.3
LIMIT = 1_000
MEBIBYTE = 2**20


@pytest.fixture(autouse=True)
def _no_key_in_any_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    assert CANARY not in caplog.text


def headers(request: bytes) -> dict[str, str]:
    """The header lines of a request as it came over the wire."""
    lines = request.decode("latin-1").rstrip("\r\n").split("\r\n")[1:]
    parted = [line.partition(": ") for line in lines]
    found = {name: text for name, _, text in parted}
    assert len(found) == len(lines), "a header was sent twice"
    return found


def scripted(head: bytes, fill: bytes = b"") -> Script:
    """Answer with `head`, then with `fill` for ever; without one say nothing more."""

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(head)
        if fill:
            peer.flood(fill)
        peer.wait_for_close()

    return script


def dripping(head: bytes, drip: bytes) -> Script:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(head)
        peer.drip(drip)

    return script


class TestRequest:
    def test_says_exactly_this(self) -> None:
        with RawServer(answering(ok(b"{}"))) as server, asking(server.url) as client:
            body(client)
        (request,) = server.requests
        assert request.startswith(b"GET /api/p2p HTTP/1.1\r\n")
        assert headers(request) == {
            "Host": f"127.0.0.1:{server.port}",
            "Accept": "application/json",
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"localai-p2p-exporter/{__version__}",
            "Authorization": f"Bearer {CANARY}",
            "Connection": "keep-alive",
        }

    def test_has_no_authorization_without_a_key(self) -> None:
        with responses.RequestsMock() as answers, asking("http://localai.test", api_key=None) as client:
            answers.get("http://localai.test/api/p2p", body=b"{}")
            body(client)
            assert "Authorization" not in answers.calls[0].request.headers

    @pytest.mark.parametrize(
        ("url", "path"),
        [("", "/workers"), ("/", "/workers"), ("/prefix", "/prefix/workers"), ("/a/b", "/a/b/workers")],
    )
    def test_keeps_the_path_prefix(self, url: str, path: str) -> None:
        base = "http://localai.test" + url.rstrip("/")
        with responses.RequestsMock() as answers, asking(base) as client:
            answers.get(f"http://localai.test{path}", body=b"[]")
            assert body(client, "/workers") == b"[]"

    @pytest.mark.fault("environment")
    @pytest.mark.parametrize("key", [True, False], ids=["with a key", "without a key"])
    def test_takes_nothing_from_the_environment(
        self, key: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        netrc = tmp_path / ".netrc"
        netrc.write_text("machine 127.0.0.1 login root password hunter2\ndefault login root password hunter2\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        options = {} if key else {"api_key": None}
        with unvisited() as proxy, RawServer(answering(ok(b"{}"))) as server:
            for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
                monkeypatch.setenv(name, proxy)
            with asking(server.url, **options) as client:
                body(client)
        (request,) = server.requests
        assert headers(request).get("Authorization") == (f"Bearer {CANARY}" if key else None)
        assert request.startswith(b"GET /api/p2p HTTP/1.1\r\n")

    @pytest.mark.fault("cookies")
    def test_sends_no_cookie_back(self) -> None:
        answer = ok(b"{}", "Set-Cookie: session=abc; Path=/", "Set-Cookie: other=1; Domain=127.0.0.1")
        with RawServer(keeping_alive(answer, answer)) as server, asking(server.url) as client:
            body(client)
            body(client)
        assert len(server.requests) == 2
        assert server.requests[0] == server.requests[1]
        assert b"ookie" not in server.requests[1]


class TestStatus:
    def test_200_is_the_answer(self) -> None:
        answer = ok(b'{"a": 1}', "Content-Type: Application/JSON ; charset=utf-8")
        before = time.monotonic()
        with RawServer(answering(answer)) as server, asking(server.url) as client:
            got = client.get("/api/p2p", before + 5)
        assert (got.body, got.media_type, got.date) == (b'{"a": 1}', "application/json", None)
        assert before < got.received_at < time.monotonic()

    @pytest.mark.parametrize(
        ("status", "reason"),
        [
            (201, Reason.HTTP_STATUS),
            (204, Reason.HTTP_STATUS),
            (206, Reason.HTTP_STATUS),
            (300, Reason.REDIRECT),
            (301, Reason.REDIRECT),
            (302, Reason.REDIRECT),
            (303, Reason.REDIRECT),
            (304, Reason.REDIRECT),
            (307, Reason.REDIRECT),
            (308, Reason.REDIRECT),
            (400, Reason.HTTP_STATUS),
            (401, Reason.AUTH),
            (403, Reason.AUTH),
            (404, Reason.HTTP_STATUS),
            (407, Reason.HTTP_STATUS),
            (429, Reason.HTTP_STATUS),
            (500, Reason.HTTP_STATUS),
            (502, Reason.HTTP_STATUS),
            (503, Reason.HTTP_STATUS),
            (999, Reason.HTTP_STATUS),
        ],
    )
    @pytest.mark.parametrize("page", [b"", b'{"error":"no"}', b"<html>no</html>"], ids=["empty", "json", "html"])
    def test_any_other_is_a_refusal_asked_once(self, status: int, reason: Reason, page: bytes) -> None:
        answer = b"HTTP/1.1 %d Said\r\nRetry-After: 0\r\nContent-Length: %d\r\n\r\n%s" % (status, len(page), page)
        with RawServer(answering(answer)) as server, asking(server.url) as client:
            error = refusal(client)
        assert (error.reason, error.status) == (reason, status)
        assert str(status) in error.detail
        assert len(server.requests) == 1

    @pytest.mark.fault("redirect", "redirect-loop", "redirect-elsewhere", "redirect-file")
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize(
        "location",
        ["{other}/api/p2p", "{same}/api/p2p", "/api/p2p", "//{same_host}/", "file:///etc/passwd", "http://[", ""],
    )
    def test_a_redirect_is_not_followed(self, status: int, location: str) -> None:
        def script(peer: Peer) -> None:
            same = f"127.0.0.1:{server.port}"
            to = location.format(other=other, same=f"http://{same}", same_host=same)
            answering(f"HTTP/1.1 {status} Moved\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode())(peer)

        with unvisited() as other, RawServer(script) as server, asking(server.url) as client:
            assert refusal(client).reason == Reason.REDIRECT
        assert len(server.requests) == 1

    @pytest.mark.fault("gzip-bomb-302")
    @pytest.mark.parametrize("status", [302, 401, 404, 500])
    def test_the_body_of_a_refusal_is_not_read(self, status: int) -> None:
        sent = 0

        def script(peer: Peer) -> None:
            nonlocal sent
            peer.read_request()
            head = (
                f"HTTP/1.1 {status} Said\r\nLocation: /\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            peer.send(head.encode())
            zeros = zlib.compressobj(wbits=31)
            bomb = zeros.compress(bytes(MEBIBYTE)) + zeros.flush(zlib.Z_SYNC_FLUSH)
            while not peer.stop.is_set():
                peer.send(b"%x\r\n%s\r\n" % (len(bomb), bomb))
                sent += len(bomb)

        with RawServer(script) as server, asking(server.url) as client:
            assert refusal(client).status == status
        # What the two socket buffers hold; a reader would have taken it without end.
        assert sent < 32 * MEBIBYTE


class TestDeadline:
    @pytest.mark.parametrize(
        "script",
        [
            pytest.param(silent, id="no reply", marks=pytest.mark.fault("no-reply")),
            pytest.param(dripping(b"", b"HTTP/1.1 200 OK" + b" " * 100), id="status line drips"),
            pytest.param(
                dripping(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
                id="headers drip",
                marks=pytest.mark.fault("drip-header"),
            ),
            pytest.param(scripted(b"HTTP/1.1 200 OK\r\nContent-Le"), id="stall in the header"),
            pytest.param(
                dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", b"1"),
                id="body drips",
                marks=pytest.mark.fault("drip-body"),
            ),
            pytest.param(dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"1"), id="body without a length drips"),
            pytest.param(
                scripted(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{"),
                id="stall in the body",
                marks=pytest.mark.fault("stall"),
            ),
            pytest.param(scripted(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"), id="stall before the body"),
            pytest.param(
                dripping(chunked()[:-5], b"1\r\n1\r\n"), id="chunks drip", marks=pytest.mark.fault("drip-chunk")
            ),
            pytest.param(dripping(chunked()[:-5], b"0"), id="chunk length drips"),
            pytest.param(dripping(chunked(b"{}")[:-2], b"X-A: b\r\n"), id="trailers drip"),
            pytest.param(scripted(chunked(b"{}")[:-5]), id="stall between chunks"),
            pytest.param(dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), id="100 Continue drips"),
            pytest.param(
                scripted(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 64),
                id="100 Continue without end",
                marks=pytest.mark.fault("endless-100"),
            ),
        ],
    )
    def test_is_kept(self, script: Script) -> None:
        with RawServer(script) as server, asking(server.url) as client:
            error = refusal(client, SOON)
        assert (error.reason, error.status) == (Reason.TIMEOUT, None)

    def test_that_has_passed_asks_nobody(self) -> None:
        with unvisited() as url, asking(url) as client:
            assert refusal(client, 0).reason == Reason.TIMEOUT

    def test_is_anew_for_each_get(self) -> None:
        with RawServer(silent, answering(ok(b"{}"))) as server, asking(server.url) as client:
            assert refusal(client, SOON).reason == Reason.TIMEOUT
            assert body(client) == b"{}"


class TestSize:
    @pytest.mark.parametrize(
        "length",
        [LIMIT + 1, 500 * MEBIBYTE, 10**18, "9" * 5_000, f"0{LIMIT + 1}"],
        ids=["one more", "500 MB", "exabyte", "5,000 digits", "leading zero"],
    )
    @pytest.mark.fault("length-over-cap", "json-500-mb")
    def test_a_length_over_the_cap_is_refused_before_the_body(self, length: int | str) -> None:
        script = scripted(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode())
        with RawServer(script) as server, asking(server.url, max_response_bytes=LIMIT) as client:
            error = refusal(client)  # a TIMEOUT, had it waited for the body
        assert error.reason == Reason.TOO_LARGE
        assert str(LIMIT) in error.detail

    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param(chunked(b"x" * (LIMIT + 1)), id="one chunk"),
            pytest.param(chunked(b"x" * LIMIT, b"x"), id="two chunks"),
            pytest.param(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (LIMIT + 1), id="until close"),
        ],
    )
    def test_a_body_over_the_cap(self, answer: bytes) -> None:
        with RawServer(answering(answer)) as server, asking(server.url, max_response_bytes=LIMIT) as client:
            assert refusal(client).reason == Reason.TOO_LARGE

    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param(ok(b"x" * LIMIT), id="length"),
            pytest.param(chunked(b"x" * LIMIT), id="one chunk"),
            pytest.param(chunked(*[b"x"] * LIMIT), id="a chunk for each byte"),
            pytest.param(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * LIMIT, id="until close"),
        ],
    )
    def test_exactly_the_cap_is_accepted(self, answer: bytes) -> None:
        with RawServer(answering(answer)) as server, asking(server.url, max_response_bytes=LIMIT) as client:
            assert body(client) == b"x" * LIMIT

    @pytest.mark.parametrize(
        ("script", "reason"),
        [
            pytest.param(scripted(b"", b"HTTP/1.1 200 OK" + b" " * 65_536), Reason.PROTOCOL, id="status line"),
            pytest.param(scripted(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 65_536), Reason.PROTOCOL, id="header line"),
            pytest.param(scripted(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 9_999), Reason.PROTOCOL, id="headers"),
            pytest.param(scripted(b"HTTP/1.1 200 OK\r\n\r\n", bytes(65_536)), Reason.TOO_LARGE, id="until close"),
            pytest.param(
                scripted(chunked()[:-5], b"10000\r\n" + bytes(65_536) + b"\r\n"), Reason.TOO_LARGE, id="chunks"
            ),
            pytest.param(scripted(chunked()[:-5], b"1\r\nx\r\n" * 9_999), Reason.TOO_LARGE, id="tiny chunks"),
            pytest.param(
                scripted(chunked()[:-5] + b"FFFFFFFFFFFFFFFFFF\r\n", bytes(65_536)), Reason.TOO_LARGE, id="chunk"
            ),
            pytest.param(scripted(chunked()[:-5] + b"-1\r\n", bytes(65_536)), Reason.TOO_LARGE, id="chunk of -1"),
            pytest.param(scripted(chunked(b"{}")[:-2], b"X: y\r\n" * 9_999), Reason.TOO_LARGE, id="trailers"),
        ],
    )
    @pytest.mark.fault("json-500-mb")
    def test_no_flood_fills_the_memory(self, script: Script, reason: Reason) -> None:
        limit = MEBIBYTE
        with RawServer(script) as server, asking(server.url, max_response_bytes=limit) as client:
            tracemalloc.start()
            try:
                error = refusal(client)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        assert error.reason == reason
        assert peak < 2 * limit + MEBIBYTE

    @pytest.mark.fault("length-bigger")
    @pytest.mark.parametrize("length", ["10", "3"])
    def test_fewer_bytes_than_said(self, length: str) -> None:
        answer = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{{}}".encode()
        with RawServer(answering(answer)) as server, asking(server.url) as client:
            assert refusal(client).reason == Reason.PROTOCOL

    @pytest.mark.fault("length-smaller")
    def test_more_bytes_than_said_are_not_taken_and_never_begin_the_next_answer(self) -> None:
        first = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}" + ok(b"smuggled")
        with (
            RawServer(keeping_alive(first, ok(b"second")), answering(ok(b"second"))) as server,
            asking(server.url) as client,
        ):
            assert body(client) == b"{}"
            assert body(client) == b"second"

    @pytest.mark.parametrize(
        "lines",
        [
            "Content-Length: -1",
            "Content-Length: -2",
            "Content-Length: +2",
            "Content-Length: 2.0",
            "Content-Length: 2_0",
            "Content-Length: 0x2",
            "Content-Length: two",
            "Content-Length: ",
            "Content-Length: \u00b2",
            "Content-Length: 2, 3",
            "Content-Length: 2\r\nContent-Length: 3",
            "Content-Length: 2\r\nContent-Length: 2",
        ],
    )
    @pytest.mark.fault("length-negative", "length-twice")
    def test_a_length_that_is_no_length(self, lines: str) -> None:
        answer = f"HTTP/1.1 200 OK\r\n{lines}\r\n\r\n{{}}".encode("latin-1")
        with RawServer(answering(answer)) as server, asking(server.url) as client:
            assert refusal(client).reason == Reason.PROTOCOL


class TestEncoding:
    @pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip", "deflate", "br", "zstd", "gzip, identity", "banana"])
    @pytest.mark.parametrize("sent", [gzip.compress(b"{}"), b"no gzip"], ids=["good", "bad"])
    @pytest.mark.fault("bad-gzip", "encoding-chain")
    def test_that_was_not_asked_for(self, coding: str, sent: bytes) -> None:
        with RawServer(answering(ok(sent, f"Content-Encoding: {coding}"))) as server, asking(server.url) as client:
            error = refusal(client)
        assert error.reason == Reason.PROTOCOL
        assert "content encoding" in error.detail

    @pytest.mark.parametrize("coding", ["identity", "Identity", ""])
    def test_none_by_name_is_accepted(self, coding: str) -> None:
        with RawServer(answering(ok(b"{}", f"Content-Encoding: {coding}"))) as server, asking(server.url) as client:
            assert body(client) == b"{}"

    @pytest.mark.parametrize("name", ["Content-Encoding", "Transfer-Encoding"])
    @pytest.mark.parametrize("harmless_at", [0, 1])
    def test_hidden_behind_a_harmless_one(self, name: str, harmless_at: int) -> None:
        harmless = {"Content-Encoding": "identity", "Transfer-Encoding": "chunked"}[name]
        lines = [f"{name}: gzip"]
        lines.insert(harmless_at, f"{name}: {harmless}")
        both = "\r\n".join(lines).encode()
        answer = chunked(gzip.compress(b"{}")).replace(b"Transfer-Encoding: chunked", both)
        with RawServer(answering(answer)) as server, asking(server.url) as client:
            assert refusal(client).reason == Reason.PROTOCOL

    @pytest.mark.fault("gzip-bomb")
    def test_a_bomb_is_not_unpacked(self) -> None:
        bomb = gzip.compress(bytes(50 * MEBIBYTE))
        with RawServer(answering(ok(bomb, "Content-Encoding: gzip"))) as server, asking(server.url) as client:
            tracemalloc.start()
            try:
                assert refusal(client).reason == Reason.PROTOCOL
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        assert peak < MEBIBYTE

    @pytest.mark.parametrize("coding", ["gzip", "gzip, chunked", "chunked, gzip", "identity", "banana"])
    def test_of_the_transfer_is_chunked_or_nothing(self, coding: str) -> None:
        answer = chunked(gzip.compress(b"{}")).replace(b"chunked", coding.encode(), 1)
        with RawServer(answering(answer)) as server, asking(server.url) as client:
            assert refusal(client).reason == Reason.PROTOCOL

    def test_chunked_is_put_together(self) -> None:
        answer = chunked(b'{"a"', b": 1", b"}").replace(b"chunked", b"Chunked", 1)
        with RawServer(answering(answer)) as server, asking(server.url) as client:
            assert body(client) == b'{"a": 1}'


NO_HEADER_LINES = (
    b"no colon here",
    b"Content-Encoding : gzip",
    b"a b: c",
    b"a\0b: c",
    b"\xff: c",
    b": nameless",
    b"From nobody",
    b"\r",
)


class TestProtocol:
    @pytest.mark.fault("interim")
    @pytest.mark.parametrize("status", ["100 Continue", "102 Processing", "103 Early Hints", "199 Whatever"])
    @pytest.mark.parametrize("times", [1, 3])
    def test_interim_answers_are_passed_over(self, status: str, times: int) -> None:
        interim = f"HTTP/1.1 {status}\r\nLink: </a>\r\n\r\n".encode() * times
        with RawServer(keeping_alive(*[interim + ok(b"{}")] * 2)) as server, asking(server.url) as client:
            assert (body(client), body(client)) == (b"{}", b"{}")
        assert len(server.peers) == 1

    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param(b"", id="nothing"),
            pytest.param(b"\r\n\r\n", id="empty lines"),
            pytest.param(b'{"workers": []}', id="HTTP/0.9", marks=pytest.mark.fault("http-0.9")),
            pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="ssh"),
            pytest.param(bytes(range(256)) * 16, id="every byte", marks=pytest.mark.fault("garbage")),
            pytest.param(b"\x15\x03\x01\x00\x02\x02\x16", id="TLS alert"),
            pytest.param(b"HTTP/1.1", id="cut status line"),
            pytest.param(b"HTTP/1.1 200 OK\r\n", id="cut before the header"),
            pytest.param(b"HTTP/1.1 200 OK\r\nContent-Type: appl", id="cut header"),
            pytest.param(b"HTTP/1.1 abc OK\r\n\r\n{}", id="status in letters"),
            pytest.param(b"HTTP/1.1 20 OK\r\n\r\n{}", id="status too small"),
            pytest.param(b"HTTP/1.1 2000 OK\r\n\r\n{}", id="status too large"),
            pytest.param(b"HTTP/1.1 -200 OK\r\n\r\n{}", id="negative status"),
            pytest.param(b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", id="HTTP/2.0"),
            pytest.param(
                b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 101 + b"\r\n{}",
                id="101 headers",
                marks=pytest.mark.fault("headers-101"),
            ),
            pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 65_536 + b"\r\n\r\n{}", id="64 KiB header"),
            *(
                pytest.param(
                    b"HTTP/1.1 200 OK\r\nX-A: b\r\n%s\r\nContent-Length: 99\r\n\r\n{}" % line,
                    id=f"line {line!r}",
                    marks=pytest.mark.fault("header-line"),
                )
                for line in NO_HEADER_LINES
            ),
            pytest.param(
                b"HTTP/1.1 200 OK\r\nno colon here\r\nContent-Encoding: gzip\r\n\r\n{}",
                id="an encoding below what is no header line",
                marks=pytest.mark.fault("header-line"),
            ),
            pytest.param(
                b"HTTP/1.1 200 OK\r\nContent-Type: message/rfc822\r\n\r\r\nContent-Encoding: gzip\r\n\r\n{}",
                id="a message within the message",
                marks=pytest.mark.fault("header-line"),
            ),
            pytest.param(b"HTTP/1.1 200 OK\r\n continued\r\nContent-Length: 2\r\n\r\n{}", id="continued from nothing"),
            pytest.param(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + ok(b"{}"), id="101"),
            pytest.param(b"HTTP/1.1 103 Hints\r\nno colon here\r\n\r\n" + ok(b"{}"), id="no interim line"),
            pytest.param(b"HTTP/1.1 103 Early Hints\r\n\r\n", id="interim alone"),
            pytest.param(chunked(b'{"a": 1}')[:-8], id="cut in a chunk", marks=pytest.mark.fault("cut-chunk")),
            pytest.param(chunked(b'{"a": 1}')[:-7], id="cut after a chunk's bytes"),
            pytest.param(chunked(b'{"a": 1}')[:-5], id="cut before the last chunk"),
            pytest.param(chunked()[:-5] + b"zz\r\n{}\r\n0\r\n\r\n", id="chunk length in letters"),
            pytest.param(chunked()[:-5] + b"-5\r\n{}\r\n0\r\n\r\n", id="negative chunk length"),
            pytest.param(chunked()[:-5] + b"-1\r\n{}\r\n0\r\n\r\n", id="chunk of -1"),
            pytest.param(chunked()[:-5] + b"\r\n{}\r\n0\r\n\r\n", id="no chunk length"),
            pytest.param(chunked()[:-5] + b"2" * 70_000, id="endless chunk length"),
        ],
    )
    def test_what_does_not_keep_to_it(self, answer: bytes) -> None:
        with RawServer(answering(answer)) as server, asking(server.url) as client:
            error = refusal(client)
        assert (error.reason, error.status) == (Reason.PROTOCOL, None)
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        "sent",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
            chunked(b"{}")[:-5],
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n{",
        ],
        ids=["length", "chunks", "header", "until close"],
    )
    @pytest.mark.fault("reset-mid-body")
    def test_a_reset_in_the_middle(self, sent: bytes) -> None:
        def script(peer: Peer) -> None:
            peer.read_request()
            peer.send(sent)
            peer.reset()

        with RawServer(script) as server, asking(server.url) as client:
            assert refusal(client).reason == Reason.PROTOCOL

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.0 200 OK\r\n\r\n{}",
            b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}",
            b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}",
            b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 90 + b"\r\n{}",
        ],
        ids=["1.0", "1.0 with a length", "until close", "no phrase", "bare newlines", "100 before it", "90 headers"],
    )
    @pytest.mark.fault("http-1.0")
    def test_old_but_whole_is_accepted(self, answer: bytes) -> None:
        with RawServer(answering(answer)) as server, asking(server.url) as client:
            assert body(client) == b"{}"


class TestKeepAlive:
    @pytest.mark.parametrize("answer", [ok(b"{}"), ok(b""), chunked(b"{}")], ids=["length", "empty", "chunked"])
    def test_the_second_get_takes_the_same_connection(self, answer: bytes) -> None:
        with RawServer(keeping_alive(answer, answer, answer)) as server, asking(server.url) as client:
            assert body(client) == body(client) == body(client)
        assert [len(peer.requests) for peer in server.peers] == [3]

    def test_closing_opens_anew(self) -> None:
        with RawServer(keeping_alive(ok(b"{}"))) as server, asking(server.url) as client:
            body(client)
            client.close()
            body(client)
        assert [len(peer.requests) for peer in server.peers] == [1, 1]

    def test_one_that_was_closed_while_idle_is_replaced(self) -> None:
        with RawServer(answering(ok(b"{}"))) as server, asking(server.url) as client:
            assert [body(client), body(client)] == [b"{}", b"{}"]
        assert len(server.peers) == 2

    @pytest.mark.parametrize("by", ["end", "reset"])
    def test_one_that_dies_before_its_first_byte_is_tried_once_more(self, by: str) -> None:
        with RawServer(_dying(by, ok(b"first")), keeping_alive(ok(b"second"))) as server, asking(server.url) as client:
            assert [body(client), body(client)] == [b"first", b"second"]
        assert [len(peer.requests) for peer in server.peers] == [2, 1]

    @pytest.mark.parametrize("by", ["end", "reset"])
    def test_not_twice(self, by: str) -> None:
        with RawServer(_dying(by, ok(b"first")), _dying(by)) as server, asking(server.url) as client:
            assert body(client) == b"first"
            assert refusal(client).reason == Reason.PROTOCOL
        assert [len(peer.requests) for peer in server.peers] == [2, 1]

    def test_the_second_try_has_what_is_left_of_the_deadline(self) -> None:
        with RawServer(_dying("end", ok(b"first")), silent) as server, asking(server.url) as client:
            assert body(client) == b"first"
            assert refusal(client, SOON).reason == Reason.TIMEOUT

    @pytest.mark.parametrize("started", [b"H", b"HTTP/1.1", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{"])
    def test_one_that_dies_after_a_byte_is_not_tried_again(self, started: bytes) -> None:
        def script(peer: Peer) -> None:
            for sent in (ok(b"first"), started):
                peer.read_request()
                peer.send(sent)

        with RawServer(script) as server, asking(server.url) as client:
            assert body(client) == b"first"
            assert refusal(client).reason == Reason.PROTOCOL
        assert [len(peer.requests) for peer in server.peers] == [2]

    @pytest.mark.parametrize("by", ["end", "reset"])
    def test_a_fresh_one_that_dies_is_not_tried_again(self, by: str) -> None:
        with RawServer(_dying(by)) as server, asking(server.url) as client:
            assert refusal(client).reason == Reason.PROTOCOL
        assert [len(peer.requests) for peer in server.peers] == [1]

    def test_a_stall_on_a_reused_one_is_not_tried_again(self) -> None:
        def script(peer: Peer) -> None:
            peer.read_request()
            peer.send(ok(b"first"))
            peer.read_request()
            peer.wait_for_close()

        with RawServer(script) as server, asking(server.url) as client:
            assert body(client) == b"first"
            assert refusal(client, SOON).reason == Reason.TIMEOUT
        assert [len(peer.requests) for peer in server.peers] == [2]


def _dying(by: str, *answers: bytes) -> Script:
    """Answer so many requests; at the next one the connection ends without a word."""

    def script(peer: Peer) -> None:
        keeping_alive(*answers)(peer)
        if by == "reset":
            peer.reset()

    return script


class TestDate:
    @pytest.mark.parametrize(
        ("header", "date"),
        [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777.0),
            ("Sun, 06 Nov 1994 08:49:37 -0000", 784_111_777.0),
            ("Sun, 06 Nov 1994 09:49:37 +0100", 784_111_777.0),
            ("06 Nov 1994 08:49:37 GMT", 784_111_777.0),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
            ("", None),
            ("banana", None),
            ("784111777", None),
            ("1994-11-06T08:49:37Z", None),
            ("Sun, 32 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 99999 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 +99999", None),
            ("Sun, 06 Nov 1994 08:49:" + "9" * 5_000 + " GMT", None),
            ("\xff\xfe", None),
        ],
    )
    def test_is_read(self, header: str, date: float | None) -> None:
        answer = ok(b"{}", "Date: DATE").replace(b"DATE", header.encode("latin-1"))
        with RawServer(answering(answer)) as server, asking(server.url) as client:
            assert client.get("/", time.monotonic() + 5).date == date

    def test_may_be_missing(self) -> None:
        with RawServer(answering(ok(b"{}"))) as server, asking(server.url) as client:
            assert client.get("/", time.monotonic() + 5).date is None


class TestKeyFile:
    def test_is_read_again_when_it_changes(self, tmp_path: Path) -> None:
        file = tmp_path / "key"
        sent = []
        with (
            RawServer(keeping_alive(*[ok(b"{}")] * 3)) as server,
            asking(server.url, api_key=ApiKeyFile(file)) as client,
        ):
            for key in ("first\n", "second", "  third\r\n"):
                file.write_text(key)
                body(client)
        sent = [headers(request)["Authorization"] for request in server.requests]
        assert sent == ["Bearer first", "Bearer second", "Bearer third"]

    @pytest.mark.parametrize("content", [None, "", " \n", f"{CANARY}\n{CANARY}", f"{CANARY},b", f"{CANARY}\xe9"])
    @pytest.mark.fault("key-file")
    def test_that_went_bad_is_auth_and_asks_nobody(self, content: str | None, tmp_path: Path) -> None:
        file = tmp_path / "key"
        if content is not None:
            file.write_text(content)
        with unvisited() as url, asking(url, api_key=ApiKeyFile(file)) as client:
            error = refusal(client)
        assert (error.reason, error.status) == (Reason.AUTH, None)
        assert error.detail.startswith("--localai.api-key-file: ")
        faults = {None: "cannot be read", "": "is empty", " \n": "is empty", f"{CANARY},b": "holds a comma"}
        assert faults.get(content, "holds a blank, a line break") in error.detail
        assert CANARY not in error.detail

    @pytest.mark.fault("no-descriptors")
    @pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE])
    def test_that_the_machine_cannot_read_is_not_its_fault(
        self, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tmp_path / "key"
        file.write_text("good")

        def fail(*_: object) -> int:
            raise OSError(code, CANARY)

        with unvisited() as url, asking(url, api_key=ApiKeyFile(file)) as client, monkeypatch.context() as patched:
            patched.setattr(os, "open", fail)
            error = refusal(client)
        assert (error.reason, error.status) == (Reason.CONNECT, None)
        assert error.detail == f"--localai.api-key-file: {file} cannot be read ({errno.errorcode[code]})"

    def test_that_comes_back_is_used(self, tmp_path: Path) -> None:
        file = tmp_path / "key"
        with RawServer(answering(ok(b"{}"))) as server, asking(server.url, api_key=ApiKeyFile(file)) as client:
            refusal(client)
            file.write_text("back")
            assert body(client) == b"{}"
        assert headers(server.requests[0])["Authorization"] == "Bearer back"


class Feed:
    """A server whose next answer is set from outside."""

    def __init__(self) -> None:
        self.answer = b""

    def __call__(self, peer: Peer) -> None:
        answering(self.answer)(peer)


@pytest.fixture(scope="module")
def feed() -> Iterator[tuple[Feed, str]]:
    script = Feed()
    with RawServer(script) as server:
        yield script, server.url


VALID = [
    ok(b'{"a": 1}', "Date: Sun, 06 Nov 1994 08:49:37 GMT", "Content-Type: application/json", "Set-Cookie: a=b"),
    chunked(b'{"a"', b": 1}"),
    b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\n{}",
    b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" + ok(b"[]"),
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid answer with some pieces of it replaced, doubled or cut out."""
    answer = draw(st.sampled_from(VALID))
    piece = st.binary(max_size=4) | st.sampled_from(
        [
            b"\r\n",
            b"\n",
            b":",
            b" ",
            b"-",
            b"-1",
            b"\x00",
            b"\xff",
            b"0",
            b"9" * 30,
            b"%",
            b";",
            b",",
            b"ffff\r\n",
            VALID[1],
        ]
    )
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(answer)))
        end = draw(st.integers(start, min(len(answer), start + 8)))
        answer = answer[:start] + draw(piece) + answer[end:]
    return answer


@given(answer=st.binary(max_size=300) | mutated())
@settings(deadline=None)
def test_whatever_comes_is_an_answer_or_a_poll_error(feed: tuple[Feed, str], answer: bytes) -> None:
    script, url = feed
    script.answer = answer
    with asking(url, max_response_bytes=LIMIT) as client:
        try:
            got = client.get("/", time.monotonic() + 5)
        except PollError as error:
            assert error.reason in {
                Reason.PROTOCOL,
                Reason.TOO_LARGE,
                Reason.REDIRECT,
                Reason.HTTP_STATUS,
                Reason.AUTH,
            }
        else:
            assert isinstance(got, Answer)
            assert len(got.body) <= LIMIT
