"""Text with variables in it becomes what Grafana 12 and newer send to Prometheus.

The forms are `$name`, `[[name]]`, `${name}` and `${name:format}`; a name that nobody knows stays as it stands.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

SCRAPE_SECONDS = 15
"""Grafana's default of a data source's scrape interval."""

WIDTH = 1_000
"""How many points fit on a graph, where its panel does not say: the pixels of a wide one."""

_VARIABLE = re.compile(r"\$(\w+)|\[\[(\w+?)(?::(\w+))?\]\]|\$\{(\w+)(?::([^}]+))?\}")

_STEPS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1_200, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400)


@dataclass(frozen=True, slots=True)
class Choice:
    """What is chosen of a variable.

    Attributes:
        values: one or more.
        pattern: PromQL that stands for all values, where the variable has such: it goes in as it is.
        several: whether the variable can have several values, and so stands in regular expressions.
    """

    values: tuple[str, ...]
    pattern: str = ""
    several: bool = True


@dataclass(frozen=True, slots=True)
class Window:
    """The time range of a dashboard, its end being now. Times are in seconds."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.start

    def step(self, at_least: float, points: int) -> int:
        """Return the time from one point of a graph to the next, if it has so many at most."""
        wanted = self.seconds / points
        return max(min(_STEPS, key=lambda step: abs(step - wanted)), int(at_least))


def seconds_variables(window: Window, step: int, scrape: float = SCRAPE_SECONDS) -> dict[str, Choice]:
    """Return Grafana's own variables in a query whose points are so far apart."""
    rate = max(step + scrape, 4 * scrape)
    texts = {
        "__interval": f"{step}s",
        "__interval_ms": f"{step * 1_000}",
        "__rate_interval": f"{rate:.0f}s",
        "__rate_interval_ms": f"{rate * 1_000:.0f}",
        "__range": f"{window.seconds:.0f}s",
        "__range_s": f"{window.seconds:.0f}",
        "__range_ms": f"{window.seconds * 1_000:.0f}",
        "__from": f"{window.start * 1_000:.0f}",
        "__to": f"{window.end * 1_000:.0f}",
    }
    return {name: Choice((text,), several=False) for name, text in texts.items()}


def interpolated(text: str, choices: Mapping[str, Choice]) -> str:
    """Return `text` with the choices in it.

    Raises:
        KeyError: a format that this module does not know.
    """

    def chosen(match: re.Match[str]) -> str:
        plain, bracketed, bracket_format, braced, brace_format = match.groups()
        choice = choices.get(plain or bracketed or braced)
        if choice is None:
            return match[0]
        return choice.pattern or _FORMATS[bracket_format or brace_format](choice)

    return _VARIABLE.sub(chosen, text)


def names(text: str) -> set[str]:
    """Return the variables that a text names, known or not."""
    return {next(filter(None, (match[1], match[2], match[4]))) for match in _VARIABLE.finditer(text)}


def _promql(choice: Choice) -> str:
    """Escape for the inside of a quoted string, and where several values are possible of a regular expression there."""
    if not choice.several:
        return choice.values[0].replace("\\", r"\\").replace('"', r"\"")
    escaped = (one.replace("\\", "\\" * 4) for one in choice.values)
    return _alternatives([re.sub(r"[$^*{}\[\]'+?.()|]", r"\\\\\g<0>", one) for one in escaped])


def _regex(choice: Choice) -> str:
    """Escape for a regular expression, not for a string that holds it."""
    return _alternatives([re.sub(r"[\\^$*+?.()|\[\]{}/]", r"\\\g<0>", one) for one in choice.values])


def _alternatives(patterns: list[str]) -> str:
    return patterns[0] if len(patterns) == 1 else f"({'|'.join(patterns)})"


_FORMATS: Mapping[str | None, Callable[[Choice], str]] = {
    None: _promql,
    "regex": _regex,
    "pipe": lambda choice: "|".join(choice.values),
    "raw": lambda choice: ",".join(choice.values),
}
"""By the name after the colon."""
