import copy
import os
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from exporter.arguments import load_settings
from exporter.settings import (
    ApiKeyFile,
    ListenAddress,
    Secret,
    Settings,
    Target,
    api_key,
    base_url,
    concerns,
    proxy_url,
)
from exporter.usage import UsageError

CANARY = "sk-canary-7f3a"

NO_URL = "not a URL: write it as http://host:port"
NO_HTTP_URL = "not a URL with http or https: write it as http://host:port"
NO_PROXY_URL = "not a URL with http: write it as http://host:port"
QUERY = "a query or fragment has no place in the URL: give scheme, host, port and path prefix only"
PASSWORD = "a user or password has no place in the URL: LocalAI's key goes into --localai.api-key-file"  # noqa: S105
PROXY_PASSWORD = "a user or password has no place in the URL: only proxies that want none are supported"  # noqa: S105


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://localhost:8080/", "http://localhost:8080"),
        ("https://ai.example/prefix", "https://ai.example/prefix"),
        ("https://ai.example/two/levels//", "https://ai.example/two/levels"),
        ("  http://localhost:8080 \n", "http://localhost:8080"),
        ("HTTP://Host:8080", "http://Host:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://192.0.2.1", "http://192.0.2.1"),
        ("http://local_ai.example.", "http://local_ai.example."),
        (f"http://{'a' * 63}.example", f"http://{'a' * 63}.example"),
        ("http://b\u00fccher.example", "http://b\u00fccher.example"),
        ("http://[fe80::1%25eth0]:8080", "http://[fe80::1%25eth0]:8080"),
    ],
)
def test_base_url_keeps_the_path_prefix_and_drops_the_last_slash(text: str, url: str) -> None:
    assert base_url(text) == url


PORT_0 = "nothing can listen on port 0: give the port, or leave it out with its colon"
NO_HOST = (
    "the host is neither a name nor an address: a name's parts between dots have 1 to 63 letters, digits, hyphens or "
    "underscores"
)

BAD_URLS = [
    pytest.param("", NO_HTTP_URL, id="empty"),
    pytest.param(f"{CANARY}:8080", NO_HTTP_URL, id="no-scheme"),
    pytest.param(f"ftp://{CANARY}", NO_HTTP_URL, id="other-scheme"),
    pytest.param(f"file:///{CANARY}", NO_HTTP_URL, id="file"),
    pytest.param(f"http:///{CANARY}", NO_HTTP_URL, id="no-host"),
    pytest.param(f"http:/{CANARY}", NO_HTTP_URL, id="one-slash"),
    pytest.param(f"http://:8080/{CANARY}", NO_HTTP_URL, id="port-alone"),
    pytest.param(f"http://{CANARY}:65536", NO_URL, id="port-too-large"),
    pytest.param(f"http://host:{CANARY}", NO_URL, id="port-no-number"),
    pytest.param(f"http://{CANARY}:-1", NO_URL, id="port-negative"),
    pytest.param(f"http://[::1/{CANARY}", NO_URL, id="open-bracket"),
    pytest.param(f"http://ho st/{CANARY}", NO_HTTP_URL, id="blank"),
    pytest.param(f"http://ho\tst/{CANARY}", NO_HTTP_URL, id="tab"),
    pytest.param(f"http://host\n/{CANARY}", NO_HTTP_URL, id="line-break"),
    pytest.param(f"http://host/{CANARY}\r\nX: y", NO_HTTP_URL, id="header"),
    pytest.param(f"\0http://host/{CANARY}", NO_HTTP_URL, id="NUL"),
    pytest.param(f"http://host/\x1b[2J{CANARY}", NO_HTTP_URL, id="escape"),
    pytest.param(f"http://host/\x7f{CANARY}", NO_HTTP_URL, id="DEL"),
    pytest.param(f"http://host/\x9b{CANARY}", NO_HTTP_URL, id="C1"),
    pytest.param(f"http://user:{CANARY}@host", PASSWORD, id="password"),
    pytest.param(f"http://{CANARY}@host", PASSWORD, id="user"),
    pytest.param(f"http://:{CANARY}@host", PASSWORD, id="password-alone"),
    pytest.param(f"http://{CANARY}:0", PORT_0, id="port-0"),
    pytest.param(f"http://{CANARY}.{'a' * 64}", NO_HOST, id="long-label"),
    pytest.param(f"http://{CANARY}..example", NO_HOST, id="empty-label"),
    pytest.param(f"http://.{CANARY}", NO_HOST, id="first-label-empty"),
    pytest.param(f"http://*.{CANARY}", NO_HOST, id="wildcard"),
    pytest.param(f"http://{CANARY}\\x", NO_HOST, id="backslash"),
    pytest.param(f"http://{CANARY}%41", NO_HOST, id="percent"),
    pytest.param(f"http://{CANARY}|x", NO_HOST, id="bar"),
    pytest.param(f"http://\u2603.{CANARY}", NO_HOST, id="no-letter"),
    pytest.param(f"http://host?key={CANARY}", QUERY, id="query"),
    pytest.param(f"http://host/#{CANARY}", QUERY, id="fragment"),
]


