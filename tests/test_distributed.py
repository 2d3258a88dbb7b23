from typing import Any

import pytest
from support.clocks import FakeClock
from support.fleet import MODELS, NODES, SCHEDULING, fleet_answers, loaded, registered, wanted
from support.localai import FakeClient, entry, generation_3, missing

from exporter.distributed import Distributed
from exporter.errors import PollError, Reason
from exporter.fleet import Dropped, Fleet, Listing, Schedule
from exporter.localai import LocalAI
from exporter.model import ClockReading
from exporter.questions import Questions

ALL = [NODES, MODELS, SCHEDULING]
ONE = fleet_answers([registered("gpu-1"), {}], [loaded("gpu-1", "llama-3")], [wanted("llama-3")])
MOST_BYTES = 32 * 2**20


class Asked:
    """A LocalAI each of whose rounds of questions may take ten seconds of the fake clock."""

    def __init__(self, client: FakeClient, time: FakeClock) -> None:
        self.questions = Questions(client, time.clock, MOST_BYTES)
        self._distributed = Distributed(self.questions, time.clock)
        self._time = time

    def ask(self, *, known: bool = True, anew: bool = False) -> Fleet | None:
        return self._distributed.ask(self._time.monotonic_now + 10, known=known, anew=anew)


@pytest.fixture
def time() -> FakeClock:
    return FakeClock()


@pytest.fixture
def client(time: FakeClock) -> FakeClient:
    return FakeClient(ONE, time)


@pytest.fixture
def localai(client: FakeClient, time: FakeClock) -> Asked:
    return Asked(client, time)


def test_all_three_are_asked_in_order(localai: Asked, client: FakeClient, time: FakeClock) -> None:
    found = localai.ask()
    assert client.asked() == ALL
    assert set(client.deadlines) == {time.monotonic_now + 10}
    assert found is not None
    assert [node.name for node in found.nodes] == ["gpu-1"]
    assert found.replicas == {"llama-3": 1}
    assert found.schedules == (Schedule("llama-3", 2, 3, 0),)
    assert found.dropped == {
        Listing.NODES: Dropped(1, 0),
        Listing.MODELS: Dropped(),
        Listing.SCHEDULING: Dropped(),
    }
    assert found.clock == ClockReading(time.wall_now + 0.5, time.monotonic_now, exact=True)


def test_without_a_date_the_clock_is_what_it_was(localai: Asked, client: FakeClient, time: FakeClock) -> None:
    client.skew = 100.0
    localai.ask()
    client.date = False
    time.advance(15)
    found = localai.ask()
    assert found is not None
    assert found.clock == ClockReading(time.wall_now + 100.5, time.monotonic_now, exact=False)


@pytest.mark.parametrize("answer", [PollError(Reason.HTTP_STATUS, "", 500), PollError(Reason.AUTH, "", 401), b"<html>"])
@pytest.mark.parametrize("path", ALL)
def test_the_first_failure_ends_it(path: str, answer: Any, localai: Asked, client: FakeClient) -> None:
    client.paths[path] = answer
    with pytest.raises(PollError) as failure:
        localai.ask()
    assert failure.value.reason == (answer.reason if isinstance(answer, PollError) else Reason.NOT_JSON)
    assert client.asked() == ALL[: ALL.index(path) + 1]


def test_a_page_says_what_it_claims_to_be(localai: Asked, client: FakeClient) -> None:
    client.paths[NODES], client.media_type = b"<html>", "text/html"
    with pytest.raises(PollError, match=r"/api/nodes answered something that is not JSON \(status 200, text/html\)"):
        localai.ask()


def test_what_takes_too_long_is_given_up(localai: Asked, client: FakeClient) -> None:
    client.takes = 6.0
    with pytest.raises(PollError) as failure:
        localai.ask()
    assert failure.value.reason == Reason.TIMEOUT
    assert client.asked() == [NODES, MODELS]


def test_where_no_time_is_left_nothing_is_asked(client: FakeClient, time: FakeClock) -> None:
    questions = Questions(client, time.clock, MOST_BYTES)
    with pytest.raises(PollError) as failure:
        Distributed(questions, time.clock).ask(time.monotonic_now - 0.1, known=True)
    assert failure.value.reason == Reason.TIMEOUT
    assert client.asked() == []


class TestMissing:
    @pytest.fixture(autouse=True)
    def _off(self, client: FakeClient) -> None:
        client.paths = {}

    def test_without_nodes_it_is_off_and_believed_to_be_for_five_minutes(
        self, localai: Asked, client: FakeClient, time: FakeClock
    ) -> None:
        assert localai.ask() is None
        assert client.asked() == [NODES]
        time.advance(299)
        assert localai.ask() is None
        assert client.asked() == []
        client.paths = dict(ONE)
        time.advance(1)
        assert localai.ask() is not None
        assert client.asked() == ALL

    def test_another_localai_is_asked_at_once(self, localai: Asked, client: FakeClient) -> None:
        localai.ask()
        client.paths = dict(ONE)
        assert localai.ask() is None
        assert localai.ask(anew=True) is not None

    def test_who_is_not_known_to_be_localai_says_nothing_by_it(self, localai: Asked, client: FakeClient) -> None:
        for _ in range(2):
            with pytest.raises(PollError) as failure:
                localai.ask(known=False)
            assert failure.value.status == 404
            assert client.asked() == [NODES]
        client.paths = dict(ONE)
        assert localai.ask(known=False) is not None

    def test_who_lists_nodes_is_localai(self, localai: Asked, client: FakeClient) -> None:
        client.paths = ONE | {MODELS: missing()}
        found = localai.ask(known=False)
        assert found is not None
        assert found.replicas is None

    def test_it_goes_off(self, localai: Asked, client: FakeClient) -> None:
        client.paths = dict(ONE)
        assert localai.ask() is not None
        client.paths = {}
        assert localai.ask() is None

    def test_a_release_without_one_of_the_others(self, localai: Asked, client: FakeClient, time: FakeClock) -> None:
        client.paths = ONE | {MODELS: missing()}
        found = localai.ask()
        assert found is not None
        assert (found.replicas, found.schedules) == (None, (Schedule("llama-3", 2, 3, 0),))
        assert found.dropped.keys() == {Listing.NODES, Listing.SCHEDULING}
        client.asked()
        client.paths = ONE | {SCHEDULING: missing()}
        found = localai.ask()
        assert found is not None
        assert (found.replicas, found.schedules) == (None, None)
        assert client.asked() == [NODES, SCHEDULING]
        time.advance(300)
        found = localai.ask()
        assert found is not None
        assert found.replicas == {"llama-3": 1}


def test_a_connection_that_was_cut_meanwhile_is_p2ps_to_follow_up(client: FakeClient, time: FakeClock) -> None:
    client.paths |= generation_3([entry("gpu-a")], [], [])
    localai = LocalAI(client, time.clock, MOST_BYTES)
    distributed = Distributed(localai.questions, time.clock)
    assert localai.poll(time.monotonic_now + 10).renewed
    assert not localai.poll(time.monotonic_now + 10).renewed
    client.reconnected = True
    distributed.ask(time.monotonic_now + 10, known=True)
    assert localai.poll(time.monotonic_now + 10).renewed
    assert not localai.poll(time.monotonic_now + 10).renewed
