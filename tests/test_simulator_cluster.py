"""The model of a cluster: heartbeats, deaths, restarts and clocks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import FEDERATED, LLAMA_CPP, MLX
from exporter.simulator import Cluster, Entry
from exporter.usage import UsageError

START = 1_795_381_500.0


def seen(entry: Entry) -> float:
    return entry.last_seen_ns / 1e9


def workers(cluster: Cluster, now: float) -> list[Entry]:
    return [entry for entry in cluster.entries(now) if entry.kind == LLAMA_CPP]


def worker(cluster: Cluster, now: float) -> Entry:
    (entry,) = workers(cluster, now)
    return entry


@given(seed=st.integers(0, 2**32), seconds=st.floats(0, 10_000))
def test_a_living_node_is_always_listed_online_and_at_most_35_s_old(seed: int, seconds: float) -> None:
    cluster = Cluster(START, seed=seed)
    cluster.join(LLAMA_CPP, "gpu-01", START)
    now = START + seconds
    for entry in cluster.entries(now):
        assert -0.001 <= now - seen(entry) <= 35.001
        assert entry.online(now)
    assert len(cluster.entries(now)) == 2


def test_the_age_of_a_node_is_a_sawtooth() -> None:
    cluster = Cluster(START)
    cluster.join(LLAMA_CPP, "gpu-01", START, phase=20.0, delay=4.0)
    ages = [round(START + second - seen(worker(cluster, START + second)), 3) for second in (0, 23, 24, 43, 44, 63, 64)]
    assert ages == [0, 23, 4, 23, 4, 23, 4]


def test_the_heartbeats_of_many_nodes_are_spread() -> None:
    cluster = Cluster(START)
    cluster.crowd(200, START)
    ages = sorted(START + 100 - seen(entry) for entry in workers(cluster, START + 100))
    assert ages[0] < 5
    assert ages[-1] > 28
    assert len(set(ages)) == 200


def test_a_node_that_joins_is_in_the_next_answer() -> None:
    cluster = Cluster(START)
    cluster.join(LLAMA_CPP, "gpu-01", START + 7)
    assert seen(worker(cluster, START + 7)) == START + 7


def test_a_dead_node_stays_listed_with_a_frozen_last_seen_and_goes_offline() -> None:
    cluster = Cluster(START)
    cluster.join(LLAMA_CPP, "gpu-01", START, phase=20.0, delay=4.0)
    cluster.kill("gpu-01", START + 50)
    assert [seen(worker(cluster, START + at)) - START for at in (50, 79.9, 80, 86_400)] == [40, 40, 40, 40]
    assert [worker(cluster, START + at).online(START + at) for at in (50, 79.9, 80, 86_400)] == [
        True,
        True,
        False,
        False,
    ]


def test_what_was_under_way_when_a_node_died_is_lost() -> None:
    cluster = Cluster(START)
    cluster.join(LLAMA_CPP, "gpu-01", START, phase=20.0, delay=4.0)
    cluster.kill("gpu-01", START + 41)  # announced at 40, not known before 44
    assert seen(worker(cluster, START + 45)) == START + 20


def test_kill_takes_as_many_of_a_host_as_it_is_told_the_oldest_first() -> None:
    cluster = Cluster(START)
    names = [cluster.join(LLAMA_CPP, "gpu-01", START + second, delay=0.0).name for second in range(3)]
    cluster.kill("gpu-01", START + 10, 1)
    late = START + 300
    assert {entry.name for entry in workers(cluster, late) if entry.online(late)} == {names[1], names[2]}
    cluster.kill("gpu-01", START + 10)
    assert [entry.online(late) for entry in workers(cluster, late)] == [False] * 3


def test_a_restart_gives_a_new_id_on_the_same_host_and_keeps_the_old_entry() -> None:
    cluster = Cluster(START)
    cluster.join(MLX, "mac-studio", START, skew=5.0)
    (old,) = (entry for entry in cluster.entries(START) if entry.kind == MLX)
    cluster.restart("mac-studio", START + 50)
    after = [entry for entry in cluster.entries(START + 120) if entry.kind == MLX]
    assert [entry.host for entry in after] == ["mac-studio"] * 2
    assert {entry.id: entry.online(START + 120) for entry in after} == {
        old.id: False,
        next(entry.id for entry in after if entry.id != old.id): True,
    }
    assert seen(next(e for e in cluster.entries(START + 50) if e.kind == MLX and e.id != old.id)) == START + 55


def test_restart_starts_a_dead_host_again_even_when_localai_has_forgotten_it() -> None:
    cluster = Cluster(START)
    cluster.join(MLX, "mac-studio", START)
    cluster.kill("mac-studio", START + 10)
    cluster.restart_localai(START + 20)
    assert [entry.kind for entry in cluster.entries(START + 20)] == [FEDERATED]
    cluster.restart("mac-studio", START + 30)
    assert [entry.kind for entry in cluster.entries(START + 30)] == [FEDERATED, MLX]


def test_localai_is_in_its_own_list_under_a_new_name_at_each_start() -> None:
    cluster = Cluster(START, "gateway-1")
    (before,) = cluster.entries(START)
    cluster.restart_localai(START + 30)
    (after,) = cluster.entries(START + 30)
    assert (before.kind, before.host, before.tunnel_address) == (FEDERATED, "gateway-1", "")
    assert after.host == "gateway-1"
    assert after.name != before.name
    assert seen(after) == START + 30


def test_a_restart_of_localai_forgets_the_dead_and_keeps_the_living() -> None:
    cluster = Cluster(START)
    cluster.join(LLAMA_CPP, "gpu-01", START)
    living = cluster.join(LLAMA_CPP, "gpu-02", START)
    cluster.kill("gpu-01", START + 100)
    cluster.restart_localai(START + 100)
    assert worker(cluster, START + 100).name == living.name


def test_names_and_tunnels_look_as_localai_makes_them() -> None:
    cluster = Cluster(START)
    cluster.crowd(100, START)
    listed = workers(cluster, START)
    assert all(len(entry.name) == 10 and entry.name.isalpha() and entry.name.isascii() for entry in listed)
    assert {entry.tunnel_address.partition(":")[0] for entry in listed} == {"127.0.0.1"}
    assert len({entry.tunnel_address for entry in listed}) > 90
    assert [entry.id for entry in cluster.entries(START)] == sorted(entry.id for entry in cluster.entries(START))


def test_equal_seeds_give_equal_clusters() -> None:
    def names(seed: int) -> list[str]:
        cluster = Cluster(START, seed=seed)
        cluster.crowd(3, START)
        return [entry.id for entry in cluster.entries(START + 60)]

    assert names(1) == names(1)
    assert names(1) != names(2)


def test_two_localais_of_one_seed_show_the_same_nodes() -> None:
    one, two = Cluster(START, "gateway-1", seed=7), Cluster(START, "gateway-2", seed=7)
    one.join(FEDERATED, "gateway-2", START)
    for cluster in (two, one):
        cluster.join(LLAMA_CPP, "gpu-01", START)
        cluster.join(MLX, "gpu-01", START)
    two.join(FEDERATED, "gateway-1", START)
    assert one.entries(START + 300) == two.entries(START + 300)
    one.restart_localai(START + 300)
    two.restart("gateway-1", START + 300)
    assert {entry.id for entry in one.entries(START + 600)} < {entry.id for entry in two.entries(START + 600)}


def test_a_flapping_node_goes_offline_and_returns_under_the_same_id() -> None:
    cluster = Cluster(START)
    name = cluster.join(LLAMA_CPP, "gpu-02", START, phase=20.0, delay=4.0).name
    cluster.flap("gpu-02", START + 30, 90)
    online = {at: worker(cluster, START + at).online(START + at) for at in (30, 59, 61, 83, 85, 119, 121)}
    # Announcements at 40 and 60 are lost; 80 and 100 arrive at 84 and 104; 120 is lost again.
    assert online == {30: True, 59: True, 61: False, 83: False, 85: True, 119: True, 121: True}
    assert worker(cluster, START + 150).name == name
    assert not worker(cluster, START + 141).online(START + 141)


class TestClockSkew:
    """What the captures clock-skew and clock-skew-dead-but-online show."""

    def test_a_fast_clock_is_ahead_of_localai(self) -> None:
        cluster = Cluster(START)
        cluster.join(LLAMA_CPP, "fast-clock", START, skew=600.0, phase=20.0, delay=4.0)
        assert seen(worker(cluster, START + 30)) == START + 620

    def test_a_dead_node_with_a_fast_clock_is_online_for_ten_minutes(self) -> None:
        cluster = Cluster(START)
        cluster.join(LLAMA_CPP, "fast-clock", START, skew=600.0, phase=20.0, delay=4.0)
        cluster.kill("fast-clock", START + 30)
        assert worker(cluster, START + 100).online(START + 100)
        assert worker(cluster, START + 659).online(START + 659)
        assert not worker(cluster, START + 660).online(START + 660)

    def test_a_living_node_15_s_behind_is_offline_while_its_heartbeat_is_older_than_25_s(self) -> None:
        cluster = Cluster(START)
        cluster.join(LLAMA_CPP, "slow-clock", START, skew=-15.0, phase=20.0, delay=10.0)
        # Its heartbeat of 20 s is known from 30 s to 50 s, and 25 s old at 45 s.
        verdicts = {at: worker(cluster, START + at).online(START + at) for at in (31, 44.9, 45, 49.9, 50.1)}
        assert verdicts == {31: True, 44.9: True, 45: False, 49.9: False, 50.1: True}

    @pytest.mark.parametrize("skew", [-40.0, -120.0])
    def test_a_node_40_s_behind_or_more_is_never_listed(self, skew: float) -> None:
        cluster = Cluster(START)
        cluster.join(LLAMA_CPP, "slow-clock", START, skew=skew)
        assert [workers(cluster, START + at) for at in range(0, 600, 7)] == [[]] * 86

    def test_a_heartbeat_that_is_stale_when_localai_reads_it_is_not_taken(self) -> None:
        cluster = Cluster(START)
        cluster.join(LLAMA_CPP, "slow-clock", START, skew=-30.0, phase=20.0, delay=12.0)
        assert [seen(worker(cluster, START + at)) for at in (0, 300)] == [START - 30] * 2  # the first is known at once
        cluster.restart_localai(START + 312)  # announced at 300
        assert workers(cluster, START + 312) == []


@pytest.mark.parametrize("verb", ["kill", "restart", "flap"])
def test_a_host_where_nothing_ran_is_an_error(verb: str) -> None:
    cluster = Cluster(START, "gateway-1")
    more = {"flap": (90.0,)}.get(verb, ())
    with pytest.raises(UsageError) as unknown:
        getattr(cluster, verb)("gpu-01", START, *more)
    assert str(unknown.value) == "nothing ever ran on host 'gpu-01': let it join first, for example with worker gpu-01"
    with pytest.raises(UsageError) as own:
        getattr(cluster, verb)("gateway-1", START, *more)
    assert str(own.value) == "'gateway-1' is LocalAI's own host: use outage or upgrade to stop LocalAI"
