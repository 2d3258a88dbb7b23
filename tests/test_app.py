"""The running program as one piece: its loop, its servers, and how it says that they live."""

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import bcrypt
import pytest
from support.clocks import FakeClock

from exporter.app import Exporter
from exporter.clock import Clock
from exporter.poller import Poller
from exporter.server import Server
from exporter.settings import ListenAddress, Settings, Target
from exporter.simulator import Simulator
from exporter.usage import UsageError
from exporter.web import Metrics

LOOPBACK = ListenAddress("127.0.0.1", 0)


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            code: int = answer.status
            return code
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def servers() -> int:
    return sum(thread.name == "web" for thread in threading.enumerate())


@pytest.fixture
def localai() -> Iterator[Simulator]:
    with Simulator() as localai:
        yield localai


@pytest.fixture
def settings(localai: Simulator) -> Settings:
    return Settings(target=Target(url=localai.url), listen_addresses=(LOOPBACK, LOOPBACK))


def test_it_serves_the_same_on_every_address(settings: Settings) -> None:
    exporter = Exporter(settings, Clock.system())
    try:
        assert len(set(exporter.urls)) == 2
        assert [status(f"{url}/metrics") for url in exporter.urls] == [200, 200]
    finally:
        exporter.close()


def test_an_address_that_is_taken_closes_the_others(settings: Settings) -> None:
    exporter = Exporter(settings, Clock.system())
    before = servers()
    taken = ListenAddress("127.0.0.1", int(exporter.urls[0].rpartition(":")[2]))
    try:
        with pytest.raises(UsageError, match="nothing can listen there"):
            Exporter(Settings(target=settings.target, listen_addresses=(LOOPBACK, taken)), Clock.system())
        assert servers() == before
    finally:
        exporter.close()


