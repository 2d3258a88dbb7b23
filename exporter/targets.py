"""The file of `--config.file`: which LocalAIs are watched, and how, as frozen values.

What a target can be told is what the flags of `exporter.flags.TARGET` say of a single one: each key is such a flag's
name, without `localai.` and with underscores.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from exporter.arguments import make_target
from exporter.flags import TARGET, Flag, known_flags
from exporter.fleetmetrics import DEFINITIONS as DISTRIBUTED
from exporter.metrics import DEFINITIONS
from exporter.settings import Target
from exporter.strictyaml import Value, parse_document
from exporter.usage import UsageError

FLAG = "--config.file"

_NAMED_ERRORS = 20
"""So many errors are said; the others are counted."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FLAG_NAME = re.compile(r"--([a-z]+\.[a-z-]+)")

_TAKEN = frozenset(label for one in (*DEFINITIONS, *DISTRIBUTED) for label in one.labels) | {"le"}
"""Prometheus would rename the metrics' own labels where a target has one of the same name; `le` is a histogram's."""


def key_of(flag_name: str) -> str:
    """Return what a flag is called in the file."""
    return re.sub("[.-]", "_", flag_name.removeprefix("localai."))


def in_words_of_keys(text: str) -> str:
    """Return an error's text with the keys of the file in the place of flags."""
    return _FLAG_NAME.sub(lambda match: key_of(match[1]), text)


KEYS: Mapping[str, Flag] = {key_of(flag.name): flag for flag in known_flags(TARGET)}
"""What may be said of a target, beside its name and its labels."""

_OF_ITS_OWN = ("name", "cluster", "labels")
_SHARED = tuple(key for key in KEYS if key != "url")


@dataclass(frozen=True, slots=True)
class NamedTarget:
    """One target of the file.

    Attributes:
        name: what it is asked for by, and the label `instance` of all that is known of it.
        target: which LocalAI it is, and how that is watched.
        labels: which it has besides, `cluster` among them where that is given.
    """

    name: str
    target: Target
    labels: Mapping[str, str]


class _Errors:
    """Collects what is wrong, so that all of it is said at once."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Note what the block raises."""
        try:
            yield
        except UsageError as error:
            self._texts.append(str(error))

    def check(self) -> None:
        """Raise UsageError if there is anything."""
        more = len(self._texts) - _NAMED_ERRORS
        if self._texts:
            raise UsageError("\n".join([*self._texts[:_NAMED_ERRORS], *([f"and {more} more errors"] * (more > 0))]))


def parse_targets(content: bytes, path: Path) -> tuple[NamedTarget, ...]:
    """Read the targets that the file at `path` names; paths in it count from its folder.

    Raises:
        UsageError: it cannot be used; each line of the text is one error, with its line in the file.
    """
    errors = _Errors()
    root = parse_document(content, f"{FLAG}: {path}")
    sections = root.entries(("defaults", "targets"))
    shared: dict[str, Any] = {}
    if "defaults" in sections:
        with errors.collected():
            shared = _values(sections["defaults"].entries(_SHARED), path.parent, errors)
    items = sections["targets"].items() if "targets" in sections else []
    if not items:
        raise root.error("names no target: put a list under the key targets, each with a name and a url")
    found: dict[str, NamedTarget] = {}
    lines: dict[str, int] = {}
    for item in items:
        with errors.collected():
            one = _target(item, shared, path.parent, errors)
            if one.name in found:
                raise _at(item, f"the target {one.name} is there twice, first in line {lines[one.name]}")
            found[one.name], lines[one.name] = one, item.line
    errors.check()
    return tuple(found.values())


def _at(item: Value, text: str) -> UsageError:
    return UsageError(f"{item.origin}: line {item.line}: {text}")


def _target(item: Value, shared: Mapping[str, Any], folder: Path, errors: _Errors) -> NamedTarget:
    given = item.entries((*_OF_ITS_OWN, *KEYS))
    name = given["name"].text() if "name" in given else ""
    if not name:
        raise _at(item, "a target has no name: give it one, which becomes its label instance")
    if not _NAME.fullmatch(name):
        raise given["name"].error(
            "must begin with a letter or digit, and have no more than 128 letters, digits and . _ : / -"
        )
    labels: Mapping[str, str] = MappingProxyType({})
    with errors.collected():
        labels = _labels(given)
    own = _values({key: value for key, value in given.items() if key in KEYS}, folder, errors)
    if "url" not in given:
        raise _at(item, f"target {name} has no url: say where its LocalAI is")
    try:
        target = make_target({**shared, **own})
    except UsageError as error:
        raise _at(item, f"target {name}: {in_words_of_keys(str(error))}") from None
    return NamedTarget(name, target, labels)


def _values(given: Mapping[str, Value], folder: Path, errors: _Errors) -> dict[str, Any]:
    """Return by the names of their flags the values that can be used."""
    values = {}
    for key, value in given.items():
        with errors.collected():
            values[KEYS[key].name] = _value(KEYS[key], value, folder)
    return values


def _value(flag: Flag, value: Value, folder: Path) -> Any:
    if value.is_null:
        raise value.error("is empty: give a value, or leave the key out")
    if not flag.metavar:
        return value.switch()
    if flag.repeatable:
        return tuple(_parsed(flag.parse, one, one.text()) for one in value.items())
    text = value.text()
    return _parsed(flag.parse, value, str(folder / text) if flag.metavar == "FILE" else text)


def _parsed(parse: Callable[[str], Any], value: Value, text: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise UsageError(f"{value.place}: {in_words_of_keys(str(error))}") from None


def _labels(given: Mapping[str, Value]) -> Mapping[str, str]:
    labels = {}
    for name, value in given["labels"].entries().items() if "labels" in given else ():
        if not _LABEL.fullmatch(name) or name.startswith("__"):
            raise value.error(
                "has a name that is no label's: letters, digits and underscores, and no two at its beginning"
            )
        if name == "instance":
            raise value.error("cannot hold instance, which is the target's name")
        if name in _TAKEN:
            raise value.error(f"cannot hold {name}: the metrics have a label of that name")
        labels[name] = value.text()
    if "cluster" in given:
        if "cluster" in labels:
            raise given["cluster"].error("is among the labels too: give it once")
        labels["cluster"] = given["cluster"].text()
    return MappingProxyType(labels)
