"""Puts a run's table, and what it ran on, into docs/performance.md."""

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from peers import CLIENT_GOLANG, PUSHGATEWAY

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN = "<!-- what ./run bench --write puts here begins -->\n"
END = "<!-- and ends -->\n"


def replaced(page: str, text: str) -> str:
    """Return the page with this text between its two marks.

    Raises:
        ValueError: it does not have both.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the marks of the table are missing")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def write_page(text: str) -> None:
    """Put a table into the page."""
    PAGE.write_text(replaced(PAGE.read_text("utf-8"), f"{_machine()}\n\n{text}"), "utf-8")


def _machine() -> str:
    """Return on what, and against which versions, the table was measured."""
    model = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    processor = model[1] if model else platform.machine()
    golang, built = _said("go", "version", "-m", CLIENT_GOLANG), _said(PUSHGATEWAY, "--version")
    versions = {
        "Python": platform.python_version(),
        "prometheus_client": version("prometheus_client"),
        "client_golang": _found(r"client_golang\s+v(\S+)", golang),
        "Go": _found(r": go(\S+)", golang),
        "and Pushgateway": _found(r"version (\S+) ", built),
        "of Go": _found(r"go version: +go(\S+)", built),
    }
    machine = f"{os.cpu_count()} processors ({processor}), Linux {platform.release().partition('-')[0]}"
    return f"On {machine}, with\n{', '.join(f'{name} {number}' for name, number in versions.items())}:"


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else "of unknown version"
