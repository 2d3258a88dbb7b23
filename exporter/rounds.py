"""The doctor's rounds: every target of `--config.file`, one report of all."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from exporter.clock import Clock
from exporter.doctor import Report, examine
from exporter.finding import Severity, some
from exporter.settings import Target

_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Rounds:
    """What was found, by the target's name and in the order of the file."""

    reports: Sequence[tuple[str, Report]]

    @property
    def severity(self) -> Severity:
        """The worst report's."""
        return max((report.severity for _, report in self.reports), default=Severity.OK)

    def as_text(self) -> str:
        """Write all for a terminal; the first line alone is what a monitoring system shows."""
        ill = [name for name, report in self.reports if report.severity != Severity.OK]
        summary = f"{len(ill)} of {len(self.reports)} targets are not in order: {some(ill)}"
        first = f"LOCALAI P2P {self.severity.name}: {summary if ill else 'everything is in order'}"
        return "\n\n".join([first, *(f"target: {name}\n{report.as_text()}" for name, report in self.reports)])

    def as_json(self) -> str:
        """Write all for a script."""
        return json.dumps([{"target": name, **json.loads(report.as_json())} for name, report in self.reports], indent=2)


def examine_all(targets: Sequence[tuple[str, Target]], clock: Clock) -> Rounds:
    """Ask every LocalAI step by step, some at once.

    Raises:
        UsageError: a TLS file cannot be used.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        reports = pool.map(lambda one: examine(one[1], clock), targets)
        return Rounds([(name, report) for (name, _), report in zip(targets, reports, strict=True)])
