"""What holds for the whole suite."""

import os
import signal
import socket
from collections.abc import Generator

import pytest
from hypothesis import is_hypothesis_test, settings

# A generated example may be slow on a shared machine; that says nothing of the code.
settings.register_profile("suite", deadline=None, derandomize=True, print_blob=True)
_EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "2000"))
settings.register_profile("long", deadline=None, max_examples=_EXAMPLES, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def pytest_configure() -> None:
    """Let SIGINT end what the tests start: a shell that runs them in the background has all of them ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests whose examples hypothesis generates; leave out those of IPv6 where the machine has none.

    They are left out, not skipped: no install would bring it.
    """
    for item in items:
        if is_hypothesis_test(getattr(item, "function", None)):
            item.add_marker("generated")
    if not _has_ipv6():
        without = [item for item in items if item.get_closest_marker("ipv6")]
        config.hook.pytest_deselected(items=without)
        items[:] = [item for item in items if item not in without]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Make a skipped test a failed one: a missing install must not pass for a tested program."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped; every test of this suite runs: {report.longrepr}"
    return report
