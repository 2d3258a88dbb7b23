from typing import Any

import pytest
from support.clocks import FakeClock
from support.localai import FakeClient, entry, generation_1, generation_2, generation_3, missing, p2p_entry

from exporter.clock import Clock
from exporter.errors import PollError, Reason
from exporter.localai import LocalAI
from exporter.memory import DOUBT_AGAIN_SECONDS, DOUBTS
from exporter.model import FEDERATED, LLAMA_CPP, MLX, Snapshot, Source

LISTS = ["/api/p2p/workers", "/api/p2p/federation", "/api/p2p/stats"]
INFO = ["/version", "/.well-known/localai.json"]
FALLBACK = ["/api/p2p"]


MOST_BYTES = 32 * 2**20


class Polled:
    """A LocalAI each of whose polls may take so many seconds of the fake clock."""

    def __init__(self, client: FakeClient, time: FakeClock, *, timeout: float = 10.0, **options: Any) -> None:
        self._localai = LocalAI(client, time.clock, **{"most_bytes": MOST_BYTES} | options)
        self._time = time
        self._timeout = timeout
        self.forget = self._localai.forget

    def poll(self) -> Snapshot:
        return self._localai.poll(self._time.monotonic_now + self._timeout)


@pytest.fixture
def time() -> FakeClock:
    return FakeClock()


@pytest.fixture
def client(time: FakeClock) -> FakeClient:
    return FakeClient({}, time)


@pytest.fixture
def localai(client: FakeClient, time: FakeClock) -> Polled:
    return Polled(client, time, timeout=10.0)


def test_the_lists_are_asked_in_order_and_what_localai_is_last(localai: Polled, client: FakeClient) -> None:
    client.paths = generation_3([entry("gpu-a")], [], [entry("gate-b")])
    snapshot = localai.poll()
    assert client.asked() == LISTS + INFO
    assert (snapshot.source, snapshot.generation) == (Source.LISTS, "3")
    assert (snapshot.server.version, snapshot.server.enabled) == ("v4.7.1 ()", True)


def test_a_poll_says_whether_localai_may_be_another(localai: Polled, client: FakeClient) -> None:
    client.paths = generation_3([entry("gpu-a")], [], [])
    assert localai.poll().renewed
    assert not localai.poll().renewed
    client.paths = generation_3([], [], [])
    assert localai.poll().renewed
    localai.forget()
    assert localai.poll().renewed
    assert not localai.poll().renewed


def test_a_second_poll_asks_for_nodes_only(localai: Polled, client: FakeClient) -> None:
    client.paths = generation_3([entry("gpu-a")], [], [])
    localai.poll()
    client.asked()
    snapshot = localai.poll()
    assert client.asked() == LISTS
    assert snapshot.server.version == "v4.7.1 ()"


def test_what_localai_is_is_asked_again_after_five_minutes(
    localai: Polled, client: FakeClient, time: FakeClock
) -> None:
    client.paths = generation_3([], [], [])
    localai.poll()
    client.asked()
    time.advance(299)
    localai.poll()
    assert client.asked() == LISTS
    time.advance(1)
    client.paths["/version"] = {"version": "v4.8.0 ()"}
    assert localai.poll().server.version == "v4.8.0 ()"
    assert client.asked() == LISTS + INFO


def test_a_missing_list_falls_back_in_the_same_poll_and_is_remembered(localai: Polled, client: FakeClient) -> None:
    client.paths = generation_1([p2p_entry("gpu-a")], [p2p_entry("gate-b")])
    snapshot = localai.poll()
    assert client.asked() == ["/api/p2p/workers", "/api/p2p", *INFO]
    assert snapshot.source == Source.P2P
    assert snapshot.counts[LLAMA_CPP].online == 1
    localai.poll()
    assert client.asked() == FALLBACK


@pytest.mark.parametrize("path", LISTS)
def test_each_of_the_three_may_be_the_missing_one(path: str, localai: Polled, client: FakeClient) -> None:
    client.paths = generation_2([entry("gpu-a")], []) | {path: missing()} | generation_1([p2p_entry("gpu-b")], [])
    client.paths["/api/p2p/workers"] = missing() if path == "/api/p2p/workers" else {"nodes": []}
    assert [node.id for node in localai.poll().nodes] == ["gpu-b"]


def test_nothing_but_a_404_falls_back(localai: Polled, client: FakeClient) -> None:
    client.paths = generation_1([], [])
    client.paths["/api/p2p/workers"] = PollError(Reason.HTTP_STATUS, "", 500)
    with pytest.raises(PollError) as failure:
        localai.poll()
    assert failure.value.status == 500
    assert client.asked() == ["/api/p2p/workers"]


