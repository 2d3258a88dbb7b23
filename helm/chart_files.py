"""Writes the chart's files that come from elsewhere: `./run docs`.

Helm packs a chart from its own folder and follows no link out of it, so the rules and dashboards are copies.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import yaml
from chart_schema import schema_file
from chart_values import CHART, read_values
from generate import ALERTS, DISTRIBUTED_FILE, FILES, OPTIONAL_FILE
from rulebook import Alert, Record

DASHBOARDS = Path(__file__).parent.parent / "grafana"


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as one reads it."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def rules_file() -> str:
    """Return the rules with their placeholders, for templates/prometheusrule.yaml to fill."""
    groups = [
        {
            "name": group.name,
            "distributed": name == DISTRIBUTED_FILE,
            "rules": [_rule(rule, enabled=name != OPTIONAL_FILE) for rule in group.rules],
        }
        for name, groups in FILES.items()
        for group in groups
    ]
    text = yaml.dump({"groups": groups}, Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True)
    return f"# Generated from prometheus/*.py by `./run docs`: the rules, with their thresholds left open.\n{text}"


def _rule(rule: Record | Alert, *, enabled: bool) -> dict[str, object]:
    if isinstance(rule, Record):
        return {"record": rule.name, "expr": rule.expr}
    return {
        "alert": rule.full_name,
        "enabled": enabled,
        "expr": rule.expr,
        "for": rule.hold,
        "severity": rule.severity.value,
        "summary": rule.summary,
        "description": rule.description,
        "thresholds": dict(rule.thresholds),
    }


def readme_file() -> str:
    """Return the chart's README, whose tables are written anew between their marks."""
    text = (CHART / "README.md").read_text("utf-8")
    words = {OPTIONAL_FILE: "off", DISTRIBUTED_FILE: "distributed"}
    states = {
        rule.name: words.get(name, "on") for name, groups in FILES.items() for one in groups for rule in one.rules
    }
    alerts = [
        f"| `{alert.full_name}` | {states[alert.name]} | {alert.severity} | {alert.hold} | "
        + ", ".join(f"`{name}: {value:g}`" for name, value in alert.thresholds.items())
        + " |"
        for alert in ALERTS
    ]
    text = _between(text, "alerts", "| alert | | severity | for | thresholds |\n|---|---|---|---|---|", alerts)
    rows = [value.row() for value in read_values()]
    return _between(text, "values", "| value | default | meaning |\n|---|---|---|", rows)


def _between(text: str, name: str, head: str, rows: list[str]) -> str:
    begin, end = f"<!-- {name}: written by ./run docs -->\n", f"<!-- end of {name} -->\n"
    before, middle, rest = text.partition(begin)
    _, last, after = rest.partition(end)
    if not middle or not last:
        raise ValueError(f"the chart's README has no place for its table of {name}")
    return "".join([before, begin, head, "\n", *(f"{row}\n" for row in rows), end, after])


FILES_OF_CHART: Mapping[str, Callable[[], str]] = {
    "rules/rules.yaml": rules_file,
    "values.schema.json": schema_file,
    "README.md": readme_file,
}
"""Each generated file and who writes it; a test holds the files to it."""


def dashboards() -> dict[str, str]:
    """Return the copies in dashboards/, by name."""
    return {file.name: file.read_text("utf-8") for file in sorted(DASHBOARDS.glob("*.json"))}


if __name__ == "__main__":
    for name, write in FILES_OF_CHART.items():
        (CHART / name).write_text(write(), "utf-8")
    for name, text in dashboards().items():
        (CHART / "dashboards" / name).write_text(text, "utf-8")
