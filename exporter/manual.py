"""The page of `--help`: what there is to say of a command, in the width of a terminal."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from exporter.flags import GROUPS, Flag

_MOST_COLUMNS = 100
"""Longer lines are hard to read, however wide the terminal is."""

NOTES = (
    "A flag is taken before the variable below it; a variable that is empty counts as absent. A flag without a value "
    "is off unless its default is true: its variable takes true or false, and --no-NAME turns it off. One that may be "
    "given several times has a variable with commas between its values. Durations are written as 15s or 1m30s."
)
"""What holds for every flag that has a variable."""


class Entry(NamedTuple):
    """One thing and what is said of it.

    Attributes:
        head: what is typed.
        text: what it does.
        note: a line of its own below.
    """

    head: str
    text: str
    note: str = ""


def flag_entry(flag: Flag, default: str) -> Entry:
    """Return what is said of a flag that has this default."""
    more = [f"One of {', '.join(flag.choices)}."] if flag.choices else []
    more += ["May be given several times."] if flag.repeatable else []
    more += [f"Default: {default}."] if default not in ("", "none", "false") else []
    variables = ", ".join(f"${name}" for name in flag.variables)
    return Entry(f"--{flag.name} {flag.metavar}".rstrip(), " ".join([flag.text, *more]), variables)


def flag_sections(flags: Sequence[Flag], defaults: Mapping[str, str]) -> Iterator[tuple[str, list[Entry]]]:
    """Give what is said of these flags, by what they are for; `defaults` has other defaults, by variable."""
    for group, title in GROUPS.items():
        entries = [flag_entry(flag, defaults.get(flag.variable, flag.default)) for flag in flags if flag.group == group]
        if entries:
            yield title, entries


def page(head: Sequence[str], sections: Mapping[str, Iterable[Entry]], tail: Sequence[str], columns: int) -> str:
    """Return the page for a terminal with so many columns: paragraphs, entries below their titles, paragraphs."""
    width = min(columns, _MOST_COLUMNS)
    listed = (f"{title}:\n{''.join(_lines(one, width) for one in entries)}" for title, entries in sections.items())
    before, after = ([textwrap.fill(text, width) for text in texts] for texts in (head, tail))
    return "\n\n".join([*before, *(text.rstrip() for text in listed), *after]) + "\n"


def _lines(entry: Entry, width: int) -> str:
    said = [text for text in (entry.text, entry.note) if text]
    filled = [
        textwrap.fill(
            text,
            width,
            initial_indent="      ",
            subsequent_indent="      ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for text in said
    ]
    return "\n".join([f"  {entry.head}", *filled, ""])
