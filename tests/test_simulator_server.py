"""The simulator and the replay over real sockets."""

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from support.captures import FOLDER as CAPTURES
from support.clocks import FakeClock

from exporter.model import FEDERATED
from exporter.simulator import RELEASES, Entry, Replay, Request, Settings, Simulator, answer, parse_scenario
from exporter.simulator.listener import Listener
from exporter.usage import UsageError

START = 1_795_381_500.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


@pytest.fixture
def simulator(clock: FakeClock) -> Iterator[Simulator]:
    with Simulator(clock=clock.clock.wall) as running:
        yield running


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as opened:
        opened.trust_env = False
        opened.headers.update({"Accept": "application/json", "Content-Type": "application/json"})
        yield opened


def address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


def exchange(url: str, request: bytes) -> bytes:
    """Send bytes, and read all that comes until the other side closes."""
    with socket.create_connection(address(url), timeout=5) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def get(session: requests.Session, url: str, path: str = "/api/p2p") -> Any:
    answered = session.get(url + path, timeout=5)
    answered.raise_for_status()
    return answered.json()


def refused(url: str) -> bool:
    try:
        socket.create_connection(address(url), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_connection_is_kept_and_its_requests_are_remembered(simulator: Simulator, session: requests.Session) -> None:
    get(session, simulator.url, "/api/p2p/workers")
    get(session, simulator.url, "/api/p2p/stats?x=1")
    assert simulator.connections == 1
    assert [path for path, _ in simulator.requests] == ["/api/p2p/workers", "/api/p2p/stats?x=1"]
    assert simulator.requests[0][1]["content-type"] == "application/json"


def test_the_answer_on_the_wire_is_that_of_the_pure_function(simulator: Simulator, clock: FakeClock) -> None:
    name = json.loads(exchange(simulator.url, b"GET /api/p2p HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")[2])[
        "federated_nodes"
    ][0]["Name"]
    clock.advance(3)
    wire = exchange(simulator.url, b"GET /api/p2p/federation HTTP/1.1\r\nhost: x\r\nConnection: Close\r\n\r\n")
    entry = Entry(FEDERATED, "localai", name, "", int(START * 1e9))
    assert wire == answer(Request("/api/p2p/federation", close=True), Settings(), [entry], START + 3)


def test_pipelined_requests_are_answered_in_turn_until_one_closes(simulator: Simulator) -> None:
    wire = exchange(
        simulator.url,
        b"HEAD /version HTTP/1.1\r\n\r\nGET /readyz HTTP/1.1\r\n\r\n"
        b"GET /version HTTP/1.1\r\nConnection: close\r\n\r\nGET /version HTTP/1.1\r\n\r\n",
    )
    assert wire.count(b"HTTP/1.1 200 OK") == 3
    assert wire.count(b'{"version"') == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n",
        b"nonsense\r\n\r\n",
        b"GET /version HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200,
    ],
)
def test_what_is_no_http_is_dropped(simulator: Simulator, sent: bytes) -> None:
    with socket.create_connection(address(simulator.url), timeout=5) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):  # it closes with some of it unread
            assert connection.recv(1) == b""
    assert simulator.requests == []


def test_a_request_with_a_body_ends_its_connection(simulator: Simulator) -> None:
    wire = exchange(simulator.url, b"POST /api/p2p HTTP/1.1\r\nContent-Length: 20\r\n\r\nGET / HTTP/1.1\r\n\r\nxx")
    assert wire.startswith(b"HTTP/1.1 405 ")
    assert wire.count(b"HTTP/1.1") == 1


def test_an_outage_closes_the_port_and_every_connection_and_returns_on_the_same_port(
    simulator: Simulator, session: requests.Session
) -> None:
    simulator.apply("worker gpu-01")
    simulator.apply("kill gpu-01")
    assert len(get(session, simulator.url)["llama_cpp_nodes"]) == 1
    with socket.create_connection(address(simulator.url), timeout=5) as idle:
        idle.sendall(b"GET /readyz HTTP/1.1\r\n\r\n")
        assert idle.recv(65_536).startswith(b"HTTP/1.1 200")
        with simulator.outage():
            assert idle.recv(1) == b""
            assert refused(simulator.url)
            with pytest.raises(requests.ConnectionError):
                session.get(simulator.url + "/readyz", timeout=5)
    assert get(session, simulator.url)["llama_cpp_nodes"] == []
    assert simulator.connections == 3


