"""Writes the rules of this folder: `./run docs`."""

import json
from collections.abc import Iterator
from pathlib import Path

import distributed_alerts
from member_alerts import DUPLICATES, HOSTS, WORKERS
from records import RECORDS
from rulebook import Alert, Group, Record
from trust_alerts import CLOCKS, VIEWS
from watch_alerts import API, EXPORTER

FOLDER = Path(__file__).parent / "rules"

RECORDS_FILE = "localai-p2p-records.yml"
ALERTS_FILE = "localai-p2p-alerts.yml"
DISTRIBUTED_FILE = "localai-distributed-alerts.yml"
OPTIONAL_FILE = "optional/localai-p2p-duplicates.yml"

FILES = {
    RECORDS_FILE: (Group("localai-p2p-records", RECORDS),),
    ALERTS_FILE: (
        Group("localai-p2p-exporter", EXPORTER),
        Group("localai-p2p-api", API),
        Group("localai-p2p-workers", WORKERS),
        Group("localai-p2p-hosts", HOSTS),
        Group("localai-p2p-clocks", CLOCKS),
        Group("localai-p2p-views", VIEWS),
    ),
    DISTRIBUTED_FILE: (
        Group("localai-distributed-records", distributed_alerts.RECORDS),
        Group("localai-distributed-api", distributed_alerts.API),
        Group("localai-distributed-nodes", distributed_alerts.NODES),
        Group("localai-distributed-models", distributed_alerts.MODELS),
    ),
    OPTIONAL_FILE: (Group("localai-p2p-duplicates", DUPLICATES),),
}
"""The groups of each file; `rules/*.yml` is what everybody wants, `rules/optional/*.yml` what some do."""

ALERTS = tuple(rule for groups in FILES.values() for group in groups for rule in group.rules if isinstance(rule, Alert))


def rules_file(groups: tuple[Group, ...]) -> str:
    """Return a rule file as Prometheus reads it."""
    lines = ["# Generated from prometheus/*.py by `./run docs`.", "groups:"]
    for group in groups:
        lines += [f"  - name: {group.name}", "    rules:"]
        for rule in group.rules:
            lines += _record(rule) if isinstance(rule, Record) else _alert(rule)
    return "\n".join(lines) + "\n"


def _record(rule: Record) -> Iterator[str]:
    yield f"      - record: {rule.name}"
    yield from _expr(rule.expr)


def _alert(rule: Alert) -> Iterator[str]:
    yield f"      - alert: {rule.full_name}"
    yield from _expr(rule.filled(rule.expr))
    yield f"        for: {rule.hold}"
    yield f"        labels: {{severity: {rule.severity}}}"
    yield "        annotations:"
    yield f"          summary: {_text(rule.summary)}"
    yield f"          description: {_text(rule.filled(rule.description))}"
    yield f"          runbook_url: {rule.runbook_url}"


def _expr(expr: str) -> Iterator[str]:
    yield "        expr: |-"
    yield from (f"          {line}" for line in expr.splitlines())


def _text(text: str) -> str:
    return json.dumps(text)  # a JSON string is a YAML one


if __name__ == "__main__":
    for name, groups in FILES.items():
        file = FOLDER / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(rules_file(groups), "utf-8")
