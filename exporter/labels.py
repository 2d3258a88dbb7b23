"""Any string that a stranger chose becomes a label value: valid, bounded, and still told apart from every other.

What is cut has a form of its own, which nothing else has: whoever learns how another's name is cut cannot take it.
"""

import hashlib
import re

LABEL_CHARACTERS = 128
"""The longest label value, in characters."""

_HEX_DIGITS = 16
_KEPT = LABEL_CHARACTERS - _HEX_DIGITS - 1

# The text format's readers end at a NUL, and a lone surrogate has no UTF-8.
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_CUT = re.compile(f".*~[0-9a-f]{{{_HEX_DIGITS}}}", re.DOTALL)


def _looks_cut(text: str) -> bool:
    return (len(text) == LABEL_CHARACTERS or _REPLACEMENT in text) and _CUT.fullmatch(text) is not None


def label(text: str) -> str:
    """Return `text` where it can be a label as it is; else its beginning, `~`, and 16 hex digits of its SHA-256."""
    if len(text) < LABEL_CHARACTERS and text.isascii() and "\0" not in text:
        return text  # as LocalAI's names are
    if len(text) <= LABEL_CHARACTERS and not _UNUSABLE.search(text) and not _looks_cut(text):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HEX_DIGITS]
    return f"{_UNUSABLE.sub(_REPLACEMENT, text[:_KEPT])}~{digest}"
