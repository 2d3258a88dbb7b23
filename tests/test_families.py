import gzip
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from support.values import SERVER_NOW
from support.world import World

from exporter.exposition import Page
from exporter.families import Definition, Form, Small, escaped, needs_escape
from exporter.labels import label
from exporter.model import FEDERATED, LLAMA_CPP, MLX, Node

FORMATS = {
    "text": "text/plain;version=0.0.4",
    "text of Prometheus 3": "text/plain;version=1.0.0;escaping=allow-utf-8",
    "OpenMetrics": "application/openmetrics-text;version=1.0.0",
    "OpenMetrics of Prometheus 3": "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
}


IDS = (
    st.sampled_from(["gpu-01-a", "%d", "%s%%", 'a"b', "a\\b", "a\\nb", "a\nb", "\u00fc\U0001f999", "{}", "x} 1", "#"])
    | st.text(st.sampled_from('a%sdr"\\\n\r{},= #\u2028\x85'), max_size=8)
    | st.text(max_size=5)
).map(label)
LAST_SEEN = st.none() | st.floats(0, 4e9) | st.sampled_from([SERVER_NOW, SERVER_NOW - 0.0005, SERVER_NOW - 7.5])
NODES = st.lists(
    st.builds(Node, st.sampled_from([LLAMA_CPP, MLX, FEDERATED]), IDS, IDS, IDS, IDS, IDS, st.booleans(), LAST_SEEN),
    max_size=6,
    unique_by=lambda node: (node.kind, node.id),
)


def lines(page: str) -> set[tuple[str, str | float]]:
    """Return what stands before each value, and that; of a comment all."""
    split = [line.rpartition(" ") for line in page.split("\n") if line]
    return {(before, value if before.startswith("#") else float(value)) for before, _, value in split}


def parsed(page: str, accept: str) -> list[object]:
    families = parse_openmetrics(page) if "openmetrics" in accept else parse_text(page)  # type: ignore[no-untyped-call]
    return [
        (family.name, family.type, family.documentation, sorted(family.samples, key=repr))
        for family in sorted(families, key=lambda family: str(family.name))
    ]


# In steps that floats have exactly: the clocks of either side are then equal to the last digit.
PASSED = st.integers(0, 280).map(lambda quarters: quarters / 4)
JUMPS = st.sampled_from([0, 0, 60, -3_600])


# A poll fails, finds the nodes of the one before, which were seen at another time or have other verdicts, or others.
POLLS = NODES | st.sampled_from(["fails", "seen", "seen", "turned"])


@given(polls=st.lists(st.tuples(POLLS, st.lists(st.tuples(PASSED, JUMPS), max_size=3)), min_size=1, max_size=5))
def test_a_page_says_exactly_what_the_library_would(
    polls: list[tuple[list[Node] | str, list[tuple[float, float]]]],
) -> None:
    """Whatever is polled, whenever it is scraped, and however the wall clock is set meanwhile."""
    world = World()
    nodes: list[Node] = []
    for poll, moments in polls:
        if poll == "fails":
            world.fails()
        else:
            if isinstance(poll, list):
                nodes = poll
            elif poll == "seen":
                nodes = [node.seen_at(node.last_seen and node.last_seen + 9.75) for node in nodes]
            else:
                nodes = [node._replace(online=not node.online) for node in nodes]
            world.sees(*nodes)
        for passed, jump in [(0.0, 0.0), *moments]:
            world.time.advance(passed)
            world.time.jump(jump)
            for accept in FORMATS.values():
                page = world.page(accept).body.decode()
                assert lines(page) == lines(world.stock(accept))
                assert gzip.decompress(world.page(accept, "gzip").body).decode() == page