@pytest.mark.parametrize(("text", "message"), BAD_URLS)
def test_base_url_refuses_without_repeating_the_text(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".+") as caught:
        base_url(text)
    assert str(caught.value) == message
    assert CANARY not in "".join(traceback.format_exception(caught.value)).replace(f'"{text}"', "")


@given(st.from_regex(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63}){0,4}", fullmatch=True))
def test_a_host_that_is_taken_without_the_http_library_is_one_that_it_takes(host: str) -> None:
    assert base_url(f"http://{host}:8080") == f"http://{host}:8080"
    assert requests.Request("GET", f"http://{host}:8080").prepare().url == f"http://{host.lower()}:8080/"
    assert host.encode("idna")


PROXY_PATH = "a path, query or fragment has no place in a proxy's URL: give scheme, host and port only"


def test_proxy_url_drops_the_last_slash() -> None:
    assert proxy_url("http://proxy:3128/") == "http://proxy:3128"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("https://proxy:3128", NO_PROXY_URL),
        ("socks5://proxy:1080", NO_PROXY_URL),
        ("proxy:3128", NO_PROXY_URL),
        ("http://proxy:x", NO_URL),
        ("http://proxy:0", PORT_0),
        ("http://*.proxy", NO_HOST),
        (f"http://proxy:3128/{CANARY}", PROXY_PATH),
        (f"http://proxy:3128?{CANARY}", PROXY_PATH),
        (f"http://proxy:3128/#{CANARY}", PROXY_PATH),
        (f"http://user:{CANARY}@proxy:3128", PROXY_PASSWORD),
    ],
)
def test_proxy_url_refuses(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".+") as caught:
        proxy_url(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (":10040", "", 10_040),
        ("127.0.0.1:10040", "127.0.0.1", 10_040),
        ("localhost:0", "localhost", 0),
        ("[::1]:65535", "::1", 65_535),
        ("[fe80::10%eth0]:10040", "fe80::10%eth0", 10_040),
    ],
)
def test_listen_address_reads_what_it_writes(text: str, host: str, port: int) -> None:
    address = ListenAddress.parse(text)
    assert address == ListenAddress(host, port)
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    ["", "10040", "host", "host:", ":65536", ":-1", ":1x", "::1:10040", "[::1]", "a b:1", ":1\n", ":١"],  # noqa: RUF001
)
def test_listen_address_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r".+") as caught:
        ListenAddress.parse(text)
    assert str(caught.value) == f"{text!r} is no address: write it as :10040, 127.0.0.1:10040 or [::1]:10040"


def test_a_secret_shows_itself_only_on_demand() -> None:
    secret = Secret(CANARY)
    assert secret.reveal() == CANARY
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r}", f"{secret!s}", "%s %r" % (secret, secret)]  # noqa: UP031
    assert shown == ["***", "***", "***", "***", "***", "*** ***"]
    assert not hasattr(secret, "__dict__")


def test_no_repr_holds_the_key() -> None:
    target = Target(api_key=Secret(CANARY))
    settings = Settings(target=target)
    for thing in (target, settings, [settings], {"x": settings}, copy.copy(settings)):
        assert CANARY not in repr(thing)
        assert CANARY not in str(thing)
        assert "***" in repr(thing)


