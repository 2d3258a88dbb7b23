"""What an exporter of many targets says of itself: its build, its file of targets, and how busy it is.

The name, type, labels and help text of these metrics stand here and nowhere else, but for the build's.
"""

import platform
from collections.abc import Callable, Iterator

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from exporter import __version__
from exporter.crew import Load
from exporter.families import Definition
from exporter.metrics import BUILD_INFO
from exporter.reload import Reloads

RELOAD_SUCCESSFUL = Definition(
    "localai_p2p_exporter_config_last_reload_successful",
    "1 when the file of the targets as it was last read is at work, 0 when it was refused and the one before still is.",
)
RELOAD_SUCCESS_TIMESTAMP = Definition(
    "localai_p2p_exporter_config_last_reload_success_timestamp_seconds",
    "Unix time at which a file of targets was last taken.",
)
TARGETS = Definition("localai_p2p_exporter_targets", "Targets that this exporter polls: of a shard, its share.")
TARGETS_SLOW = Definition(
    "localai_p2p_exporter_targets_slow", "Targets whose newest poll took longer than a second, failed ones included."
)
TARGETS_WAITING = Definition(
    "localai_p2p_exporter_targets_waiting", "Targets whose poll is due and waits for a worker; for long, some are late."
)
POLL_WORKERS = Definition("localai_p2p_exporter_poll_workers", "The most polls that may be under way at once.")
POLLS_UNDER_WAY = Definition("localai_p2p_exporter_polls_under_way", "Polls that have begun and not ended.")

DEFINITIONS = tuple(value for value in globals().values() if isinstance(value, Definition) and value is not BUILD_INFO)
"""Every metric that only an exporter of many targets has, in the order of the documentation."""


class OwnCollector(Collector):
    """Asks at each scrape.

    Args:
        reloads: says how the newest reading of the file went.
        load: says how busy the workers are.
    """

    def __init__(self, reloads: Callable[[], Reloads], load: Callable[[], Load]) -> None:
        self._reloads = reloads
        self._load = load

    def describe(self) -> Iterator[Metric]:
        """Name every family, so that the registry refuses a second collector of the same names."""
        for definition in (BUILD_INFO, *DEFINITIONS):
            yield definition.family(())

    def collect(self) -> Iterator[Metric]:
        """Give the families as things are now."""
        reloads, load = self._reloads(), self._load()
        yield BUILD_INFO.single(1, __version__, platform.python_version())
        yield RELOAD_SUCCESSFUL.single(reloads.succeeded)
        yield RELOAD_SUCCESS_TIMESTAMP.single(reloads.success_at)
        yield TARGETS.single(load.targets)
        yield TARGETS_SLOW.single(load.slow)
        yield TARGETS_WAITING.single(load.waiting)
        yield POLL_WORKERS.single(load.workers)
        yield POLLS_UNDER_WAY.single(load.busy)
