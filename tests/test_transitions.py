"""Every captured LocalAI becomes every other between two polls: the first poll after it tells the new facts."""

import re

import pytest
from support.captures import CAPTURES, Capture
from support.exposition import Exposition, check_facts

from exporter.app import make_poller, make_registry
from exporter.clock import Clock
from exporter.exposition import Renderer
from exporter.settings import Target
from exporter.simulator import Replay
from exporter.store import Store


def _version(capture: Capture) -> str | None:
    answer = capture.raw("version")
    found = re.search(rb'{"version":"([^"]+)"}', answer)
    return found[1].decode() if found and answer.startswith(b"HTTP/1.1 200") else None


@pytest.mark.parametrize("before", CAPTURES, ids=str)
def test_every_other_follows(before: Capture) -> None:
    clock = Clock.system()
    with Replay(before.folder) as localai:
        target = Target(url=localai.url)
        for after in CAPTURES:
            store = Store()
            poller = make_poller(target, store, clock)
            renderer = Renderer(make_registry(target, store, clock, process=False))
            localai.show(before.folder)
            poller.poll()
            renderer.page()
            localai.show(after.folder)
            poller.poll()
            page = Exposition(renderer.page().body.decode())
            if after.expect["up"]:
                check_facts(page, after.expect, failed_before=1 - before.expect["up"])
                versions = [dict(labels)["version"] for labels in page.series("server_info")]
                assert versions == [_version(after)], str(after)
            else:
                assert page.value("up") == 0, str(after)
                reason = after.expect["reason"]
                assert page.value("exporter_poll_failures_total", reason=reason) == 1 + (1 - before.expect["up"])
