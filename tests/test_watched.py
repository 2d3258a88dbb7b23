"""One LocalAI that is watched, and how that ends."""

import threading
from http import HTTPStatus

import pytest
from prometheus_client import CollectorRegistry
from support.clocks import FakeClock

from exporter.app import make_poller
from exporter.clock import Clock
from exporter.http1 import say
from exporter.poller import Poller
from exporter.settings import Target
from exporter.simulator import Simulator
from exporter.store import Store
from exporter.watched import Watched
from exporter.web import Metrics

PATIENCE_SECONDS = 10.0


class Asker:
    """A LocalAI that is asked for as long as the test wants."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self.times = 0
        self.closed = 0

    def poll(self, deadline: float) -> object:  # noqa: ARG002
        self.times += 1
        self.begun.set()
        self.may_end.wait(PATIENCE_SECONDS)
        raise ValueError

    def forget(self) -> None:
        """Remember nothing, as ever."""

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def asker() -> Asker:
    return Asker()


@pytest.fixture
def watched(asker: Asker) -> Watched:
    store = Store()

    def make() -> Poller:
        return Poller(
            asker,  # type: ignore[arg-type] # it never gives a snapshot
            store,
            FakeClock().clock,
            interval=15.0,
            timeout=10.0,
            retention=86_400.0,
            limit=10,
            close=asker.close,
        )

    return Watched(Metrics(CollectorRegistry()), lambda _: say(HTTPStatus.OK, ""), store, make)


def test_it_is_polled_when_it_is_told_to(watched: Watched, asker: Asker) -> None:
    asker.may_end.set()
    assert not watched.is_polled
    assert watched.beat is None
    watched.poll()
    assert watched.is_polled
    assert watched.beat is not None
    watched.poll()
    assert (asker.times, asker.closed) == (2, 0)


def test_its_end_closes_the_connection_and_no_poll_comes_after_it(watched: Watched, asker: Asker) -> None:
    asker.may_end.set()
    watched.poll()
    watched.end()
    assert asker.closed == 1
    watched.poll()
    assert asker.times == 1


def test_what_was_never_polled_has_nothing_to_close(watched: Watched, asker: Asker) -> None:
    watched.end()
    watched.poll()
    assert (asker.times, asker.closed) == (0, 0)


def test_an_end_does_not_wait_for_a_poll_that_closes_behind_itself(watched: Watched, asker: Asker) -> None:
    polling = threading.Thread(target=watched.poll)
    polling.start()
    assert asker.begun.wait(PATIENCE_SECONDS)
    watched.end()
    assert asker.closed == 0
    asker.may_end.set()
    polling.join(PATIENCE_SECONDS)
    assert asker.closed == 1


def _connections() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "simulator-connection"]


def test_a_poller_closes_its_connection() -> None:
    with Simulator() as localai:
        poller = make_poller(Target(url=localai.url), Store(), Clock.system())
        assert poller.poll().failure is None
        (thread,) = _connections()
        poller.close()
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()
