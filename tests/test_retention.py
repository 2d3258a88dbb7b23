import pytest
from support.values import SERVER_NOW, node, snapshot

from exporter.model import FEDERATED, LLAMA_CPP, MLX, Hidden, Kind, Node, Snapshot, View
from exporter.retention import view
from exporter.tracker import Tracked, track

HOUR = 3_600.0
DAY = 24 * HOUR


def see(found: Snapshot, *, now: float = 1_000.0, limit: int = 10, tracked: Tracked | None = None) -> View:
    tracked = track(tracked or Tracked(), found, now)
    assert tracked.tracks is not None
    return view(found, tracked.tracks, now, retention=DAY, limit=limit)


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
