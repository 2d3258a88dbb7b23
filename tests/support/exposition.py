"""An exposition read back, and held against what a capture's facts demand."""

from collections.abc import Mapping
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]


class Exposition:
    """The samples of a page; that none stands twice is checked on the way.

    Args:
        text: the page.
        prefix: with which the names begin that are asked for.
    """

    def __init__(self, text: str, prefix: str = "localai_p2p_") -> None:
        self._prefix = prefix
        self._samples: dict[str, dict[Labels, float]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                series = self._samples.setdefault(sample.name, {})
                labels = frozenset(sample.labels.items())
                assert labels not in series, f"twice: {sample.name} {sorted(labels)}"
                series[labels] = sample.value

    def names(self) -> set[str]:
        return set(self._samples)

    def series(self, name: str) -> Mapping[Labels, float]:
        """The samples of one of this program's names, without its prefix."""
        return self._samples.get(f"{self._prefix}{name}", {})

    def value(self, name: str, /, **labels: str) -> float | None:
        return self.series(name).get(frozenset(labels.items()))


def _labelled(rows: list[Mapping[str, Any]], names: tuple[str, ...], value: str) -> dict[Labels, float]:
    return {frozenset((name, row[name]) for name in names): row[value] for row in rows}


def check_facts(page: Exposition, expect: Mapping[str, Any], failed_before: int = 0) -> None:
    """Assert that a page says what a capture's `expect` demands, after so many polls that failed before it."""
    assert page.value("up") == expect["up"]
    if not expect["up"]:
        assert page.value("exporter_poll_failures_total", reason=expect["reason"]) == page.value("exporter_polls_total")
        assert not page.series("nodes")
        assert not page.series("node_online")
        return
    assert sum(page.series("exporter_poll_failures_total").values()) == failed_before
    assert page.value("enabled") == expect.get("enabled")
    (api,) = page.series("exporter_api_info")
    assert dict(api)["source"] == expect["source"]
    kind, host, node = ("role", "backend"), ("role", "backend", "host"), ("role", "backend", "host", "id")
    assert page.series("nodes") == _labelled(expect["nodes"], kind, "nodes")
    assert page.series("nodes_online") == _labelled(expect["nodes"], kind, "online")
    assert page.series("host_nodes_online") == _labelled(expect["hosts_online"], host, "online")
    assert page.series("node_online") == _labelled(expect["node"], node, "online")
    for name, field, tolerance in (
        ("node_last_seen_timestamp_seconds", "last_seen", 0.001),
        ("node_last_seen_age_seconds", "age_at_clock", 2.5),
    ):
        wanted = _labelled(expect["node"], node, field)
        found = page.series(name)
        assert found.keys() == wanted.keys()
        for labels, value in wanted.items():
            assert abs(found[labels] - value) <= tolerance, (name, labels)
