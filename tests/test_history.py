"""What comes out of Prometheus's past is what the story said."""

import time
from pathlib import Path

import pytest
from support.history import stored, write_blocks
from support.prometheus import prometheus
from support.stories import Watch

pytestmark = pytest.mark.prometheus

SECONDS = 3 * 3600.0

SCRIPT = """
federated gateway-2.example.org
worker gpu-1.example.org
worker fast skew 10m
at 30m restart gpu-1.example.org
at 1h kill fast
at 2h outage 20s
"""


def test_prometheus_tells_the_story_again(tmp_path: Path) -> None:
    began = float(int(time.time() - SECONDS))
    watches = (
        Watch(
            SCRIPT,
            began=began,
            expected={"worker": 2},
            lost_polls=((600, 660),),
            lost_scrapes=((1200, 1260),),
            restarts=((1800, 1900),),
        ),
        Watch(SCRIPT, began=began, instance="two:10040", removed=((0, 3600),)),
    )
    told: dict[str, dict[float, float]] = {}
    for watch in watches:
        for moment, series, value in stored(watch, SECONDS):
            told.setdefault(series, {})[moment] = value
    assert any(name.startswith("localai_p2p_exporter_poll_failures_total") for name in told)
    assert {value for name, values in told.items() if name.startswith("up{") for value in values.values()} == {0, 1}

    write_blocks(tmp_path / "data", watches, SECONDS)
    with prometheus(tmp_path) as server:
        answer = server.ask("query", query=f'{{__name__=~".+"}}[{SECONDS + 60:.0f}s]', time=began + SECONDS)
    read = {}
    for one in answer["data"]["result"]:
        labels = {name: value for name, value in one["metric"].items() if name != "__name__"}
        values = {float(moment): float(value) for moment, value in one["values"]}
        read[one["metric"]["__name__"], frozenset(labels.items())] = values
    assert read == {_key(series): values for series, values in told.items()}


def _key(series: str) -> tuple[str, frozenset[tuple[str, str]]]:
    name, _, labels = series.rstrip("}").partition("{")
    pairs = (label.partition("=") for label in labels.split('",'))
    return name, frozenset((label, value.strip('"')) for label, _, value in pairs)


def test_what_promtool_refuses_is_no_past(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="min and max timestamp"):
        write_blocks(tmp_path / "data", (Watch("worker a", cluster='"'),), 60)
