"""The clocks, as one value that is handed to whoever needs the time."""

import time
from collections.abc import Callable
from typing import NamedTuple


def _elapsed_clock() -> Callable[[], float]:
    # CLOCK_MONOTONIC stands still while a Linux machine sleeps: after a laptop's night an age would be hours short.
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    if boottime is None:
        return time.monotonic
    return lambda: time.clock_gettime(boottime)


class Clock(NamedTuple):
    """Wall time for what is published, monotonic time for every difference.

    Attributes:
        wall: Unix time in seconds; may jump.
        monotonic: seconds since an unspecified start; never jumps, and counts a suspended machine's sleep where the
            system can tell.
        awake: the same without the sleep: a thread that did nothing while the machine slept did not hang.
    """

    wall: Callable[[], float]
    monotonic: Callable[[], float]
    awake: Callable[[], float]

    @classmethod
    def system(cls) -> "Clock":
        """Read the machine's own clocks."""
        return cls(wall=time.time, monotonic=_elapsed_clock(), awake=time.monotonic)


# NTP slews a clock by half a millisecond a second at most; what is beyond this was set.
_DRIFT_SECONDS = 0.1


def steady_epoch(epoch: float, clock: Clock) -> float:
    """Return the Unix time at which the monotonic clock was at 0: `epoch` while that is about right, else anew.

    Read anew each time it would differ by the microseconds between the two readings.
    """
    read = clock.wall() - clock.monotonic()
    return epoch if abs(read - epoch) <= _DRIFT_SECONDS else read
