"""An exporter of many targets as one piece: their pages, the list of them, and what a change of the file does."""

import json
import resource
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.clocks import FakeClock
from support.exposition import Exposition
from support.processes import nobody, silence
from support.web import ANY_PORT, Reply, fetch

from exporter.app import Exporter
from exporter.clock import Clock
from exporter.many import Many
from exporter.settings import Settings
from exporter.shard import Shard
from exporter.simulator import Simulator, parse_scenario
from exporter.targets import parse_targets
from exporter.usage import UsageError

PATIENCE_SECONDS = 10.0


class Running:
    """An exporter, its file, and the clusters that it watches."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.path = path
        self._stack = stack
        self.again = threading.Event()
        self.url = ""
        self.clusters: dict[str, Simulator] = {}
        self._tick = threading.Event()

    def cluster(self, name: str, workers: int) -> str:
        """Add a cluster and return its line of the file."""
        script = parse_scenario(
            "release v4.7.1\n" + "".join(f"worker {number}-of-{name.partition(':')[0]}\n" for number in range(workers))
        )
        self.clusters[name] = self._stack.enter_context(Simulator(script))
        return f"{{name: {name}, url: '{self.clusters[name].url}', poll_interval: 200ms, cluster: of-{name}}}"

    def write(self, *lines: str) -> None:
        self.path.write_text("targets:\n" + "".join(f"- {line}\n" for line in lines))

    def start(self, **options: Any) -> Exporter:
        settings = Settings(config_file=self.path, listen_addresses=(ANY_PORT,), **options)
        exporter = Exporter(settings, Clock.system(), again=self.again)
        self._stack.callback(exporter.close)
        self.url = exporter.urls[0]
        return exporter

    def get(self, path: str, method: str = "GET") -> Reply:
        return fetch(self.url, path, method)

    def probe(self, name: str) -> Exposition:
        reply = self.get(f"/probe?target={name}")
        assert reply.status == 200, reply.body
        return Exposition(reply.body.decode())

    def listed(self) -> Mapping[str, Mapping[str, str]]:
        groups = json.loads(self.get("/sd").body)
        return {group["labels"]["__param_target"]: group["labels"] for group in groups}

    def until(self, holds: Callable[[], object]) -> None:
        """Wait for what polls bring about, of which nobody is told."""
        for _ in range(round(PATIENCE_SECONDS / 0.02)):
            if holds():
                return
            self._tick.wait(0.02)
        raise AssertionError("it did not come about")

    def polls(self, name: str) -> float:
        return self.probe(name).value("exporter_polls_total") or 0.0


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with ExitStack() as stack:
        yield Running(tmp_path / "targets.yml", stack)


@pytest.fixture
def two(running: Running) -> Running:
    """Two clusters that were polled, of one and of two workers."""
    running.write(running.cluster("a", 1), running.cluster("b", 2))
    running.start(lifecycle=True)
    running.until(lambda: running.get("/-/ready").status == 200)
    return running


def online(page: Exposition) -> float:
    return sum(page.series("node_online").values())


def test_each_target_has_a_page_of_its_own(two: Running) -> None:
    for name, workers in (("a", 1), ("b", 2)):
        assert two.polls(name) >= 1
        page = two.probe(name)
        assert page.value("up") == 1
        hosts = {dict(labels)["host"] for labels in page.series("node_online")}
        assert {f"{number}-of-{name}" for number in range(workers)} <= hosts
        assert page.value("exporter_config_last_reload_successful") is None
    assert two.get("/probe?target=a&target=b").status == 400
    assert two.get("/probe?target=").status == 400
    assert two.get("/probe").status == 400
    assert two.get("/probe?target=c").status == 404
    assert two.get(f"/probe?target={two.clusters['a'].url}").status == 404
    assert two.get("/probe?more=1&target=%61").status == 200


def test_the_exporters_own_page_has_what_is_its_own_alone(two: Running) -> None:
    page = Exposition(two.get("/metrics").body.decode())
    assert page.value("exporter_config_last_reload_successful") == 1
    assert page.value("exporter_targets") == 2
    assert page.value("exporter_poll_workers") == 2
    assert page.series("exporter_build_info")
    assert page.value("up") is None
    assert page.value("exporter_polls_total") is None
    assert b"process_resident_memory_bytes" in two.get("/metrics").body
    assert b"process_resident_memory_bytes" not in two.get("/probe?target=a").body


def test_the_list_has_every_target_where_it_was_asked_for(two: Running) -> None:
    reply = two.get("/sd")
    assert reply.headers["content-type"] == "application/json"
    assert json.loads(reply.body) == [
        {
            "targets": [two.url.removeprefix("http://")],
            "labels": {
                "cluster": f"of-{name}",
                "instance": name,
                "__metrics_path__": "/probe",
                "__param_target": name,
            },
        }
        for name in ("a", "b")
    ]
    assert b'<a href="./sd">' in two.get("/").body


def test_each_target_has_its_own_json_and_all_have_a_list(two: Running) -> None:
    for name, workers in (("a", 1), ("b", 2)):
        said = json.loads(two.get(f"/api/v1/cluster?target={name}").body)
        assert {role["role"]: role["total"] for role in said["roles"]}["worker"] == workers
    assert [two.get(path).status for path in ("/api/v1/cluster", "/api/v1/cluster?target=c")] == [400, 404]
    listed = json.loads(two.get("/api/v1/targets").body)["targets"]
    assert [(one["name"], one["up"]) for one in listed] == [("a", True), ("b", True)]


def test_a_change_leaves_alone_what_is_the_same(two: Running) -> None:
    two.until(lambda: two.polls("a") >= 3 and two.polls("b") >= 3)
    third = two.cluster("c", 3)
    same, other = (
        f"{{name: {name}, url: '{two.clusters[name].url}', poll_interval: {interval}, cluster: new}}"
        for name, interval in (("a", "200ms"), ("b", "1m"))
    )
    two.write(same, other, third)
    before = two.polls("a")
    assert (two.get("/-/reload", "POST").status, list(two.listed())) == (200, ["a", "b", "c"])
    assert two.polls("a") >= before >= 3
    assert two.listed()["a"]["cluster"] == "new"
    two.until(lambda: two.polls("b") == 1)
    two.until(lambda: two.probe("c").value("up") == 1)
    assert online(two.probe("c")) == 4
    # Gone, and its connection with it.
    two.write(same)
    assert two.get("/-/reload", "POST").status == 200
    assert list(two.listed()) == ["a"]
    assert [two.get(f"/probe?target={name}").status for name in ("b", "c")] == [404, 404]
    assert Exposition(two.get("/metrics").body.decode()).value("exporter_targets") == 1
    polled = two.polls("a")
    two.until(lambda: two.polls("a") > polled)


def test_a_bad_file_changes_nothing_and_is_shown(two: Running) -> None:
    good = two.path.read_text()
    two.path.write_text("targets:\n- {name: a}\n")
    reply = two.get("/-/reload", "POST")
    assert reply.status == 500
    assert b"line 2: target a has no url" in reply.body
    assert list(two.listed()) == ["a", "b"]
    assert Exposition(two.get("/metrics").body.decode()).value("exporter_config_last_reload_successful") == 0
    polled = two.polls("b")
    two.until(lambda: two.polls("b") > polled)
    two.path.write_text(good)
    two.again.set()
    two.until(
        lambda: Exposition(two.get("/metrics").body.decode()).value("exporter_config_last_reload_successful") == 1
    )


def test_it_is_read_again_for_a_request_only_where_that_may_be(running: Running) -> None:
    running.write(running.cluster("a", 1))
    running.start()
    reply = running.get("/-/reload", "POST")
    assert (reply.status, b"--web.enable-lifecycle" in reply.body) == (403, True)
    assert running.get("/probe?target=a", "POST").status == 405


def test_one_request_at_a_time_has_it_read_again(two: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, end = threading.Event(), threading.Event()

    def parse(content: bytes, path: Path) -> object:
        begun.set()
        assert end.wait(PATIENCE_SECONDS)
        return parse_targets(content, path)

    monkeypatch.setattr("exporter.reload.parse_targets", parse)
    replies: list[Reply] = []
    first = threading.Thread(target=lambda: replies.append(two.get("/-/reload", "POST")))
    first.start()
    assert begun.wait(PATIENCE_SECONDS)
    second = threading.Thread(target=lambda: replies.append(two.get("/-/reload", "POST")))
    second.start()
    second.join(PATIENCE_SECONDS / 2)
    end.set()
    first.join(PATIENCE_SECONDS)
    second.join(PATIENCE_SECONDS)
    assert [(reply.status, reply.headers.get("retry-after")) for reply in replies] == [(503, "1"), (200, None)]
    assert two.get("/-/reload", "POST").status == 200


def test_only_a_post_has_it_read_again(two: Running) -> None:
    for method in ("GET", "HEAD"):
        reply = two.get("/-/reload", method)
        assert (reply.status, reply.headers["allow"]) == (405, "POST")


def test_who_hangs_and_who_is_away_keep_nobody_waiting(running: Running) -> None:
    with silence() as hanging, nobody() as away:
        running.write(
            running.cluster("a", 1),
            f"{{name: hangs, url: '{hanging}', poll_interval: 2s, poll_timeout: 2s}}",
            f"{{name: away, url: '{away}', poll_interval: 200ms}}",
        )
        exporter = running.start()
        running.until(lambda: running.polls("a") >= 3 and running.polls("away") >= 3)
        assert running.probe("hangs").value("up") is None
        assert running.get("/-/ready").status == 503
        running.until(lambda: running.probe("hangs").value("up") == 0)
        assert running.get("/-/ready").status == 200
        assert running.probe("away").value("up") == 0
        assert exporter.is_healthy()
        assert exporter.wait(_set()) is True


def _set() -> threading.Event:
    stop = threading.Event()
    stop.set()
    return stop


def test_a_target_that_comes_later_does_not_take_the_readiness_back(two: Running) -> None:
    with silence() as hanging:
        two.write(f"{{name: hangs, url: '{hanging}'}}")
        assert two.get("/-/reload", "POST").status == 200
        assert two.get("/-/ready").status == 200


def test_a_shard_watches_its_own(running: Running) -> None:
    lines = [running.cluster(name, 1) for name in ("home", "eu-1", "rack:3/gpu")]
    running.write(*lines)
    running.start(shard=Shard(0, 2))
    assert list(running.listed()) == ["rack:3/gpu"]
    assert [running.get(f"/probe?target={name}").status for name in ("home", "rack:3/gpu", "rack%3A3%2Fgpu")] == [
        404,
        200,
        200,
    ]


def test_a_line_of_the_log_names_its_target(two: Running, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING"), two.clusters["a"].outage():
        two.until(lambda: two.probe("a").value("up") == 0)
    # The fields stand in the written line, which a formatter makes in the thread that polls: tests/test_log.py.
    assert "poll failed" in caplog.text


def test_what_is_gone_is_asked_no_more(two: Running) -> None:
    simulator = two.clusters["b"]
    two.until(lambda: two.polls("b") >= 2)
    two.write(f"{{name: a, url: '{two.clusters['a'].url}', poll_interval: 200ms, cluster: of-a}}")
    asked = len(simulator.requests)
    assert two.get("/-/reload", "POST").status == 200
    polled = two.polls("a")
    two.until(lambda: two.polls("a") >= polled + 3)
    assert len(simulator.requests) <= asked + 3  # what a poll that was under way still asked


def test_a_concern_is_said_with_its_target(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    running.write("{name: lax, url: 'https://127.0.0.1:1', tls_insecure: true}")
    running.start()
    (concern,) = (record for record in caplog.records if "certificate is not checked" in record.getMessage())
    assert concern.__dict__["fields"] == {"target": "lax"}
    assert running.probe("lax").value("exporter_tls_insecure") == 1


def test_without_a_file_there_is_nothing_to_watch() -> None:
    with pytest.raises(ValueError, match="no file of targets"):
        Many(Settings(), FakeClock().clock, make=None, own=None, again=threading.Event())  # type: ignore[arg-type]


def test_a_file_that_cannot_be_used_ends_the_start(running: Running) -> None:
    running.path.write_text("targets: 1")
    with pytest.raises(UsageError, match="targets must be a list"):
        running.start()


class TestDescriptors:
    @pytest.fixture
    def limits(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
        set_to: list[tuple[int, int]] = []
        monkeypatch.setattr(resource, "setrlimit", lambda _, limits: set_to.append(limits))
        return set_to

    @pytest.mark.parametrize(
        ("limit", "asked", "warns"),
        [
            ((1_024, 4_096), [(1_026, 4_096)], False),
            ((1_024, resource.RLIM_INFINITY), [(1_026, resource.RLIM_INFINITY)], False),
            ((100, 1_000), [(1_000, 1_000)], True),
            ((4_096, 4_096), [], False),
            ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), [], False),
        ],
    )
    def test_there_is_room_for_a_connection_to_each_target(
        self,
        running: Running,
        limits: list[tuple[int, int]],
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        *,
        limit: tuple[int, int],
        asked: list[tuple[int, int]],
        warns: bool,
    ) -> None:
        running.write(running.cluster("a", 1))
        monkeypatch.setattr(resource, "getrlimit", lambda _: limit)
        running.start()
        assert limits == asked
        assert ("descriptors may be too few" in caplog.text) is warns
