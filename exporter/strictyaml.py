"""YAML as a tree in which every value knows its line: no key twice, no tags, no merging, nothing constructed."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field

import yaml
from yaml.reader import ReaderError

from exporter.usage import UsageError

_TAG = "tag:yaml.org,2002:"
_NULL = f"{_TAG}null"
_BOOLEAN = f"{_TAG}bool"
_SCALARS = frozenset(_TAG + kind for kind in ("str", "int", "float", "bool", "timestamp", "null", "value"))

# A key that looks like one is named. What else stands in a key's place may be a secret that slipped there.
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the document. No error and no repr shows its text, which may be a secret.

    Attributes:
        origin: the file, as an error's text begins with it.
        name: the key that it stands under.
        line: of that key, from 1 on.
        node: the parser's own.
    """

    origin: str
    name: str
    line: int
    node: yaml.Node | None = field(repr=False)

    @property
    def place(self) -> str:
        """File, line and key, as an error's text begins with them."""
        return f"{self.origin}: line {self.line}: {self.name}"

    @property
    def is_null(self) -> bool:
        """Whether nothing was given."""
        return self.node is None or self.node.tag == _NULL

    def error(self, text: str) -> UsageError:
        """Return an error that names this place and goes on with `text`."""
        return UsageError(f"{self.place} {text}")

    def entries(self, known: Collection[str] | None = None) -> dict[str, "Value"]:
        """Return what stands under each key; nothing at all is no key.

        Args:
            known: the keys that may be there. None is any, and such keys are not named in an error.

        Raises:
            UsageError: it is no mapping; a key is unknown, no plain text, or there twice.
        """
        if self.is_null:
            return {}
        if not isinstance(self.node, yaml.MappingNode) or self.node.tag != f"{_TAG}map":
            raise self.error("must hold keys and their values")
        found: dict[str, Value] = {}
        for key, node in self.node.value:
            here = Value(self.origin, "a key", key.start_mark.line + 1, key)
            text = here.text()
            if known is not None and text not in known:
                named = f"unknown key {text}" if _KEY.fullmatch(text) else "unknown key"
                raise UsageError(
                    f"{self.origin}: line {here.line}: {named}: {self.name} knows {', '.join(sorted(known))}"
                )
            if text in found:
                named = text if known is not None else f"a key of {self.name}"
                raise UsageError(
                    f"{self.origin}: line {here.line}: {named} is there twice, first in line {found[text].line}"
                )
            found[text] = Value(self.origin, text if known is not None else f"{self.name}:", here.line, node)
        return found

    def items(self) -> list["Value"]:
        """Return the values of a list; nothing at all is an empty one.

        Raises:
            UsageError: it is no list.
        """
        if self.is_null:
            return []
        if not isinstance(self.node, yaml.SequenceNode) or self.node.tag != f"{_TAG}seq":
            raise self.error("must be a list")
        return [Value(self.origin, self.name, node.start_mark.line + 1, node) for node in self.node.value]

    def text(self) -> str:
        """Return the text as it is written, also of a number or a truth value; nothing at all is an empty one.

        Raises:
            UsageError: it is a mapping or a list, has a tag of its own, or is no Unicode text.
        """
        if self.node is None or self.is_null:
            return ""
        if not isinstance(self.node, yaml.ScalarNode) or self.node.tag not in _SCALARS:
            raise self.error("must be plain text")
        text = str(self.node.value)
        # An escape sequence can write half of a surrogate pair.
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise self.error("must be plain text")
        return text

    def switch(self) -> bool:
        """Return the truth value.

        Raises:
            UsageError: it is none.
        """
        if not isinstance(self.node, yaml.ScalarNode) or self.node.tag != _BOOLEAN:
            raise self.error("must be true or false")
        return self.node.value.lower() in ("true", "yes", "on")


def parse_document(content: bytes, origin: str) -> Value:
    """Return the one document that `content` is; an empty one is null.

    Args:
        content: in UTF-8.
        origin: the file, for the errors' texts.

    Raises:
        UsageError: it is not YAML in UTF-8, or more than one document.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{origin}: line {line}: this is not UTF-8") from None
    try:
        loader = yaml.SafeLoader(text)
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UsageError(f"{origin}: line {line}: there is a control character") from None
    # From None throughout, and without the library's own words: they quote the file.
    try:
        root = loader.get_node() if loader.check_node() else None
        if loader.check_node():
            line = loader.peek_event().start_mark.line  # type: ignore[no-untyped-call] # its types are incomplete
            raise UsageError(f"{origin}: line {line + 1}: a second document begins")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line if mark else loader.line
        raise UsageError(f"{origin}: line {line + 1}: this is not YAML") from None
    except RecursionError:
        raise UsageError(f"{origin}: line {loader.line + 1}: this is nested too deeply") from None
    except (ValueError, OverflowError):  # the library converts some numbers of its syntax unchecked
        raise UsageError(f"{origin}: line {loader.line + 1}: this is not YAML") from None
    finally:
        loader.dispose()
    return Value(origin, "the file", root.start_mark.line + 1 if root else 1, root)
