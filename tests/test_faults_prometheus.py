"""A live Prometheus scrapes the exporter while faults play: not one scrape fails, and what is stored is expected."""

import time
from pathlib import Path

import pytest
from support.hostile import FAULTS, FEDERATION, GOOD_IDS, STATS, TEXTS, WORKERS, Fault, Hostile
from support.processes import serving
from support.prometheus import prometheus

from exporter.labels import label

pytestmark = [pytest.mark.prometheus, pytest.mark.heavy]

POLL_SECONDS = 0.4
LIFETIME_SECONDS = 300.0

PLAYED = (
    ("drip-body", WORKERS),
    ("json-500-mb-chunked", FEDERATION),
    ("gzip-bomb-302", STATS),
    ("redirect-elsewhere", WORKERS),
    ("cut-chunk", WORKERS),
    ("html-200", FEDERATION),
    ("deep-json", WORKERS),
    ("hostile-json", WORKERS),
    ("bad-count--1", STATS),
    ("bad-element", WORKERS),
    ("duplicate-ids", FEDERATION),
    ("id-in-two-roles", WORKERS),
    ("status-500-html", WORKERS),
)


def _fault(name: str) -> Fault:
    (fault,) = (one for one in FAULTS if one.name == name)
    return fault


def test_what_is_stored_while_faults_play(tmp_path: Path) -> None:
    milliseconds = f"{POLL_SECONDS * 1000:.0f}ms"
    flags = ["--poll.interval", milliseconds, "--poll.timeout", milliseconds, "--poll.stale-after", "10m"]
    flags += ["--localai.max-response-bytes", "1MiB"]
    reasons = set()
    with (
        Hostile(time.time) as localai,
        serving("--localai.url", localai.url, *flags, lifetime=LIFETIME_SECONDS) as served,
        prometheus(tmp_path, served.url) as server,
    ):

        def settle() -> None:
            server.wait_for_scrape_after(time.time() + 2.5 * POLL_SECONDS)

        settle()
        for name, path in PLAYED:
            fault = _fault(name)
            localai.play(fault, path)
            settle()
            reason = fault.reason_at(path)
            assert server.value("localai_p2p_up") == (reason is None), name
            # The last answer stays while polls fail, and the good nodes stay beside odd ones.
            assert set(server.by("id", "localai_p2p_node_online")) >= GOOD_IDS, name
            reasons |= {reason} if reason else set()
        for row, text in TEXTS:
            if text:
                localai.play(next(one for one in FAULTS if one.row == row and ascii(text[:12]) in one.name), WORKERS)
                settle()
                assert set(server.by("id", "localai_p2p_node_online")) == GOOD_IDS | {label(text)}, row
        localai.behave(WORKERS)
        settle()
        assert server.value("localai_p2p_up") == 1
        assert set(server.by("id", "localai_p2p_node_online")) == GOOD_IDS
        assert set(server.by("reason", "localai_p2p_exporter_poll_failures_total > 0")) == reasons
        assert server.value("min_over_time(up[10m])") == 1
        assert server.value("max(count by (role, backend, host, id) (localai_p2p_node_online))") == 1
        assert served.process.poll() is None
