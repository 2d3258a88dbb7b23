import hashlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from exporter.labels import LABEL_CHARACTERS, label

ANY_TEXT = st.text(st.characters(), max_size=300) | st.text(st.sampled_from('a"\\\n\r\t{},= #\ud800\0'), max_size=160)
"""Every code point, lone surrogates among them, and often what the text format has to escape."""


def digits(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rack1-gpu-01-mENxBjydya",
        "two\nlines",
        'quote " and \\ backslash',
        "Grüße, 世界 🦙",
        "~",
        "a\N{REPLACEMENT CHARACTER}b",
        "gpu~0123456789abcdef",
        "x" * 112 + "~0123456789abcde",
        "x" * 111 + "~0123456789ABCDEF",
        "x" * 128,
        "🦙" * 128,
    ],
)
def test_a_usable_text_stays_as_it_is(text: str) -> None:
    assert label(text) == text


@pytest.mark.fault("text-long")
def test_a_long_text_keeps_its_first_111_characters() -> None:
    text = "".join(chr(ord("a") + number % 26) for number in range(129))
    assert label(text) == f"{text[:111]}~{digits(text)}"
    assert len(label(text)) == LABEL_CHARACTERS == 128


@pytest.mark.parametrize(
    ("text", "beginning"),
    [
        ("a\0b", "a\N{REPLACEMENT CHARACTER}b"),
        ("\0", "\N{REPLACEMENT CHARACTER}"),
        ("a\ud800b", "a\N{REPLACEMENT CHARACTER}b"),
        ("\udfff", "\N{REPLACEMENT CHARACTER}"),
        ("x" * 110 + "\0y", "x" * 110 + "\N{REPLACEMENT CHARACTER}"),
    ],
    ids=["NUL", "only-NUL", "high-surrogate", "low-surrogate", "NUL-at-the-cut"],
)
@pytest.mark.fault("text-nul", "text-surrogate")
def test_an_unusable_text_says_so_by_its_digits(text: str, beginning: str) -> None:
    assert label(text) == f"{beginning}~{digits(text)}"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x" * 128 + "1", "x" * 128 + "2"),
        ("x" * 129, "x" * 130),
        ("a\0", "a\ud800"),
        ("a\N{REPLACEMENT CHARACTER}", "a\0"),
        ("a\udc00", "a" + chr(0xDFFF)),
    ],
    ids=["long-endings", "long-lengths", "NUL-or-surrogate", "NUL-or-replacement", "two-surrogates"],
)
def test_texts_that_would_look_alike_stay_apart(one: str, other: str) -> None:
    assert label(one) != label(other)


@pytest.mark.parametrize("text", ["a" * 200, "a\0b", "\0" * 300, "a\ud800"], ids=ascii)
@pytest.mark.fault("text-long", "text-nul", "text-surrogate")
def test_the_label_of_one_text_is_not_to_be_had_by_another(text: str) -> None:
    taken = label(text)
    again = label(taken)
    assert len({taken, again, label(again)}) == 3
    assert again == f"{taken[:111]}~{digits(taken)}"


CUTTABLE = st.sampled_from(["a" * 128, "a" * 129, "b" * 200, "a\0", "a\ud800", "a\N{REPLACEMENT CHARACTER}", "a"])
FORGED = (
    CUTTABLE.map(label) | CUTTABLE.map(label).map(label) | CUTTABLE.map(lambda text: f"{text[:111]}~{digits(text)}")
)


@given(st.lists(ANY_TEXT | CUTTABLE | FORGED, unique=True))
def test_no_two_texts_have_one_label(texts: list[str]) -> None:
    assert len({label(text) for text in texts}) == len(texts)


@given(ANY_TEXT)
@example("x" * 111 + "\ud800" * 100)
@example("\r")
@example("\\n")
def test_every_label_is_bounded_and_survives_the_text_format(text: str) -> None:
    value = label(text)
    value.encode("utf-8")
    assert len(value) <= LABEL_CHARACTERS
    registry = CollectorRegistry()
    Gauge("a_gauge", "Help.", ["name"], registry=registry).labels(value).set(1)
    exposition = generate_latest(registry).decode()
    samples = [sample for family in text_string_to_metric_families(exposition) for sample in family.samples]
    assert [(sample.labels, sample.value) for sample in samples] == [({"name": value}, 1.0)]
