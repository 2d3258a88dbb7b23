"""What a start loads and makes, kept out of the search for garbage."""

import gc
from collections.abc import Iterator

import pytest

from exporter.loading import lasting
from exporter.usage import UsageError


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    """Leave nothing of the tests themselves out of the search for garbage."""
    yield
    gc.unfreeze()


def is_searched(thing: object) -> bool:
    return any(other is thing for other in gc.get_objects())


def test_what_is_made_meanwhile_is_not_searched_for_garbage() -> None:
    with lasting():
        assert not gc.isenabled()
        made: list[object] = []
        assert is_searched(made)
    assert not is_searched(made)


def test_garbage_is_looked_for_again_afterwards() -> None:
    with lasting():
        pass
    assert gc.isenabled()
    made: list[object] = []
    assert is_searched(made)


def test_garbage_is_looked_for_again_after_a_start_that_fails() -> None:
    with pytest.raises(UsageError, match="taken"), lasting():
        raise UsageError("the address is taken")
    assert gc.isenabled()
