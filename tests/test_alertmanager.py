"""The sample configuration of Alertmanager, run: who is told, and what an outage silences."""

import json
import re
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from generate import ALERTS
from support.prometheus import PATIENCE_SECONDS, free_port, started, tool

pytestmark = pytest.mark.prometheus

SAMPLE = Path(__file__).parent.parent / "prometheus" / "alertmanager.yml"
SEVERITIES = {alert.name: alert.severity.value for alert in ALERTS}
FULL = {alert.name: alert.full_name for alert in ALERTS}
MODEL = {"model": "llama-3"}
NODE = {"role": "worker", "backend": "llama_cpp", "host": "a"}


def amtool(*words: str) -> str:
    done = subprocess.run([tool("amtool"), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def test_amtool_accepts_it() -> None:
    assert "SUCCESS" in amtool("check-config", str(SAMPLE))


@pytest.mark.parametrize("name", SEVERITIES)
def test_severity_decides_who_is_told(name: str) -> None:
    receiver = {"critical": "on-call", "warning": "chat", "info": "nobody"}[SEVERITIES[name]]
    labels = (f"alertname={FULL[name]}", f"severity={SEVERITIES[name]}")
    assert amtool("config", "routes", "test", f"--config.file={SAMPLE}", *labels) == receiver


def test_the_alerts_of_others_are_nobodys() -> None:
    labels = ("alertname=NodeDown", "severity=critical")
    assert amtool("config", "routes", "test", f"--config.file={SAMPLE}", *labels) == "nobody"


def test_every_name_in_an_inhibition_is_an_alerts() -> None:
    for rule in yaml.safe_load(SAMPLE.read_text("utf-8"))["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            if pattern := re.fullmatch(r'alertname=~?"(.+)"', matcher):
                for words in _alternatives(pattern[1]):
                    assert any(re.fullmatch(words, name) for name in FULL.values()), words


def _alternatives(pattern: str) -> list[str]:
    head, _, rest = pattern.partition("(")
    inside, _, tail = rest.partition(")")
    return [head + one + tail for one in inside.split("|")]


class Alertmanager:
    """A running Alertmanager with the sample's inhibitions."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._tick = threading.Event()

    def silenced(self, alerts: Mapping[str, Mapping[str, str]]) -> set[str]:
        """Send these alerts with their labels, and return the names of those that are inhibited."""
        body = [
            {"labels": {"alertname": FULL[name], "severity": SEVERITIES[name], "cluster": "home", **labels}}
            for name, labels in alerts.items()
        ]
        request = urllib.request.Request(
            f"{self._url}/api/v2/alerts", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10):
            pass
        states: dict[str, Any] = {}
        until = time.monotonic() + PATIENCE_SECONDS
        # An alert's state is unknown to Alertmanager until its group was looked at for the first time.
        while len(states) < len(alerts) or "unprocessed" in states.values():
            assert time.monotonic() < until, states
            self._tick.wait(0.05)
            with urllib.request.urlopen(f"{self._url}/api/v2/alerts", timeout=10) as answer:
                states = {one["labels"]["alertname"]: one["status"]["state"] for one in json.load(answer)}
        return {name for name in alerts if states[FULL[name]] == "suppressed"}


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[Alertmanager]:
    sample = yaml.safe_load(SAMPLE.read_text("utf-8"))
    # Nobody is told, and at once.
    sample["route"] = {"receiver": "nobody", "group_wait": "0s"}
    file = tmp_path / "alertmanager.yml"
    file.write_text(json.dumps(sample), "utf-8")  # JSON is YAML
    port = free_port()
    words = [
        tool("prometheus-alertmanager"),
        f"--config.file={file}",
        f"--storage.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    url = f"http://127.0.0.1:{port}"
    with started(words, tmp_path / "alertmanager.log", url):
        yield Alertmanager(url)


ONE, TWO = {"instance": "one:10040"}, {"instance": "two:10040"}


@pytest.mark.parametrize(
    ("alerts", "silenced"),
    [
        ({"ExporterDown": ONE, "APIUnreachable": ONE, "PollsFailing": ONE}, {"APIUnreachable", "PollsFailing"}),
        ({"ExporterDown": ONE, "APIUnreachable": TWO, "HostLost": NODE}, set()),
        ({"APIKeyRejected": ONE, "APIUnreachable": ONE, "PollsFailing": ONE}, {"APIUnreachable", "PollsFailing"}),
        ({"APIUnreachable": ONE, "ViewsDisagree": {"role": "worker"}}, {"ViewsDisagree"}),
        ({"P2PDisabled": ONE, "NoWorkersOnline": {}, "HostLost": NODE}, {"NoWorkersOnline", "HostLost"}),
        ({"AllNodesStaleAtOnce": ONE, "NoWorkersOnline": {}}, {"NoWorkersOnline"}),
        ({"AllNodesStaleAtOnce": ONE, "NoWorkersOnline": {"cluster": "office"}}, set()),
        ({"NoWorkersOnline": {}, "HostLost": NODE, "CapacityDropped": NODE}, {"HostLost", "CapacityDropped"}),
        ({"NoWorkersOnline": {}, "HostLost": NODE | {"role": "federated", "backend": ""}}, set()),
        ({"ExpectedHostMissing": {"host": "a"}, "HostLost": NODE}, {"HostLost"}),
        ({"ExpectedHostMissing": {"host": "b"}, "HostLost": NODE}, set()),
        ({"NodeClockBehind": NODE, "HostFlapping": NODE, "HostLost": NODE}, {"HostFlapping", "HostLost"}),
        ({"NodeClockBehind": NODE, "HostFlapping": NODE | {"host": "b"}}, set()),
        ({"NodeClockAhead": NODE, "HostFlapping": NODE}, set()),
        ({"ClockOffset": ONE, "NodeClockAhead": NODE}, {"NodeClockAhead"}),
        ({"ExporterDown": ONE, "DistributedUnreachable": ONE}, {"DistributedUnreachable"}),
        ({"PollsFailing": ONE, "DistributedPollsFailing": ONE}, {"DistributedPollsFailing"}),
        ({"PollsFailing": ONE, "DistributedPollsFailing": TWO}, set()),
        ({"DistributedUnreachable": ONE, "DistributedPollsFailing": ONE}, {"DistributedPollsFailing"}),
        ({"DistributedNoHealthyNodes": {}, "DistributedNodeOffline": {"name": "a"}}, {"DistributedNodeOffline"}),
        ({"DistributedNoHealthyNodes": {"cluster": "office"}, "DistributedNodeOffline": {"name": "a"}}, set()),
        ({"DistributedUnsatisfiable": MODEL, "DistributedTooFewReplicas": MODEL}, {"DistributedTooFewReplicas"}),
        ({"DistributedUnsatisfiable": MODEL, "DistributedTooFewReplicas": {"model": "other"}}, set()),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_the_wider_outage_silences_its_consequences(
    alertmanager: Alertmanager, alerts: Mapping[str, Mapping[str, str]], silenced: set[str]
) -> None:
    assert alertmanager.silenced(alerts) == silenced
