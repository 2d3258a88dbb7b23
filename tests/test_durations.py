import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("0s", 0.0),
        ("15s", 15.0),
        ("1m30s", 90.0),
        ("90s", 90.0),
        ("500ms", 0.5),
        ("1s500ms", 1.5),
        ("24h", 86_400.0),
        ("1d", 86_400.0),
        ("1w", 604_800.0),
        ("1y", 31_536_000.0),
        ("1y2w3d4h5m6s7ms", 31_536_000 + 2 * 604_800 + 3 * 86_400 + 4 * 3_600 + 5 * 60 + 6.007),
        ("007s", 7.0),
        ("292y", 292 * 31_536_000.0),
    ],
)
def test_reads_what_prometheus_reads(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "15",
        "s",
        "15 s",
        " 15s",
        "15s ",
        "15s\n",
        "-15s",
        "+15s",
        "1.5s",
        "15S",
        "15sec",
        "30s1m",
        "1s1s",
        "١٥s",  # noqa: RUF001 - Arabic digits, which \d would take
        "1e3s",
        "inf",
        "nan",
    ],
)
def test_refuses_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(text))) as caught:
        parse_duration(text)
    message = f"{text!r} is no duration: write it as Prometheus does, for example 15s, 1m30s or 500ms"
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["293y", "9223372037s", "99999999999999999999y", "9" * 400 + "s", "9" * 5000 + "s"])
def test_refuses_what_no_timer_can_wait(text: str) -> None:
    with pytest.raises(ValueError, match=r"is too long: Prometheus knows none above 292 years$"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0004, "0s"),
        (0.1, "100ms"),
        (15, "15s"),
        (90, "1m30s"),
        (3_600, "1h"),
        (86_400, "1d"),
        (604_800, "7d"),
        (31_536_000, "365d"),
        (93_784.005, "1d2h3m4s5ms"),
    ],
)
def test_writes_the_largest_unit_first(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(min_value=0, max_value=9_000_000_000_000))
def test_what_is_written_is_read_back(milliseconds: int) -> None:
    assert round(parse_duration(format_duration(milliseconds / 1000)) * 1000) == milliseconds


@given(st.text())
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except ValueError:
        return
    assert seconds >= 0
