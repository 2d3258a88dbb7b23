import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.plain import plain


@pytest.mark.parametrize("text", ["", "rack1-gpu-01", "two words", 'v4.7.1 ("x")', "Grüße, 世界 🦙", "a|b=c"])
def test_what_shows_as_it_is_stays_as_it_is(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nOK  b", r"a\nOK  b"),
        ("a\r\tb", r"a\r\tb"),
        ("\x1b[2J", r"\u001b[2J"),
        ("\x9b2J", r"\u009b2J"),
        ("\x7f\0", r"\u007f\u0000"),
        ("\x85\u2028\u2029", r"\u0085\u2028\u2029"),
        ("gpu\u202e10-", r"gpu\u202e10-"),
        ("\u200e\u200f\u2066\u2069\u061c", r"\u200e\u200f\u2066\u2069\u061c"),
        ("a\u200b\u200d\u2060\ufeff\u00adb", r"a\u200b\u200d\u2060\ufeff\u00adb"),
        ("a\u3164\u115f\u034f\ufe0fb", r"a\u3164\u115f\u034f\ufe0fb"),
        ("a\u00a0b", r"a\u00a0b"),
        ("\U000e0041", r"\udb40\udc41"),
        ("\ud800", r"\ud800"),
        ("\\n", r"\\n"),
    ],
)
def test_what_does_not_is_escaped(text: str, shown: str) -> None:
    assert plain(text) == shown


@given(st.text(st.characters()) | st.text(st.sampled_from('\\n"u202e\u202e\x1b\n ')))
def test_what_is_written_is_printable_one_line_and_reads_back(text: str) -> None:
    shown = plain(text)
    assert shown.isprintable()
    assert not any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in shown)
    assert json.loads('"' + shown.replace('"', '\\"') + '"') == text