def test_no_outage_lets_another_program_have_the_port(simulator: Simulator) -> None:
    with simulator.outage(), socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(address(simulator.url))


def test_a_scripted_outage_follows_the_clock(clock: FakeClock) -> None:
    with Simulator(parse_scenario("at 90s outage 20s"), clock=clock.clock.wall) as simulator:
        for second, expected in ((89, False), (90, True), (109, True), (110, False)):
            clock.wall_now = START + second
            simulator.catch_up()
            assert refused(simulator.url) is expected, second


def test_an_outage_begins_and_ends_although_nobody_asks(clock: FakeClock) -> None:
    asked = threading.Event()

    def counting() -> float:
        if threading.current_thread().name == "simulator-outages":
            asked.set()
        return clock.wall_now

    with Simulator(clock=counting) as simulator:
        assert "simulator-outages" not in {thread.name for thread in threading.enumerate()}
        simulator.apply("outage 20s")
        assert refused(simulator.url)
        clock.advance(20)
        asked.clear()
        assert asked.wait(5)
        asked.clear()
        assert asked.wait(5)  # the second look means that the first is done with
        assert not refused(simulator.url)


def test_an_outage_in_the_middle_of_a_connection_drops_it_unanswered(clock: FakeClock) -> None:
    with Simulator(parse_scenario("at 90s outage 20s"), clock=clock.clock.wall) as simulator:
        connection = http.client.HTTPConnection(*address(simulator.url), timeout=5)
        connection.request("GET", "/readyz")
        assert connection.getresponse().read() == b""
        clock.advance(95)
        with contextlib.suppress(ConnectionError):  # the simulator's own look at the clock may come first
            connection.request("GET", "/readyz")
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            connection.getresponse()
        connection.close()
        assert len(simulator.requests) == 1


def test_an_upgrade_is_followed_by_the_next_request_whatever_connection_it_takes(
    clock: FakeClock, session: requests.Session
) -> None:
    script = "release v3.6.0\nat 60s upgrade v3.12.1\nat 120s upgrade v4.7.1\nat 180s upgrade v3.6.0"
    with Simulator(parse_scenario(script), clock=clock.clock.wall) as simulator:
        versions = []
        for second in (0, 60, 120, 180):
            clock.wall_now = START + second
            versions.append(get(session, simulator.url, "/version")["version"].split()[0])
        assert versions == ["v3.6.0", "v3.12.1", "v4.7.1", "v3.6.0"]


def test_an_upgrade_ends_the_idle_connections(simulator: Simulator, session: requests.Session) -> None:
    get(session, simulator.url)
    simulator.apply("upgrade v3.12.1")
    assert set(get(session, simulator.url)) == {"nodes", "federated_nodes"}
    assert simulator.connections == 2


def test_keys(simulator: Simulator, session: requests.Session) -> None:
    simulator.apply("key admin")
    simulator.apply("reader-key reader")
    statuses = {}
    for key in ("admin", "reader", "other", None):
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        statuses[key] = session.get(f"{simulator.url}/api/p2p/token", headers=headers, timeout=5).status_code
    assert statuses == {"admin": 200, "reader": 403, "other": 401, None: 401}
    simulator.apply("reader-key off")
    simulator.apply("key off")
    assert session.get(f"{simulator.url}/api/p2p/token", timeout=5).status_code == 200


def test_the_web_ui_and_p2p_are_switched(simulator: Simulator, session: requests.Session) -> None:
    simulator.apply("webui off")
    assert session.get(f"{simulator.url}/api/p2p/stats", timeout=5).status_code == 404
    simulator.apply("webui on")
    assert get(session, simulator.url, "/api/p2p/stats")["federated"] == {"online": 1, "total": 1}
    simulator.apply("p2p off")
    assert get(session, simulator.url, "/api/p2p/stats")["federated"] == {"online": 0, "total": 0}
    assert get(session, simulator.url, "/.well-known/localai.json")["capabilities"]["p2p"] is False
    assert session.get(f"{simulator.url}/api/p2p/token", timeout=5).text == ""


