import gzip
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from http import HTTPStatus

import pytest
from prometheus_client import CollectorRegistry, Gauge, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.registry import Collector
from support.clocks import FakeClock
from support.web import ask
from support.web import serving as serving_table

from exporter import __version__
from exporter.families import Definition, Large
from exporter.http1 import Request, Response
from exporter.server import Server
from exporter.settings import HEALTH_PATHS
from exporter.web import Metrics, health_routes, routes

TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Health:
    """What the health paths ask."""

    def __init__(self) -> None:
        self.healthy = True
        self.ready = False


def serving(
    registry: CollectorRegistry, *, health: Health | None = None, path: str = "/metrics"
) -> AbstractContextManager[Server]:
    asked = health or Health()
    return serving_table(routes(Metrics(registry), path, lambda: asked.healthy, lambda: asked.ready))


@pytest.fixture(scope="module")
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Gauge("answer", "The answer", registry=registry).set(42)
    return registry


@pytest.fixture(scope="module")
def server(registry: CollectorRegistry) -> Iterator[Server]:
    with serving(registry) as server:
        yield server


class TestSharing:
    """Whoever asked before a page's making began is given that page."""

    @pytest.fixture
    def counted(self) -> "Counted":
        return Counted()

    @pytest.fixture
    def metrics(self, counted: "Counted") -> Metrics:
        registry = CollectorRegistry()
        registry.register(counted)
        return Metrics(registry)

    def ask(self, metrics: Metrics, arrived_at: float, **headers: str) -> Response:
        return metrics(Request("GET", "/metrics", headers, arrived_at=arrived_at))

    def test_a_page_is_made_for_all_who_waited_for_it(self, metrics: Metrics, counted: "Counted") -> None:
        asked_at = time.monotonic()
        first = self.ask(metrics, asked_at)
        assert [self.ask(metrics, asked_at - waited).body is first.body for waited in (0, 1, 60)] == [True] * 3
        assert counted.times == 1
        later = self.ask(metrics, time.monotonic())
        assert later.body is not first.body
        assert counted.times == 2

    def test_each_is_given_the_format_that_it_wants(self, metrics: Metrics, counted: "Counted") -> None:
        openmetrics = {"accept": "application/openmetrics-text; version=1.0.0"}
        for headers in ({}, openmetrics, {}, openmetrics):
            assert self.ask(metrics, 1.0, **headers).content_type.startswith(headers.get("accept", TEXT)[:15])
        assert counted.times == 2
        # Only the newest two are kept, whatever clients invent.
        for number in range(100):
            self.ask(metrics, 1.0, **{"accept-encoding": f"x{number}"})
        self.ask(metrics, 1.0)
        assert counted.times == 103

    def test_what_is_prepared_is_what_was_asked_for_lately(self, metrics: Metrics, counted: "Counted") -> None:
        metrics.prepare()
        assert counted.times == 0
        self.ask(metrics, 1.0)
        self.ask(metrics, 1.0, **{"accept-encoding": "gzip"})
        metrics.prepare()
        assert counted.times == 4

    def test_what_is_prepared_serves_who_waited_and_nobody_else(self, metrics: Metrics) -> None:
        self.ask(metrics, 1.0)
        arrived_at = time.monotonic()
        metrics.prepare()
        assert self.ask(metrics, arrived_at).body == (b"# HELP asked Asked\n# TYPE asked gauge\nasked 2.0\n",)
        assert self.ask(metrics, time.monotonic()).body == (b"# HELP asked Asked\n# TYPE asked gauge\nasked 3.0\n",)

    @pytest.mark.parametrize(("size", "times"), [(10_000, [1, 1, 2, 3]), (40_000, [1, 2, 2, 2])])
    def test_of_a_small_page_nothing_is_kept_where_there_are_many(self, size: int, times: list[int]) -> None:
        large = Changing(size)
        registry = CollectorRegistry()
        registry.register(large)
        metrics = Metrics(registry, frugal=True)
        made = []
        for act in (self.ask, None, self.ask, self.ask):
            if act:
                assert act(metrics, time.monotonic()).length == size
            else:
                metrics.prepare()
            made.append(large.texts)
        assert made == times

    def test_what_nobody_asked_for_lately_is_not_prepared(self, counted: "Counted") -> None:
        now = FakeClock()
        registry = CollectorRegistry()
        registry.register(counted)
        metrics = Metrics(registry, now.clock.monotonic)
        self.ask(metrics, now.monotonic_now)
        for passed, times in ((300.0, 2), (0.1, 2)):
            now.advance(passed)
            metrics.prepare()
            assert counted.times == times
        self.ask(metrics, now.monotonic_now)
        metrics.prepare()
        assert counted.times == 4

    @pytest.mark.parametrize(("took", "is_made"), [(0.002, True), (0.003, False)])
    def test_who_must_not_wait_is_given_what_takes_no_time(self, took: float, *, is_made: bool) -> None:
        now = FakeClock()
        steps = [took, 1.0, took]  # what was prepared had more to do than a scrape has

        class Slow(Counted):
            def collect(self) -> Iterator[Metric]:
                yield from super().collect()
                now.advance(steps.pop(0))

        registry = CollectorRegistry()
        registry.register(Slow())
        metrics = Metrics(registry, now.clock.monotonic)
        asked = Request("GET", "/metrics", arrived_at=now.monotonic_now)
        assert metrics.at_once(asked) is None  # nothing is known of such a page
        page = metrics(asked)
        assert metrics.at_once(asked) is page  # it is there
        metrics.prepare()
        assert metrics.at_once(asked._replace(headers={"accept-encoding": "gzip"})) is None
        later = metrics.at_once(asked._replace(arrived_at=now.monotonic_now))
        assert (later is not None) is is_made
        assert len(steps) == (0 if is_made else 1)

    def test_a_page_that_is_being_made_is_not_waited_for(self) -> None:
        asked: list[Response | None] = []

        class Asking(Counted):
            def collect(self) -> Iterator[Metric]:
                asked.append(metrics.at_once(Request("GET", "/metrics")))
                return super().collect()

        registry = CollectorRegistry()
        metrics = Metrics(registry)
        registry.register(Asking())
        asked.clear()
        for _ in range(2):
            self.ask(metrics, time.monotonic())
        assert asked == [None, None]

    @pytest.mark.parametrize("encoding", ["", "gzip"])
    def test_what_lasted_is_gone_before_the_next_is_made(self, encoding: str) -> None:
        """Of 100,000 nodes both together would be hundreds of megabytes."""
        large = Changing()
        registry = CollectorRegistry()
        registry.register(large)
        metrics = Metrics(registry)
        for _ in range(3):
            self.ask(metrics, time.monotonic(), **{"accept-encoding": encoding})
        assert large.families == 1
        large.change()
        metrics.prepare()
        assert (large.families, large.lives) == (2, False)


