"""Each row of `faults.py` has a test, and each mark a row."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from faults import ROWS
from support.hostile import FAULTS

COLLECT = """
import json, sys
import pytest

class Marks:
    def pytest_collection_finish(self, session):
        marks = sorted({row for item in session.items for mark in item.iter_markers("fault") for row in mark.args})
        print("marks", json.dumps(marks))

sys.exit(pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider"], plugins=[Marks()]))
"""


@pytest.fixture(scope="module")
def marked() -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", COLLECT],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("marks ")]
    return set(json.loads(line.removeprefix("marks ")))


def test_each_row_has_a_test(marked: set[str]) -> None:
    assert set(ROWS) - marked == set()


def test_each_mark_names_a_row(marked: set[str]) -> None:
    assert marked - set(ROWS) == set()


def test_each_fault_that_is_played_belongs_to_a_row() -> None:
    assert {fault.row for fault in FAULTS} <= set(ROWS)
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
