import gzip
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from support.values import SERVER_NOW
from support.world import World

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
    st.builds(Node, st.sampled_from([LLAMA_CPP, MLX, FEDERATED]), IDS, IDS, IDS, IDS, IDS, LAST_SEEN, st.booleans()),
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


@given(
    polls=st.lists(st.tuples(NODES | st.none(), st.lists(st.tuples(PASSED, JUMPS), max_size=3)), min_size=1, max_size=4)
)
def test_a_page_says_exactly_what_the_library_would(
    polls: list[tuple[list[Node] | None, list[tuple[float, float]]]],
) -> None:
    """Whatever is polled, whenever it is scraped, and however the wall clock is set meanwhile."""
    world = World()
    for nodes, moments in polls:
        if nodes is None:
            world.fails()
        else:
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
    world.sees(*(Node(LLAMA_CPP, text, text, text, text, text, SERVER_NOW - 7.5, online=True) for text in texts))
    page = ""
    for _ in range(2):
        world.time.advance(1.25)
        page = world.page(accept).body.decode()
        assert parsed(page, accept) == parsed(world.stock(accept), accept)
    assert len(re.findall(r"last_?_?seen_?_?age_?_?seconds\{.* 10\.0*\n", page)) == len(texts)


def test_a_scrape_writes_only_the_ages_anew() -> None:
    world = World()
    nodes = [
        Node(LLAMA_CPP, f"gpu-{one}-a", f"gpu-{one}", "a", "a", "a", SERVER_NOW, online=True) for one in range(2000)
    ]
    world.sees(*nodes)
    first = world.page()
    world.time.advance(1)
    second = world.page()
    kept = [one for one in second.pieces if any(one is other for other in first.pieces)]
    ages = second.body.index(b"# HELP localai_p2p_node_last_seen_age_seconds")
    assert b"".join(kept) == second.body[:ages]
    world.sees(*nodes)
    assert not any(one is other for one in world.page().pieces for other in second.pieces)


def test_samples_are_there_for_who_reads_no_text() -> None:
    world = World()
    world.sees(Node(LLAMA_CPP, "gpu-01-a", "gpu-01", "a", "a", "a", SERVER_NOW - 7.5, online=True))
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
