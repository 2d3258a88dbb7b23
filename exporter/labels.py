"""Any string that a stranger chose becomes a label value: valid, bounded, and still told apart from every other."""

import hashlib
import re

LABEL_CHARACTERS = 128
"""The longest label value, in characters."""

_HEX_DIGITS = 16
_KEPT = LABEL_CHARACTERS - _HEX_DIGITS - 1

# The text format's readers end at a NUL, and a lone surrogate has no UTF-8.
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")


def label(text: str) -> str:
    """Return `text` where it can be a label as it is; else its beginning, `~`, and 16 hex digits of its SHA-256."""
    usable = _UNUSABLE.sub("\N{REPLACEMENT CHARACTER}", text)
    if usable == text and len(text) <= LABEL_CHARACTERS:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HEX_DIGITS]
    return f"{usable[:_KEPT]}~{digest}"
