"""What is read of a request, and what is refused because it could be read in two ways."""

from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.http1 import HEAD_BYTES, Refused, Request, Response, answer_head, head_in, parse, say


def refusal(head: bytes) -> Response:
    with pytest.raises(Refused) as caught:
        parse(head)
    return caught.value.response


def test_a_request() -> None:
    request = parse(b"GET /metrics?x=1 HTTP/1.1\r\nHost: here\r\nACCEPT:\t text/plain \r\nEmpty:\r\nX: a\r\nx: \xe4b")
    assert request == Request(
        "GET",
        "/metrics",
        {"host": "here", "accept": "text/plain", "empty": "", "x": "a, \u00e4b"},
        keep_alive=True,
        query="x=1",
    )


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/", "/"),
        ("//metrics", "//metrics"),
        ("///metrics", "///metrics"),
        ("/metrics?a=/b?c", "/metrics"),
        ("/%6detrics", "/%6detrics"),
        ("/a/../metrics", "/a/../metrics"),
        ("/metrics#here", "/metrics#here"),
        ("/metrics;a", "/metrics;a"),
        ("http://here/metrics?a", "/metrics"),
        ("HTTPS://[::1]:10040/metrics", "/metrics"),
        ("http://here", "/"),
        ("http://here?a", "/"),
        ("http://here//metrics", "//metrics"),
        ("http://[/metrics", "http://[/metrics"),
        ("http://a@b/metrics", "http://a@b/metrics"),
        ("http:/metrics", "http:/metrics"),
        ("*", "*"),
        ("metrics", "metrics"),
        ("?", ""),
    ],
)
def test_a_path_is_what_was_sent(target: str, path: str) -> None:
    assert parse(f"GET {target} HTTP/1.1\r\nHost: a".encode()).path == path


@pytest.mark.parametrize(
    ("version", "connection", "keep_alive"),
    [
        ("1.1", None, True),
        ("1.1", "close", False),
        ("1.1", "Upgrade, Close", False),
        ("1.1", "keep-alive", True),
        ("1.0", None, False),
        ("1.0", "Keep-Alive", True),
        ("1.0", "keep-alive, close", False),
        ("1.9", None, True),
    ],
)
def test_who_keeps_the_connection(version: str, connection: str | None, keep_alive: bool) -> None:
    line = f"\r\nConnection: {connection}" if connection else ""
    assert parse(f"GET / HTTP/{version}\r\nHost: a{line}".encode()).keep_alive is keep_alive


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PRI", "get", "BANANA"])
def test_any_other_method_is_told_what_is_served(method: str) -> None:
    response = refusal(f"{method} /metrics HTTP/1.1\r\nContent-Length: 5".encode())
    assert (response.status, response.headers) == (HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": "GET, HEAD"})


def test_a_post_is_taken_where_that_is_served() -> None:
    head = b"POST /-/reload?x HTTP/1.1\r\nHost: a\r\nContent-Length: 0"
    request = parse(head, posts=("/-/reload",))
    assert (request.method, request.path, request.query) == ("POST", "/-/reload", "x")
    for other in (head, head.replace(b"/-/reload", b"/metrics"), head.replace(b"POST", b"PUT")):
        with pytest.raises(Refused) as caught:
            parse(other, posts=() if other is head else ("/-/reload",))
        assert caught.value.response.status == HTTPStatus.METHOD_NOT_ALLOWED
    with pytest.raises(Refused) as caught:
        parse(head.replace(b": 0", b": 5"), posts=("/-/reload",))
    assert caught.value.response.status == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize(
    ("target", "query"),
    [("/probe", ""), ("/probe?", ""), ("/probe?target=a?b", "target=a?b"), ("http://here?a", "a"), ("?a", "a")],
)
def test_a_query_is_what_was_sent(target: str, query: str) -> None:
    assert parse(f"GET {target} HTTP/1.1\r\nHost: a".encode()).query == query


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"", 400),
        (b"banana", 400),
        (b"GET /", 400),
        (b"GET  / HTTP/1.1", 400),
        (b"GET / HTTP/1.1 ", 400),
        (b" GET / HTTP/1.1", 400),
        (b"GET / x HTTP/1.1", 400),
        (b"GET /\xc3\xa4 HTTP/1.1", 400),
        (b"GET /\t HTTP/1.1", 400),
        (b"GET /\nX: y HTTP/1.1", 400),
        (b"GET / HTTP/1.10", 400),
        (b"GET / http/1.1", 400),
        (b"GET / HTTP/0.9", 505),
        (b"GET / HTTP/2.0", 505),
        (b"GET / HTTP/1.1\nHost: a", 400),
        (b"GET / HTTP/1.1\r\nHost : a", 400),
        (b"GET / HTTP/1.1\r\n Host: a", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: b\nC: d", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: b\rC: d", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: b\0", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n: a", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nno colon", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\nA: b", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nContent-Length: 0", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +0", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length:", 400),
        (b"GET / HTTP/1.1", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a", 400),
        (b"GET / HTTP/1.1\r\nHost: a, b", 400),
        (b"GET / HTTP/1.1\r\nHost: a b/@c", 400),
        (b"GET /" + b"a" * 8_000 + b" HTTP/1.1", 414),
        (b"GET / HTTP/1.1" + b"\r\nA: b" * 65, 431),
    ],
)
def test_what_is_refused(head: bytes, status: int) -> None:
    assert refusal(head).status == status


