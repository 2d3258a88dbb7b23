"""What values.yaml says of each value: its path, its default, and the comment above it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

CHART = Path(__file__).parent / "localai-p2p-exporter"

_BEGINNING = "# -- "


@dataclass(frozen=True, slots=True)
class Value:
    """One value.

    Attributes:
        path: its keys, outermost first.
        default: as Helm reads it.
        text: its comment, in Markdown.
    """

    path: tuple[str, ...]
    default: object
    text: str

    @property
    def name(self) -> str:
        """The path as `--set` takes it."""
        return ".".join(self.path)

    def row(self) -> str:
        """Return its row of the README's table."""
        default = json.dumps(self.default).replace("|", "\\|")
        return f"| `{self.name}` | `{default}` | {self.text} |"


def read_values() -> list[Value]:
    """Return every value of the chart, in the order of the file.

    Raises:
        ValueError: a value has no comment of its own, and none of its parts has one.
    """
    text = (CHART / "values.yaml").read_text("utf-8")
    return list(_read(yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text), text.splitlines(), ()))


def _read(node: yaml.Node | None, tree: object, lines: list[str], path: tuple[str, ...]) -> Iterator[Value]:
    if not isinstance(node, yaml.MappingNode) or not isinstance(tree, dict) or not tree:
        raise ValueError(f"values.yaml: {'.'.join(path)} has no comment that begins with `{_BEGINNING}`")
    for key, value in node.value:
        here = (*path, key.value)
        text = _comment(lines, key.start_mark.line)
        if text:
            yield Value(here, tree[key.value], text)
        else:
            yield from _read(value, tree[key.value], lines, here)


def _comment(lines: list[str], line: int) -> str:
    """Return the comment right above a line from its `--` on, empty where there is none."""
    above: list[str] = []
    while line and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        words = lines[line].lstrip()
        if words.startswith(_BEGINNING):
            return " ".join([words.removeprefix(_BEGINNING), *above])
        above.insert(0, words.removeprefix("#").strip())
    return ""
