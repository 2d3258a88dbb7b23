from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from support.judges import promtool_says
from support.values import SERVER_NOW, node
from support.world import World

from exporter import metrics
from exporter.labels import label
from exporter.metrics import DEFINITIONS
from exporter.model import FEDERATED, LLAMA_CPP, MLX, Node, ServerInfo

LOCALAIS = {
    *("enabled", "nodes", "nodes_online", "node_online", "node_last_seen_timestamp_seconds"),
    *("node_last_seen_age_seconds", "node_info", "host_nodes_online", "nodes_hidden", "entries_dropped"),
    *("server_clock_offset_seconds", "server_info", "token_info"),
}
OURS = {
    *("nodes_expected", "host_expected", "exporter_build_info", "exporter_tls_insecure"),
}
POLLS = {
    *("up", "exporter_polls_total", "exporter_poll_failures_total", "exporter_poll_duration_seconds"),
}
UNDERSTOOD = {
    *("membership_changes_total", "exporter_api_info", "exporter_last_poll_success_timestamp_seconds"),
}
ALL_KNOWN = ServerInfo("v4.7.1 ()", enabled=True, fingerprint="28d58c48d80062c8")


def test_before_the_first_poll_there_is_no_up() -> None:
    assert World().names() == OURS


def test_a_first_poll_that_fails() -> None:
    world = World()
    world.fails()
    assert world.names() == OURS | POLLS
    assert world.series("up") == {"": 0}


def test_everything() -> None:
    world = World()
    world.sees(node("gpu-01-a", last_seen=SERVER_NOW - 7.5), server=ALL_KNOWN)
    assert world.names() == OURS | POLLS | UNDERSTOOD | LOCALAIS
    world.sees(node("gpu-01-a", last_seen=SERVER_NOW + 12.5), server=ALL_KNOWN)
    assert world.names() == OURS | POLLS | UNDERSTOOD | LOCALAIS | {"node_heartbeat_timestamp_seconds"}
    assert {f"localai_p2p_{name}" for name in world.names()} == {one.name for one in DEFINITIONS}


def test_what_localai_does_not_say_is_absent() -> None:
    world = World()
    world.sees(exact=False)
    unknown = {"enabled", "server_info", "token_info", "server_clock_offset_seconds"}
    nodes = {name for name in LOCALAIS if name.startswith("node_") or name == "host_nodes_online"}
    assert world.names() == OURS | POLLS | UNDERSTOOD | LOCALAIS - unknown - nodes


def test_a_never_seen_node_has_no_last_seen() -> None:
    world = World()
    world.sees(node("gpu-01-a", last_seen=None, online=False))
    assert world.series("node_online") == {"llama_cpp gpu-01 gpu-01-a worker": 0}
    assert {"node_last_seen_timestamp_seconds", "node_last_seen_age_seconds"}.isdisjoint(world.names())


def test_values() -> None:
    world = World()
    world.sees(
        node("gpu-01-a", last_seen=SERVER_NOW - 7.5),
        node("gpu-01-b", last_seen=SERVER_NOW - 70, online=False),
        node("gate-c", kind=FEDERATED, last_seen=SERVER_NOW + 594),
        server=ALL_KNOWN,
    )
    assert world.series("up") == {"": 1}
    assert world.series("enabled") == {"": 1}
    assert world.series("nodes") == {"llama_cpp worker": 2, "mlx worker": 0, " federated": 1}
    assert world.series("nodes_online") == {"llama_cpp worker": 1, "mlx worker": 0, " federated": 1}
    assert world.series("nodes_expected") == {"worker": 3, "federated": 0}
    assert world.series("host_expected") == {"gpu-01": 1, "gpu-02": 1}
    assert world.series("node_last_seen_timestamp_seconds")["llama_cpp gpu-01 gpu-01-a worker"] == SERVER_NOW - 7.5
    assert world.series("node_last_seen_age_seconds") == {
        "llama_cpp gpu-01 gpu-01-a worker": 7.5,
        "llama_cpp gpu-01 gpu-01-b worker": 70,
        " gate gate-c federated": -594,
    }
    assert world.series("host_nodes_online") == {"llama_cpp gpu-01 worker": 1, " gate federated": 1}
    assert world.series("server_clock_offset_seconds") == {"": 100}
    assert world.series("exporter_api_info") == {"3 workers+federation+stats": 1}
    assert world.series("token_info") == {"28d58c48d80062c8": 1}
    assert world.series("node_info") == {
        "llama_cpp gpu-01 gpu-01-a a worker a 127.0.0.1:4000": 1,
        "llama_cpp gpu-01 gpu-01-b b worker b 127.0.0.1:4000": 1,
        " gate gate-c c federated c 127.0.0.1:4000": 1,
    }
    kinds = ("llama_cpp", "mlx", "")
    roles = {"llama_cpp": "worker", "mlx": "worker", "": "federated"}
    zeros = {f"{kind} {why} {roles[kind]}": 0 for kind in kinds for why in ("retention", "limit")}
    assert world.series("nodes_hidden") == zeros
    assert len(world.series("membership_changes_total")) == 3 * 4
    assert len(world.series("entries_dropped")) == 3 * 2