def test_no_thread_for_the_loop_is_said_and_closes_the_servers(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = servers()
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "poller":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(UsageError) as caught:
        Exporter(settings, Clock.system())
    assert str(caught.value) == "no thread is to be had: raise the limit of processes and threads"
    assert servers() == before


@pytest.fixture
def probed(settings: Settings) -> Iterator[tuple[Exporter, str]]:
    """An exporter with a health address, and its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = ListenAddress("127.0.0.1", free.getsockname()[1])
    exporter = Exporter(settings._replace(health_address=address), Clock.system())
    yield exporter, f"http://{address}"
    exporter.close()


def test_the_health_address_serves_the_health_paths_alone(probed: tuple[Exporter, str]) -> None:
    exporter, url = probed
    assert url not in exporter.urls
    assert status(f"{url}/-/healthy") == 200
    assert status(f"{url}/-/ready") in (200, 503)
    assert [status(url + path) for path in ("/", "/metrics")] == [404, 404]


def test_the_health_address_is_open_where_the_other_is_not(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text(f"basic_auth_users: {{alice: {bcrypt.hashpw(b'secret', bcrypt.gensalt(4)).decode()}}}\n")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = ListenAddress("127.0.0.1", free.getsockname()[1])
    exporter = Exporter(settings._replace(health_address=address, web_config_file=file), Clock.system())
    try:
        assert [status(f"{url}/metrics") for url in exporter.urls] == [401, 401]
        assert status(f"http://{address}/-/healthy") == 200
    finally:
        exporter.close()


def test_a_health_address_that_is_taken_closes_the_others(settings: Settings) -> None:
    before = servers()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = ListenAddress("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(UsageError) as caught:
            Exporter(settings._replace(health_address=address), Clock.system())
    assert str(caught.value) == f"--web.health-address {address}: nothing can listen there (EADDRINUSE)"
    assert servers() == before


def test_a_server_that_dies_is_noticed(probed: tuple[Exporter, str], monkeypatch: pytest.MonkeyPatch) -> None:
    exporter, url = probed
    (dying, *_) = exporter.urls
    lives = Server._turn  # noqa: SLF001 - what would have to break for it

    def turn(server: Server) -> None:
        if dying in server.urls:
            raise RuntimeError
        lives(server)

    monkeypatch.setattr(Server, "_turn", turn)
    with suppress(OSError):  # it wakes the thread, and may be the last that it answers
        status(f"{dying}/metrics")
    assert exporter.wait(threading.Event(), check_every=0.01) is False
    assert status(f"{url}/-/healthy") == 503


def test_a_server_that_hangs_is_noticed(probed: tuple[Exporter, str], monkeypatch: pytest.MonkeyPatch) -> None:
    exporter, url = probed
    (hanging, *_) = exporter.urls
    lives = Server._turn  # noqa: SLF001 - what would have to wait in it
    end = threading.Event()

    def turn(server: Server) -> None:
        if hanging in server.urls:
            end.wait()
        lives(server)

    monkeypatch.setattr("exporter.app._HANG_SECONDS", 1.5)
    monkeypatch.setattr(Server, "_turn", turn)
    try:
        assert exporter.wait(threading.Event(), check_every=0.01) is False
        assert status(f"{url}/-/healthy") == 503
        # Nor does it keep the program from its end.
        closer = threading.Thread(target=exporter.close)
        closer.start()
        closer.join(20)
        assert not closer.is_alive()
    finally:
        end.set()


class TestHealth:
    """What the loop does decides; what LocalAI does makes no difference."""

    @pytest.fixture
    def polled(self, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
        """Stand for the loop: it polls once, and then hangs until the test ends or tells it to die."""
        polled = threading.Event()

        def run(poller: Poller, stop: threading.Event, _after_each: Callable[[], None]) -> None:
            poller.poll()
            polled.set()
            stop.wait()

        monkeypatch.setattr(Poller, "run", run)
        return polled

    @pytest.fixture
    def time(self) -> FakeClock:
        return FakeClock()

    @pytest.fixture
    def exporter(self, settings: Settings, time: FakeClock, polled: threading.Event) -> Iterator[Exporter]:  # noqa: ARG002
        exporter = Exporter(settings, time.clock)
        yield exporter
        exporter.close()

    def test_a_poll_that_is_overdue_is_a_hang(
        self, exporter: Exporter, time: FakeClock, polled: threading.Event
    ) -> None:
        assert polled.wait(10)
        (url, _) = exporter.urls
        time.advance(15 + 10 + 5)
        assert (exporter.is_healthy(), status(f"{url}/-/healthy")) == (True, 200)
        time.advance(0.1)
        assert (exporter.is_healthy(), status(f"{url}/-/healthy")) == (False, 503)
        assert exporter.wait(threading.Event(), check_every=0.0) is False
        assert status(f"{url}/-/ready") == 200

    def test_a_loop_that_is_not_put_together_in_time_is_a_hang(
        self, settings: Settings, time: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        end = threading.Event()
        monkeypatch.setattr("exporter.app.make_poller", lambda *_: end.wait())
        exporter = Exporter(settings, time.clock)
        try:
            time.advance(15 + 10 + 5)
            assert exporter.is_healthy()
            time.advance(0.1)
            assert not exporter.is_healthy()
        finally:
            end.set()
            exporter.close()

    def test_a_machine_that_slept_did_not_hang(
        self, exporter: Exporter, time: FakeClock, polled: threading.Event
    ) -> None:
        assert polled.wait(10)
        time.sleep(8 * 3_600)
        assert exporter.is_healthy()

    def test_a_process_that_was_paused_did_not_hang(
        self, exporter: Exporter, time: FakeClock, polled: threading.Event
    ) -> None:
        assert polled.wait(10)

        class Stop(threading.Event):
            """Pauses the whole process in the first wait, for an hour; ends it after the third."""

            waits = iter((3_600.0, 0.0, 0.0))

            def wait(self, timeout: float | None = None) -> bool:
                paused = next(self.waits, None)
                if paused is None:
                    self.set()
                else:
                    time.advance((timeout or 0.0) + paused)
                return self.is_set()

        assert exporter.wait(Stop()) is True
        assert exporter.is_healthy()

    def test_the_end_is_waited_for(self, exporter: Exporter) -> None:
        stop = threading.Event()
        stop.set()
        assert exporter.wait(stop) is True


@pytest.mark.parametrize("bug", [SystemExit("s3cret"), ValueError("s3cret")], ids=repr)
def test_a_loop_that_dies_is_noticed_and_says_where(
    bug: BaseException, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def run(*_: object) -> None:
        raise bug

    monkeypatch.setattr(Poller, "run", run)
    exporter = Exporter(settings, Clock.system())
    try:
        assert exporter.wait(threading.Event(), check_every=0.01) is False
        assert status(f"{exporter.urls[0]}/-/healthy") == 503
    finally:
        exporter.close()
    (record,) = [record for record in caplog.records if record.message == "the poll loop died"]
    assert record.__dict__["fields"]["error"] == type(bug).__name__
    assert "s3cret" not in caplog.text


def test_pages_that_cannot_be_prepared_end_no_loop(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    prepared = threading.Event()

    def prepare(_: Metrics) -> None:
        prepared.set()
        raise ValueError("s3cret")

    monkeypatch.setattr(Metrics, "prepare", prepare)
    exporter = Exporter(settings, Clock.system())
    try:
        assert prepared.wait(10)
        assert exporter.is_healthy()
        assert status(f"{exporter.urls[0]}/metrics") == 200
    finally:
        exporter.close()
    assert "the pages could not be prepared" in caplog.messages
    assert "s3cret" not in caplog.text
