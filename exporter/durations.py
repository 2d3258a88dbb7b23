"""Durations as Prometheus writes them: `15s`, `1m30s`, `250ms`, `1d`."""

import re

# Prometheus' own units and order, from its configuration reference; a year has 365 days there.
_UNITS = {"y": 31_536_000.0, "w": 604_800.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_LONGEST = 2.0**63 / 1e9  # Prometheus, and the timers of Python, count nanoseconds in 64 bits
_PATTERN = re.compile("".join(rf"(?:(?P<{unit}>[0-9]+){unit})?" for unit in _UNITS))


def parse_duration(text: str) -> float:
    """Return the seconds that `text` stands for.

    Raises:
        ValueError: `text` is no duration; the message says how one is written.
    """
    match = _PATTERN.fullmatch(text)
    if text == "0":
        return 0.0
    if not match or not text:
        raise ValueError(f"{text!r} is no duration: write it as Prometheus does, for example 15s, 1m30s or 500ms")
    # float, not int: thousands of digits are infinity then, and no error of another kind.
    seconds = sum(float(number) * _UNITS[unit] for unit, number in match.groupdict().items() if number)
    if seconds > _LONGEST:
        raise ValueError(f"{text[:30]!r} is too long: Prometheus knows none above 292 years")
    return seconds


def format_duration(seconds: float) -> str:
    """Write `seconds` the way `parse_duration` reads it, largest unit first, to the millisecond."""
    milliseconds = round(seconds * 1000)
    parts = []
    for unit, size in _UNITS.items():
        if unit in ("y", "w"):  # 7d and 365d are read at a glance, 1w and 1y have to be looked up
            continue
        count, milliseconds = divmod(milliseconds, round(size * 1000))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
