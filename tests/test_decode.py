import json
import math
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.captures import CAPTURES, Capture, capture
from support.generated import ENTRIES, JSON, KEYED, KEYS, encode, mutated
from support.localai import entry, p2p_entry, stats

from exporter import decode
from exporter.deadline import unhurried
from exporter.entries import PRESUMED_FUTURE_SECONDS, NodeList
from exporter.errors import PollError, Reason
from exporter.labels import LABEL_CHARACTERS
from exporter.model import FEDERATED, LLAMA_CPP, MLX, ClockReading, Kind, Node, RoleCounts, Snapshot
from exporter.strictjson import Budget, parse_object

NOW = 1_800_000_000.0
CLOCK = ClockReading(NOW, 0.0, exact=True)


def p2p(value: object) -> Snapshot:
    return decode.p2p_snapshot(encode(value), NOW, CLOCK)


def federation(*entries: object) -> decode.Lists:
    return decode.federation(encode({"nodes": entries}), NOW)


def federated(*entries: object) -> NodeList:
    return federation(*entries).by_kind[FEDERATED]


def only(*entries: object) -> Node:
    (node,) = federated(*entries).nodes
    return node


class TestEntries:
    def test_every_field(self) -> None:
        seen = "2027-01-15T08:59:00.25+01:00"
        assert only(entry("rack1-gpu-01-mENxBjydya", seen=seen, tunnelAddress="127.0.0.1:38749")) == Node(
            kind=FEDERATED,
            id="rack1-gpu-01-mENxBjydya",
            host="rack1-gpu-01",
            name="mENxBjydya",
            service_id="mENxBjydya",
            tunnel_address="127.0.0.1:38749",
            last_seen=NOW - 59.75,
            online=True,
        )

    @pytest.mark.parametrize(
        ("node_id", "name", "host"),
        [
            ("gpu-01-abc", "abc", "gpu-01"),
            ("rack1.lab.internal-abc", "abc", "rack1.lab.internal"),
            ("abc-abc", "abc", "abc"),
            ("gpu-01-abc", "", "gpu-01-abc"),
            ("gpu-01-abc", "xyz", "gpu-01-abc"),
            ("gpu-01abc", "abc", "gpu-01abc"),
            ("-abc", "abc", "-abc"),
            ("abc", "abc", "abc"),
        ],
    )
    def test_the_host_is_the_id_without_its_name(self, node_id: str, name: str, host: str) -> None:
        assert only(entry(node_id) | {"name": name}).host == host

    def test_the_host_is_taken_before_the_labels_are_cut(self) -> None:
        node = only(entry(f"{'h' * 130}-{'n' * 20}"))
        assert node.host.startswith("h" * 111 + "~")
        assert len(node.id) == len(node.host) == 128
        assert node.id != node.host

    @pytest.mark.parametrize(
        "bad",
        [
            None,
            1,
            "gpu-a",
            [],
            {},
            entry("gpu-a") | {"id": None},
            entry("gpu-a") | {"id": ""},
            entry("gpu-a") | {"id": 7},
            entry("gpu-a") | {"name": 7},
            entry("gpu-a") | {"serviceID": {}},
            entry("gpu-a") | {"tunnelAddress": []},
            entry("gpu-a") | {"isOnline": "yes"},
            entry("gpu-a") | {"isOnline": 1},
            entry("gpu-a") | {"isOnline": None},
        ],
        ids=repr,
    )
    @pytest.mark.fault("bad-element")
    def test_a_bad_one_costs_itself_only(self, bad: object) -> None:
        found = federated(entry("gpu-x"), bad, entry("gpu-y"))
        assert [node.id for node in found.nodes] == ["gpu-x", "gpu-y"]
        assert (found.invalid, found.duplicate) == (1, 0)

    @pytest.mark.parametrize("key", ["name", "serviceID", "tunnelAddress"])
    @pytest.mark.parametrize("absent", [True, False], ids=["absent", "null"])
    def test_a_text_may_be_missing(self, key: str, absent: bool) -> None:
        one = entry("gpu-a") | {key: None}
        if absent:
            del one[key]
        assert only(one).id == "gpu-a"

    @pytest.mark.parametrize(
        "seen",
        [None, "", 0, 1_800_000_000, "now", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2028-01-17T08:00:00Z"],
    )
    @pytest.mark.fault("last-seen-empty", "last-seen-integer", "last-seen-zero-time", "last-seen-year-9999")
    def test_a_bad_last_seen_is_never_and_keeps_its_node(self, seen: object) -> None:
        node = only(entry("gpu-a") | {"lastSeen": seen})
        assert (node.last_seen, node.online) == (None, True)

    def test_a_missing_last_seen_is_never(self) -> None:
        one = entry("gpu-a")
        del one["lastSeen"]
        assert only(one).last_seen is None

    def test_a_year_ahead_is_still_a_time(self) -> None:
        assert only(entry("gpu-a", seen="2028-01-15T08:00:00z")).last_seen == NOW + 365 * 86_400

    @pytest.mark.fault("duplicate-ids")
    def test_a_repeated_id_is_counted_and_its_livelier_entry_stands(self) -> None:
        older = entry("gpu-a", seen="2027-01-15T07:00:00Z")
        found = federated(entry("gpu-a", online=False), older, entry("gpu-a"), older)
        assert (found.invalid, found.duplicate) == (0, 3)
        assert [(node.online, node.last_seen) for node in found.nodes] == [(True, NOW)]

    def test_an_unknown_key_is_no_error(self) -> None:
        assert only(entry("gpu-a") | {"gpuVendor": {"x": [1]}}).id == "gpu-a"


class TestP2P:
    def test_generations_1_and_2_know_llama_cpp_only(self) -> None:
        snapshot = p2p({"nodes": [p2p_entry("gpu-a")], "federated_nodes": None})
        assert snapshot.generation == "1-2"
        assert snapshot.counts == {LLAMA_CPP: RoleCounts(1, 1), FEDERATED: RoleCounts(0, 0)}

    def test_generation_3_knows_mlx(self) -> None:
        snapshot = p2p({"llama_cpp_nodes": [], "mlx_nodes": [p2p_entry("mac-a")], "federated_nodes": []})
        assert snapshot.generation == "3"
        assert snapshot.counts == {LLAMA_CPP: RoleCounts(0, 0), MLX: RoleCounts(1, 1), FEDERATED: RoleCounts(0, 0)}

    def test_the_oldest_releases_have_no_service_id(self) -> None:
        one = p2p_entry("gpu-a")
        del one["ServiceID"]
        (node,) = p2p({"nodes": [one], "federated_nodes": []}).nodes
        assert (node.id, node.service_id) == ("gpu-a", "")

    @pytest.mark.parametrize(
        ("seen", "online"),
        [
            ("2027-01-15T07:59:20.000001Z", True),
            ("2027-01-15T07:59:20Z", False),
            ("2027-01-15T09:00:00Z", True),
            ("0001-01-01T00:00:00Z", False),
            ("", False),
        ],
        ids=["under 40 s", "40 s", "clock ahead", "never", "unreadable"],
    )
    def test_the_forty_second_rule(self, seen: str, online: bool) -> None:
        snapshot = p2p({"nodes": [p2p_entry("gpu-a", seen=seen)], "federated_nodes": []})
        assert snapshot.nodes[0].online is online
        assert snapshot.counts[LLAMA_CPP].online == online

    @pytest.mark.fault("id-in-two-roles")
    def test_the_same_id_may_have_two_roles(self) -> None:
        snapshot = p2p({"nodes": [p2p_entry("gpu-a")], "federated_nodes": [p2p_entry("gpu-a")]})
        assert {node.kind for node in snapshot.nodes} == {LLAMA_CPP, FEDERATED}

    def test_what_was_dropped_is_counted_by_kind(self) -> None:
        snapshot = p2p({"nodes": [p2p_entry("gpu-a"), {}, p2p_entry("gpu-a")], "federated_nodes": [{}]})
        assert snapshot.counts == {
            LLAMA_CPP: RoleCounts(1, 1, invalid=1, duplicate=1),
            FEDERATED: RoleCounts(0, 0, invalid=1),
        }

    def test_an_unknown_list_is_named(self) -> None:
        value = {"llama_cpp_nodes": [], "mlx_nodes": [], "federated_nodes": [], "vllm_nodes": [], "extra": 1}
        assert p2p(value).unknown_lists == ("vllm_nodes",)

    @pytest.mark.parametrize(
        "value",
        [
            {},
            {"nodes": []},
            {"federated_nodes": []},
            {"llama_cpp_nodes": [], "federated_nodes": []},
            {"mlx_nodes": [], "federated_nodes": []},
            {"llama_cpp_nodes": [], "mlx_nodes": []},
        ],
        ids=repr,
    )
    def test_a_list_of_its_generation_must_be_there(self, value: object) -> None:
        with pytest.raises(PollError) as failure:
            p2p(value)
        assert failure.value.reason == Reason.SHAPE


class TestLists:
    def test_generation_3_is_not_counted_twice(self) -> None:
        value = {"llama_cpp": {"nodes": [entry("gpu-a")]}, "mlx": {"nodes": None}, "nodes": [entry("gpu-a")]}
        found = decode.workers(encode(value), NOW)
        assert found.generation == "3"
        assert {kind: len(nodes.nodes) for kind, nodes in found.by_kind.items()} == {LLAMA_CPP: 1, MLX: 0}

    def test_what_is_listed_twice_is_kept_once(self) -> None:
        one, other = entry("gpu-a"), entry("gpu-b")
        value = parse_object(encode({"nodes": [one, other], "llama_cpp": {"nodes": [one, other]}}), "/", Budget())
        assert value == {"nodes": [one, other], "llama_cpp": {"nodes": [one, other]}}
        assert all(a is b for a, b in zip(value["nodes"], value["llama_cpp"]["nodes"], strict=True))

    @pytest.mark.parametrize("odd", [1, 1.0, None, {"a": True}])
    def test_what_is_equal_to_python_alone_is_not_the_same(self, odd: object) -> None:
        true, other = entry("gpu-a", online=True), {**entry("gpu-a"), "isOnline": odd}
        for entries in ([true, other], [other, true]):
            assert str(parse_object(encode({"nodes": entries}), "/", Budget())) == str({"nodes": entries})

    def test_localais_totals_stand_beside_the_lists(self) -> None:
        workers = decode.workers(encode({"nodes": [entry("gpu-a"), {}]}), NOW)
        totals = decode.stats(encode(stats(workers=(9, 5), federated=(2, 1))), workers.generation)
        snapshot = decode.lists_snapshot(workers, federation(entry("gate-a")), totals, CLOCK)
        assert snapshot.counts == {LLAMA_CPP: RoleCounts(9, 5, invalid=1), FEDERATED: RoleCounts(2, 1)}
        assert [node.id for node in snapshot.nodes] == ["gpu-a", "gate-a"]

    def test_a_backend_that_nobody_knows_is_named(self) -> None:
        value = {"llama_cpp": {"nodes": []}, "mlx": {"nodes": []}, "vllm": {"nodes": []}, "nodes": [], "extra": {}}
        assert decode.workers(encode(value), NOW).unknown_lists == ("vllm",)

    @pytest.mark.parametrize(
        "value",
        [
            {},
            {"llama_cpp": {"nodes": []}},
            {"mlx": {"nodes": []}},
            {"llama_cpp": None, "mlx": {"nodes": []}},
            {"llama_cpp": {}, "mlx": {"nodes": []}},
            {"llama_cpp": {"nodes": []}, "mlx": {"nodes": []}, "nodes": "two"},
        ],
        ids=repr,
    )
    def test_a_list_of_its_generation_must_be_there(self, value: object) -> None:
        with pytest.raises(PollError) as failure:
            decode.workers(encode(value), NOW)
        assert failure.value.reason == Reason.SHAPE

    @pytest.mark.parametrize("count", [-1, 1.0, 1.5, True, "1", None, [], {}, 2**53 + 1], ids=repr)
    @pytest.mark.parametrize("field", ["total", "online"])
    @pytest.mark.fault("bad-count")
    def test_a_count_is_a_whole_number(self, field: str, count: object) -> None:
        value = stats(workers=(2**53, 0), federated=(0, 0))
        value["workers"][field] = count  # type: ignore[assignment]
        with pytest.raises(PollError) as failure:
            decode.stats(encode(value), "2")
        assert failure.value.reason == Reason.SHAPE

    @pytest.mark.parametrize(
        ("generation", "value"),
        [
            ("2", stats(workers=(1, 2), federated=(0, 0))),
            ("2", {"workers": {"total": 1, "online": 1}}),
            ("2", {"workers": {"total": 1, "online": 1}, "federated": None}),
            ("3", stats(workers=(1, 1), federated=(0, 0))),
        ],
        ids=["more online than total", "no federated", "null", "another generation"],
    )
    def test_stats_that_are_none(self, generation: str, value: object) -> None:
        with pytest.raises(PollError) as failure:
            decode.stats(encode(value), generation)
        assert failure.value.reason == Reason.SHAPE


READERS: dict[str, Callable[[bytes], object]] = {
    "p2p": lambda body: decode.p2p_snapshot(body, NOW, CLOCK),
    "workers": lambda body: decode.workers(body, NOW),
    "federation": lambda body: decode.federation(body, NOW),
    "stats 2": lambda body: decode.stats(body, "2"),
    "stats 3": lambda body: decode.stats(body, "3"),
    "version": decode.version,
    "well-known": decode.capability,
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"\xef\xbb\xbf{}",
        '{"nodes": []}'.encode("utf-16"),
        b'{"nodes": ["\xff"]}',
        b"<!DOCTYPE html>",
        b"{",
        b"{} {}",
        b'{"nodes": [], "federated_nodes": [], "x": NaN}',
        b'{"nodes": [], "federated_nodes": [], "x": -Infinity}',
        b'{"nodes": [], "federated_nodes": [], "x": 1e999}',
        b'{"nodes": [], "nodes": []}',
        b'{"x":         ' * 60_000,
        b"[            " * 60_000,
        b'{"x": ' + b"1" * 5_000 + b"}",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_what_is_not_json(read: Callable[[bytes], object], body: bytes) -> None:
    with pytest.raises(PollError) as failure:
        read(body)
    assert failure.value.reason == Reason.NOT_JSON
    assert failure.value.__cause__ is None


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize("body", [b"null", b"[]", b"1", b'"nodes"', b"true", b"{}"])
def test_json_that_says_nothing(read: Callable[[bytes], object], body: bytes) -> None:
    with pytest.raises(PollError) as failure:
        read(body)
    assert failure.value.reason == Reason.SHAPE


@pytest.mark.parametrize(("members", "objects_a_look"), [(12, 64), (10_000, 3), (30_000, 1)])
def test_the_wider_objects_are_the_more_often_the_clock_is_looked_at(members: int, objects_a_look: int) -> None:
    looks: list[None] = []
    body = encode({"nodes": [dict.fromkeys(map(str, range(members)))] * 100})
    parse_object(body, "/", Budget(on_time=lambda: looks.append(None)))
    while_counting = math.ceil(len(body) / 2**16)
    assert len(looks) - while_counting == math.ceil(101 / objects_a_look)


def test_a_deadline_that_passes_while_an_answer_is_parsed_ends_that() -> None:
    looks: list[None] = []

    def on_time() -> None:
        looks.append(None)
        if len(looks) > 10:
            raise PollError(Reason.TIMEOUT, "late")

    with pytest.raises(PollError) as failure:
        parse_object(encode({"nodes": [{"a": 1}] * 10_000}), "/", Budget(on_time=on_time))
    assert failure.value.reason == Reason.TIMEOUT
    assert len(looks) == 11


def refused_unread(body: bytes, budget: Budget) -> Reason:
    """Why an answer is refused, having taken no memory to speak of."""
    tracemalloc.start()
    try:
        with pytest.raises(PollError) as failure:
            decode.federation(body, NOW, budget)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**21
    return failure.value.reason


BUDGET = Budget.of(4 * 2**20, unhurried)


@pytest.mark.parametrize("piece", [b"{},", b'{"a":1},', b"{}        ,", b'{"a":[1,1,1,1,1,1,1,1,1,1,1]},'], ids=repr)
def test_more_values_than_nodes_account_for_are_refused_unread(piece: bytes) -> None:
    body = b'{"nodes": [' + (piece * (4 * 2**20 // len(piece)))[:-1] + b"]}"
    assert refused_unread(body, BUDGET) == Reason.TOO_LARGE


@pytest.mark.parametrize("piece", [b"[],", b"1,", b'"a",', b'"a":1,'], ids=repr)
def test_more_members_than_localai_has_anywhere_are_refused_unread(piece: bytes) -> None:
    body = b'{"nodes": [' + (piece * (2**20 // len(piece)))[:-1] + b"]}"
    assert refused_unread(body, Budget()) == Reason.SHAPE


def test_a_nesting_that_nobody_follows_is_refused_unread() -> None:
    body = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    assert refused_unread(body, BUDGET) == Reason.NOT_JSON


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (decode.federation, '{"nodes": [%s]}'),
        (decode.workers, '{"llama_cpp": {"nodes": [%s]}, "mlx": {"nodes": null}}'),
    ],
    ids=["federation", "workers"],
)
def test_as_many_nodes_as_the_budget_has_and_no_more(read: Callable[..., Any], text: str) -> None:
    shortest = '{"id":"%d"}'
    most = BUDGET.nodes
    assert most == 4 * 2**20 // 256
    whole, over = (text % ",".join(shortest % number for number in range(count)) for count in (most, most + 1))
    read(whole.encode(), NOW, BUDGET)
    with pytest.raises(PollError) as failure:
        read(over.encode(), NOW, BUDGET)
    assert failure.value.reason == Reason.TOO_LARGE
    assert f"{most} nodes" in failure.value.detail


def test_a_small_cap_on_bytes_leaves_some_nodes() -> None:
    assert Budget.of(1, unhurried).nodes == 4_096


@pytest.mark.fault("text-marks")
@pytest.mark.parametrize("mark", [",", "{", "}", "[", "]", ":", '"', "\\", '\\"', '","', "{}"], ids=repr)
def test_a_name_may_hold_what_parts_json(mark: str) -> None:
    tight = Budget(nodes=2)
    found = decode.federation(encode({"nodes": [entry(mark * 10_000 + "-a"), entry("gate-b")]}), NOW, tight)
    assert len(found.by_kind[FEDERATED].nodes) == 2


@pytest.mark.parametrize("offset", range(4))
def test_where_an_answer_is_cut_to_pieces_makes_no_difference(offset: int) -> None:
    """A string that is longer than a piece, with an escape at each place where one may end."""
    value = {"nodes": [entry("x" * (65_000 + offset) + '\\\\","{' * 1_000), entry("gate-b")]}
    for at in range(8):
        spelled = json.dumps({"at": "y" * at} | value).encode()
        assert len(decode.federation(spelled, NOW, Budget(nodes=2)).by_kind[FEDERATED].nodes) == 2


@pytest.mark.parametrize(
    "one",
    [
        entry("rack1-gpu-01-mENxBjydya"),
        {"id": "a-a", "name": "a", "lastSeen": "0001-01-01T00:00:00Z", "isOnline": False},
        entry("rack 1, row 2, left-mENxBjydya"),
    ],
    ids=["usual", "shortest", "commas in a host"],
)
def test_an_answer_of_real_nodes_is_read_however_many_they_are(one: dict[str, Any]) -> None:
    nodes = [one | {"id": f"{number:05d}{one['id']}"} for number in range(20_000)]
    assert len(federated(*nodes).nodes) == 20_000


@pytest.mark.parametrize("wrong", ["two", 2, True, {"a": 1}], ids=repr)
@pytest.mark.parametrize(
    ("read", "value"),
    [
        ("p2p", {"nodes": ..., "federated_nodes": []}),
        ("p2p", {"nodes": [], "federated_nodes": ...}),
        ("p2p", {"llama_cpp_nodes": ..., "mlx_nodes": [], "federated_nodes": []}),
        ("p2p", {"llama_cpp_nodes": [], "mlx_nodes": ..., "federated_nodes": []}),
        ("workers", {"nodes": ...}),
        ("workers", {"llama_cpp": {"nodes": ...}, "mlx": {"nodes": []}, "nodes": []}),
        ("workers", {"llama_cpp": {"nodes": []}, "mlx": {"nodes": ...}, "nodes": []}),
        ("workers", {"llama_cpp": {"nodes": []}, "mlx": {"nodes": []}, "nodes": ...}),
        ("federation", {"nodes": ...}),
    ],
    ids=repr,
)
@pytest.mark.fault("list-of-another-type")
def test_what_stands_where_a_list_should(read: str, value: object, wrong: object) -> None:
    def fill(part: object) -> object:
        if part is ...:
            return wrong
        return {key: fill(item) for key, item in part.items()} if isinstance(part, dict) else part

    with pytest.raises(PollError) as failure:
        READERS[read](encode(fill(value)))
    assert failure.value.reason == Reason.SHAPE


class TestWhatLocalAIIs:
    def test_version(self) -> None:
        assert decode.version(b'{"version":"v4.7.1 ()"}') == "v4.7.1 ()"

    @pytest.mark.parametrize("body", [b'{"version": ""}', b'{"version": 4}'])
    def test_no_version(self, body: bytes) -> None:
        with pytest.raises(PollError):
            decode.version(body)

    @pytest.mark.parametrize(
        "body", [b'{"capabilities": {}}', b'{"capabilities": {"p2p": 1}}', b'{"capabilities": []}']
    )
    def test_no_capability(self, body: bytes) -> None:
        with pytest.raises(PollError):
            decode.capability(body)

    @pytest.mark.parametrize(
        ("version", "generation"),
        [
            ("v2.19.0", "1"),
            ("v3.6.0 (8fb95686)", "1"),
            ("v3.7.0 ()", "2"),
            ("v3.12.1 (fcecc12e)", "2"),
            ("v4.0.0 ()", None),
            ("HEAD ()", None),
            ("", None),
        ],
    )
    def test_the_generation_of_a_version(self, version: str, generation: str | None) -> None:
        assert decode.generation_of(version) == generation


@pytest.mark.parametrize("one", [c for c in CAPTURES if c.facts["status"]["token"] == 200], ids=str)
def test_every_captured_token(one: Capture) -> None:
    token = one.body("token")
    fingerprint = decode.token(token)
    assert len(fingerprint) == (16 if token else 0)
    assert not fingerprint or fingerprint not in token.decode()


def test_captured_networks_are_told_apart() -> None:
    same = {decode.token(capture("v4.7.1", scenario).body("token")) for scenario in ("cluster", "cluster-seen-from-2")}
    other = decode.token(capture("v4.7.1", "no-webui").body("token"))
    assert len(same) == 1
    assert other not in same


@given(value=KEYED | mutated())
def test_any_json_is_a_value_or_a_poll_error(value: Any) -> None:
    body = encode(value)
    for read in READERS.values():
        try:
            read(body)
        except PollError as failure:
            assert failure.reason in (Reason.SHAPE, Reason.NOT_JSON)


@given(value=mutated(), cut=st.integers(0, 2_000))
def test_a_part_of_an_answer_is_never_read(value: Any, cut: int) -> None:
    body = encode(value)
    part = body[: cut % len(body)]
    for read in READERS.values():
        with pytest.raises(PollError) as failure:
            read(part)
        assert failure.value.reason == Reason.NOT_JSON or not part.startswith(b"{")


@given(nodes=st.lists(ENTRIES, max_size=6), more=st.lists(ENTRIES, max_size=6))
def test_whatever_is_listed_every_node_is_sound_and_every_entry_accounted_for(
    nodes: list[Any], more: list[Any]
) -> None:
    try:
        spelled = p2p({"nodes": nodes, "federated_nodes": more})
        listed = {LLAMA_CPP: federated(*nodes), FEDERATED: federated(*more)}
    except PollError as failure:
        assert failure.reason == Reason.NOT_JSON  # hypothesis writes NaN and Infinity too
        return
    _check_sound(spelled.nodes)
    for kind, entries in ((LLAMA_CPP, nodes), (FEDERATED, more)):
        counts: RoleCounts = spelled.counts[Kind(kind.role, kind.backend)]
        assert counts.total + counts.invalid + counts.duplicate == len(entries)
        found = listed[kind]
        _check_sound(found.nodes)
        assert len(found.nodes) + found.invalid + found.duplicate == len(entries)


def _check_sound(nodes: tuple[Node, ...]) -> None:
    keys = [(node.kind, node.id) for node in nodes]
    assert len(keys) == len(set(keys))
    for node in nodes:
        assert node.id
        assert node.host
        for text in (node.id, node.host, node.name, node.service_id, node.tunnel_address):
            assert len(text) <= LABEL_CHARACTERS
            assert "\0" not in text
            text.encode()
        assert isinstance(node.online, bool)
        assert node.last_seen is None or 0 <= node.last_seen <= NOW + PRESUMED_FUTURE_SECONDS


@given(entries=st.lists(ENTRIES, max_size=4), more=JSON, key=st.text(max_size=8))
def test_a_key_that_nobody_knows_changes_nothing(entries: list[Any], more: Any, key: str) -> None:
    known = set(KEYS)
    plain = {"nodes": entries}
    extended = {f"x{key}": more, **plain, f"y{key}": more}
    assert not known & {f"x{key}", f"y{key}"}
    try:
        decode.federation(encode(extended), NOW)
    except PollError as failure:
        assert failure.reason == Reason.NOT_JSON
        return
    assert decode.federation(encode(extended), NOW).by_kind == {FEDERATED: federated(*entries)}