@pytest.mark.parametrize("host", ["a", "a.b:1", "[::1]:10040", "192.0.2.1", ""])
def test_a_host_is_wanted_and_says_nothing(host: str) -> None:
    assert parse(f"GET / HTTP/1.1\r\nHost: {host}".encode()).path == "/"
    assert parse(b"GET / HTTP/1.0").path == "/"


def test_what_is_just_allowed() -> None:
    assert (
        len(parse(b"GET /" + b"a" * 7_999 + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 0" + b"\r\nA: b" * 62).path)
        == 8_000
    )


class TestHead:
    def test_is_taken_off_what_was_received(self) -> None:
        received = bytearray(b"\r\nGET / HTTP/1.1\r\nA: b\r\n\r\nGET /b")
        assert head_in(received) == b"GET / HTTP/1.1\r\nA: b"
        assert received == b"GET /b"
        assert head_in(received) is None
        assert received == b"GET /b"

    def test_is_no_heap_of_empty_lines(self) -> None:
        assert head_in(bytearray(b"\r\n")) is None
        assert head_in(bytearray(b"\r\n\r")) is None
        with pytest.raises(Refused) as caught:
            head_in(bytearray(b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"))
        assert caught.value.response.status == HTTPStatus.BAD_REQUEST

    def test_is_bounded(self) -> None:
        assert head_in(bytearray(b"a" * (HEAD_BYTES - 1))) is None
        assert head_in(bytearray(b"a" * (HEAD_BYTES - 4) + b"\r\n\r\n")) == b"a" * (HEAD_BYTES - 4)
        for received in (b"a" * HEAD_BYTES, b"a" * (HEAD_BYTES - 3) + b"\r\n\r\n"):
            with pytest.raises(Refused) as caught:
                head_in(bytearray(received))
            assert caught.value.response.status == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda rest: b"GET / HTTP/1.1\r\nHost: a\r\n" + rest))
def test_any_bytes_are_a_request_or_refused(head: bytes) -> None:
    try:
        request = parse(head)
    except Refused as refused:
        assert refused.response.status >= HTTPStatus.BAD_REQUEST
    else:
        assert request.method in ("GET", "HEAD")
        assert not any(
            set(text) & set("\r\n\0") for text in (request.path, *request.headers, *request.headers.values())
        )


def test_the_head_of_an_answer() -> None:
    response = Response((b"{}",), "text/x", HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": "Basic"})
    more = {"X-Frame-Options": "deny", "X-Content-Type-Options": "other", "WWW-Authenticate": "lost"}
    assert answer_head(response, more, 0, keep_alive=False).decode().split("\r\n") == [
        "HTTP/1.1 401 Unauthorized",
        "Server: localai-p2p-exporter",
        "Date: Thu, 01 Jan 1970 00:00:00 GMT",
        "Content-Type: text/x",
        "Content-Length: 2",
        "Connection: close",
        "X-Content-Type-Options: other",
        "X-Frame-Options: deny",
        "WWW-Authenticate: Basic",
        "",
        "",
    ]
    assert b"\r\nConnection: keep-alive\r\n" in answer_head(say(HTTPStatus.OK, "x"), {}, 0, keep_alive=True)
