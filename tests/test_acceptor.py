import selectors
import socket
from collections.abc import Iterator
from contextlib import closing
from errno import EMFILE, ENFILE

import pytest

from exporter.acceptor import Acceptor


class Listener(socket.socket):
    """Listens on a free port, and has what is wanting for a client as often as `wants` says."""

    def __init__(self) -> None:
        super().__init__()
        self.bind(("127.0.0.1", 0))
        self.wants: list[int] = []

    def accept(self) -> tuple[socket.socket, object]:
        if self.wants:
            raise OSError(self.wants.pop(), "canary-51ab")
        return super().accept()


@pytest.fixture
def selector() -> Iterator[selectors.BaseSelector]:
    with selectors.DefaultSelector() as selector:
        yield selector


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as listener:
        yield listener


@pytest.fixture
def acceptor(listener: Listener, selector: selectors.BaseSelector) -> Iterator[Acceptor]:
    with closing(Acceptor([listener], selector)) as acceptor:
        acceptor.listen()
        yield acceptor


def test_nobody_waits(acceptor: Acceptor, listener: Listener) -> None:
    assert acceptor.accept(listener, 1.0) is None


def test_a_want_of_descriptors_is_said_once_until_it_has_ended(
    acceptor: Acceptor, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    for now, error in ((100.0, EMFILE), (100.1, ENFILE), (159.0, EMFILE), (219.0, ENFILE)):
        listener.wants.append(error)
        with socket.create_connection(listener.getsockname()):
            with pytest.raises(OSError, match="canary"):
                acceptor.accept(listener, now)
            accepted = acceptor.accept(listener, now)
        assert accepted
        accepted.close()
    assert [vars(record)["fields"] for record in caplog.records] == [{"error": "EMFILE"}, {"error": "ENFILE"}]


def test_a_pause_ends_in_time_or_when_there_is_room(
    acceptor: Acceptor, listener: Listener, selector: selectors.BaseSelector
) -> None:
    def is_waited_for(now: float) -> bool:
        acceptor.register(now)
        return listener in selector.get_map()

    assert is_waited_for(1.0)
    acceptor.pause(1.0)
    assert not is_waited_for(1.0)
    (end,) = acceptor.ends_pause()
    assert [is_waited_for(now) for now in (end - 0.01, end)] == [False, True]
    assert acceptor.ends_pause() == []
    acceptor.pause(end)
    assert not is_waited_for(end)
    acceptor.resume()
    assert is_waited_for(end)


def test_a_closed_one_listens_no_more(acceptor: Acceptor, listener: Listener, selector: selectors.BaseSelector) -> None:
    acceptor.register(1.0)
    acceptor.close()
    acceptor.close()
    acceptor.register(2.0)
    assert (len(selector.get_map()), listener.fileno(), acceptor.ends_pause()) == (0, -1, [])
