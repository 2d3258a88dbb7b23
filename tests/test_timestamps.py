import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.timestamps import parse_timestamp

NOON = 1_795_348_800.0
"""2026-11-22T12:00:00Z."""

ZERO_TIME = -62_135_596_800.0
"""0001-01-01T00:00:00Z, Go's zero time."""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-22T12:00:00Z", NOON),
        ("2026-11-22T12:00:00z", NOON),
        ("2026-11-22t12:00:00Z", NOON),
        ("2026-11-22T12:00:00+00:00", NOON),
        ("2026-11-22T12:00:00-00:00", NOON),
        ("2026-11-22T14:00:00+02:00", NOON),
        ("2026-11-22T06:30:00-05:30", NOON),
        ("2026-11-23T11:59:00+23:59", NOON),
        ("2026-11-21T12:01:00-23:59", NOON),
        ("2026-11-22T12:00:00.5Z", NOON + 0.5),
        ("2026-11-22T12:00:00.25Z", NOON + 0.25),
        ("2026-11-22T12:00:00.0Z", NOON),
        ("2026-11-22T12:00:00.000000000Z", NOON),
        ("2026-11-22T14:00:00.125+02:00", NOON + 0.125),
        ("2026-11-22T12:00:00.500000000999999Z", NOON + 0.5),
        ("2026-11-22T12:00:00.5" + "0" * 5_000 + "Z", NOON + 0.5),
        ("2024-02-29T00:00:00Z", 1_709_164_800.0),
        ("1970-01-01T00:00:00Z", 0.0),
        ("1969-12-31T23:59:59.5Z", -0.5),
        ("0001-01-01T00:00:00Z", ZERO_TIME),
        ("0001-01-01T00:00:00+23:59", ZERO_TIME - 86_340),
        ("9999-12-31T23:59:59Z", 253_402_300_799.0),
        ("9999-12-31T23:59:59-23:59", 253_402_300_799.0 + 86_340),
    ],
)
@pytest.mark.fault("last-seen-lower-z", "last-seen-nine-digits", "last-seen-offset")
def test_reads_rfc_3339(text: str, seconds: float) -> None:
    assert parse_timestamp(text) == seconds


def test_keeps_what_a_float_holds_of_nine_digits() -> None:
    assert parse_timestamp("2026-11-22T12:00:00.873151161Z") == pytest.approx(NOON + 0.873151161, abs=1e-6)


@pytest.mark.parametrize(
    "value",
    [
        None,
        0,
        1_795_348_800,
        1.5,
        True,
        b"2026-11-22T12:00:00Z",
        ["2026-11-22T12:00:00Z"],
        {},
        "",
        "never",
        "2026-11-22",
        "2026-11-22T12:00:00",
        "2026-11-22T12:00Z",
        "2026-11-22 12:00:00Z",
        "2026-11-22T12:00:00 Z",
        " 2026-11-22T12:00:00Z",
        "2026-11-22T12:00:00Z ",
        "2026-11-22T12:00:00Z\n",
        "2026-11-22T12:00:00.Z",
        "2026-11-22T12:00:00,5Z",
        "2026-11-22T12:00:00+02",
        "2026-11-22T12:00:00+0200",
        "2026-11-22T12:00:00+24:00",
        "2026-11-22T12:00:00-24:00",
        "2026-11-22T12:00:00+02:60",
        "2026-11-22T12:00:00UTC",
        "2026-02-30T00:00:00Z",
        "2025-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T12:60:00Z",
        "2026-11-22T23:59:60Z",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "-2026-11-22T12:00:00Z",
        "26-11-22T12:00:00Z",
        "２０２６-11-22T12:00:00Z",  # noqa: RUF001 - full-width digits, which \d would take
        "2026-11-22T12:00:00.５Z",  # noqa: RUF001 - likewise
    ],
)
@pytest.mark.fault("last-seen-empty", "last-seen-integer", "last-seen-feb-30", "last-seen-second-60")
@pytest.mark.fault("last-seen-year-10000", "last-seen-naive")
def test_refuses_what_is_no_rfc_3339_timestamp(value: object) -> None:
    assert parse_timestamp(value) is None


OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=OFFSETS | st.just(UTC)))
def test_agrees_with_the_standard_library(moment: datetime) -> None:
    text = moment.isoformat()
    seconds = parse_timestamp(text)
    assert seconds is not None
    truth = datetime.fromisoformat(text).timestamp()
    # To the microsecond, or as far as a float of that size goes.
    assert abs(seconds - truth) <= max(1e-6, math.ulp(truth))


@given(st.text() | st.from_regex(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)\Z"))
def test_any_text_is_a_finite_time_or_none(text: str) -> None:
    seconds = parse_timestamp(text)
    assert seconds is None or math.isfinite(seconds)
