"""What a rule is, and the words that every rule shares.

A rule's texts hold a threshold as `@name`, which PromQL and Go's templates leave free, and its value stands beside
them; `@job` is the job's name. Whoever ships the rules with others, as the Helm chart does, changes values, and no
expression.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from string import Template

JOB = "localai-p2p"
"""The job under which Prometheus scrapes the exporters; only `up` needs it, every other name is our own."""

RUNBOOK = "https://localai-p2p-exporter.example/docs/runbook.md"
"""Where operators read docs/runbook.md: put the address of your copy here, then `./run docs`."""

FAMILY = "LocalAI"
"""With which every alert's name begins."""

PREFIX = f"{FAMILY}P2P"
"""With which those of P2P and of the exporter itself begin."""

WINDOW = "3m"
"""How far back an expression looks at least: a lost poll, a failed scrape and a restart of the exporter are shorter."""

NODE = "cluster, role, backend, host, id"
KIND = "cluster, role, backend"
INSTANCE = "cluster, instance"
"""Labels to aggregate by. `instance` is one exporter, and so one LocalAI."""


class Severity(StrEnum):
    """Who is told: `critical` wakes somebody up, `warning` waits for the morning, `info` for a dashboard."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Record:
    """A recording rule, named level:metric:operation.

    Attributes:
        name: the series that it writes.
        expr: PromQL.
    """

    name: str
    expr: str


@dataclass(frozen=True, slots=True)
class Alert:
    """An alerting rule.

    Attributes:
        name: without the prefix; its section in docs/runbook.md is named by the whole.
        expr: PromQL; `@name` is a threshold, `@job` the job.
        hold: how long it must hold before it fires, Prometheus's `for`.
        severity: who is told.
        summary: one line, the same for every firing.
        description: a template with the labels and numbers that an operator needs; `@name` is a threshold.
        thresholds: by name.
        prefix: with which the full name begins.
    """

    name: str
    expr: str
    hold: str
    severity: Severity
    summary: str
    description: str
    thresholds: Mapping[str, float] = field(default_factory=dict)
    prefix: str = PREFIX

    @property
    def full_name(self) -> str:
        """The name that Prometheus shows."""
        return self.prefix + self.name

    @property
    def runbook_url(self) -> str:
        """Where its section of the runbook is read."""
        return f"{RUNBOOK}#{self.full_name.lower()}"

    def filled(self, text: str) -> str:
        """Return `text` with the thresholds and the job in it.

        Raises:
            KeyError: it names one that this alert does not have.
        """
        values = {"job": JOB} | {name: f"{value:g}" for name, value in self.thresholds.items()}
        return _Filled(text).substitute(values)


class _Filled(Template):
    delimiter = "@"


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated one after the other.

    Attributes:
        name: unique among all files.
        rules: in the order of their evaluation.
    """

    name: str
    rules: tuple[Record | Alert, ...]
