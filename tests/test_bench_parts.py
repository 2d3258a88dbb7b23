"""What the benchmarks are made of says the same to everybody: nodes, series, and the ends of answers."""

import gzip
from pathlib import Path

import pytest
from counted import prepare
from fleet import Fleet, bodies
from ours import Pipeline, Replayed, snapshot, ticking_clock
from page import BEGIN, END, PAGE, replaced
from prometheus_client import generate_latest
from scraping import Answer, body_of
from series import Family, count_samples, dump, families_of, load, own_part
from stock import stock_registry

from bench import main

NOW = 1_800_000_000.0
PAGE_OF_ALL_TYPES = b"""\
# HELP localai_p2p_node_online 1 when LocalAI calls the node online, else 0.
# TYPE localai_p2p_node_online gauge
localai_p2p_node_online{id="a \\"b\\"",role="worker"} 1.0
localai_p2p_node_online{id="c",role="worker"} 0.0
# HELP localai_p2p_exporter_polls_total Polls.
# TYPE localai_p2p_exporter_polls_total counter
localai_p2p_exporter_polls_total 3.0
# HELP localai_p2p_exporter_poll_duration_seconds Time.
# TYPE localai_p2p_exporter_poll_duration_seconds histogram
localai_p2p_exporter_poll_duration_seconds_bucket{le="0.1"} 1.0
localai_p2p_exporter_poll_duration_seconds_bucket{le="+Inf"} 3.0
localai_p2p_exporter_poll_duration_seconds_count 3.0
localai_p2p_exporter_poll_duration_seconds_sum 1.0
# HELP python_info Python.
# TYPE python_info gauge
python_info{version="3.11"} 1.0
"""


class TestTheSeries:
    FAMILIES = (
        Family(
            "localai_p2p_node_online",
            "1 when LocalAI calls the node online, else 0.",
            "gauge",
            ("id", "role"),
            ((('a "b"', "worker"), 1.0), (("c", "worker"), 0.0)),
        ),
        Family("localai_p2p_exporter_polls_total", "Polls.", "counter", (), (((), 3.0),)),
        Family(
            "localai_p2p_exporter_poll_duration_seconds",
            "Time.",
            "histogram",
            (),
            ((("0.1",), 1.0), (("+Inf",), 2.0)),
        ),
    )

    def test_are_those_of_a_page(self) -> None:
        assert tuple(families_of(PAGE_OF_ALL_TYPES.decode())) == self.FAMILIES

    def test_survive_their_file(self, tmp_path: Path) -> None:
        dump(self.FAMILIES, tmp_path / "series.json")
        assert tuple(load(tmp_path / "series.json")) == self.FAMILIES

    def test_come_out_of_the_stock_collector_as_they_went_in(self) -> None:
        page = generate_latest(stock_registry(lambda: self.FAMILIES))
        assert sorted(page.splitlines()) == sorted(own_part(PAGE_OF_ALL_TYPES).splitlines())

    def test_are_counted_without_those_of_the_process(self) -> None:
        assert count_samples(PAGE_OF_ALL_TYPES) == 7
        assert b"python_info" not in own_part(PAGE_OF_ALL_TYPES)


class TestTheFleet:
    def test_is_the_same_for_everybody(self) -> None:
        one, other = (Fleet(50, 0.02, NOW) for _ in range(2))
        for now in (NOW, NOW + 15, NOW + 30):
            assert one.entries(now) == other.entries(now)

    def test_keeps_its_nodes_while_their_heartbeats_move(self) -> None:
        fleet = Fleet(100, 0.0, NOW)
        before, after = fleet.entries(NOW), fleet.entries(NOW + 20)
        assert [node.id for node in before] == [node.id for node in after]
        moved = [old.last_seen_ns < new.last_seen_ns for old, new in zip(before, after, strict=True)]
        assert moved == [node.online(NOW) for node in before]
        assert 85 <= sum(moved) < 100

    def test_loses_as_many_nodes_as_come(self) -> None:
        fleet = Fleet(100, 0.03, NOW)
        before, after = ({node.id for node in fleet.entries(NOW + 15 * poll)} for poll in range(2))
        assert len(before) == len(after) == 100
        assert len(before - after) == 3

    def test_is_read_as_a_localai_v4_of_every_kind(self) -> None:
        clock = ticking_clock(NOW)
        seen = snapshot(bodies(Fleet(80, 0.0, NOW).entries(NOW), NOW), NOW, clock)
        totals = {str(kind): counts.total for kind, counts in seen.counts.items()}
        assert seen.generation == "3"
        assert totals == {"worker/llama_cpp": 60, "worker/mlx": 10, "federated": 10}
        assert len(seen.nodes) == 80
        assert all(node.host != node.id for node in seen.nodes)


