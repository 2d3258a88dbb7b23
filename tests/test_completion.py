"""Completion of the commands and their flags, typed into real shells."""

import os
import pty
import re
import runpy
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.processes import PATIENCE_SECONDS, environment, run
from support.prometheus import tool

from exporter.cli import COMMANDS
from exporter.commands import PROGRAM, SHELLS
from exporter.flags import FLAGS

ROOT = Path(__file__).parent.parent

PROMPT = "ready> "
SAID = re.compile(r"<<(.*)>>")

STARTED: Mapping[str, tuple[tuple[str, ...], str, str]] = {
    "bash": (("--noprofile",), ".bashrc", f"PS1='{PROMPT}'\nsource <({PROGRAM} completion bash)\n"),
    "fish": (
        (),
        ".config/fish/config.fish",
        f"function fish_prompt; echo -n '{PROMPT}'; end\n{PROGRAM} completion fish | source\n",
    ),
    "zsh": (
        ("--no-global-rcs",),
        ".zshrc",
        f'PS1="{PROMPT}"\nautoload -U compinit && compinit -u\neval "$({PROGRAM} completion zsh)"\n',
    ),
}
"""Each shell's words, and the file that it reads when it starts."""


def written(shell: str) -> str:
    """Return what docs/completion.py writes for a shell."""
    text = runpy.run_path(str(ROOT / "docs" / "completion.py"))["script"](shell)
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_says_what_the_tables_say(shell: str) -> None:
    done = run("completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == written(shell), "behind: ./run docs"


@pytest.mark.parametrize("words", [(), ("tcsh",)], ids=["none", "unknown"])
def test_another_shell_is_refused(words: tuple[str, ...]) -> None:
    done = run("completion", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{PROGRAM}: say for which shell: bash, fish, zsh\n"


class Terminal:
    """A shell in a terminal, as somebody who types sees it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._shown = ""
        self._until = time.monotonic() + PATIENCE_SECONDS

    def wait_for(self, pattern: re.Pattern[str]) -> re.Match[str]:
        """Return the next match of what it shows."""
        while not (found := pattern.search(self._shown)):
            left = self._until - time.monotonic()
            assert left > 0, f"the terminal shows {self._shown!r}"
            if select.select([self._descriptor], [], [], left)[0]:
                self._shown += os.read(self._descriptor, 65536).decode("utf-8", "replace")
        self._shown = self._shown[found.end() :]
        return found

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self._descriptor, text.encode())


@pytest.mark.parametrize("shell", SHELLS)
def test_it_starts_as_the_documentation_says(shell: str) -> None:
    line = STARTED[shell][2].splitlines()[-1]
    assert f"```sh\n{line}\n```" in (ROOT / "docs" / "getting-started.md").read_text("utf-8")


@contextmanager
def terminal(shell: str, home: Path) -> Iterator[Terminal]:
    """Give a shell that has read its file; the program says there what it was called with."""
    words, name, text = STARTED[shell]
    start = home / name
    start.parent.mkdir(parents=True, exist_ok=True)
    start.write_text(text, "utf-8")
    program = home / "bin" / PROGRAM
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\n[ $# = 2 ] && [ $1 = completion ] && exec {sys.executable} -P -m exporter "$@"\necho "<<$*>>"\n',
        "utf-8",
    )
    program.chmod(0o755)
    variables = {"HOME": str(home), "TERM": "xterm", "PATH": f"{program.parent}:{os.environ['PATH']}"}
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(
            ["setsid", "--ctty", tool(shell), *words, "-i"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment(variables),
            cwd=home,
        ) as process:
            try:
                shown = Terminal(ours)
                shown.wait_for(re.compile(re.escape(PROMPT)))
                yield shown
            finally:
                process.kill()
    finally:
        os.close(theirs)
        os.close(ours)


TYPED = [
    ("hea\t", "healthcheck"),
    ("doctor --js\t", "doctor --json"),
    ("once --out\tpage.pr\t", "once --output page.prom"),
    ("--localai.u\thttp://x", "--localai.url http://x"),
    ("serve --config.ch\t", "serve --config.check"),
    ("demo --log.l\tdeb\t", "demo --log.level debug"),
    ("healthcheck --web.health\t:1", "healthcheck --web.health-address :1"),
    ("healthcheck --localai.u\t", "healthcheck --localai.u"),
]
"""What is typed, a Tab where the shell is to complete, and what the program is called with."""


@pytest.mark.parametrize("shell", SHELLS)
def test_a_tab_completes(shell: str, tmp_path: Path) -> None:
    (tmp_path / "page.prom").touch()
    with terminal(shell, tmp_path) as shown:
        for typed, meant in TYPED:
            shown.type(f"{PROGRAM} {typed}\n")
            assert shown.wait_for(SAID)[1].split() == meant.split()


def test_every_command_and_flag_is_offered() -> None:
    for shell in SHELLS:
        script = written(shell)
        for word in (*COMMANDS, *(flag.name for flag in FLAGS)):
            assert re.search(rf"\b{re.escape(word)}\b", script), (shell, word)
