"""Prometheus's past: blocks, made from OpenMetrics, of what the exporter would have exposed in a story."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from support.prometheus import tool
from support.stories import POLL_SECONDS, Watch


def write_blocks(data: Path, watches: tuple[Watch, ...], seconds: float) -> None:
    """Store so many seconds of stories in a folder from which Prometheus has not been started yet.

    A series that ends is not marked as ended, because OpenMetrics cannot: Prometheus goes on showing it for 5 minutes.
    """
    file = data.with_suffix(".openmetrics")
    with file.open("w", encoding="utf-8") as output:
        for watch in watches:
            output.writelines(_lines(watch, seconds))
        output.write("# EOF\n")
    words = [tool("promtool"), "tsdb", "create-blocks-from", "openmetrics", "--quiet", str(file), str(data)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    file.unlink()


def stored(watch: Watch, seconds: float) -> Iterator[tuple[float, str, float]]:
    """Yield what Prometheus stores of a story: when, in Unix seconds, which series and its value."""
    for tick, sample in enumerate(watch.scrapes(seconds, POLL_SECONDS)):
        moment = watch.began + tick * POLL_SECONDS
        if sample == {}:
            continue
        for series, value in (sample or {}).items():
            yield moment, watch.stored(series), float(value)
        yield moment, watch.stored("up"), float(sample is not None)


def _lines(watch: Watch, seconds: float) -> Iterator[str]:
    return (f"{series} {value!r} {moment:.3f}\n" for moment, series, value in stored(watch, seconds))
