"""What a look at LocalAI found, and how bad it is."""

from dataclasses import dataclass
from enum import IntEnum

from exporter.advice import advise
from exporter.errors import PollError
from exporter.settings import Target

NAMED = 5
"""So many of a kind are named; the others are counted."""


class Severity(IntEnum):
    """How bad a finding is; the numbers are the exit codes of monitoring plugins."""

    OK = 0
    WARNING = 1
    CRITICAL = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: what was looked at.
        severity: how bad it is.
        message: what was found.
        advice: what to do; empty where nothing needs doing.
    """

    check: str
    severity: Severity
    message: str
    advice: str = ""


def failure(error: PollError, target: Target) -> Finding:
    """Return what a question that got no usable answer tells."""
    check, advice = advise(error, has_key=target.api_key is not None, has_proxy=target.proxy_url is not None)
    return Finding(check, Severity.CRITICAL, error.detail, advice)


def some(names: list[str]) -> str:
    """Name the first few of many, and count the others."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"
