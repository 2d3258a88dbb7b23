"""RFC 3339 timestamps as Go's encoding/json writes them, to Unix seconds."""

import re
from datetime import datetime
from functools import lru_cache

# re.ASCII: \d would take any script's digits. The fraction has up to nine digits in Go, any number in RFC 3339.
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d[Tt](?:[01]\d|2[0-3]):[0-5]\d):([0-5]\d)(?:\.(\d+))?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the offset is subtracted by hand, so both ends are naive UTC
_NANOSECOND_DIGITS = 9


def parse_timestamp(value: object) -> float | None:
    """Return Unix seconds, or None for whatever is no RFC 3339 timestamp with an offset.

    Go's zero time, `0001-01-01T00:00:00Z`, is one; it is the caller who knows that nobody was seen then.
    """
    match = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    if not match:
        return None
    to_the_minute, second, fraction, sign, offset_hours, offset_minutes = match.groups()
    minute = _minute(to_the_minute)
    if minute is None:
        return None
    seconds = minute + float(second)
    if fraction:
        seconds += int(fraction[:_NANOSECOND_DIGITS].ljust(_NANOSECOND_DIGITS, "0")) / 1e9
    if sign:
        seconds -= float(f"{sign}1") * (int(offset_hours) * 3600 + int(offset_minutes) * 60)
    return seconds


@lru_cache(maxsize=64)  # the nodes of a cluster were seen in the same few minutes
def _minute(text: str) -> float | None:
    try:
        return (datetime.fromisoformat(text) - _EPOCH).total_seconds()
    except ValueError:
        return None