@pytest.mark.parametrize("path", LISTS)
def test_the_first_failure_ends_the_poll(path: str, localai: Polled, client: FakeClient) -> None:
    client.paths = generation_3([], [], []) | {path: b"<html>"}
    with pytest.raises(PollError) as failure:
        localai.poll()
    assert failure.value.reason == Reason.NOT_JSON
    assert client.asked() == LISTS[: LISTS.index(path) + 1]


def test_no_api_at_all_is_the_404_of_the_fallback(localai: Polled, client: FakeClient) -> None:
    with pytest.raises(PollError) as failure:
        localai.poll()
    assert (failure.value.reason, failure.value.status) == (Reason.HTTP_STATUS, 404)
    assert client.asked() == ["/api/p2p/workers", "/api/p2p"]


@pytest.mark.parametrize("answers", [generation_2, generation_1])
def test_a_huge_answer_is_read_until_the_deadline_and_no_further(answers: Any, client: FakeClient) -> None:
    asked_for: list[None] = []

    def monotonic() -> float:
        asked_for.append(None)
        return float(len(asked_for))

    entries = [p2p_entry("gpu-a") if answers is generation_1 else entry("gpu-a")] * 2_000
    client.paths = answers(entries, [])
    clock = Clock(wall=lambda: 1_800_000_000.0, monotonic=monotonic, awake=monotonic)
    with pytest.raises(PollError) as failure:
        LocalAI(client, clock, MOST_BYTES).poll(30.0)
    assert failure.value.reason == Reason.TIMEOUT
    assert len(asked_for) == pytest.approx(31, abs=1)


def test_after_a_poll_that_came_to_nothing_everything_is_asked_anew(localai: Polled, client: FakeClient) -> None:
    client.paths = generation_1([p2p_entry("gpu-a")], [])
    localai.poll()
    localai.forget()
    client.asked()
    localai.poll()
    assert client.asked() == ["/api/p2p/workers", "/api/p2p", *INFO]


def test_more_nodes_than_go_with_the_cap_on_bytes(client: FakeClient, time: FakeClock) -> None:
    """Each answer has fewer than the 4,096 that the smallest cap allows, and all of them together more."""
    client.paths = generation_3(*([entry(f"{kind}-{number}") for number in range(2_000)] for kind in "abc"))
    with pytest.raises(PollError) as failure:
        Polled(client, time, most_bytes=1).poll()
    assert (failure.value.reason, "4096 nodes" in failure.value.detail) == (Reason.TOO_LARGE, True)


