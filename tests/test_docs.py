"""What the documentation says is what the program does."""

import re
import subprocess
from pathlib import Path

import pytest
from support.processes import run
from support.prometheus import tool

from exporter import __version__
from exporter.cli import COMMANDS
from exporter.errors import REASONS, Reason
from exporter.flags import FLAGS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def _generated() -> dict[str, str]:
    file = ROOT / "docs" / "generate.py"
    module: dict[str, object] = {"__name__": "generate", "__file__": str(file)}
    exec(compile(file.read_text("utf-8"), file, "exec"), module)  # noqa: S102 - our own script, which is no package
    pages = module["PAGES"]
    assert isinstance(pages, dict)
    return {name: write() for name, write in pages.items()}


@pytest.mark.parametrize(("name", "text"), _generated().items(), ids=lambda value: value[:10])
def test_a_generated_page_says_what_the_code_says(name: str, text: str) -> None:
    assert (ROOT / "docs" / name).read_text("utf-8") == text, f"docs/{name} is behind: ./run docs"


def test_every_reason_has_a_meaning() -> None:
    assert set(REASONS) == set(Reason)


def test_the_readme_has_every_flag_and_no_other() -> None:
    section = README.partition("## Configuration")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `--")]
    named = re.findall(r"`--([a-z0-9.-]+)`", " ".join(row.split("|")[1] for row in rows))
    assert named == [flag.name for flag in FLAGS]


@pytest.mark.parametrize("flag", [flag for flag in FLAGS if flag.metavar], ids=lambda flag: flag.name)
def test_the_readme_has_a_flags_default(flag: object) -> None:
    name, default = getattr(flag, "name", ""), getattr(flag, "default", "")
    (row,) = [line for line in README.splitlines() if line.startswith("| `--") and f"`--{name}`" in line]
    cell = row.split("|")[2].replace("`", "").strip()
    if name in ("log.level", "log.format"):
        assert default in cell.split(", ")
    else:
        assert cell == ("" if default == "none" else default.partition(",")[0])


def test_the_readme_begins_with_the_two_commands() -> None:
    block = README.partition("```sh\n")[2].partition("```")[0]
    assert [line.split("#")[0].split() for line in block.splitlines()] == [["./run", "demo"], ["./run", "test"]]
    usage = subprocess.run(["./run"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert usage.returncode == 2
    assert all(f"./run {name}" in usage.stderr for name in ("demo", "test", "long", "lock", "docs"))


def test_the_readme_names_commands_that_are_there() -> None:
    named = set(re.findall(r"localai-p2p-exporter (\w+)\b", README))
    assert named <= set(COMMANDS)
    assert named >= set(COMMANDS) - {"serve", "demo"}


@pytest.mark.prometheus
def test_promtool_accepts_the_readmes_configuration(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "prometheus.yml").write_text("".join(blocks), "utf-8")
    (tmp_path / "rules").symlink_to(ROOT / "prometheus" / "rules")
    done = subprocess.run(
        [tool("promtool"), "check", "config", "prometheus.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("rules found") == len(blocks[1].split("- ")) - 1


def test_one_version() -> None:
    assert run("--version").stdout == f"localai-p2p-exporter {__version__}\n"
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


@pytest.mark.parametrize(
    "file",
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("helm/*/*.md")],
    ids=lambda file: str(file.relative_to(ROOT)),
)
def test_links_lead_somewhere(file: Path) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", file.read_text("utf-8")):
        assert (file.parent / target).exists(), target
