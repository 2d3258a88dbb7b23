"""RFC 3339 timestamps as Go's encoding/json writes them, to Unix seconds."""

import re
from datetime import datetime
from functools import lru_cache

# re.ASCII: \d would take any script's digits. The fraction has up to nine digits in Go, any number in RFC 3339.
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d[Tt](?:[01]\d|2[0-3]):[0-5]\d):([0-5]\d(?:\.\d+)?)([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the offset is subtracted by hand, so both ends are naive UTC


def parse_timestamp(value: object) -> float | None:
    """Return Unix seconds, or None for whatever is no RFC 3339 timestamp with an offset.

    Go's zero time, `0001-01-01T00:00:00Z`, is one; it is the caller who knows that nobody was seen then.
    """
    match = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    if not match:
        return None
    to_the_minute, seconds, offset = match.groups()
    minute = _minute(to_the_minute, offset)
    return None if minute is None else minute + float(seconds)


@lru_cache(maxsize=64)  # the nodes of a cluster were seen in the same few minutes
def _minute(text: str, offset: str) -> float | None:
    """Return when a minute began; None where the calendar does not have it."""
    try:
        local = (datetime.fromisoformat(text) - _EPOCH).total_seconds()
    except ValueError:
        return None
    if offset in {"Z", "z"}:
        return local
    hours, minutes = offset[1:].split(":")
    return local - float(f"{offset[0]}1") * (int(hours) * 3600 + int(minutes) * 60)
