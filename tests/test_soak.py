"""The soak in short, and that it can tell what grows."""

import pytest
from soak import SAMPLES, Sample, main, not_flat


@pytest.mark.heavy
@pytest.mark.prometheus
def test_twelve_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["12s"])
    lines = capsys.readouterr().out.splitlines()
    assert status == 0, lines
    assert sum("descriptors" in line for line in lines) > SAMPLES / 8  # fewer than planned where the machine is busy
    assert " polls, failed: " in lines[-1]


def samples(memory: int = 0, threads: int = 0, descriptors: int = 0) -> list[Sample]:
    """What grows by so much with each sample."""
    return [
        Sample(float(number), 2**25 + number * memory, 5 + number * threads, 10 + number * descriptors)
        for number in range(SAMPLES)
    ]


def test_what_stands_still_is_flat() -> None:
    assert not_flat(samples()) == []


@pytest.mark.parametrize("grows", ["memory", "threads", "descriptors"])
def test_what_grows_is_not(grows: str) -> None:
    (said,) = not_flat(samples(**{grows: 2**20 if grows == "memory" else 1}))
    assert said.startswith(f"{grows} grew from ")
