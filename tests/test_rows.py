import calendar
import copy
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.captures import FLEETS, Capture, capture
from support.fleet import NOW, loaded, registered, wanted
from support.generated import JSON, LEAVES, encode

from exporter import rows
from exporter.entries import PRESUMED_FUTURE_SECONDS
from exporter.errors import PollError, Reason
from exporter.fleet import Capacity, Dropped, FleetNode, Schedule, Status
from exporter.labels import LABEL_CHARACTERS
from exporter.strictjson import Budget


def nodes(*elements: object) -> tuple[FleetNode, ...]:
    return rows.nodes(encode(elements), NOW)[0]


def only(element: object) -> FleetNode:
    (node,) = nodes(element)
    return node


READERS: Mapping[str, Callable[..., tuple[Any, Dropped]]] = {
    "nodes": lambda body, *budget: rows.nodes(body, NOW, *budget),
    "models": rows.replicas,
    "scheduling": rows.schedules,
}

GOOD: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "nodes": registered,
    "models": lambda name: loaded(name, "llama-3"),
    "scheduling": wanted,
}
"""A good element of each list for any name."""


class TestNodes:
    def test_every_field(self) -> None:
        assert only(registered("gpu-1", last_heartbeat="2027-01-15T08:59:00.25+01:00")) == FleetNode(
            name="gpu-1",
            id="id-of-gpu-1",
            node_type="backend",
            address="10.0.0.1:50051",
            gpu_vendor="nvidia",
            status=Status.HEALTHY,
            last_heartbeat=NOW - 59.75,
            vram=Capacity(24_000, 20_000),
            ram=Capacity(64_000, 48_000),
            disk=Capacity(2_000_000, 0),
            models=2,
            in_flight=3,
        )

    @pytest.mark.parametrize("status", Status)
    def test_every_status(self, status: Status) -> None:
        assert only(registered("gpu-1", status)).status == status

    @pytest.mark.parametrize("status", ["Healthy", "sleeping", "x" * 200])
    def test_a_status_that_nobody_knows_is_none_of_the_others(self, status: str) -> None:
        assert only(registered("gpu-1", status)).status == Status.UNKNOWN

    @pytest.mark.parametrize("what", ["ram", "disk"])
    def test_a_size_of_0_is_unknown(self, what: str) -> None:
        node = only(registered("gpu-1") | {f"total_{what}": 0})
        assert getattr(node, what) is None

    def test_no_vram_is_a_node_without_a_gpu(self) -> None:
        assert only(registered("cpu-1", total_vram=0, available_vram=0)).vram == Capacity(0, 0)

    def test_no_vram_and_no_ram_is_a_node_that_says_nothing_of_its_machine(self) -> None:
        agent = registered("agent-1", node_type="agent", total_vram=0, available_vram=0, total_ram=0, available_ram=0)
        node = only(agent)
        assert (node.vram, node.ram) == (None, None)

    def test_vram_is_known_where_ram_is_not(self) -> None:
        node = only(registered("gpu-1", total_ram=0))
        assert (node.vram, node.ram) == (Capacity(24_000, 20_000), None)

    @pytest.mark.parametrize("what", ["vram", "ram", "disk"])
    def test_what_a_release_does_not_say_is_unknown(self, what: str) -> None:
        element = registered("gpu-1")
        del element[f"total_{what}"], element[f"available_{what}"]
        assert getattr(only(element), what) is None

    @pytest.mark.parametrize("figure", [-1, 1.0, "1", True, None, [], 2**53 + 1], ids=repr)
    def test_a_bad_figure_costs_itself_only(self, figure: object) -> None:
        whole = only(registered("gpu-1"))
        assert only(registered("gpu-1", model_count=figure)).models is None
        assert only(registered("gpu-1", in_flight_count=figure)).in_flight is None
        assert only(registered("gpu-1", total_ram=figure)).ram is None
        assert only(registered("gpu-1", available_ram=figure)).ram == Capacity(64_000, None)
        assert only(registered("gpu-1", available_ram=figure)).vram == whole.vram

    @pytest.mark.parametrize(
        "beat", [None, "", 0, "now", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2028-01-17T08:00:00Z"]
    )
    def test_a_bad_heartbeat_is_never_and_keeps_its_node(self, beat: object) -> None:
        assert only(registered("gpu-1", last_heartbeat=beat)).last_heartbeat is None

    @pytest.mark.parametrize("key", ["id", "node_type", "address", "gpu_vendor"])
    def test_a_text_may_be_missing(self, key: str) -> None:
        element = registered("gpu-1")
        del element[key]
        for one in (element, element | {key: None}):
            assert getattr(only(one), key) == ""


@pytest.mark.parametrize("reader", READERS)
class TestEachList:
    @pytest.mark.parametrize("body", [b"[]", b"null"])
    def test_an_empty_one(self, reader: str, body: bytes) -> None:
        found, dropped = READERS[reader](body)
        assert (len(found), dropped) == (0, Dropped(0, 0))

    @pytest.mark.parametrize("body", [b"{}", b"1", b'"nodes"', b"true", b'{"nodes": []}'])
    def test_what_is_no_list(self, reader: str, body: bytes) -> None:
        with pytest.raises(PollError) as failure:
            READERS[reader](body)
        assert failure.value.reason == Reason.SHAPE

    @pytest.mark.parametrize("body", [b"", b"<html>", b"[", b"[] []", b"[NaN]", b'[{"a": 1, "a": 1}]', b"\xff"])
    def test_what_is_not_json(self, reader: str, body: bytes) -> None:
        with pytest.raises(PollError) as failure:
            READERS[reader](body)
        assert failure.value.reason == Reason.NOT_JSON

    @pytest.mark.parametrize("bad", [None, 1, "gpu-1", [], {}, True, 1.5], ids=repr)
    def test_a_bad_element_costs_itself_only(self, reader: str, bad: object) -> None:
        found, dropped = READERS[reader](encode([GOOD[reader]("a"), bad, GOOD[reader]("b")]))
        assert dropped == Dropped(1, 0)
        assert found == READERS[reader](encode([GOOD[reader]("a"), GOOD[reader]("b")]))[0]

    def test_a_repeated_one_is_counted_and_the_first_stands(self, reader: str) -> None:
        one = GOOD[reader]("a")
        other = one | {"model_count": 9, "state": "loading", "min_replicas": 9}
        found, dropped = READERS[reader](encode([one, other, one]))
        assert dropped == Dropped(0, 2)
        assert found == READERS[reader](encode([one]))[0]

    def test_an_unknown_key_is_no_error(self, reader: str) -> None:
        one = GOOD[reader]("a")
        assert READERS[reader](encode([one | {"more": {"x": [1]}}])) == READERS[reader](encode([one]))

    def test_as_many_as_the_budget_has_and_no_more(self, reader: str) -> None:
        two = encode([{}, {}])
        assert READERS[reader](two, Budget(nodes=2))[1] == Dropped(2, 0)
        with pytest.raises(PollError) as failure:
            READERS[reader](two, Budget(nodes=1))
        assert failure.value.reason == Reason.TOO_LARGE

    def test_the_deadline_ends_the_reading(self, reader: str) -> None:
        looks: list[None] = []

        def on_time() -> None:
            looks.append(None)
            if len(looks) == 8:
                raise PollError(Reason.TIMEOUT, "late")

        body = encode([GOOD[reader](str(number)) for number in range(500)])
        with pytest.raises(PollError) as failure:
            READERS[reader](body, Budget(on_time=on_time))
        assert failure.value.reason == Reason.TIMEOUT

    @pytest.mark.parametrize("bad", ["", None, 1, [], {}], ids=repr)
    def test_what_tells_elements_apart_must_be_there(self, reader: str, bad: object) -> None:
        keys = {
            "nodes": ("name", "status"),
            "models": ("node_id", "model_name", "state"),
            "scheduling": ("model_name",),
        }[reader]
        for key in keys:
            assert READERS[reader](encode([GOOD[reader]("a") | {key: bad}]))[1] == Dropped(1, 0)


class TestReplicas:
    def test_they_are_counted_over_all_nodes(self) -> None:
        found, _ = rows.replicas(encode([loaded("a", "x"), loaded("a", "x", 1), loaded("b", "x"), loaded("b", "y")]))
        assert found == {"x": 3, "y": 1}

    def test_one_that_is_not_loaded_yet_counts_for_nothing(self) -> None:
        found, dropped = rows.replicas(encode([loaded("a", "x"), loaded("b", "x", state="loading")]))
        assert (found, dropped) == ({"x": 1}, Dropped(0, 0))

    def test_a_release_with_one_replica_on_a_node_gives_no_index(self) -> None:
        one = loaded("a", "x")
        del one["replica_index"]
        assert rows.replicas(encode([one])) == ({"x": 1}, Dropped(0, 0))

    @pytest.mark.parametrize("index", [-1, "0", None, 1.5])
    def test_an_index_that_is_none(self, index: object) -> None:
        assert rows.replicas(encode([loaded("a", "x", replica_index=index)])) == ({}, Dropped(1, 0))


class TestSchedules:
    def test_every_field(self) -> None:
        assert rows.schedules(encode([wanted("x", 2, 3, 4)])) == ((Schedule("x", 2, 3, 4),), Dropped(0, 0))

    def test_a_most_of_0_is_no_limit(self) -> None:
        assert rows.schedules(encode([wanted("x", 0, 0)]))[0] == (Schedule("x", 0, None, 0),)

    def test_one_on_each_node_is_a_number_that_localai_does_not_say(self) -> None:
        assert rows.schedules(encode([wanted("x", 0, 0, spread_all=True)]))[0] == (Schedule("x", None, None, 0),)

    @pytest.mark.parametrize("spread", [None, 1, "yes"])
    def test_a_spread_that_is_no_truth_value(self, spread: object) -> None:
        assert rows.schedules(encode([wanted("x", spread_all=spread)])) == ((), Dropped(1, 0))

    def test_the_first_release_says_nothing_of_what_cannot_be(self) -> None:
        one = wanted("x")
        del one["unsatisfiable_ticks"]
        assert rows.schedules(encode([one]))[0] == (Schedule("x", 2, 3, None),)


ALIVE = {"alive, approved": Status.HEALTHY, "alive, not approved": Status.PENDING, "alive, draining": Status.DRAINING}
TRUTHS = ALIVE | {"dead": Status.OFFLINE}


@pytest.mark.parametrize("one", [one for one in FLEETS if one.facts["status"]["nodes"] == 200], ids=str)
def test_every_captured_registry(one: Capture) -> None:
    taken = one.facts["captured_at"].partition(".")[0]
    now = float(calendar.timegm(time.strptime(taken, "%Y-%m-%dT%H:%M:%S")))
    found, dropped = rows.nodes(one.body("nodes"), now)
    assert dropped == Dropped()
    assert {node.name: node.status for node in found} == {
        fact["name"]: TRUTHS[fact["truth"]] for fact in one.facts["nodes"]
    }
    for node in found:
        assert node.last_heartbeat is not None
        since = now - node.last_heartbeat
        # Those that live beat every 10 s, and one that is not approved yet may have begun a moment ago.
        assert since > 60 if node.status == Status.OFFLINE else since < 11
        assert (node.vram, node.disk) == (Capacity(0, 0), None)
        assert node.ram is not None
        assert node.ram.size == 25_276_510_208


def test_captured_models() -> None:
    one = capture("v4.7.1", "distributed-models")
    assert rows.replicas(one.body("nodes-models")) == ({"llama-3": 1}, Dropped())
    assert rows.schedules(one.body("nodes-scheduling")) == ((Schedule("llama-3", 2, 3, 0),), Dropped())
    nodes_, _ = rows.nodes(one.body("nodes"), NOW)
    assert [(node.models, node.in_flight) for node in nodes_] == [(1, 2), (0, 0), (0, 0), (0, 0)]


def _odd(good: dict[str, Any]) -> st.SearchStrategy[Any]:
    """A good element, some of whose values are any JSON; or any JSON."""
    names = st.sampled_from(["a", "b", ""]) | st.text(st.characters(categories=None), max_size=4)
    texts = [key for key, value in good.items() if isinstance(value, str)]
    changed = st.dictionaries(st.sampled_from(list(good)), LEAVES | JSON, max_size=3)
    named = st.dictionaries(st.sampled_from(texts), names, max_size=2)
    return st.builds(lambda some, more: copy.deepcopy(good | some | more), named, changed) | JSON


ELEMENTS = st.one_of(*(_odd(make("a")) for make in GOOD.values()))


@given(elements=st.lists(ELEMENTS, max_size=6))
def test_whatever_is_listed_is_sound_and_every_element_accounted_for(elements: list[Any]) -> None:
    body = encode(elements)
    try:
        found, dropped = rows.nodes(body, NOW)
        models, model_rows = rows.replicas(body)
        schedules, schedule_rows = rows.schedules(body)
    except PollError as failure:
        assert failure.reason == Reason.NOT_JSON  # hypothesis writes NaN and Infinity too
        return
    assert len(found) + dropped.invalid + dropped.duplicate == len(elements)
    assert len(schedules) + schedule_rows.invalid + schedule_rows.duplicate == len(elements)
    assert sum(models.values()) + model_rows.invalid + model_rows.duplicate <= len(elements)
    assert len({node.name for node in found}) == len(found)
    assert len({one.model for one in schedules}) == len(schedules)
    for node in found:
        assert node.name
        _check_texts(node.name, node.id, node.node_type, node.address, node.gpu_vendor)
        for capacity in (node.vram, node.ram, node.disk):
            _check_figures(*((capacity.size, capacity.available) if capacity else ()))
        assert node.ram is None or node.ram.size
        assert node.disk is None or node.disk.size
        _check_figures(node.models, node.in_flight)
        assert node.last_heartbeat is None or 0 <= node.last_heartbeat <= NOW + PRESUMED_FUTURE_SECONDS
    for model, count in models.items():
        _check_texts(model)
        assert count >= 1
    for one in schedules:
        _check_texts(one.model)
        _check_figures(one.least, one.most, one.unsatisfied)


def _check_texts(*texts: str) -> None:
    for text in texts:
        assert len(text) <= LABEL_CHARACTERS
        assert "\0" not in text
        text.encode()


def _check_figures(*figures: int | None) -> None:
    for figure in figures:
        assert figure is None or (type(figure) is int and 0 <= figure <= 2**53)
