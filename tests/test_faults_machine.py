"""What the machine may do to the exporter: full disks, no descriptors, no threads, clocks that jump, and masses."""

import json
import resource
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.clocks import FakeClock
from support.exposition import Exposition
from support.hostile import AGES, Hostile
from support.localai import FakeClient, entry, generation_3
from support.processes import command, environment, recorded, replaying, response, serving
from support.watching import Shifted, Watch, watching

from exporter.app import make_poller, make_registry
from exporter.clock import Clock
from exporter.errors import Reason
from exporter.exposition import Renderer
from exporter.localai import LocalAI
from exporter.poller import Poller
from exporter.settings import Target
from exporter.store import Store
from exporter.strictjson import BYTES_PER_NODE

HOUR = 3_600.0
LIMIT = 5_000
MEBIBYTE = 2**20


@pytest.fixture
def watch() -> Iterator[Watch]:
    with watching(5.0, poll_interval=15.0) as watch:
        yield watch


class TestClock:
    @pytest.mark.fault("clock-jump")
    @pytest.mark.parametrize("jump", [HOUR, -HOUR])
    def test_a_jump_between_two_polls_shows_in_the_offset_alone(self, watch: Watch, jump: float) -> None:
        before = Exposition(watch.poll().text)
        watch.shifted.wall_jump += jump
        after = Exposition(watch.poll().text)
        assert after.value("up") == 1
        for page in (before, after):
            ages = {dict(labels)["id"]: age for labels, age in page.series("node_last_seen_age_seconds").items()}
            assert ages == pytest.approx(AGES, abs=2)
        offsets = [page.value("server_clock_offset_seconds") or 0.0 for page in (before, after)]
        assert offsets[1] - offsets[0] == pytest.approx(-jump, abs=2)

    @pytest.mark.fault("clock-jump")
    @pytest.mark.parametrize("jump", [HOUR, -HOUR])
    def test_stale_after_is_counted_on_no_wall_clock(self, jump: float) -> None:
        shifted = Shifted()
        store = Store()
        with Hostile(shifted.localai) as server:
            target = Target(url=server.url)
            poller = make_poller(target, store, shifted.clock)
            renderer = Renderer(make_registry(target, store, shifted.clock, process=False))
            poller.poll()
        assert Exposition(renderer.page().body.decode()).series("node_online")
        shifted.wall_jump += jump
        shifted.passed += 45.0
        poller.poll()
        assert Exposition(renderer.page().body.decode()).series("node_online")
        shifted.passed += 20.0
        assert not Exposition(renderer.page().body.decode()).series("node_online")


class TestDescriptors:
    @pytest.mark.fault("no-descriptors")
    @pytest.mark.parametrize("has_key_file", [False, True], ids=["no key", "key file"])
    def test_none_is_to_be_had_and_then_some_are(self, has_key_file: bool, tmp_path: Path) -> None:
        flags = ["--poll.interval", "200ms", "--poll.timeout", "200ms"]
        if has_key_file:
            (tmp_path / "key").write_text("k")
            flags += ["--localai.api-key-file", str(tmp_path / "key")]
        with (
            replaying(recorded("v4.7.1/cluster")) as localai,
            serving("--localai.url", localai.url, *flags) as served,
        ):
            served.log_until("LocalAI answers")
            pid = served.process.pid
            limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, limits[1]))
            assert "EMFILE" in served.log_until("reason=connect")
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
            served.log_until("LocalAI answers")
            assert served.process.poll() is None


class TestThreads:
    @pytest.mark.fault("no-threads")
    def test_none_is_to_be_had_and_then_one_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        start = threading.Thread.start

        def refuse(thread: threading.Thread) -> None:
            if thread.name == "resolver":
                raise RuntimeError("can't start new thread")
            start(thread)

        clock = Clock.system()
        with Hostile(clock.wall) as server:
            target = Target(url=server.url.replace("127.0.0.1", "localhost"))
            poller = make_poller(target, Store(), clock)
            with monkeypatch.context() as patched:
                patched.setattr(threading.Thread, "start", refuse)
                failure = poller.poll().failure
                assert failure is not None
                assert failure.reason == Reason.DNS
            assert poller.poll().failure is None


