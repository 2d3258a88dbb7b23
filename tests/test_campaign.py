"""The fault campaign in short, and what its judges can tell."""

import os
from pathlib import Path

import pytest
from campaign import Row, campaign, descriptors, main, resident_bytes
from support.exposition import Exposition
from support.judges import joined, pages_that_promtool_refuses, promtool_says
from support.processes import Peer, response
from support.prometheus import prometheus

pytestmark = [pytest.mark.prometheus, pytest.mark.heavy]

GOOD = '# HELP localai_p2p_x X.\n# TYPE localai_p2p_x gauge\nlocalai_p2p_x{id="a"} 1\n'
TWICE = GOOD + 'localai_p2p_x{id="a"} 2\n'
UNENDED = GOOD.rstrip("\n")


def test_two_thousand_polls() -> None:
    report = campaign(int(os.environ.get("CAMPAIGN_POLLS", "2000")))
    assert report.complaints == []
    rows = report.rows.values()
    assert sum(row.polls for row in rows) >= 2_000
    assert [row for row in rows if row.crashes or row.late or row.wrong or row.invalid] == []
    assert [row for row in rows if row.recovered * 2 != row.polls] == []
    assert len({reason for row in rows for reason in row.reasons}) == 9


def test_its_table_has_a_line_for_each_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[1:-1]] == [["drip-body", "4"]]
    assert lines[-1] == "4 polls of 1 faults, 0 complaints"


def test_a_deadline_that_nobody_keeps_fails_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["2", "--deadline", "0.000001"]) == 1
    assert "FAILED after drip-body" in capsys.readouterr().out


def test_it_reads_this_process() -> None:
    assert resident_bytes() > 2**20
    with Path("/dev/null").open("rb"):
        opened = descriptors()
    assert descriptors() == opened - 1
    assert Row().polls == 0


class TestTheJudgesDisagree:
    """Each of the three overlooks what another one sees."""

    def test_on_a_series_that_stands_twice(self) -> None:
        # promtool says so from Prometheus 3 on.
        assert promtool_says(TWICE) in {"", "localai_p2p_x metric not unique"}
        with pytest.raises(AssertionError, match="twice"):
            Exposition(TWICE)

    def test_on_a_last_line_without_its_end(self, tmp_path: Path) -> None:
        assert "unexpected end of input" in promtool_says(UNENDED)
        page = response(UNENDED, headers="Content-Type: text/plain; version=0.0.4\r\n")
        with Peer(lambda _: page) as peer, prometheus(tmp_path, peer.url) as server:
            server.wait_for_scrape_after(0.0)
            assert server.value("up") == 1
            assert server.value("localai_p2p_x") == 1

    def test_promtool_judges_many_pages_at_once(self) -> None:
        assert promtool_says(joined([GOOD, GOOD, GOOD])) == ""
        assert joined([GOOD, GOOD]).count("# TYPE page_1_localai_p2p_x gauge") == 1
        bad = GOOD.replace(" 1\n", " one\n")
        ((page, complaint),) = pages_that_promtool_refuses([GOOD, bad, GOOD])
        assert page == bad
        assert "one" in complaint
