"""promtool as a judge of many pages at once."""

import re
import subprocess
from collections.abc import Sequence

from support.prometheus import tool

_OURS = re.compile(r"^(# (?:HELP|TYPE) )?localai_p2p_", re.MULTILINE)


def promtool_says(page: str) -> str:
    """Return what `promtool check metrics` complains of; nothing where it has no complaint."""
    done = subprocess.run(
        [tool("promtool"), "check", "metrics"],
        input=page.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    said = done.stdout.decode("utf-8", "replace").strip()
    return said or (f"status {done.returncode}" if done.returncode else "")


def joined(pages: Sequence[str]) -> str:
    """Join pages into one, each with names of its own, so that one run of promtool judges them all."""
    return "".join(
        _OURS.sub(lambda match, number=number: f"{match[1] or ''}page_{number}_localai_p2p_", page)  # type: ignore[misc]
        for number, page in enumerate(pages)
    )


def pages_that_promtool_refuses(pages: Sequence[str]) -> list[tuple[str, str]]:
    """Return each page that promtool complains of, and what it says."""
    if not promtool_says(joined(pages)):
        return []
    said = [(page, promtool_says(page)) for page in pages]
    return [(page, complaint) for page, complaint in said if complaint] or [("", "only when they are joined")]
