from collections.abc import Mapping
from http import HTTPStatus

import pytest
from support.web import raw, serving

from exporter.guard import Open
from exporter.http1 import Request, Response, say
from exporter.router import Router

ASKED = Request("GET", "/page")


class Quick:
    """Answers at once, or leaves it to whoever may wait."""

    def __init__(self, *, ready: bool = True, breaks: bool = False) -> None:
        self.ready = ready
        self.breaks = breaks

    def __call__(self, _: Request) -> Response:
        return say(HTTPStatus.OK, "Later.")

    def at_once(self, _: Request) -> Response | None:
        if self.breaks:
            raise ValueError("canary-51ab")
        return say(HTTPStatus.OK, "At once.") if self.ready else None


class Porter(Open):
    """Lets nobody in who is asked; whether somebody is, is known at once."""

    def __init__(self, *, asks: bool) -> None:
        self._asks = asks

    def asks(self, path: str) -> bool:
        return self._asks and path == "/page"

    def authorize(self, path: str, headers: Mapping[str, str]) -> Response | None:  # noqa: ARG002
        return say(HTTPStatus.UNAUTHORIZED, "Speak.") if self.asks(path) else None


def words(response: Response | None) -> str | None:
    return response and b"".join(response.body).decode().strip()


def test_a_route_that_waits_for_nobody_answers_at_once() -> None:
    assert words(Router({"/page": Quick()}).at_once(ASKED)) == "At once."
    assert words(Router({"/page": Quick()}).respond(ASKED)) == "Later."


@pytest.mark.parametrize(
    "router",
    [Router({"/page": Quick(ready=False)}), Router({"/page": Quick(ready=False).__call__}), Router({"/": Quick()})],
    ids=["not now", "never", "no page"],
)
def test_what_is_not_there_at_once_may_wait(router: Router) -> None:
    assert router.at_once(ASKED) is None


def test_a_password_is_not_looked_at_by_who_must_not_wait() -> None:
    asking, open_to_all = (Router({"/page": Quick()}, Porter(asks=asks)) for asks in (True, False))
    assert asking.at_once(ASKED) is None
    assert words(asking.respond(ASKED)) == "Speak."
    assert words(open_to_all.at_once(ASKED)) == "At once."


def test_one_that_breaks_says_so(caplog: pytest.LogCaptureFixture) -> None:
    answer = Router({"/page": Quick(breaks=True)}).at_once(ASKED)
    assert answer is not None
    assert answer.status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert "ValueError" in str([vars(record)["fields"] for record in caplog.records])
    assert "canary" not in caplog.text


@pytest.mark.parametrize("ready", [True, False])
def test_requests_that_come_together_are_answered_in_turn(*, ready: bool) -> None:
    """However many: each is another turn of the thread that waits, and none a call within the one before."""
    route = Quick(ready=ready)
    with serving({"/page": route, "/other": lambda _: say(HTTPStatus.OK, "Other.")}) as server:
        answer = raw(
            server, b"GET /page HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /other HTTP/1.1\r\nHost: a\r\n\r\n" * 500
        )
    said = b"At once.\n" if ready else b"Later.\n"
    assert [part.partition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 200 OK\r\n")[1:]] == [
        said,
        b"Other.\n",
    ] * 500
