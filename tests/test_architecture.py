"""The modules import what docs/architecture.md allows them, and use nobody's private names."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "exporter"
ROW = re.compile(r"^\| `(?P<module>\w+)` \| [^|]+ \|(?P<imports>[^|]*)\|$", re.MULTILINE)
TABLE = {
    match["module"]: set(re.findall(r"\w+", match["imports"]))
    for match in ROW.finditer((ROOT / "docs" / "architecture.md").read_text("utf-8"))
}


def _files(module: str) -> list[Path]:
    folder = PACKAGE / module
    return sorted(folder.glob("*.py")) if folder.is_dir() else [PACKAGE / f"{module}.py"]


def _imports(module: str) -> set[str]:
    found = set()
    for file in _files(module):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                assert not any(name.name.startswith("exporter") for name in node.names), (
                    f"{file}: import from it instead"
                )
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file}: a relative import"
                parts = (node.module or "").split(".")
                if parts == ["exporter"]:
                    found |= {
                        name.name if (PACKAGE / f"{name.name}.py").exists() else "__init__" for name in node.names
                    }
                elif parts[0] == "exporter":
                    found.add(parts[1])
    return found - {module}


def test_the_table_names_every_module() -> None:
    modules = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert set(TABLE) == modules


@pytest.mark.parametrize("module", TABLE)
def test_a_module_imports_what_the_table_allows_it(module: str) -> None:
    assert _imports(module) == TABLE[module]


def test_imports_go_one_way() -> None:
    settled: set[str] = set()
    left = dict(TABLE)
    while left:
        free = {module for module, imports in left.items() if imports <= settled}
        assert free, f"these import each other: {sorted(left)}"
        settled |= free
        left = {module: imports for module, imports in left.items() if module not in free}


@pytest.mark.parametrize("module", TABLE)
def test_no_private_name_of_another_module_is_used(module: str) -> None:
    for file in _files(module):
        tree = ast.parse(file.read_text("utf-8"))
        for node in ast.walk(tree):
            # A named tuple's method that copies it is public: its name keeps out of the fields' way.
            if isinstance(node, ast.Attribute) and re.match(r"_[^_]", node.attr) and node.attr != "_replace":
                owner = node.value.id if isinstance(node.value, ast.Name) else ast.unparse(node.value)
                assert owner in ("self", "cls"), f"{file}:{node.lineno}: {owner}.{node.attr}"
            if isinstance(node, ast.ImportFrom):
                private = [name.name for name in node.names if re.match(r"_[^_]", name.name)]
                assert not private, f"{file}:{node.lineno}: {private}"
