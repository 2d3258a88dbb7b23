import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.ages import Ages
from exporter.families import Definition

NOW = 1_800_000_000.0
AGE = Definition("age_seconds", "Seconds, 100% of them.", ("id",))


def ages(last_seen: list[float], at: float, *moments: float) -> list[list[float]]:
    """Return what the ages are at some moments, made ready at another."""
    made = Ages(AGE, (f'{{id="{number}"}}' for number in range(len(last_seen))), last_seen, at)
    found = []
    for moment in moments:
        (family,) = parse_text(b"".join(made.texts(moment)).decode())
        assert (family.name, family.documentation, family.type) == (AGE.name, AGE.help, "gauge")
        assert [sample.labels["id"] for sample in family.samples] == [str(number) for number in range(len(last_seen))]
        found.append([sample.value for sample in family.samples])
    return found


def test_they_go_on() -> None:
    last_seen = [NOW - 7.5, NOW, NOW - 59.99, NOW - 60, NOW + 3.25, NOW - 86_400, 0.0]
    assert ages(last_seen, NOW, NOW, NOW + 0.01, NOW + 75.5) == [
        [7.5, 0, 59.99, 60, -3.25, 86_400, NOW],
        [7.51, 0.01, 60, 60.01, -3.24, 86_400.01, NOW + 0.01],
        [83, 75.5, 135.49, 135.5, 72.25, 86_475.5, NOW + 75.5],
    ]


@pytest.mark.parametrize("count", [1, 2, 4_096, 4_097, 9_000])
def test_each_is_that_of_its_node(count: int) -> None:
    last_seen = [NOW - number / 100 for number in range(count)]
    assert ages(last_seen, NOW, NOW + 1) == [[(100 + number) / 100 for number in range(count)]]


def test_no_age_is_less_than_nothing_for_being_rounded() -> None:
    made = Ages(AGE, ['{id="a"}', '{id="b"}'], [NOW + 0.001, NOW - 300], NOW + 0.001)
    assert b"-" not in b"".join(made.texts(NOW))


MOMENTS = st.floats(0, 4e9) | st.floats(NOW - 200, NOW + 200)


@given(last_seen=st.lists(MOMENTS, min_size=1, max_size=5), at=MOMENTS, now=MOMENTS)
def test_both_moments_count_in_hundredths(last_seen: list[float], at: float, now: float) -> None:
    expected = [(round(now * 100) - round(moment * 100)) / 100 for moment in last_seen]
    assert ages(last_seen, at, now) == [expected]
