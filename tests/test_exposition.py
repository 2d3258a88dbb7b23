import gzip
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.exposition import generate_latest as encode_text
from prometheus_client.openmetrics.exposition import generate_latest as encode_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector

from exporter.exposition import Renderer, accepts_gzip
from exporter.families import Definition, Lasts

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.fixture(scope="module")
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    nodes = Gauge("nodes", 'How many "nodes"\nand a \\', ["role"], registry=registry)
    nodes.labels('quote " back \\ line\n').set(2.5)
    nodes.labels("ü 🦙").set(float("inf"))
    Counter("polls", "Polls", registry=registry).inc(3)
    Histogram("duration_seconds", "Duration", buckets=(0.1, 1), registry=registry).observe(0.5)
    return registry


def samples(families: list[Metric]) -> list[tuple[str, str, object]]:
    return [(family.name, family.type, sample) for family in families for sample in sorted(family.samples, key=repr)]


@pytest.mark.parametrize("accept", ["", "*/*", "text/plain", "text/html, */*", "text/plain;version=0.0.4", "banana"])
def test_text(registry: CollectorRegistry, accept: str) -> None:
    page = Renderer(registry).page(accept)
    assert (page.content_type, page.content_encoding) == (TEXT, None)
    shown = samples(list(parse_text(page.body.decode())))
    assert shown == samples(list(parse_text(encode_text(registry).decode())))
    assert ("nodes", "gauge") in {(name, kind) for name, kind, _ in shown}


@pytest.mark.parametrize("accept", ["application/openmetrics-text", PROMETHEUS_2, PROMETHEUS_3])
def test_openmetrics(registry: CollectorRegistry, accept: str) -> None:
    page = Renderer(registry).page(accept)
    assert page.content_type.startswith(OPENMETRICS)
    reference = encode_openmetrics(registry)  # type: ignore[no-untyped-call]
    shown, expected = (
        samples(list(parse_openmetrics(body.decode())))  # type: ignore[no-untyped-call]
        for body in (page.body, reference)
    )
    assert shown == expected
    assert {name for name, _, _ in shown} == {"nodes", "polls", "duration_seconds"}
    assert page.body.endswith(b"# EOF\n")


OM, PLAIN = "application/openmetrics-text;version=1.0.0", "text/plain;version=0.0.4"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (f"{OM};q=0,{PLAIN};q=1", TEXT),
        (f"{OM};q=0", TEXT),
        (f"{OM};q=0.000,*/*", TEXT),
        (f"{OM} ; Q = 0.,*/*", TEXT),
        (f"{OM};q=0.2,{PLAIN};q=0.8", TEXT),
        (f"{PLAIN};q=0.8,{OM};q=0.2", TEXT),
        (f"*/*,{OM};q=0.9", TEXT),
        (f"text/*;q=0.9,{OM};q=0.8", TEXT),
        (f"application/openmetrics-text;version=0.0.1,{PLAIN};q=0.5,*/*;q=0.1", TEXT),
        (f"{PLAIN};q=0.2,{OM};q=0.8", OPENMETRICS),
        (f"{PLAIN};q=0,{OM};q=0.001", OPENMETRICS),
        (f"text/html,{OM};q=0.1", OPENMETRICS),
        (f"application/openmetrics-text;version=9,{OM};q=0.5,{PLAIN};q=0.4", OPENMETRICS),
        (f"{OM},application/openmetrics-text;version=0.0.1;q=0.75,{PLAIN};q=0.5,*/*;q=0.1", OPENMETRICS),
        (f"Application/OpenMetrics-Text;version=1.0.0;q=0,{OM};q=1", OPENMETRICS),
    ],
)
def test_weights_decide(registry: CollectorRegistry, accept: str, content_type: str) -> None:
    assert Renderer(registry).page(accept).content_type.partition("; escaping")[0] == content_type


@pytest.mark.parametrize("accept", [PROMETHEUS_2, PROMETHEUS_3])
def test_prometheus_gets_what_the_library_gives_it(registry: CollectorRegistry, accept: str) -> None:
    assert Renderer(registry).page(accept).content_type == choose_encoder(accept)[1]


@pytest.mark.parametrize(
    "version",
    ["banana", "1.banana", "1.0.0.banana", "9", "1.0.0.1", "-1", "0", ".", "..", "1.0.0.\r\n Evil: yes", "\u0661"],
)
def test_an_unknown_version_is_answered_in_text(registry: CollectorRegistry, version: str) -> None:
    page = Renderer(registry).page(f"application/openmetrics-text; version={version}")
    assert page.content_type == TEXT
    assert page.body == encode_text(registry)


