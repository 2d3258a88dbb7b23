"""Parts of a JSON schema, in the words of a values file."""

from collections.abc import Mapping

Schema = dict[str, object]


def section(properties: Mapping[str, Schema], *rules: Schema, required: tuple[str, ...] = ()) -> Schema:
    """Return a mapping with these keys and no other."""
    found: Schema = {"type": "object", "additionalProperties": False, "properties": dict(properties)}
    return found | ({"required": list(required)} if required else {}) | ({"allOf": list(rules)} if rules else {})


def text(pattern: str = "", longest: int = 0) -> Schema:
    """Return a text, of this form where one is given."""
    return {"type": "string"} | ({"pattern": pattern} if pattern else {}) | ({"maxLength": longest} if longest else {})


def one_of(*words: str) -> Schema:
    """Return one of these words."""
    return {"enum": list(words)}


def whole(least: int = 0, most: int | None = None) -> Schema:
    """Return a whole number."""
    return {"type": "integer", "minimum": least} | ({"maximum": most} if most is not None else {})


def listing(items: Schema) -> Schema:
    """Return a list of such items."""
    return {"type": "array", "items": items}


def texts(*refused: str) -> Schema:
    """Return a mapping of texts, as labels and annotations are, without these keys."""
    found: Schema = {"type": "object", "additionalProperties": text()}
    return found | ({"propertyNames": {"not": {"enum": list(refused)}}} if refused else {})


def kubernetes(*required: str) -> Schema:
    """Return a part of an object that is Kubernetes' to judge, with at least these keys."""
    return {"type": "object"} | ({"required": list(required)} if required else {})


def at(path: str, schema: Schema, *, there: bool = False) -> Schema:
    """Return what holds where the value at a path is such, or not there at all unless it has to be."""
    for key in reversed(path.split(".")):
        schema = {"properties": {key: schema}} | ({"required": [key]} if there else {})
    return schema


def where(path: str, condition: Schema, *consequences: Schema) -> Schema:
    """Return that where the value at a path is there and such, the others hold too."""
    return {"if": at(path, condition, there=True), "then": {"allOf": list(consequences)}}
