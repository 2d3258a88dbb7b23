"""What holds for the whole suite."""

import os
from collections.abc import Generator

import pytest
from hypothesis import is_hypothesis_test, settings

# A generated example may be slow on a shared machine; that says nothing of the code.
settings.register_profile("suite", deadline=None, derandomize=True, print_blob=True)
_EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "4000"))
settings.register_profile("long", deadline=None, max_examples=_EXAMPLES, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests whose examples hypothesis generates, so that more of them can be asked for."""
    for item in items:
        if is_hypothesis_test(getattr(item, "function", None)):
            item.add_marker("generated")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Make a skipped test a failed one: a missing install must not pass for a tested program."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped; every test of this suite runs: {report.longrepr}"
    return report