def test_an_action_that_cannot_be_changes_nothing(simulator: Simulator) -> None:
    with pytest.raises(UsageError, match="nothing ever ran on host 'gpu-01'"):
        simulator.apply("kill gpu-01")
    with pytest.raises(UsageError, match="'explode' is no action"):
        simulator.apply("explode")
    assert simulator.connections == 0


@pytest.mark.parametrize("release", RELEASES)
def test_five_thousand_nodes(release: str, clock: FakeClock, session: requests.Session) -> None:
    script = parse_scenario(f"release {release}\nworkers 5000\nat 30s kill crowd-00001")
    with Simulator(script, clock=clock.clock.wall) as simulator:
        clock.advance(100)
        lists = get(session, simulator.url)
        nodes = lists["llama_cpp_nodes" if release == "v4.7.1" else "nodes"]
        assert [node["ID"].removesuffix("-" + node["Name"]) for node in nodes] == [
            f"crowd-{number:05d}" for number in range(1, 5001)
        ]
        if release != "v3.6.0":
            stats = get(session, simulator.url, "/api/p2p/stats")
            assert stats["llama_cpp_workers" if release == "v4.7.1" else "workers"] == {"online": 4999, "total": 5000}
            listed = get(session, simulator.url, "/api/p2p/workers")["nodes"]
            assert [node["id"] for node in listed if not node["isOnline"]] == [nodes[0]["ID"]]
            assert len(listed) == 5000


def test_many_threads_may_ask_and_change_at_once(simulator: Simulator) -> None:
    failures: list[BaseException] = []
    simulator.apply("workers 50")

    def ask() -> None:
        try:
            with requests.Session() as own:
                own.trust_env = False
                for _ in range(20):
                    assert len(get(own, simulator.url)["llama_cpp_nodes"]) >= 50
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        simulator.apply("worker gpu-01")
    for thread in threads:
        thread.join()
    assert failures == []


def test_close_ends_the_port_the_connections_and_the_threads(clock: FakeClock) -> None:
    before = set(threading.enumerate())
    simulator = Simulator(parse_scenario("at 90s outage 20s"), clock=clock.clock.wall)
    with socket.create_connection(address(simulator.url), timeout=5) as idle:
        idle.sendall(b"GET /readyz HTTP/1.1\r\n\r\n")
        assert idle.recv(65_536)
        simulator.close()
        assert idle.recv(1) == b""
    assert refused(simulator.url)
    assert set(threading.enumerate()) <= before
    simulator.close()


def test_close_in_an_outage_ends_everything_too(clock: FakeClock) -> None:
    simulator = Simulator(clock=clock.clock.wall)
    with simulator.outage():
        simulator.close()
    assert refused(simulator.url)


def test_a_script_may_begin_with_an_outage(clock: FakeClock) -> None:
    with Simulator(parse_scenario("outage 20s"), clock=clock.clock.wall) as simulator:
        assert refused(simulator.url)
        clock.advance(20)
        simulator.catch_up()
        assert not refused(simulator.url)


def test_a_taken_port_is_an_error(simulator: Simulator) -> None:
    with pytest.raises(OSError, match="in use"):
        Simulator(port=address(simulator.url)[1])


def test_a_listener_does_without_the_client_that_left(simulator: Simulator, session: requests.Session) -> None:
    for _ in range(5):
        socket.create_connection(address(simulator.url), timeout=5).close()
    get(session, simulator.url)


def test_small_answers_are_not_held_back() -> None:
    flags: list[int] = []

    def peek(_: Request) -> None:
        connections = listener._open.values()  # noqa: SLF001 - no other way to see the option
        flags.extend(used.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for used in connections)

    listener = Listener(0, peek)
    assert exchange(f"http://127.0.0.1:{listener.port}", b"GET / HTTP/1.1\r\n\r\n") == b""
    listener.close()
    listener.join(5)
    assert flags == [1]


