import pytest
from support.captures import capture
from support.values import SERVER_NOW, node, snapshot

from exporter import decode
from exporter.model import FEDERATED, LLAMA_CPP, Change, ClockReading, Kind, Node, Snapshot, Track
from exporter.tracker import Tracked, track


def follow(*polls: tuple[Node, ...]) -> Tracked:
    """What is known after these polls, ten seconds apart from 1,000 on."""
    tracked = Tracked()
    for number, nodes in enumerate(polls):
        tracked = track(tracked, snapshot(*nodes), 1_000.0 + 10 * number)
    return tracked


def moved_at(*last_seen: float | None) -> float | None:
    """When the heartbeat of one node moved that showed these values, poll by poll."""
    tracks = follow(*((node("gpu-a", last_seen=seen),) for seen in last_seen)).tracks
    assert tracks is not None
    return tracks[LLAMA_CPP]["gpu-a"].moved_at


class TestHeartbeats:
    @pytest.mark.parametrize(
        ("last_seen", "moved"),
        [
            ((100,), None),
            ((100, 100, 100), None),
            ((100, 120), 1_010),
            ((100, 120, 120, 120), 1_010),
            ((100, 120, 140), 1_020),
            ((None, 100), None),
            ((None, 100, 120), 1_020),
            ((100, None, 100), None),
            ((100, None, 120), 1_020),
        ],
        ids=repr,
    )
    def test_a_rise_is_a_movement_and_a_first_sight_is_none(
        self, last_seen: tuple[float | None, ...], moved: float | None
    ) -> None:
        assert moved_at(*last_seen) == moved

    def test_a_dead_node_that_two_instances_see_differently_does_not_move(self) -> None:
        assert moved_at(100, 120, *(100, 120) * 20) == 1_010

    def test_a_living_node_that_two_instances_see_differently_moves_on(self) -> None:
        assert moved_at(100, 90, 120, 110, 140, 130) == 1_040

    def test_a_clock_that_was_set_back_is_believed_at_the_third_poll(self) -> None:
        assert moved_at(500, 100, 120, 140) is None
        assert moved_at(500, 100, 120, 140, 160) == 1_040

    def test_two_polls_below_are_not_yet_three(self) -> None:
        assert moved_at(500, 100, 120, 500, 100, 120, 500) is None

    def test_captured_dead_node_with_a_fast_clock_is_told_from_a_living_one_that_lags(self) -> None:
        # LocalAI says of both the opposite of the truth, which facts.json tells.
        tracked = Tracked()
        for number, scenario in enumerate(("clock-skew", "clock-skew-dead-but-online")):
            tracked = track(tracked, _captured(scenario), 1_000.0 + 70 * number)
        assert tracked.tracks is not None
        tracks = {**tracked.tracks[LLAMA_CPP], **tracked.tracks[FEDERATED]}
        moved = {host.rpartition("-")[0]: (one.node.online, one.moved_at) for host, one in tracks.items()}
        assert moved == {"fast-clock": (True, None), "slow-clock": (False, 1_070.0), "gateway-1": (True, 1_070.0)}


def _captured(scenario: str) -> Snapshot:
    one = capture("v4.7.1", scenario)
    now = float(one.expect["clock"])
    workers = decode.workers(one.body("workers"), now)
    federated = decode.federation(one.body("federation"), now)
    totals = decode.stats(one.body("stats"), "3")
    return decode.lists_snapshot(workers, federated, totals, ClockReading(now, 1_000.0, exact=True))


class TestMembership:
    @staticmethod
    def changes(*polls: tuple[Node, ...]) -> dict[Change, int]:
        return {change: count for (kind, change), count in follow(*polls).changes.items() if kind == LLAMA_CPP}

    A, B = node("gpu-a"), node("gpu-b")
    A_OFF = node("gpu-a", online=False)

    @pytest.mark.parametrize(
        ("polls", "joined", "lost", "returned", "forgotten"),
        [
            (((A, B),), 0, 0, 0, 0),
            (((), (A,)), 1, 0, 0, 0),
            (((A,), (A, B)), 1, 0, 0, 0),
            (((A,), (A_OFF,)), 0, 1, 0, 0),
            (((A,), (A_OFF,), (A,)), 0, 1, 1, 0),
            (((A,), (A,), (A,)), 0, 0, 0, 0),
            (((A,), ()), 0, 0, 0, 1),
            (((A_OFF,), ()), 0, 0, 0, 1),
            (((A,), (B,)), 1, 0, 0, 1),
            (((A,), (), (A,)), 1, 0, 0, 1),
        ],
        ids=["baseline", "first", "joined", "lost", "returned", "still", "gone", "gone dead", "swapped", "restart"],
    )
    def test_changes(
        self, polls: tuple[tuple[Node, ...], ...], joined: int, lost: int, returned: int, forgotten: int
    ) -> None:
        assert self.changes(*polls) == {
            Change.JOINED: joined,
            Change.LOST: lost,
            Change.RETURNED: returned,
            Change.FORGOTTEN: forgotten,
        }

    def test_every_known_kind_is_counted_from_zero(self) -> None:
        kinds = {kind for kind, _ in follow(()).changes}
        assert kinds == {LLAMA_CPP, FEDERATED, Kind("worker", "mlx")}

    def test_a_kind_that_a_downgrade_took_away_loses_its_nodes_and_keeps_its_counters(self) -> None:
        mlx = Kind("worker", "mlx")
        before = track(Tracked(), snapshot(node("mac-a", kind=mlx)), 1_000.0)
        after = track(before, snapshot(kinds=(LLAMA_CPP, FEDERATED)), 1_010.0)
        assert after.changes[mlx, Change.FORGOTTEN] == 1
        assert track(after, snapshot(kinds=(LLAMA_CPP, FEDERATED)), 1_020.0).changes == after.changes

    def test_what_localai_forgot_is_forgotten(self) -> None:
        assert follow((self.A, self.B), (self.B,)).tracks == {
            LLAMA_CPP: {"gpu-b": Track(self.B, first_seen_at=1_000.0, highest=SERVER_NOW)}
        }