@pytest.mark.parametrize("accept", FORMATS.values(), ids=FORMATS)
def test_the_library_reads_the_same(accept: str) -> None:
    world = World()
    texts = ["gpu-01-a", "%d", "%s%%", 'a"b', "a\\b", "a\\nb", "a\nb", "\u00fc\U0001f999", "x} 1"]
    world.sees(
        *(Node(LLAMA_CPP, text, text, text, text, text, online=True, last_seen=SERVER_NOW - 7.5) for text in texts)
    )
    page = ""
    for _ in range(2):
        world.time.advance(1.25)
        page = world.page(accept).body.decode()
        assert parsed(page, accept) == parsed(world.stock(accept), accept)
    assert len(re.findall(r"last_?_?seen_?_?age_?_?seconds\{.* 10\.0*\n", page)) == len(texts)


MANY = [
    Node(LLAMA_CPP, f"gpu-{one}-a", f"gpu-{one}", "a", "a", "a", online=True, last_seen=SERVER_NOW)
    for one in range(2000)
]


def kept(page: Page, before: Page) -> bytes:
    """Return what a page has in common with the one before, for not being written again."""
    return b"".join(one for one in page.pieces if any(one is other for other in before.pieces))


def test_a_scrape_writes_only_the_ages_anew() -> None:
    world = World()
    world.sees(*MANY)
    first, first_packed = world.page(), world.page("", "gzip")
    world.time.advance(1)
    second, second_packed = world.page(), world.page("", "gzip")
    ages = second.body.index(b"# HELP localai_p2p_node_last_seen_age_seconds")
    assert kept(second, first) == second.body[:ages]
    assert kept(second_packed, first_packed) == b"".join(second_packed.pieces[:-1])
    assert len(second_packed.pieces) > 1


def test_a_poll_that_says_the_same_but_for_when_nodes_were_seen_writes_only_that_anew() -> None:
    world = World()
    world.sees(*MANY)
    first = world.page()
    world.sees(*(node.seen_at(SERVER_NOW + 5) for node in MANY))
    second = world.page()
    assert lines(second.body.decode()) == lines(world.stock(""))
    standing = kept(second, first)
    assert second.body.startswith(standing)
    families = re.findall(rb"# HELP localai_p2p_(\w+)", standing)
    assert families == [b"node_info", b"host_nodes_online", b"node_online"]
    for other in ([*MANY[1:], MANY[0]._replace(online=False)], MANY[1:], [node._replace(name="b") for node in MANY]):
        before = world.page()
        world.sees(*other)
        assert kept(world.page(), before) == b""


def test_samples_are_there_for_who_reads_no_text() -> None:
    world = World()
    world.sees(Node(LLAMA_CPP, "gpu-01-a", "gpu-01", "a", "a", "a", online=True, last_seen=SERVER_NOW - 7.5))
    labels = {"role": "worker", "backend": "llama_cpp", "host": "gpu-01", "id": "gpu-01-a"}
    assert world.registry.get_sample_value("localai_p2p_node_last_seen_age_seconds", labels) == 7.5
    assert world.registry.get_sample_value("localai_p2p_up") == 1
    (family,) = world.registry.restricted_registry(["localai_p2p_node_online"]).collect()
    assert [sample.labels for sample in family.samples] == [labels]


def test_values_are_escaped() -> None:
    assert escaped('"\\\n%') == r"\"\\\n%%"
    assert [needs_escape(text) for text in ("a", 'a"', "\\", "\n", "50%", "\u00fc\r{}")] == [False, *[True] * 4, False]


def test_a_family_keeps_a_text_for_each_form() -> None:
    family = Small(Definition("polls_total", "Polls.", (), "counter").single(3))
    assert family.texts(Form.TEXT) == (b"# HELP polls_total Polls.\n# TYPE polls_total counter\npolls_total 3.0\n",)
    assert family.texts(Form.OPENMETRICS) == (b"# HELP polls Polls.\n# TYPE polls counter\npolls_total 3.0\n",)
    assert family.texts(Form.TEXT) is family.texts(Form.TEXT)