class Changing(Collector):
    """Gives the same large family until it changes, and notes whether the one before lives on then."""

    def __init__(self, size: int = 10) -> None:
        self.families = 0
        self.lives = False
        self.texts = 0
        self._size = size
        self._before: Callable[[], Large | None] = lambda: None
        self._family: Large | None = None

    def change(self) -> None:
        self._family = None

    def describe(self) -> tuple[()]:
        return ()

    def collect(self) -> Iterator[Metric]:
        if self._family is None:
            self.lives = self._before() is not None
            self.families += 1
            self._family = Definition("large", "Large").large(self._text)
            self._before = weakref.ref(self._family)
        yield self._family

    def _text(self) -> list[bytes]:
        self.texts += 1
        return [b"#" * self._size]


class Counted(Collector):
    """Counts how often it was asked."""

    def __init__(self) -> None:
        self.times = 0

    def describe(self) -> tuple[()]:
        return ()

    def collect(self) -> Iterator[Metric]:
        self.times += 1
        yield GaugeMetricFamily("asked", "Asked", self.times)


class TestRoutes:
    def test_metrics(self, server: Server) -> None:
        reply = ask(server, "/metrics")
        assert reply.status == HTTPStatus.OK
        assert reply.body == b"# HELP answer The answer\n# TYPE answer gauge\nanswer 42.0\n"
        assert reply.headers["content-type"] == TEXT
        assert reply.headers["content-length"] == str(len(reply.body))
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "content-encoding" not in reply.headers

    def test_metrics_elsewhere(self, registry: CollectorRegistry) -> None:
        with serving(registry, path="/a<b") as server:
            assert ask(server, "/a<b").status == HTTPStatus.OK
            assert ask(server, "/metrics").status == HTTPStatus.NOT_FOUND
            assert b'href="./a&lt;b"' in ask(server, "/").body

    def test_landing_page_links_every_path(self, server: Server) -> None:
        reply = ask(server, "/")
        assert reply.status == HTTPStatus.OK
        assert reply.headers["content-type"] == "text/html; charset=utf-8"
        assert __version__.encode() in reply.body
        for path in ("/metrics", "/-/healthy", "/-/ready"):
            assert f'href=".{path}"'.encode() in reply.body
            assert ask(server, path).status in {HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE}

    @pytest.mark.parametrize(
        ("path", "healthy", "ready", "status", "said"),
        [
            ("/-/healthy", True, False, 200, b"Healthy.\n"),
            ("/-/healthy", False, True, 503, b"The poll loop or the server has stopped.\n"),
            ("/-/ready", False, True, 200, b"Ready.\n"),
            ("/-/ready", True, False, 503, b"The first poll has not ended yet.\n"),
        ],
    )
    def test_health(
        self, registry: CollectorRegistry, path: str, *, healthy: bool, ready: bool, status: int, said: bytes
    ) -> None:
        health = Health()
        with serving(registry, health=health) as server:
            health.healthy, health.ready = healthy, ready
            reply = ask(server, path)
        assert (reply.status, reply.body) == (status, said)

    @pytest.mark.parametrize(
        "path",
        ["/metrics/", "//metrics", "/Metrics", "/metrics/../metrics", "/%6detrics", "/favicon.ico", "/-/", "/-/reload"],
    )
    def test_any_other_path_is_not_found(self, server: Server, path: str) -> None:
        reply = ask(server, path)
        assert (reply.status, reply.body) == (HTTPStatus.NOT_FOUND, b"Not found.\n")

    @pytest.mark.parametrize("query", ["?", "?a=b", "?name[]=answer", "?x=/-/ready"])
    def test_a_query_means_nothing(self, server: Server, query: str) -> None:
        assert ask(server, f"/metrics{query}").body == ask(server, "/metrics").body

    @pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/-/ready", "/nothing"])
    def test_head_is_get_without_the_body(self, server: Server, path: str) -> None:
        get, head = ask(server, path), ask(server, path, "HEAD")
        assert head.body == b""
        del get.headers["date"], head.headers["date"]
        assert (head.status, head.headers) == (get.status, get.headers)

    def test_gzip(self, server: Server) -> None:
        reply = ask(server, "/metrics", Accept_Encoding="gzip")
        assert reply.headers["content-encoding"] == "gzip"
        assert reply.headers["content-length"] == str(len(reply.body))
        assert gzip.decompress(reply.body) == ask(server, "/metrics").body

    def test_gzip_refused(self, server: Server) -> None:
        reply = ask(server, "/metrics", Accept_Encoding="gzip;q=0")
        assert "content-encoding" not in reply.headers
        assert b"answer 42.0" in reply.body

    def test_openmetrics(self, server: Server) -> None:
        reply = ask(server, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
        assert reply.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
        (family,) = parse_openmetrics(reply.body.decode())  # type: ignore[no-untyped-call]
        assert family.samples[0].value == 42

    @pytest.mark.parametrize("version", ["banana", "1.banana", "9.9.9", ""])
    def test_a_strange_version_is_no_error(self, server: Server, version: str) -> None:
        reply = ask(server, "/metrics", Accept=f"application/openmetrics-text; version={version}")
        assert reply.status == HTTPStatus.OK
        assert b"answer 42.0" in reply.body


def test_the_health_paths_alone() -> None:
    with serving_table(health_routes(lambda: True, lambda: False)) as server:
        assert [ask(server, path).status for path in HEALTH_PATHS] == [HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE]
        assert {ask(server, path).status for path in ("/", "/metrics")} == {HTTPStatus.NOT_FOUND}
