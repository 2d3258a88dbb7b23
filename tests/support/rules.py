"""Cases for `promtool test rules`: what is scraped, and exactly which alerts fire when."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from generate import ALERTS, FILES, FOLDER, OPTIONAL_FILE

from support.prometheus import tool
from support.stories import BEGAN, Sample, Watch

EVALUATION_SECONDS = 30
_BY_NAME = {alert.name: alert for alert in ALERTS}


@dataclass(frozen=True)
class Text:
    """How one firing alert reads.

    Attributes:
        minute: when.
        alert: its name, without the prefix; nothing else of this name fires then.
        labels: all but the severity and the cluster.
        description: without the cluster before it.
        cluster: the label, empty for none.
    """

    minute: float
    alert: str
    labels: Mapping[str, str]
    description: str
    cluster: str = "home"


@dataclass(frozen=True)
class Case:
    """One story, or one table of series, and which alerts fire in it.

    Attributes:
        name: what happens.
        minutes: how long it lasts.
        watches: the exporters.
        series: without exporters, the values of each series by its name and labels, in promtool's notation.
        interval: from one scrape, or one of these values, to the next, in seconds; 15 and 60 unless given.
        firing: exactly the alerts that fire at a minute, or at every evaluation between two; nothing else ever fires.
        spares: alerts that this comes near to, and that never fire in it.
        passing: alerts that may fire at other times too.
        text: how an alert of it reads.
        optional: whether the rules that are off by default are on.
    """

    name: str
    minutes: float
    watches: tuple[Watch, ...] = ()
    series: Mapping[str, str] = field(default_factory=dict)
    interval: int | None = None
    firing: Mapping[float | tuple[float, float], str] = field(default_factory=dict)
    spares: str = ""
    passing: str = ""
    text: Text | None = None
    optional: bool = False

    @property
    def fired(self) -> set[str]:
        """Every alert that fires at some time."""
        return {name for names in self.firing.values() for name in names.split()}

    @property
    def _interval(self) -> int:
        return self.interval or (15 if self.watches else 60)

    def document(self) -> str:
        """Return the case as promtool reads it; JSON is YAML."""
        every = EVALUATION_SECONDS / 60
        checks = []
        for when, names in self.firing.items():
            start, end = when if isinstance(when, tuple) else (when, when)
            steps = int((end - start) / every)
            checks += [self._firing(start + step * every, names.split()) for step in range(steps + 1)]
        test = {
            "interval": f"{self._interval}s",
            "input_series": [{"series": name, "values": values} for name, values in self._input().items()],
            "promql_expr_test": [*checks, self._ever()],
            "alert_rule_test": [_reads(self.text)] if self.text else [],
        }
        files = [str(FOLDER / name) for name in FILES if name != OPTIONAL_FILE or self.optional]
        return json.dumps(
            {"rule_files": files, "evaluation_interval": f"{EVALUATION_SECONDS}s", "tests": [test]}, indent=1
        )

    def _input(self) -> dict[str, str]:
        if not self.watches:
            return {Watch().stored(name): values for name, values in self.series.items()}
        return {
            watch.stored(name): values
            for watch in self.watches
            for name, values in _values(list(watch.scrapes(self.minutes * 60, self._interval))).items()
        }

    def _firing(self, minute: float, names: list[str]) -> dict[str, Any]:
        others = set(self.passing.split()) - set(names)
        return _expects(f"group by (alertname) ({_alerts(others)})", minute, set(names))

    def _ever(self) -> dict[str, Any]:
        passing = set(self.passing.split())
        window = f"[{self.minutes * 60:.0f}s]"
        expr = f"group by (alertname) (count_over_time({_alerts(passing)}{window}))"
        return _expects(expr, self.minutes, self.fired - passing)


def _full(name: str) -> str:
    return _BY_NAME[name].full_name


def _alerts(but: set[str]) -> str:
    names = "|".join(_full(name) for name in sorted(but))
    return f'ALERTS{{alertstate="firing",alertname!~"{names}"}}'


def _expects(expr: str, minute: float, names: set[str]) -> dict[str, Any]:
    samples = [{"labels": f'{{alertname="{_full(name)}"}}', "value": 1} for name in sorted(names)]
    return {"expr": expr, "eval_time": f"{minute * 60:.0f}s", "exp_samples": samples}


def _reads(text: Text) -> dict[str, Any]:
    alert = _BY_NAME[text.alert]
    return {
        "eval_time": f"{text.minute * 60:.0f}s",
        "alertname": alert.full_name,
        "exp_alerts": [
            {
                "exp_labels": {"severity": alert.severity.value}
                | ({"cluster": text.cluster} if text.cluster else {})
                | dict(text.labels),
                "exp_annotations": {
                    "summary": alert.summary,
                    "description": (f"{text.cluster}: " if text.cluster else "") + text.description,
                    "runbook_url": alert.runbook_url,
                },
            }
        ],
    }


def _values(scrapes: list[Sample | None]) -> dict[str, str]:
    """Return the values of each series as Prometheus stores them: a series that is not scraped again ends."""
    names = dict.fromkeys(name for sample in scrapes if sample for name in sample)
    rows = {name: " ".join(_row(name, scrapes)) for name in names if name.partition("{")[0] in METRICS}
    up = [None if sample == {} else float(sample is not None) for sample in scrapes]
    return rows | {"up": " ".join(_ended(up))}


def _row(name: str, scrapes: list[Sample | None]) -> Iterator[str]:
    # To promtool a story starts at Unix time 0.
    shift = BEGAN if name.partition("{")[0].endswith("_timestamp_seconds") else 0.0
    return _ended(sample[name] - shift if sample and name in sample else None for sample in scrapes)


def _ended(values: Any) -> Iterator[str]:
    before = None
    for value in values:
        yield f"{value:.3f}".rstrip("0").rstrip(".") if value is not None else "_" if before is None else "stale"
        before = value


RULES = tuple(rule for groups in FILES.values() for group in groups for rule in group.rules)
METRICS = frozenset(
    name for rule in RULES for name in re.findall(r"(?<!:)\blocalai_(?:p2p|distributed)_\w+", rule.expr)
)
"""Every metric of ours that a rule reads."""


def promtool(case: Case, folder: Path) -> str:
    """Return what promtool finds wrong, empty where all is as it should be."""
    file = folder / "case.test.yml"
    file.write_text(case.document(), "utf-8")
    done = subprocess.run(
        [tool("promtool"), "test", "rules", str(file)], capture_output=True, text=True, check=False, timeout=120
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr
