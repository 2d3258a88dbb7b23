"""A real Chromium that looks at pages; `run` installs it, and builds the program that drives it."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from support.prometheus import tool
from support.shown import BUILD, FOLDER


class Browser:
    """One page at a time.

    Args:
        stdin: takes commands.
        stdout: gives the answers.
    """

    def __init__(self, stdin: IO[str], stdout: IO[str]) -> None:
        self._stdin = stdin
        self._stdout = stdout
        self.complaints: list[str] = []

    def open(self, url: str, *, dark: bool = False, width: int = 1_100, height: int = 900) -> None:
        """Open a page in the place of the one before."""
        self._do(open={"url": url, "dark": dark, "width": width, "height": height})

    def evaluate(self, expression: str) -> Any:
        """Return what an expression is on the page."""
        return self._do(evaluate=expression)

    def until(self, expression: str) -> Any:
        """Wait until an expression is true on the page, and return it."""
        return self._do(until=expression)

    def press(self, key: str) -> None:
        """Press a key."""
        self._do(press=key)

    def axe(self) -> list[str]:
        """Return what axe-core finds fault with.

        Raises:
            AssertionError: it found nothing to look at.
        """
        found = self._do(axe=True)
        assert found["passed"] > 10
        return list(found["violations"])

    def picture(self, file: Path) -> None:
        """Write what is in view as PNG."""
        self._do(picture=str(file))

    def _do(self, **command: object) -> Any:
        self._stdin.write(json.dumps(command) + "\n")
        self._stdin.flush()
        line = self._stdout.readline()
        assert line, "the browser is gone"
        answer = json.loads(line)
        self.complaints = answer["complaints"]
        assert "error" not in answer, answer["error"]
        return answer["result"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser; it ends with its input."""
    process = subprocess.Popen(
        [tool("node"), BUILD / "look.mjs"],
        cwd=FOLDER,
        env={**os.environ, "CHROMIUM": tool("chromium")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdin
        assert process.stdout
        yield Browser(process.stdin, process.stdout)