@pytest.mark.parametrize(
    "text",
    [CANARY, f"  {CANARY}\n", f"\t{CANARY}\r\n", f"\n\n{CANARY}"],
    ids=["bare", "blanks", "crlf", "lines-before"],
)
def test_api_key_drops_white_space_around_it(text: str) -> None:
    assert api_key(text, "here").reveal() == CANARY


EMPTY = "is empty: put LocalAI's API key there, or leave it out where LocalAI needs none"
COMMA = "holds a comma: LocalAI reads a list of keys from a variable of that name; give the exporter one"
NO_HEADER = "holds a blank, a line break or another character that no HTTP header can carry"

BAD_KEYS = [
    pytest.param("", EMPTY, id="empty"),
    pytest.param(" \t\n", EMPTY, id="white-space"),
    pytest.param(f"{CANARY},other", COMMA, id="comma"),
    pytest.param(f"other,{CANARY}\n", COMMA, id="comma-line"),
    pytest.param(f"{CANARY}\nother", NO_HEADER, id="line-break"),
    pytest.param(f"{CANARY}\r\nX-Forged: 1", NO_HEADER, id="header"),
    pytest.param(f"{CANARY} other", NO_HEADER, id="blank"),
    pytest.param(f"{CANARY}\0", NO_HEADER, id="NUL"),
    pytest.param(f"{CANARY}\x7f", NO_HEADER, id="DEL"),
    pytest.param(f"{CANARY}ü", NO_HEADER, id="non-ASCII"),
    pytest.param(f"\ufeff{CANARY}", NO_HEADER, id="byte-order-mark"),
]


