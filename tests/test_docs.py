"""What the documentation says is what the program does."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.processes import run
from support.prometheus import tool

from exporter import __version__
from exporter.cli import COMMANDS
from exporter.errors import REASONS, Reason

ROOT = Path(__file__).parent.parent
PAGES = {
    str(file.relative_to(ROOT)): file.read_text("utf-8")
    for file in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("helm/*/*.md"))
}
README = PAGES["README.md"]

MOTTO = 60
"""So many characters may be said twice."""


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


def test_the_readme_begins_with_the_two_commands() -> None:
    block = README.partition("```sh\n")[2].partition("```")[0]
    assert [line.split("#")[0].split() for line in block.splitlines()] == [["./run", "demo"], ["./run", "test"]]
    usage = subprocess.run(["./run"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert usage.returncode == 2
    assert all(f"./run {name}" in usage.stderr for name in ("demo", "test", "long", "lock", "docs"))


def test_pages_name_commands_that_are_there() -> None:
    named = {name for page in PAGES.values() for name in re.findall(r"localai-p2p-exporter ([a-z]+)\b", page)}
    assert named <= set(COMMANDS)
    assert named >= set(COMMANDS) - {"serve", "demo"}


@pytest.mark.prometheus
def test_promtool_accepts_the_configuration_to_start_with(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n((?:scrape_configs|rule_files):.*?)```", PAGES["docs/getting-started.md"], re.DOTALL)
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


def test_the_index_has_every_page() -> None:
    pages = {file.name for file in (ROOT / "docs").glob("*.md")} - {"README.md"}
    listed = re.findall(r"^\| \[([^]]+)\]\(\1\) \|", PAGES["docs/README.md"], re.MULTILINE)
    assert sorted(listed) == sorted(pages)


def test_the_readme_leads_to_every_page() -> None:
    pages = {name for name in PAGES if name.startswith("docs/")} - {"docs/README.md"}
    assert set(re.findall(r"\]\((docs/[^)#]+\.md)\)", README)) == pages


def sentences(page: str) -> Iterator[str]:
    """Give the sentences of a page's paragraphs and lists, in one line each."""
    prose = re.sub(r"^( *)```.*?^\1```$|<!--.*?-->", "", page, flags=re.DOTALL | re.MULTILINE)
    for paragraph in re.split(r"\n\s*\n|\n(?=[-#|]|\d\. )", prose):
        text = re.sub(r"^(?:[-#]+|\d+\.) ", "", " ".join(paragraph.split()))
        yield from re.split(r"(?<=[.:]) (?=[A-Z`*\[])", text)


def test_a_sentence_is_found_wherever_it_stands() -> None:
    page = "# Head\n\nOne. Two\nlines: Three.\n\n- Four.\n1. Five.\n\n```sh\nSix.\n```\n"
    assert list(sentences(page)) == ["Head", "One.", "Two lines:", "Three.", "Four.", "Five.", ""]


def test_no_sentence_stands_twice() -> None:
    places: dict[str, set[str]] = {}
    for name, page in PAGES.items():
        for sentence in sentences(page):
            places.setdefault(sentence, set()).add(name)
    twice = {sentence: names for sentence, names in places.items() if len(names) > 1 and len(sentence) > MOTTO}
    assert twice == {}


def test_one_version() -> None:
    assert run("--version").stdout == f"localai-p2p-exporter {__version__}\n"
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def anchors(page: str) -> set[str]:
    """Return those that a page's headings have on GitHub."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", page, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    file = ROOT / name
    for target, anchor in re.findall(r"\]\((?!https?://)([^)#]*)(?:#([^)]+))?\)", PAGES[name]):
        there = file.parent / target if target else file
        assert there.exists(), target
        assert not anchor or anchor in anchors(there.read_text("utf-8")), f"{target}#{anchor}"