class TestFollowing:
    """LocalAI becomes another while it is polled."""

    def test_the_lists_are_tried_again_every_five_minutes(
        self, localai: Polled, client: FakeClient, time: FakeClock
    ) -> None:
        client.paths = generation_1([p2p_entry("gpu-a")], [])
        localai.poll()
        time.advance(299.9)
        client.asked()
        localai.poll()
        assert client.asked() == FALLBACK
        time.advance(0.1)
        localai.poll()
        assert client.asked() == ["/api/p2p/workers", "/api/p2p", *INFO]

    def test_an_upgrade_during_an_outage(self, localai: Polled, client: FakeClient) -> None:
        client.paths = generation_1([p2p_entry("gpu-a")], [])
        localai.poll()
        client.paths = {"/api/p2p": PollError(Reason.CONNECT, "")}
        with pytest.raises(PollError):
            localai.poll()
        client.paths = generation_3([entry("gpu-a", online=False)], [], [])
        client.asked()
        snapshot = localai.poll()
        assert client.asked() == LISTS + INFO
        assert (snapshot.generation, snapshot.nodes[0].online) == ("3", False)

    def test_an_upgrade_between_two_polls_shows_by_the_shape(self, localai: Polled, client: FakeClient) -> None:
        client.paths = generation_1([p2p_entry("gpu-a")], [])
        localai.poll()
        client.asked()
        client.paths = generation_3([entry("gpu-a")], [entry("mac-b")], [])
        client.paths["/api/p2p"] = {"llama_cpp_nodes": [], "mlx_nodes": [], "federated_nodes": []}
        snapshot = localai.poll()
        assert client.asked() == FALLBACK + LISTS + INFO
        assert set(snapshot.counts) == {LLAMA_CPP, MLX, FEDERATED}

    def test_a_restart_between_two_polls_shows_by_the_node_that_is_gone(
        self, localai: Polled, client: FakeClient
    ) -> None:
        client.paths = generation_1([], [p2p_entry("gate-old")])
        localai.poll()
        client.asked()
        client.paths = generation_2([], [entry("gate-new")])
        client.paths["/api/p2p"] = {"nodes": [], "federated_nodes": [p2p_entry("gate-new")]}
        snapshot = localai.poll()
        assert client.asked() == FALLBACK + LISTS + INFO
        assert (snapshot.source, snapshot.generation) == (Source.LISTS, "2")

    def test_a_joining_node_is_no_restart(self, localai: Polled, client: FakeClient) -> None:
        client.paths = generation_1([p2p_entry("gpu-a")], [])
        localai.poll()
        client.asked()
        client.paths = generation_1([p2p_entry("gpu-a"), p2p_entry("gpu-b")], [])
        localai.poll()
        assert client.asked() == FALLBACK

    def test_another_version_makes_the_next_poll_try_the_lists(
        self, localai: Polled, client: FakeClient, time: FakeClock
    ) -> None:
        client.paths = generation_1([], [])
        client.takes = 5.0
        localai.poll()  # two answers took all the time, so that the version is asked for one poll after the lists
        client.takes = 0.0
        localai.poll()
        time.advance(295)
        localai.poll()
        client.paths["/version"] = {"version": "v3.7.0 ()"}
        time.advance(5)
        client.asked()
        localai.poll()
        assert client.asked() == FALLBACK + INFO
        localai.poll()
        assert client.asked() == ["/api/p2p/workers", "/api/p2p"]

    def test_a_downgrade_is_followed_in_the_same_poll(self, localai: Polled, client: FakeClient) -> None:
        client.paths = generation_3([entry("gpu-a")], [], [])
        localai.poll()
        client.asked()
        client.paths = generation_1([p2p_entry("gpu-a")], [])
        snapshot = localai.poll()
        assert client.asked() == ["/api/p2p/workers", "/api/p2p", *INFO]
        assert snapshot.server.version == "v3.6.0 (8fb95686)"
        assert snapshot.server.enabled is None

    def test_a_release_that_changes_in_the_middle_of_a_poll_is_no_answer(
        self, localai: Polled, client: FakeClient
    ) -> None:
        client.paths = generation_3([], [], []) | {"/api/p2p/workers": {"nodes": []}}
        with pytest.raises(PollError) as failure:
            localai.poll()
        assert failure.value.reason == Reason.SHAPE

    def test_with_the_web_ui_off_the_version_tells_the_generation(self, localai: Polled, client: FakeClient) -> None:
        client.paths = generation_1([], []) | {"/version": {"version": "v3.12.1 (fcecc12e)"}}
        assert localai.poll().generation == "2"

    def test_an_unknown_version_leaves_the_generation_open(self, localai: Polled, client: FakeClient) -> None:
        client.paths = generation_1([], []) | {"/version": missing()}
        assert localai.poll().generation == "1-2"


