import gzip
import re
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from support.clocks import FakeClock
from support.stock import Stock
from support.values import SERVER_NOW, snapshot

from exporter.collector import P2PCollector
from exporter.exposition import Page, Renderer
from exporter.families import Definition, Form, Written, escaped
from exporter.labels import label
from exporter.model import FEDERATED, LLAMA_CPP, MLX, Node, Snapshot
from exporter.poller import Poller
from exporter.store import Store

FORMATS = {
    "text": "text/plain;version=0.0.4",
    "text of Prometheus 3": "text/plain;version=1.0.0;escaping=allow-utf-8",
    "OpenMetrics": "application/openmetrics-text;version=1.0.0",
    "OpenMetrics of Prometheus 3": "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
    "names that are escaped with dots": "text/plain;version=1.0.0;escaping=dots",
    "names that are escaped with values": "application/openmetrics-text;version=1.0.0;escaping=values",
}


class World:
    """A cluster, the pages of it, and those that the library alone makes of it."""

    def __init__(self) -> None:
        self.time = FakeClock(wall=SERVER_NOW)
        self.nodes: tuple[Node, ...] = ()
        store = Store()
        self._poller = Poller(
            self, store, self.time.clock, interval=15.0, timeout=10.0, retention=86_400.0, limit=5_000
        )
        ours = P2PCollector(
            store,
            self.time.clock,
            stale_after=60.0,
            expected={"worker": 1},
            expected_hosts=("100%",),
            tls_insecure=False,
        )
        self.registry, self._stock = CollectorRegistry(), CollectorRegistry()
        self.registry.register(ours)
        self._stock.register(Stock(ours, store, self.time.clock))
        for registry in (self.registry, self._stock):
            Gauge("of_another_collector", "Another", registry=registry).set(0.5)
        self._renderer = Renderer(self.registry)

    def forget(self) -> None:
        """Nothing is remembered."""

    def poll(self, _deadline: float) -> Snapshot:
        return snapshot(*self.nodes, monotonic=self.time.monotonic_now)

    def sees(self, nodes: Iterable[Node]) -> None:
        self.nodes = tuple(nodes)
        self._poller.poll()

    def page(self, accept: str = "", accept_encoding: str = "") -> Page:
        return self._renderer.page(accept, accept_encoding)

    def stock(self, accept: str) -> str:
        encoder, _ = choose_encoder(accept)
        return encoder(self._stock).decode()


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


@given(polls=st.lists(st.tuples(NODES, st.floats(0, 70)), min_size=1, max_size=3))
def test_a_page_says_exactly_what_the_library_would(polls: list[tuple[list[Node], float]]) -> None:
    world = World()
    for nodes, passed in polls:
        world.sees(nodes)
        for _ in range(2):
            for accept in FORMATS.values():
                page = world.page(accept).body.decode()
                assert lines(page) == lines(world.stock(accept))
                assert gzip.decompress(world.page(accept, "gzip").body).decode() == page
            world.time.advance(passed)


@pytest.mark.parametrize("accept", FORMATS.values(), ids=FORMATS)
def test_the_library_reads_the_same(accept: str) -> None:
    world = World()
    texts = ["gpu-01-a", "%d", "%s%%", 'a"b', "a\\b", "a\\nb", "a\nb", "\u00fc\U0001f999", "x} 1"]
    world.sees(Node(LLAMA_CPP, text, text, text, text, text, SERVER_NOW - 7.5, online=True) for text in texts)
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
    world.sees(nodes)
    first = world.page()
    world.time.advance(1)
    second = world.page()
    kept = [one for one in second.pieces if any(one is other for other in first.pieces)]
    ages = second.body.index(b"# HELP localai_p2p_node_last_seen_age_seconds")
    assert b"".join(kept) == second.body[:ages]
    world.sees(nodes)
    assert not any(one is other for one in world.page().pieces for other in second.pieces)


def test_samples_are_there_for_who_reads_no_text() -> None:
    world = World()
    world.sees([Node(LLAMA_CPP, "gpu-01-a", "gpu-01", "a", "a", "a", SERVER_NOW - 7.5, online=True)])
    labels = {"role": "worker", "backend": "llama_cpp", "host": "gpu-01", "id": "gpu-01-a"}
    assert world.registry.get_sample_value("localai_p2p_node_last_seen_age_seconds", labels) == 7.5
    assert world.registry.get_sample_value("localai_p2p_up") == 1
    (family,) = world.registry.restricted_registry(["localai_p2p_node_online"]).collect()
    assert [sample.labels for sample in family.samples] == [labels]


def test_values_are_escaped() -> None:
    plain = [("1", "a"), ("2", "b")]
    assert escaped(plain) == plain
    assert escaped([*plain, ("3", '"\\\n%')]) == [*plain, ("3", r"\"\\\n%%")]


def test_a_family_keeps_a_text_for_each_form() -> None:
    family = Written(Definition("polls_total", "Polls.", (), "counter").single(3))
    assert family.text(Form.TEXT) == b"# HELP polls_total Polls.\n# TYPE polls_total counter\npolls_total 3.0\n"
    assert family.text(Form.OPENMETRICS) == b"# HELP polls Polls.\n# TYPE polls counter\npolls_total 3.0\n"
    assert family.text(Form.TEXT) is family.text(Form.TEXT)