@pytest.mark.parametrize(("text", "message"), BAD_KEYS)
def test_api_key_refuses_by_origin(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        api_key(text, "LOCALAI_API_KEY")
    assert str(caught.value) == f"LOCALAI_API_KEY {message}"
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(("text", "message"), BAD_KEYS)
def test_api_key_file_refuses_by_path(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "key"
    path.write_text(text, "utf-8", newline="")
    with pytest.raises(UsageError) as caught:
        ApiKeyFile(path).read()
    assert str(caught.value) == f"--localai.api-key-file: {path} {message}"


def test_api_key_file_is_read_anew_each_time(tmp_path: Path) -> None:
    path = tmp_path / "key"
    file = ApiKeyFile(path)
    for key in ("first", "second"):
        path.write_text(f"{key}\n")
        assert file.read().reveal() == key


def test_api_key_file_that_is_missing_may_be_the_key_itself(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        ApiKeyFile(tmp_path / CANARY).read()
    assert str(caught.value) == "--localai.api-key-file: the file cannot be read (FileNotFoundError)"


def test_api_key_file_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(f"{CANARY}\xff".encode("latin-1"))
    with pytest.raises(UsageError) as caught:
        ApiKeyFile(path).read()
    assert str(caught.value) == f"--localai.api-key-file: {path} {NO_HEADER}"
    # What Python quotes of the file must not be shown as the cause.
    assert CANARY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.fault("key-file")
def test_api_key_file_that_is_no_file_is_neither_waited_for_nor_read(tmp_path: Path) -> None:
    pipe, endless, huge = tmp_path / "pipe", tmp_path / "endless", tmp_path / "huge"
    os.mkfifo(pipe)
    endless.symlink_to("/dev/zero")
    huge.write_bytes(b"k" * (2**20 + 1))
    for path, fault in ((pipe, "is no regular file"), (endless, "is no regular file"), (huge, "is larger than 1MiB")):
        with pytest.raises(UsageError) as caught:
            ApiKeyFile(path).read()
        assert str(caught.value) == f"--localai.api-key-file: {path} {fault}"


def test_api_key_file_that_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        ApiKeyFile(tmp_path).read()
    assert str(caught.value) == f"--localai.api-key-file: {tmp_path} cannot be read (IsADirectoryError)"


STALE = "--poll.interval and --poll.timeout together, 25s: series would vanish between two good polls"
OVERRUN = "a poll has to end before the next one starts"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"poll_interval": 0.0999}, "--poll.interval must be at least 100ms"),
        ({"poll_interval": 0.0}, "--poll.interval must be at least 100ms"),
        ({"poll_timeout": 0.0}, f"--poll.timeout 0s must be above 0 and no longer than --poll.interval 15s: {OVERRUN}"),
        (
            {"poll_timeout": 15.001},
            f"--poll.timeout 15s1ms must be above 0 and no longer than --poll.interval 15s: {OVERRUN}",
        ),
        ({"stale_after": 24.0}, f"--poll.stale-after 24s must be no shorter than {STALE}"),
        ({"node_retention": 0.0}, "--node.retention must be above 0"),
        (
            {"tls_cert_file": Path("cert.pem")},
            "--localai.tls-cert-file and --localai.tls-key-file go together: give both or neither",
        ),
        (
            {"tls_key_file": Path("key.pem")},
            "--localai.tls-cert-file and --localai.tls-key-file go together: give both or neither",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(parts: Mapping[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Target(**parts).checked()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "parts",
    [
        {"poll_interval": 0.1, "poll_timeout": 0.1, "stale_after": 0.2},
        {"poll_timeout": 15.0},
        {"stale_after": 25.0},
        {"node_limit": 0},
        {"node_retention": 0.001},
        {"tls_cert_file": Path("cert.pem"), "tls_key_file": Path("key.pem")},
    ],
)
def test_parts_at_the_edge_fit(parts: Mapping[str, Any]) -> None:
    target = Target(**parts).checked()
    assert {name: getattr(target, name) for name in parts} == parts


def test_the_defaults_are_those_of_no_flags_at_all() -> None:
    assert load_settings({}, {}) == Settings()


def test_settings_do_not_change() -> None:
    settings = Settings()
    with pytest.raises(AttributeError):
        settings.log_level = "debug"  # type: ignore[misc]
    with pytest.raises(TypeError):
        settings.target.expected["worker"] = 1  # type: ignore[index]


PLAIN = "LocalAI's API key goes over the network in plain HTTP: whoever listens can read it"
UNCHECKED = "LocalAI's certificate is not checked: whoever stands between can read the API key"


@pytest.mark.parametrize(
    ("url", "key", "insecure", "found"),
    [
        ("http://ai.example", Secret("k"), False, [PLAIN]),
        ("http://ai.example", ApiKeyFile(Path("key")), False, [PLAIN]),
        ("http://192.0.2.1:8080", Secret("k"), False, [PLAIN]),
        ("http://localhost.example", Secret("k"), False, [PLAIN]),
        ("http://ai.example", None, False, []),
        ("https://ai.example", Secret("k"), False, []),
        ("http://localhost:8080", Secret("k"), False, []),
        ("http://LOCALHOST:8080", Secret("k"), False, []),
        ("http://ai.localhost", Secret("k"), False, []),
        ("http://127.0.0.1:8080", Secret("k"), False, []),
        ("http://127.8.9.10:8080", Secret("k"), False, []),
        ("http://[::1]:8080", Secret("k"), False, []),
        ("https://ai.example", Secret("k"), True, [UNCHECKED]),
        ("https://ai.example", None, True, [UNCHECKED]),
        ("http://ai.example", Secret("k"), True, [PLAIN, UNCHECKED]),
    ],
)
def test_concerns(url: str, key: Secret | ApiKeyFile | None, insecure: bool, found: list[str]) -> None:
    assert concerns(Target(url=url, api_key=key, tls_insecure=insecure)) == found


@pytest.mark.parametrize(
    ("url", "proxy", "found"),
    [
        ("http://localhost:8080", "http://proxy.example:3128", [PLAIN]),
        ("http://ai.example", "http://localhost:3128", [PLAIN]),
        ("http://localhost:8080", "http://127.0.0.1:3128", []),
        ("https://ai.example", "http://proxy.example:3128", []),
    ],
)
def test_every_hop_of_a_key_in_plain_http_is_a_concern(url: str, proxy: str, found: list[str]) -> None:
    assert concerns(Target(url=url, proxy_url=proxy, api_key=Secret("k"))) == found
    assert concerns(Target(url=url, proxy_url=proxy)) == []