class TestTime:
    def test_an_age_grows_between_two_polls(self) -> None:
        world = World()
        world.sees(node("gpu-01-a", last_seen=SERVER_NOW - 5))
        world.time.advance(12.5)
        assert set(world.series("node_last_seen_age_seconds").values()) == {17.5}

    @pytest.mark.fault("clock-jump")
    @pytest.mark.parametrize("jump", [3_600, -3_600])
    def test_a_jump_of_our_clock_shows_in_the_offset_alone(self, jump: float) -> None:
        world = World()
        world.sees(node("gpu-01-a", last_seen=SERVER_NOW - 5))
        world.time.advance(10)
        world.time.jump(jump)
        assert set(world.series("node_last_seen_age_seconds").values()) == {15}
        assert world.series("server_clock_offset_seconds") == {"": 100 - jump}
        assert world.series("exporter_last_poll_success_timestamp_seconds") == {"": world.time.wall_now - 10}

    def test_a_heartbeat_is_on_our_clock(self) -> None:
        world = World()
        world.sees(node("gpu-01-a", last_seen=SERVER_NOW + 600))
        world.time.advance(15)
        world.sees(node("gpu-01-a", last_seen=SERVER_NOW + 620))
        seen_at = world.time.wall_now
        world.time.advance(40)
        assert set(world.series("node_heartbeat_timestamp_seconds").values()) == {seen_at}

    def test_what_did_not_happen_again_does_not_move(self) -> None:
        world = World()
        world.sees(node("gpu-01-a", last_seen=SERVER_NOW))
        world.time.advance(15)
        world.sees(node("gpu-01-a", last_seen=SERVER_NOW + 20))
        before = world.text()
        for drift in (0.013, -0.017, 0.05):
            world.time.jump(drift)  # the wall clock as it was read a little earlier or later than the monotonic one
            assert world.text() == before

    def test_without_ages_for_a_page_that_is_read_later(self) -> None:
        world = World(ages=False)
        world.sees(node("gpu-01-a"))
        assert "node_last_seen_age_seconds" not in world.names()
        assert "node_last_seen_timestamp_seconds" in world.names()


class TestFailure:
    def test_up_falls_at_once_and_the_last_answer_stays_with_growing_ages(self) -> None:
        world = World()
        world.sees(node("gpu-01-a", last_seen=SERVER_NOW - 5), server=ALL_KNOWN)
        before = world.names()
        world.time.advance(60)
        world.fails()
        assert world.series("up") == {"": 0}
        assert world.names() == before
        assert set(world.series("node_last_seen_age_seconds").values()) == {65}
        assert world.series("exporter_poll_failures_total")["timeout"] == 1

    def test_then_what_localai_said_goes(self) -> None:
        world = World()
        world.sees(node("gpu-01-a"), server=ALL_KNOWN)
        world.time.advance(60.1)
        world.fails()
        assert world.names() == OURS | POLLS | UNDERSTOOD

    def test_recovery_is_one_poll(self) -> None:
        world = World()
        world.sees(node("gpu-01-a"))
        world.time.advance(3_600)
        world.fails()
        world.time.advance(15)
        world.sees(node("gpu-01-a"), node("gpu-01-b"))
        assert world.series("up") == {"": 1}
        assert world.series("host_nodes_online") == {"llama_cpp gpu-01 worker": 2}

    def test_a_loop_that_hangs_cannot_keep_up_at_one(self) -> None:
        world = World()
        world.sees(node("gpu-01-a"))
        world.time.advance(61)
        assert world.series("up") == {"": 0}
        assert "node_online" not in world.names()


def test_a_host_is_the_sum_of_what_is_shown() -> None:
    world = World(limit=1)
    world.sees(node("gpu-01-a", last_seen=SERVER_NOW - 9), node("gpu-01-b"))
    assert world.series("node_online") == {"llama_cpp gpu-01 gpu-01-b worker": 1}
    assert world.series("host_nodes_online") == {"llama_cpp gpu-01 worker": 1}
    assert world.series("nodes_hidden")["llama_cpp limit worker"] == 1
    assert world.series("nodes_online")["llama_cpp worker"] == 2


def test_one_id_in_two_roles_is_two_series() -> None:
    world = World()
    world.sees(node("box-a"), node("box-a", kind=FEDERATED), node("box-a", kind=MLX))
    assert len(world.series("node_online")) == 3


def test_a_value_without_its_label_is_a_bug_that_says_so() -> None:
    with pytest.raises(ValueError, match="takes 4 label values, not 2"):
        metrics.NODE_ONLINE.single(1, "worker", "llama_cpp")


def test_a_second_collector_of_the_same_names_is_refused() -> None:
    world = World()
    with pytest.raises(ValueError, match="Duplicated"):
        world.registry.register(world.collector())


def test_every_help_text_stands_once_and_ends_as_a_sentence() -> None:
    texts = [one.help for one in DEFINITIONS]
    assert len(set(texts)) == len(texts)
    assert all(text.endswith(".") for text in texts)


@pytest.mark.prometheus
def test_promtool_has_no_complaint() -> None:
    world = World()
    world.sees(node("gpu-01-a"), server=ALL_KNOWN)
    world.sees(node("gpu-01-a", last_seen=SERVER_NOW + 20), server=ALL_KNOWN)
    assert promtool_says(world.text()) == ""


ANY_TEXT = st.text(st.characters(categories=None), max_size=300)


@given(texts=st.lists(st.tuples(ANY_TEXT, ANY_TEXT), min_size=1, max_size=5, unique_by=lambda pair: label(pair[0])))
def test_any_label_comes_back_as_it_was_written(texts: list[tuple[str, str]]) -> None:
    world = World()
    world.sees(*_strangers(texts))
    written = {(label(node_id), label(host)) for node_id, host in texts}
    for family in text_string_to_metric_families(world.text()):
        if family.name == "localai_p2p_node_online":
            assert {(one.labels["id"], one.labels["host"]) for one in family.samples} == written
            assert len(family.samples) == len(texts)
            return
    pytest.fail("no nodes in the exposition")


def _strangers(texts: Iterable[tuple[str, str]]) -> list[Node]:
    return [Node(LLAMA_CPP, label(one), label(host), "", "", "", online=True, last_seen=None) for one, host in texts]
