import base64
import json
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.canaries import KEY
from support.processes import recorded

from exporter.echo import SHORTEST, repeats

KEYS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=","), min_size=SHORTEST)


def unicode_escaped(text: str) -> str:
    return "".join(f"\\u{ord(character):04X}" for character in text)


@pytest.mark.parametrize(
    "said",
    [
        KEY,
        f"host-{KEY}-name",
        f"Bearer {KEY}",
        KEY.replace("/", r"\/"),
        KEY.replace("a", r"\u0061"),
        f"{KEY[:4]}\\u{ord(KEY[4]):04x}{KEY[5:]}",
        unicode_escaped(KEY),
        unicode_escaped(KEY).replace("\\U", "\\u").lower(),
        urllib.parse.quote(KEY),
        urllib.parse.quote(KEY, safe=""),
        *(base64.b64encode(f"{before}{KEY}{after}".encode()).decode() for before in ("", "x", "xy") for after in "z#"),
        base64.urlsafe_b64encode(f"Bearer {KEY}\n".encode()).decode(),
    ],
)
def test_a_key_that_is_said_back_is_found(said: str) -> None:
    assert repeats(f'{{"version": "{said}"}}'.encode(), KEY)


@given(KEYS, st.text(), st.text())
def test_every_key_is_found_as_json_writes_it(key: str, before: str, after: str) -> None:
    assert repeats(json.dumps({"id": before + key + after}).encode(), key)
    assert repeats(json.dumps({before + key + after: 1}, ensure_ascii=False).encode("utf-8", "surrogatepass"), key)


@given(KEYS, st.binary(max_size=5), st.binary(max_size=5))
def test_every_key_is_found_in_base64(key: str, before: bytes, after: bytes) -> None:
    assert repeats(base64.b64encode(before + key.encode() + after), key)


def test_what_does_not_say_it_is_not_accused() -> None:
    for answer in recorded("v4.7.1/key-right").values():
        assert not repeats(answer, KEY)
    assert not repeats(KEY[:-1].encode() + b'"\\u0041' + KEY[1:].encode(), KEY)


def test_a_key_that_could_stand_there_by_chance_is_not_looked_for() -> None:
    assert not repeats(b'{"id": "localai"}', "localai")
    assert not repeats(b'{"id": "localai"}', "")
    assert repeats(b'{"id": "localai2"}', "localai2")


@pytest.mark.parametrize("before", [2**20 - 1, 2**20 - len(KEY), 2**20, 3 * 2**20 - 5])
@pytest.mark.parametrize("said", [KEY, unicode_escaped(KEY)])
def test_a_key_is_found_wherever_in_a_large_answer_it_stands(before: int, said: str) -> None:
    assert repeats(b"x" * before + said.encode() + b"x" * 2**20, KEY)


def test_who_looks_through_a_large_answer_hears_of_the_deadline() -> None:
    asked = []

    def on_time() -> None:
        asked.append(1)
        if len(asked) == 3:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        repeats(b"x" * 5 * 2**20, KEY, on_time)
