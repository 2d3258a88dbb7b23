"""What the program prints and serves of each answer that a real LocalAI cluster gave."""

import pytest
from support.captures import CAPTURES, Capture
from support.exposition import Exposition, check_facts
from support.processes import recorded, replaying, run, serving


@pytest.mark.parametrize("capture", CAPTURES, ids=str)
def test_once_prints_the_facts(capture: Capture) -> None:
    with replaying(recorded(str(capture))) as localai:
        done = run("once", "--localai.url", localai.url)
    check_facts(Exposition(done.stdout), capture.expect)
    assert done.returncode == 1 - capture.expect["up"]


@pytest.mark.parametrize("capture", CAPTURES, ids=str)
def test_serve_serves_the_facts(capture: Capture) -> None:
    with replaying(recorded(str(capture))) as localai, serving("--localai.url", localai.url) as served:
        served.log_until("LocalAI answers" if capture.expect["up"] else "poll failed")
        page = served.read("/metrics")
    check_facts(Exposition(page), capture.expect)


@pytest.mark.parametrize("capture", CAPTURES, ids=str)
def test_localai_is_asked_for_json_each_time_and_for_no_more_than_is_needed(capture: Capture) -> None:
    with replaying(recorded(str(capture))) as localai:
        run("once", "--localai.url", localai.url)
    heads = [head.lower() for head in localai.heads]
    assert all("accept: application/json" in head and "content-type: application/json" in head for head in heads)
    expected = ["/api/p2p/workers"]
    if capture.expect["up"]:
        lists = capture.expect["source"] != "p2p"
        expected += ["/api/p2p/federation", "/api/p2p/stats"] if lists else ["/api/p2p"]
        expected += ["/version", "/.well-known/localai.json"]
    assert localai.paths == expected


@pytest.mark.parametrize("capture", [one for one in CAPTURES if one.facts["status"]["token"] == 200], ids=str)
def test_the_token_shows_as_its_fingerprint_only(capture: Capture) -> None:
    token = capture.body("token").decode()
    with replaying(recorded(str(capture))) as localai:
        done = run("once", "--localai.url", localai.url, "--collector.token", "--log.level", "debug")
    page = Exposition(done.stdout)
    assert len(page.series("token_info")) == bool(token)
    assert page.value("enabled") == bool(token)
    assert not token or token[:40] not in done.stdout + done.stderr
