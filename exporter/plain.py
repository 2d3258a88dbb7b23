"""Text that strangers chose, written so that a terminal shows it and does nothing else with it."""

import json
import re

# Characters that Python calls printable and that show nothing (Default_Ignorable_Code_Point of Unicode), and the
# backslash, so that what is escaped cannot be mistaken for what was sent.
_SHOWS_NOTHING = re.compile(
    "[\\\\\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def plain(text: str) -> str:
    r"""Return `text` with everything that is not plainly printable as JSON escapes it: `\n`, `\u001b`, `\u202e`.

    Line breaks could forge a line, a terminal's escape sequences more than that; controls of the writing's direction
    and characters without width could make a name look like another.
    """
    if text.isprintable() and not _SHOWS_NOTHING.search(text):
        return text
    return "".join(
        character if character.isprintable() and not _SHOWS_NOTHING.match(character) else json.dumps(character)[1:-1]
        for character in text
    )
