import pytest
from support.fleet import CLOCK, NOW, fleet, fleet_node
from support.values import SERVER_NOW, node, snapshot

from exporter.errors import PollError, Reason
from exporter.fleet import Fleet, FleetNode, FleetView, Model, Schedule, Status
from exporter.model import FEDERATED, LLAMA_CPP, MLX, Hidden, Kind, Node, Snapshot, View
from exporter.retention import MODEL_LIMIT, fleet_view, view
from exporter.tracker import Tracked, track

HOUR = 3_600.0
DAY = 24 * HOUR


def see(found: Snapshot, *, now: float = 1_000.0, limit: int = 10, tracked: Tracked | None = None) -> View:
    tracked = track(tracked or Tracked(), found, now)
    assert tracked.tracks is not None
    return view(found, tracked.tracks, now, retention=DAY, limit=limit)


def choose(found: Fleet, *, now: float = CLOCK.monotonic, limit: int = 10) -> FleetView:
    return fleet_view(found, now, retention=DAY, limit=limit)


STILL_WANTED = [status for status in Status if status not in (Status.OFFLINE, Status.UNHEALTHY)]


def shown(made: View) -> list[str]:
    return [item.node.id for item in made.shown]


@pytest.mark.parametrize(
    ("one", "kept"),
    [
        (node("gpu-a", online=False, last_seen=SERVER_NOW - DAY), True),
        (node("gpu-a", online=False, last_seen=SERVER_NOW - DAY - 1), False),
        (node("gpu-a", online=True, last_seen=SERVER_NOW - 9 * DAY), True),
        (node("gpu-a", online=False, last_seen=SERVER_NOW + HOUR), True),
        (node("gpu-a", online=False, last_seen=None), True),
    ],
    ids=["at the end", "beyond", "online", "ahead", "never seen"],
)
def test_retention_counts_on_localais_clock(one: Node, kept: bool) -> None:
    made = see(snapshot(one))
    assert shown(made) == (["gpu-a"] if kept else [])
    assert made.hidden[LLAMA_CPP, Hidden.RETENTION] == (not kept)


def test_a_never_seen_node_counts_from_when_we_first_heard_of_it() -> None:
    never = node("gpu-a", online=False, last_seen=None)
    first = track(Tracked(), snapshot(never), 1_000.0)
    assert shown(see(snapshot(never, monotonic=1_000 + DAY), now=1_000 + DAY, tracked=first)) == ["gpu-a"]
    assert shown(see(snapshot(never, monotonic=1_001 + DAY), now=1_001 + DAY, tracked=first)) == []


def test_a_heartbeat_that_moved_keeps_a_node_whose_clock_is_days_behind() -> None:
    before = track(Tracked(), snapshot(node("gpu-a", online=False, last_seen=SERVER_NOW - 9 * DAY)), 1_000.0)
    beating = snapshot(node("gpu-a", online=False, last_seen=SERVER_NOW - 9 * DAY + 20))
    made = see(beating, tracked=before)
    assert [(item.node.id, item.moved_at) for item in made.shown] == [("gpu-a", 1_000.0)]


def test_the_limit_keeps_online_ones_then_the_newest() -> None:
    made = see(
        snapshot(
            node("gpu-old", online=False, last_seen=SERVER_NOW - 200),
            node("gpu-never", online=False, last_seen=None),
            node("gpu-on", online=True, last_seen=SERVER_NOW - 300),
            node("gate-new", kind=FEDERATED, online=False, last_seen=SERVER_NOW - 100),
        ),
        limit=2,
    )
    assert shown(made) == ["gpu-on", "gate-new"]
    assert made.hidden == _hidden({(LLAMA_CPP, Hidden.LIMIT): 2})


def test_within_the_limit_localais_order_stays() -> None:
    assert shown(see(snapshot(node("gpu-b", online=False), node("gpu-a")), limit=2)) == ["gpu-b", "gpu-a"]


def test_a_limit_of_none_hides_all() -> None:
    made = see(snapshot(node("gpu-a")), limit=0)
    assert made.shown == ()
    assert made.hidden[LLAMA_CPP, Hidden.LIMIT] == 1


