"""The page for people, without a browser: what it is made of, and what its headers let it do."""

import re
from base64 import b64encode
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path

import pytest
from support.web import Reply, ask, serving

from exporter import page
from exporter.http1 import say
from exporter.settings import DISCOVERY_PATH
from exporter.web import Lazy, routes

SCRIPTS = sorted(Path(page.__file__).parent.glob("*.js"))


def served(*, many: bool = False) -> Reply:
    more = {DISCOVERY_PATH: lambda _: say(HTTPStatus.OK, "[]")} if many else {}
    with serving(routes(lambda _: say(HTTPStatus.OK, ""), "/metrics", lambda: True, lambda: True, more)) as server:
        return ask(server, "/")


@pytest.fixture(scope="module")
def reply() -> Reply:
    return served()


def policy(reply: Reply) -> dict[str, str]:
    return dict(part.strip().split(" ", 1) for part in reply.headers["content-security-policy"].split(";"))


def test_its_headers_let_it_do_nothing_but_ask_this_exporter(reply: Reply) -> None:
    hashes = policy(reply)
    style, script = hashes.pop("style-src"), hashes.pop("script-src")
    assert hashes == {
        "default-src": "'none'",
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    for element, source in (("style", style), ("script", script)):
        (inline,) = re.findall(rf"<{element}>(.*?)</{element}>".encode(), reply.body, re.DOTALL)
        assert source == f"'sha256-{b64encode(sha256(inline).digest()).decode()}'"
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_nothing_comes_from_elsewhere(reply: Reply) -> None:
    text = reply.body.decode()
    assert re.findall(r'(?:src|srcset|style|\bon\w+)="|@import|url\(', text) == []
    assert re.findall(r'<link [^>]*href="([^"]*)"', text) == ["data:,"]
    assert set(re.findall(r"https?://[^\"'\s]+", text)) == {"https://localai.io"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_no_text_becomes_html(script: Path) -> None:
    text = script.read_text("utf-8")
    assert re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|Function\(|DOMParser", text) == []


def test_every_script_is_on_it(reply: Reply) -> None:
    assert len(SCRIPTS) == 3
    for script in SCRIPTS:
        assert script.read_bytes() in reply.body


def test_it_knows_whether_there_are_many() -> None:
    assert b'data-view="cluster"' in served().body
    assert b'data-view="targets"' in served(many=True).body


def test_a_lazy_route_is_made_once_when_it_is_asked_for() -> None:
    made = []

    def make() -> page.Page:
        made.append(page.Page("/metrics", many=False))
        return made[-1]

    with serving({"/": Lazy(make)}) as server:
        assert not made
        assert [ask(server, "/").status for _ in range(2)] == [HTTPStatus.OK] * 2
    assert len(made) == 1