class TestDoubt:
    """What tells of a restart that no failed poll told of: LocalAI is asked everything anew."""

    @pytest.fixture
    def polled(self, localai: Polled, client: FakeClient, time: FakeClock) -> Polled:
        """Stand for LocalAI v4.7.1 with P2P on and a node, polled once."""
        client.paths = generation_3([entry("gpu-a")], [], [])
        localai.poll()
        client.asked()
        time.advance(15)
        return localai

    def test_without_one_nothing_is_asked_anew(self, polled: Polled, client: FakeClient) -> None:
        client.paths["/version"] = {"version": "v4.8.0 ()"}
        assert polled.poll().server.version == "v4.7.1 ()"
        assert client.asked() == LISTS

    def test_a_node_that_is_gone(self, polled: Polled, client: FakeClient) -> None:
        client.paths = generation_3([], [], []) | {"/version": {"version": "v4.8.0 ()"}}
        assert polled.poll().server.version == "v4.8.0 ()"

    def test_the_first_node(self, localai: Polled, client: FakeClient) -> None:
        off = {"/.well-known/localai.json": {"capabilities": {"p2p": False}}}
        client.paths = generation_3([], [], []) | off
        assert localai.poll().server.enabled is False
        client.paths = generation_3([], [], [entry("gate-a")])
        assert localai.poll().server.enabled is True

    def test_the_first_node_asks_for_the_token_too(self, client: FakeClient, time: FakeClock) -> None:
        localai = Polled(client, time, timeout=10.0, collect_token=True)
        client.paths = generation_2([], []) | {"/api/p2p/token": b""}
        assert localai.poll().server.enabled is False
        client.paths = generation_2([], [entry("gate-a")]) | {"/api/p2p/token": b"b3RwOgogIGRodDoKICAg"}
        assert localai.poll().server.enabled is True

    @pytest.mark.parametrize(("jump", "asked"), [(4, True), (-4, True), (2, False), (-2, False)])
    @pytest.mark.fault("date-jump")
    def test_a_clock_that_jumps(self, jump: float, asked: bool, polled: Polled, client: FakeClient) -> None:
        client.skew = jump
        polled.poll()
        assert client.asked() == (LISTS + INFO if asked else LISTS)

    def test_a_clock_that_nobody_read_does_not_jump(self, polled: Polled, client: FakeClient, time: FakeClock) -> None:
        client.date = False
        time.jump(3_600)
        polled.poll()
        client.date = True
        polled.poll()
        assert client.asked() == LISTS * 2

    def test_a_connection_that_was_cut(self, polled: Polled, client: FakeClient) -> None:
        client.reconnected = True
        client.paths["/version"] = {"version": "v4.8.0 ()"}
        assert polled.poll().server.version == "v4.8.0 ()"
        assert client.asked() == LISTS + INFO
        polled.poll()
        assert client.asked() == LISTS

    def test_a_cut_connection_makes_the_lists_be_tried_again(self, localai: Polled, client: FakeClient) -> None:
        client.paths = generation_1([p2p_entry("gpu-a")], [])
        localai.poll()
        client.asked()
        client.paths |= generation_2([entry("gpu-a")], [])
        client.reconnected = True
        assert localai.poll().source == Source.LISTS
        assert client.asked() == FALLBACK + LISTS + INFO

    def test_groundless_ones_have_to_wait_in_the_end(self, polled: Polled, client: FakeClient, time: FakeClock) -> None:
        asked = 0
        for _ in range(2 * DOUBTS):
            client.reconnected = True
            polled.poll()
            asked += "/version" in client.asked()
        assert asked == DOUBTS
        time.advance(DOUBT_AGAIN_SECONDS)
        for _ in range(2):
            client.reconnected = True
            polled.poll()
        assert client.asked() == [*LISTS, *INFO, *LISTS]

    def test_a_new_shape_is_no_doubt_and_never_waits(self, client: FakeClient, time: FakeClock) -> None:
        localai = Polled(client, time, timeout=10.0)
        for _ in range(DOUBTS):
            client.paths = generation_3([], [], [])
            assert localai.poll().generation == "3"
            client.paths = generation_2([], [])
            assert localai.poll().generation == "2"


@pytest.mark.parametrize(
    ("media_type", "words"),
    [("text/html", "(status 200, text/html)"), ("text/s3cret", "(status 200, another content type)")],
)
@pytest.mark.fault("html-200")
def test_what_is_not_json_says_what_it_claims_to_be(
    media_type: str, words: str, localai: Polled, client: FakeClient
) -> None:
    client.paths, client.media_type = {"/api/p2p/workers": b"<html>"}, media_type
    with pytest.raises(PollError) as failure:
        localai.poll()
    assert failure.value.detail == f"/api/p2p/workers answered something that is not JSON {words}"