class TestOutput:
    @pytest.mark.fault("output-disk-full")
    def test_a_file_that_cannot_grow_leaves_the_old_one(self, tmp_path: Path) -> None:
        path = tmp_path / "p2p.prom"
        path.write_bytes(b"old\n")
        # As a full disk: the kernel takes no more than so many bytes of any file.
        limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (999, 999))"
        limited = f"import os, resource, sys; {limit}; os.execv(sys.argv[1], sys.argv[1:])"
        with replaying(recorded("v4.7.1/cluster")) as localai:
            words = command("once", "--localai.url", localai.url, "--output", str(path))
            done = subprocess.run(
                [sys.executable, "-c", limited, *words],
                # Without coverage's variables: its own file could not grow either. Nor could what Python compiles, and
                # a half of that would be in everybody's way from then on.
                env={
                    **{name: text for name, text in environment().items() if not name.startswith("COVERAGE_")},
                    "PYTHONDONTWRITEBYTECODE": "1",
                },
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
        assert done.returncode not in (0, None)
        assert f"--output: {path} cannot be written (File too large)" in done.stderr
        assert "Traceback" not in done.stderr
        assert path.read_bytes() == b"old\n"
        assert [one.name for one in tmp_path.iterdir()] == ["p2p.prom"]


def _usual(poll: int, number: int) -> dict[str, Any]:
    return entry(f"host-{number:06d}-p{poll}n{number:07d}")


def _wide(poll: int, number: int) -> dict[str, Any]:
    """A node in whose texts one character makes four bytes of each."""
    return {
        "id": f"p{poll}-{number:06d}{'h' * 108}\U0001f600-n",
        "name": "n",
        "serviceID": f"{number}{'s' * 50}\U0001f600",
    }


def _keyed(poll: int, number: int) -> dict[str, Any]:
    """A node with keys and values that nobody else has."""
    return {"id": f"p{poll}-{number:06d}"} | {f"{number:x}.{key:x}": f"{number * 11 + key:x}" for key in range(11)}


COSTLY: dict[str, tuple[Callable[[int, int], Any], bool, int]] = {
    "usual": (_usual, True, 10),
    "wide texts": (_wide, False, 20),
    "keys": (_keyed, False, 20),
}
"""Nodes, whether each stands there twice as LocalAI v4 lists it, and how many times the cap on bytes they may take."""


def _largest(make: Callable[[int, int], Any], poll: int, *, twice: bool, cap: int) -> bytes:
    """Return the answer of `/workers` with as many nodes as the cap on its bytes allows."""

    def answer(nodes: list[Any]) -> bytes:
        value = {"llama_cpp": {"nodes": nodes}, "mlx": {"nodes": []}} | ({"nodes": nodes} if twice else {})
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

    count = min(cap // BYTES_PER_NODE - 10, (cap - 100) // (len(answer([make(poll, 100_000)])) - len(answer([])) + 2))
    return answer([make(poll, number) for number in range(count)])


class Masses:
    """A LocalAI with very many nodes, polled and shown without a socket."""

    def __init__(self, most_bytes: int = Target().max_response_bytes) -> None:
        self.time = FakeClock()
        self.client = FakeClient({}, self.time)
        self.store = Store()
        target = Target()
        self.poller = Poller(
            LocalAI(self.client, self.time.clock, most_bytes),
            self.store,
            self.time.clock,
            interval=15.0,
            timeout=10.0,
            retention=target.node_retention,
            limit=LIMIT,
        )
        self.renderer = Renderer(make_registry(target, self.store, self.time.clock, process=False))

    def poll(self, *ids: str) -> None:
        self.time.advance(15)
        self.client.paths = generation_3([entry(one) for one in ids], [], [])
        assert self.poller.poll().failure is None
        self.client.paths = {}
        self.client.deadlines.clear()

    def page(self) -> Exposition:
        return Exposition(self.renderer.page().body.decode())


class TestMasses:
    @pytest.mark.fault("nodes-100000")
    def test_a_hundred_thousand_nodes_have_five_thousand_series_a_name(self) -> None:
        masses = Masses()
        masses.poll(*(f"gpu-{number:06d}-x" for number in range(100_000)))
        page = masses.page()
        assert len(page.series("node_online")) == len(page.series("node_info")) == LIMIT
        assert page.value("nodes_hidden", role="worker", backend="llama_cpp", reason="limit") == 100_000 - LIMIT
        assert page.value("nodes", role="worker", backend="llama_cpp") == 100_000

    @pytest.mark.fault("nodes-100000", "hostile-json")
    @pytest.mark.parametrize(("make", "twice", "times"), COSTLY.values(), ids=COSTLY)
    def test_a_poll_takes_no_more_memory_than_is_said(
        self, make: Callable[[int, int], Any], twice: bool, times: int
    ) -> None:
        """The answers are as large as may be, and their nodes are others than those of the poll before, or the same."""
        cap = 2 * MEBIBYTE
        masses = Masses(cap)
        answers = [_largest(make, poll, twice=twice, cap=cap) for poll in (0, 1, 1)]
        masses.poll()
        tracemalloc.start()
        try:
            for answer in answers:
                masses.time.advance(15)
                masses.client.paths = generation_3([], [], []) | {"/api/p2p/workers": answer}
                assert masses.poller.poll().failure is None
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert len(answers[0]) > cap * 2 / 3
        assert times * cap / 2 < peak + len(answers[0]) < times * cap

    @pytest.mark.heavy
    @pytest.mark.fault("nodes-100000")
    def test_a_hundred_thousand_nodes_do_not_hold_the_end_up(self) -> None:
        answers = generation_3([entry(f"gpu-{number:06d}-x") for number in range(100_000)], [], [])
        sent = {path: response(json.dumps(value)) for path, value in answers.items()}
        flags = ("--poll.interval", "1m", "--poll.timeout", "1m", "--localai.max-response-bytes", "64MiB")
        with replaying(sent) as localai, serving("--localai.url", localai.url, *flags, lifetime=90) as served:
            served.log_until("LocalAI answers")
            began = time.monotonic()
            served.process.terminate()
            assert "msg=stopped" in served.finish()
            assert served.process.returncode == 0
            assert time.monotonic() - began < 1

    @pytest.mark.heavy
    @pytest.mark.fault("nodes-100000", "changing-ids")
    def test_ids_that_change_at_every_poll_do_not_fill_the_memory(self) -> None:
        masses = Masses()
        count = LIMIT + 100
        sizes = []
        tracemalloc.start()
        try:
            for poll in range(15):
                masses.poll(*(f"pod-{poll:03d}-{number:04d}-x" for number in range(count)))
                if poll % 3 == 2:
                    sizes.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
        page = masses.page()
        assert len(page.series("node_online")) == LIMIT
        assert page.value("nodes_hidden", role="worker", backend="llama_cpp", reason="limit") == 100
        changes = {dict(labels)["change"]: value for labels, value in page.series("membership_changes_total").items()}
        assert changes.keys() == {"joined", "lost", "returned", "forgotten"}
        assert max(sizes) - min(sizes) < MEBIBYTE
