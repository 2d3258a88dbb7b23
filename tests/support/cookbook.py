"""The queries of docs/promql.md."""

import re
from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "promql.md"

_BLOCK = re.compile(r"^```promql\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def queries(page: Path = PAGE) -> Sequence[str]:
    """Return every query of a page, in its order."""
    return [match[1] for match in _BLOCK.finditer(page.read_text("utf-8"))]


OF_P2P = [query for query in queries() if "localai_distributed_" not in query]
OF_DISTRIBUTED = [query for query in queries() if "localai_distributed_" in query]


def short(query: str) -> str:
    """Return what tells a query from the others, for the name of a test."""
    return " ".join(query.split())[:60]