@pytest.mark.parametrize("version", ["banana", "9", "1.0.0.\r\n Evil: yes"])
def test_an_unknown_version_of_text_is_never_taken_over(registry: CollectorRegistry, version: str) -> None:
    page = Renderer(registry).page(f"text/plain; version={version}")
    assert page.content_type in {TEXT, "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"}
    assert samples(list(parse_text(page.body.decode()))) == samples(list(parse_text(encode_text(registry).decode())))


ACCEPT_TOKENS = [
    *("application/openmetrics-text", "text/plain", ";", ",", "=", ".", " ", "\r\n "),
    *("version=", "escaping=", "1", "1.0.0", "allow-utf-8", "values", "banana", "q=0.5"),
]


@given(accept=st.text() | st.lists(st.sampled_from(ACCEPT_TOKENS)).map("".join))
def test_every_accept_gets_a_page_whose_header_is_one_line(registry: CollectorRegistry, accept: str) -> None:
    page = Renderer(registry).page(accept)
    assert page.content_type.isprintable()
    assert page.content_type.isascii()
    assert b"polls_total" in page.body


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text"])
def test_gzip_is_the_same_page(registry: CollectorRegistry, accept: str) -> None:
    plain, packed = Renderer(registry).page(accept), Renderer(registry).page(accept, "gzip")
    assert packed.content_encoding == "gzip"
    assert packed.content_type == plain.content_type
    assert gzip.decompress(packed.body) == plain.body
    assert packed == Renderer(registry).page(accept, "gzip")


@pytest.mark.parametrize("accept", [PLAIN.replace("0.0.4", "1.0.0"), OM])
@pytest.mark.parametrize("escaping", ["dots", "values"])
def test_names_are_never_changed(registry: CollectorRegistry, accept: str, escaping: str) -> None:
    page, usual = (Renderer(registry).page(f"{accept};escaping={way}") for way in (escaping, "underscores"))
    assert page == usual
    assert page.content_type.endswith("; escaping=underscores")


def test_an_empty_registry_is_a_valid_page() -> None:
    empty = CollectorRegistry()
    assert Renderer(empty).page().body == b""
    assert Renderer(empty).page("application/openmetrics-text").body == b"# EOF\n"


@pytest.mark.parametrize(
    ("accept_encoding", "accepted"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("GZip;Q=1.0", True),
        ("deflate, gzip", True),
        ("deflate,gzip;q=0.5, br", True),
        ("gzip;q=0.001", True),
        ("gzip; q=1", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzip ; Q = 0.", False),
        ("GZIP;q=0", False),
        ("identity;q=0, gzip;q=0.0", False),
        ("br", False),
        ("x-gzip", False),
        ("gzipped", False),
        ("identity", False),
        ("*", False),
        ("*;q=0", False),
        (",,;,", False),
        ("identity;gzip", False),
    ],
)
def test_accepts_gzip(accept_encoding: str, accepted: bool) -> None:
    assert accepts_gzip(accept_encoding) is accepted


class Standing(Collector):
    """Gives one family that lasts, of as many bytes as are wanted, and another for each page."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.writings = 0
        self.renew()

    def renew(self) -> None:
        """Give another family from now on."""
        self._lasting = Definition("lasting", "As it says.").large(self._write, Lasts.MANY_PAGES)

    def _write(self) -> list[bytes]:
        self.writings += 1
        return [b"# " + b"lasting" * self._size + b"\n"]

    def collect(self) -> Iterator[Metric]:
        """Yield both."""
        yield self._lasting
        yield Definition("passing", "As it says.").large(lambda: [b"# passing\n"], Lasts.ONE_PAGE)


@pytest.mark.parametrize("size", [1, 100, 9_000, 12_000, 100_000])
def test_what_lasts_is_packed_with_each_page_or_before_it(size: int) -> None:
    registry = CollectorRegistry()
    collector = Standing(size)
    registry.register(collector)
    renderer = Renderer(registry)
    for _ in range(3):
        for _ in range(2):
            plain, packed = renderer.page(), renderer.page("", "gzip")
            assert plain.body == b"# " + b"lasting" * size + b"\n# passing\n"
            assert gzip.decompress(packed.body) == plain.body
        collector.renew()
    assert collector.writings == 2 * 3


def test_what_is_asked_for_no_more_is_not_kept() -> None:
    registry = CollectorRegistry()
    collector = Standing(100_000)
    registry.register(collector)
    renderer = Renderer(registry)
    for forgets, writings in ((0, 1), (1, 1), (0, 1), (2, 2), (1, 2)):
        for _ in range(forgets):
            renderer.forget()
        renderer.page()
        assert collector.writings == writings
