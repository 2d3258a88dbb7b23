"""Whether an answer says the API key back, which would carry it into labels and log lines."""

import base64
import re
import urllib.parse
from collections.abc import Callable

SHORTEST = 8
"""Characters of a key. A shorter one may stand in any answer by chance, so it is not looked for."""


_WINDOW_BYTES = 2**20


def repeats(body: bytes, key: str, on_time: Callable[[], object] = lambda: None) -> bool:
    """Tell whether `key` stands in `body`: raw, with any of its characters escaped as JSON does, in a URL, in base64.

    Args:
        body: the answer.
        key: in printable ASCII.
        on_time: raises once the deadline has passed: 32 MiB take half a second.
    """
    if len(key) < SHORTEST:
        return False
    spellings, in_json = _spellings(key), re.compile(b"".join(map(_in_json, key)))
    for start in range(0, len(body), _WINDOW_BYTES):
        on_time()
        # As much more as a key takes whose every character is escaped.
        window = body[start : start + _WINDOW_BYTES + len(r"\u0000") * len(key)]
        if any(spelled in window for spelled in spellings) or (b"\\" in window and in_json.search(window)):
            return True
    return False


def _in_json(character: str) -> bytes:
    """Return a pattern of every way in which JSON may write one ASCII character."""
    code = "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in f"{ord(character):04x}")
    return rf"(?:\\?{re.escape(character)}|\\u{code})".encode()


def _spellings(key: str) -> set[bytes]:
    found = {key, urllib.parse.quote(key), urllib.parse.quote(key, safe="")}
    for before in range(3):
        # Where it begins within a group of three bytes decides how it reads; both ends depend on what stands around it.
        encoded = base64.b64encode(b"\0" * before + key.encode()).decode().rstrip("=")
        middle = encoded[-(-before * 4 // 3) : len(encoded) - 1]
        found |= {middle, middle.translate(str.maketrans("+/", "-_"))}
    return {spelled.encode() for spelled in found}
