"""Every constraint of a JSON schema, each with an instance that violates it."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Place = tuple[str | int, ...]
Wrap = Callable[[Any], Any]


@dataclass(frozen=True)
class Violation:
    """What one constraint refuses.

    Attributes:
        constraint: where it stands in the schema.
        instance: what violates it, and says nothing else than it has to.
    """

    constraint: Place
    instance: Any


_TEXTS = ("soon", "No_Name", "/", "%", "http:", " ", "/ ", "$1", "one", "")
"""Between them they violate every pattern."""

_VIOLATE: Mapping[str, Callable[[Any], Any]] = {
    "type": lambda type_: [] if "string" in type_ else "text",
    "enum": lambda _: "else",
    "pattern": lambda pattern: next(text for text in _TEXTS if not re.search(pattern, text)),
    "minimum": lambda bound: bound - 1,
    "maximum": lambda bound: bound + 1,
    "maxLength": lambda bound: "a" * (bound + 1),
    "minLength": lambda _: "",
    "additionalProperties": lambda _: {"unheard-of": 1},
    "required": dict.fromkeys,
    "propertyNames": lambda names: {names["not"]["enum"][0]: "x"},
    "not": lambda refused: refused.get("const", "/-/healthy"),
}
"""For each keyword what it refuses, from its value in the schema; of a key that has to be there, a null."""


def violations(schema: Mapping[str, Any], at: Place = (), wrap: Wrap = lambda inner: inner) -> Iterator[Violation]:
    """Give a violation of every constraint but those of `if` and `then`, which say more than one place at once."""
    for keyword, wrong in _wrong(schema):
        yield Violation((*at, *keyword), wrap(wrong))
    for name, part in schema.get("properties", {}).items():
        yield from violations(part, (*at, "properties", name), lambda inner, name=name: wrap({name: inner}))  # type: ignore[misc]
    if "items" in schema:
        yield from violations(schema["items"], (*at, "items"), lambda inner: wrap([without_nulls(inner)]))
    if isinstance(schema.get("additionalProperties"), dict):
        part = schema["additionalProperties"]
        yield from violations(part, (*at, "additionalProperties"), lambda inner: wrap({"any": inner}))


def _wrong(schema: Mapping[str, Any]) -> Iterator[tuple[Place, Any]]:
    for keyword, violate in _VIOLATE.items():
        # A mapping of further keys is judged by their own schema.
        if keyword in schema and not (keyword == "additionalProperties" and schema[keyword]):
            yield (keyword, "not") if keyword == "propertyNames" else (keyword,), violate(schema[keyword])


def constraints(schema: Any, at: Place = ()) -> Iterator[Place]:
    """Give where every constraint stands, those of `then` among them."""
    for keyword, part in schema.items():
        here = (*at, keyword)
        if keyword == "properties":
            for name, inner in part.items():
                yield from constraints(inner, (*here, name))
        elif keyword == "allOf":
            for number, inner in enumerate(part):
                yield from constraints(inner, (*here, number))
        elif keyword in ("items", "then", "propertyNames") or (keyword == "additionalProperties" and part):
            yield from constraints(part, here)
        elif keyword not in ("if", "$schema", "title", "description"):
            yield here


def without_nulls(instance: Any) -> Any:
    """Return what Helm makes of values: a null takes its key away."""
    if isinstance(instance, dict):
        return {key: without_nulls(part) for key, part in instance.items() if part is not None}
    return [without_nulls(part) for part in instance] if isinstance(instance, list) else instance