class TestWhatLocalAIIs:
    def test_its_failure_costs_its_own_values_only(self, localai: Polled, client: FakeClient) -> None:
        client.paths = generation_3([entry("gpu-a")], [], [])
        client.paths["/version"] = PollError(Reason.TIMEOUT, "")
        client.paths["/.well-known/localai.json"] = b"<html>"
        snapshot = localai.poll()
        assert snapshot.counts[LLAMA_CPP].total == 1
        assert (snapshot.server.version, snapshot.server.enabled) == (None, None)

    def test_it_has_two_seconds_of_what_is_left(self, localai: Polled, client: FakeClient, time: FakeClock) -> None:
        client.paths = generation_3([], [], [])
        localai.poll()
        now = time.monotonic_now
        assert client.deadlines == [now + 10] * 3 + [now + 2] * 2

    def test_half_of_what_is_left_is_for_putting_the_nodes_to_use(self, client: FakeClient, time: FakeClock) -> None:
        client.paths = generation_3([], [], [])
        localai = Polled(client, time, timeout=3.0)
        localai.poll()
        now = time.monotonic_now
        assert client.deadlines == [now + 3] * 3 + [now + 1.5] * 2

    def test_it_is_not_asked_when_nothing_is_left_but_at_the_next_poll(
        self, client: FakeClient, time: FakeClock
    ) -> None:
        localai = Polled(client, time, timeout=0.0)
        client.paths = generation_3([], [], [])
        assert localai.poll().server.version is None
        assert client.asked() == LISTS
        assert Polled(client, time, timeout=1.0).poll().server.version == "v4.7.1 ()"

    def test_the_token_is_asked_for_only_when_told(self, client: FakeClient, time: FakeClock) -> None:
        client.paths = generation_1([], []) | {"/api/p2p/token": b"b3RwOgogIGRodDoKICAg"}
        told = Polled(client, time, timeout=10.0, collect_token=True)
        info = told.poll().server
        assert info.enabled is True
        # printf %s b3RwOgogIGRodDoKICAg | sha256sum | cut -c-16
        assert info.fingerprint == "28d58c48d80062c8"
        assert "/api/p2p/token" in client.asked()
        Polled(client, time, timeout=10.0).poll()
        assert "/api/p2p/token" not in client.asked()

    def test_the_token_is_asked_for_hourly(self, client: FakeClient, time: FakeClock) -> None:
        client.paths = generation_3([], [], []) | {"/api/p2p/token": b"b3RwOgogIGRodDoKICAg"}
        localai = Polled(client, time, timeout=10.0, collect_token=True)
        localai.poll()
        for _ in range(11):
            time.advance(300)
            client.asked()
            localai.poll()
            assert client.asked() == LISTS + INFO
        time.advance(300)
        localai.poll()
        assert client.asked() == [*LISTS, *INFO, "/api/p2p/token"]

    def test_an_empty_token_says_that_p2p_is_off(self, client: FakeClient, time: FakeClock) -> None:
        client.paths = generation_2([], []) | {"/api/p2p/token": b""}
        info = Polled(client, time, timeout=10.0, collect_token=True).poll().server
        assert (info.enabled, info.fingerprint) == (False, None)

    def test_the_well_known_document_wins_over_the_token(self, client: FakeClient, time: FakeClock) -> None:
        client.paths = generation_3([], [], []) | {"/api/p2p/token": b""}
        assert Polled(client, time, timeout=10.0, collect_token=True).poll().server.enabled is True

    @pytest.mark.parametrize(
        "answer", [b"<!DOCTYPE html><html></html>", b"short", missing()], ids=["page", "short", "404"]
    )
    def test_what_is_no_token_says_nothing_and_is_asked_for_again(
        self, answer: bytes | PollError, client: FakeClient, time: FakeClock
    ) -> None:
        client.paths = generation_2([], []) | {"/api/p2p/token": answer}
        localai = Polled(client, time, timeout=10.0, collect_token=True)
        info = localai.poll().server
        assert (info.enabled, info.fingerprint) == (None, None)
        time.advance(300)
        client.paths["/api/p2p/token"] = b"b3RwOgogIGRodDoKICAg"
        assert localai.poll().server.enabled is True


class TestClock:
    def test_localais_clock_is_the_middle_of_the_second_that_date_names(
        self, localai: Polled, client: FakeClient, time: FakeClock
    ) -> None:
        client.paths, client.skew = generation_3([], [], []), 100.25
        clock = localai.poll().clock
        assert (clock.server, clock.exact) == (time.wall_now + 100.5, True)

    @pytest.mark.fault("date-missing", "date-garbage")
    def test_without_a_date_the_last_one_goes_on(self, localai: Polled, client: FakeClient, time: FakeClock) -> None:
        client.paths, client.skew = generation_3([], [], []), 100.0
        server = localai.poll().clock.server
        client.date = False
        time.advance(15)
        time.jump(3600)
        clock = localai.poll().clock
        assert (clock.server, clock.exact) == (server + 15, False)

    def test_without_any_date_it_is_ours(self, localai: Polled, client: FakeClient, time: FakeClock) -> None:
        client.paths, client.date = generation_3([], [], []), False
        clock = localai.poll().clock
        assert (clock.server, clock.exact) == (time.wall_now, False)

    @pytest.mark.parametrize(("skew", "online"), [(39, True), (40, False)])
    def test_the_forty_seconds_are_counted_on_localais_clock(
        self, skew: float, online: bool, localai: Polled, client: FakeClient
    ) -> None:
        client.paths, client.skew = generation_1([p2p_entry("gpu-a")], []), skew
        assert localai.poll().nodes[0].online is online