def _by_name(page: bytes) -> dict[str, list[tuple[tuple[str, ...], float]]]:
    return {family.name: sorted(family.samples) for family in families_of(page.decode())}


def test_the_stock_encoder_gets_the_nodes_that_ours_has() -> None:
    clock = ticking_clock(NOW)
    fleet = Fleet(20, 0.1, NOW)
    snapshots = [snapshot(bodies(fleet.entries(now), now), now, clock) for now in (NOW, NOW + 15)]
    pipeline = Pipeline(Replayed(snapshots), 20, clock)
    for _ in snapshots:
        pipeline.poll()
    registry = stock_registry(pipeline.families)
    stock, own = (_by_name(page) for page in (generate_latest(registry), b"".join(pipeline.page())))
    assert len(stock) == 6
    for name, samples in stock.items():
        labels = name.endswith("_age_seconds")  # the clock has gone on
        assert [one[: 1 if labels else 2] for one in samples] == [one[: 1 if labels else 2] for one in own[name]]


@pytest.mark.parametrize("what", ["ours-scrape", "stock-scrape", "ours-rebuild", "stock-rebuild"])
def test_what_is_counted_can_be_done(what: str) -> None:
    prepare(5)[what]()


PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"


class TestAnAnswer:
    @pytest.mark.parametrize("wire", [PLAIN, CHUNKED], ids=["length", "chunks"])
    @pytest.mark.parametrize("size", [1, 2, 7, 1_000])
    def test_ends_with_its_last_byte(self, wire: bytes, size: int) -> None:
        answer = Answer()
        pieces = [wire[start : start + size] for start in range(0, len(wire), size)]
        assert [answer.take(memoryview(piece)) for piece in pieces] == [False] * (len(pieces) - 1) + [True]
        assert not answer.is_last

    def test_of_http_1_0_is_the_last_of_its_connection(self) -> None:
        answer = Answer()
        assert answer.take(memoryview(PLAIN.replace(b"1.1", b"1.0")))
        assert answer.is_last

    def test_without_a_length_ends_with_the_connection(self) -> None:
        answer = Answer()
        assert not answer.take(memoryview(b"HTTP/1.0 200 OK\r\n\r\nhello"))
        assert answer.take(memoryview(b""))

    @pytest.mark.parametrize("wire", [b"", PLAIN[:-1], CHUNKED[:-1]])
    def test_that_breaks_off_is_none(self, wire: bytes) -> None:
        answer = Answer()
        if wire:
            assert not answer.take(memoryview(wire))
        with pytest.raises(ConnectionError, match="not whole"):
            answer.take(memoryview(b""))

    def test_that_is_no_200_is_none(self) -> None:
        with pytest.raises(ConnectionError, match="503 Service Unavailable"):
            Answer().take(memoryview(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"))

    def test_has_its_body_out_of_chunks_and_gzip(self) -> None:
        assert body_of(PLAIN) == body_of(CHUNKED) == b"hello"
        packed = gzip.compress(b"hello")
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
        assert body_of(head + packed) == b"hello"


class TestThePage:
    def test_has_room_for_one_table(self) -> None:
        text = PAGE.read_text("utf-8")
        assert text.count(BEGIN) == text.count(END) == 1

    def test_gets_it_between_the_marks(self) -> None:
        assert replaced(f"before\n{BEGIN}old\n{END}after\n", "new\n") == f"before\n{BEGIN}\nnew\n\n{END}after\n"

    @pytest.mark.parametrize("page", ["", BEGIN, END, f"{END}{BEGIN}"])
    def test_without_marks_is_left_alone(self, page: str) -> None:
        with pytest.raises(ValueError, match="marks"):
            replaced(page, "new\n")

    @pytest.mark.parametrize("also", [["--rounds", "3"], ["--shrink", "10"], ["--only", "loop"]])
    def test_shows_whole_runs_alone(self, also: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            main(["--write", *also])
        assert "whole runs" in capsys.readouterr().err