class TestReplay:
    def test_serves_each_file_byte_for_byte_and_closes(self) -> None:
        folder = CAPTURES / "v4.7.1" / "cluster"
        with Replay(folder) as replay:
            for path, file in (("/api/p2p", "p2p"), ("/.well-known/localai.json", "well-known"), ("/readyz", "readyz")):
                wire = exchange(replay.url, f"GET {path} HTTP/1.1\r\n\r\n".encode())
                assert wire == (folder / f"{file}.http").read_bytes()

    def test_answers_head_without_the_body(self) -> None:
        with Replay(CAPTURES / "v4.7.1" / "cluster") as replay:
            wire = exchange(replay.url, b"HEAD /api/p2p HTTP/1.1\r\n\r\n")
        captured = (CAPTURES / "v4.7.1" / "cluster" / "p2p.http").read_bytes()
        assert wire == captured.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"

    @pytest.mark.parametrize("release", RELEASES)
    def test_answers_404_as_captured_for_what_it_has_no_file_for(self, release: str) -> None:
        folder = CAPTURES / release / "no-webui"
        with Replay(folder) as replay:
            wire = exchange(replay.url, b"GET /api/nowhere HTTP/1.1\r\n\r\n")
            expected = exchange(replay.url, b"GET /api/p2p/workers HTTP/1.1\r\n\r\n")
        undated = [[line for line in got.split(b"\r\n") if not line.startswith(b"Date:")] for got in (wire, expected)]
        assert undated[0] == undated[1]

    def test_moves_the_heartbeats_of_distributed_mode_too(self) -> None:
        folder = CAPTURES / "v4.7.1" / "distributed"
        captured = (folder / "nodes.http").read_bytes()
        with Replay(folder) as replay:
            assert exchange(replay.url, b"GET /api/nodes HTTP/1.1\r\n\r\n") == captured
            replay.show(folder, now=START + 3600.7)
            moved = exchange(replay.url, b"GET /api/nodes HTTP/1.1\r\n\r\n")
        # Captured at 21:54:14; START is 21:05:00.
        assert b'"last_heartbeat":"2026-11-22T21:54:11.834316Z"' in captured
        assert b'"last_heartbeat":"2026-11-22T22:04:57.834316Z"' in moved
        assert b'"created_at":"2026-11-22T21:53:41.823968Z"' in moved
        assert len(moved) == len(captured)

    def test_shows_another_folder_from_the_next_request_on(self, session: requests.Session) -> None:
        with Replay(CAPTURES / "v3.6.0" / "cluster") as replay:
            before = set(get(session, replay.url))
            replay.show(CAPTURES / "v4.7.1" / "cluster")
            after = set(get(session, replay.url))
        assert before == {"nodes", "federated_nodes"}
        assert after == {"llama_cpp_nodes", "federated_nodes", "mlx_nodes"}

    def test_moves_every_date_of_a_capture_by_the_same_and_leaves_its_lengths(self) -> None:
        folder = CAPTURES / "v4.7.1" / "clock-skew"
        captured = (folder / "p2p.http").read_bytes()
        with Replay(folder) as replay:
            replay.show(folder, now=START + 3600.7)
            moved = exchange(replay.url, b"GET /api/p2p HTTP/1.1\r\n\r\n")
            workers = exchange(replay.url, b"GET /api/p2p/workers HTTP/1.1\r\n\r\n")
        # Captured at 21:13:10; START is 21:05:00.
        assert b"\r\nDate: Sun, 22 Nov 2026 21:13:10 GMT\r\n" in captured
        expected = captured
        for old, new in (
            (b"Date: Sun, 22 Nov 2026 21:13:10 GMT", b"Date: Sun, 22 Nov 2026 22:05:00 GMT"),
            (b"2026-11-22T21:23:04.248659185Z", b"2026-11-22T22:14:54.248659185Z"),
            (b"2026-11-22T21:12:36.69065728Z", b"2026-11-22T22:04:26.69065728Z"),
            (b"2026-11-22T21:13:09.447440697Z", b"2026-11-22T22:04:59.447440697Z"),
        ):
            assert old in expected
            expected = expected.replace(old, new)
        assert moved == expected
        assert workers.count(b'"lastSeen":"2026-11-22T22:14:54.248659185Z"') == 2

    def test_a_capture_without_a_date_cannot_be_moved(self, tmp_path: Path) -> None:
        (tmp_path / "p2p.http").write_bytes(b"HTTP/1.1 200 OK\r\n\r\n{}")
        with Replay(tmp_path) as replay, pytest.raises(UsageError) as raised:
            replay.show(tmp_path, now=START)
        assert str(raised.value) == "a captured answer has no Date header: capture it again"

    def test_a_folder_without_a_capture_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError) as raised:
            Replay(tmp_path)
        assert str(raised.value) == f"{tmp_path} holds no capture: name a folder with files such as p2p.http"
