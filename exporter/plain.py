"""Text that strangers chose, written so that a terminal shows it and does nothing else with it."""

import json

# Characters that Python calls printable and that show nothing (Default_Ignorable_Code_Point of Unicode), and the
# backslash, so that what is escaped cannot be mistaken for what was sent.
_SHOWS_NOTHING = frozenset("\\\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0").union(
    map(chr, (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
)


def plain(text: str) -> str:
    r"""Return `text` with everything that is not plainly printable as JSON escapes it: `\n`, `\u001b`, `\u202e`.

    Line breaks could forge a line, a terminal's escape sequences more than that; controls of the writing's direction
    and characters without width could make a name look like another.
    """
    if text.isprintable() and _SHOWS_NOTHING.isdisjoint(text):
        return text
    return "".join(
        character if character.isprintable() and character not in _SHOWS_NOTHING else json.dumps(character)[1:-1]
        for character in text
    )
