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
"""Between them they violate every pattern; a test finds out."""


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
    if "type" in schema:
        yield ("type",), [] if "string" in schema["type"] else "text"
    if "enum" in schema:
        yield ("enum",), "else"
    if "pattern" in schema:
        yield ("pattern",), next(text for text in _TEXTS if not re.search(schema["pattern"], text))
    for bound, step in (("minimum", -1), ("maximum", 1)):
        if bound in schema:
            yield (bound,), schema[bound] + step
    if "maxLength" in schema:
        yield ("maxLength",), "a" * (schema["maxLength"] + 1)
    if "minLength" in schema:
        yield ("minLength",), ""
    if schema.get("additionalProperties") is False:
        yield ("additionalProperties",), {"unheard-of": 1}
    if "required" in schema:
        yield ("required",), {name: None for name in schema["required"]}
    if "propertyNames" in schema:
        yield ("propertyNames", "not"), {schema["propertyNames"]["not"]["enum"][0]: "x"}
    if "not" in schema:
        yield ("not",), schema["not"].get("const", "/-/healthy")


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