def test_every_known_kind_is_counted_from_zero() -> None:
    assert see(snapshot()).hidden == _hidden({})


def _hidden(counts: dict[tuple[Kind, Hidden], int]) -> dict[tuple[Kind, Hidden], int]:
    return {(kind, why): 0 for kind in (LLAMA_CPP, MLX, FEDERATED) for why in Hidden} | counts


class TestFleet:
    """The nodes and models of distributed mode."""

    @pytest.mark.parametrize(
        ("one", "kept"),
        [
            (fleet_node("gpu-1", Status.OFFLINE, heartbeat=NOW - DAY), True),
            (fleet_node("gpu-1", Status.OFFLINE, heartbeat=NOW - DAY - 1), False),
            (fleet_node("gpu-1", Status.UNHEALTHY, heartbeat=NOW - DAY - 1), False),
            (fleet_node("gpu-1", Status.OFFLINE, heartbeat=None), True),
            *((fleet_node("gpu-1", status, heartbeat=NOW - 9 * DAY), True) for status in STILL_WANTED),
        ],
        ids=["at the end", "beyond", "beyond and unhealthy", "never", *STILL_WANTED],
    )
    def test_what_localai_has_given_up_is_retained_for_so_long(self, one: FleetNode, kept: bool) -> None:
        made = choose(fleet(one))
        assert made.nodes == ((one,) if kept else ())
        assert made.hidden == {Hidden.RETENTION: not kept, Hidden.LIMIT: 0}

    def test_it_counts_on_localais_clock_to_the_moment_of_the_choice(self) -> None:
        one = fleet_node("gpu-1", Status.OFFLINE, heartbeat=NOW - DAY + 5)
        assert choose(fleet(one), now=CLOCK.monotonic + 5).nodes == (one,)
        assert choose(fleet(one), now=CLOCK.monotonic + 6).nodes == ()

    def test_the_limit_keeps_healthy_ones_then_those_that_were_heard_of_last(self) -> None:
        nodes = (
            fleet_node("old", Status.DRAINING, heartbeat=NOW - 200),
            fleet_node("never", Status.PENDING, heartbeat=None),
            fleet_node("healthy", heartbeat=NOW - 300),
            fleet_node("new", Status.OFFLINE, heartbeat=NOW - 100),
        )
        made = choose(fleet(*nodes), limit=2)
        assert [node.name for node in made.nodes] == ["healthy", "new"]
        assert made.hidden == {Hidden.RETENTION: 0, Hidden.LIMIT: 2}
        assert choose(fleet(*nodes), limit=4).nodes == nodes

    def test_a_model_is_one_that_is_loaded_or_scheduled(self) -> None:
        x, y = Schedule("x", 2, 3, 0), Schedule("y", 1, None, 4)
        made = choose(fleet(replicas={"z": 1, "y": 2}, schedules=(x, y)))
        assert made.models == (Model("x", 0, x), Model("y", 2, y), Model("z", 1, None))

    def test_what_a_release_does_not_list_is_unknown(self) -> None:
        x = Schedule("x", 2, 3, 0)
        assert choose(fleet(schedules=(x,))).models == (Model("x", None, x),)
        assert choose(fleet(replicas={"z": 1})).models == (Model("z", 1, None),)
        assert choose(fleet()).models == ()

    def test_of_many_models_those_with_a_schedule_are_shown_then_the_first_by_name(self) -> None:
        scheduled = Schedule("z", 2, 3, 0)
        made = choose(fleet(replicas={f"m{number:05d}": 1 for number in range(2_000)}, schedules=(scheduled,)))
        assert [made.models[index].name for index in (0, 1, -1)] == ["z", "m00000", "m00998"]
        assert (len(made.models), made.models_hidden) == (MODEL_LIMIT, 1_001)

    def test_the_deadline_ends_it(self) -> None:
        def on_time() -> None:
            raise PollError(Reason.TIMEOUT, "late")

        with pytest.raises(PollError):
            fleet_view(fleet(fleet_node("a")), NOW, retention=DAY, limit=1, on_time=on_time)
