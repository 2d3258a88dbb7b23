"""A clock that stands still until a test moves it."""

from exporter.clock import Clock


class FakeClock:
    def __init__(self, wall: float = 1_800_000_000.0) -> None:
        self.wall_now = wall
        self.monotonic_now = 1_000.0
        self._slept = 0.0
        self.clock = Clock(
            wall=lambda: self.wall_now,
            monotonic=lambda: self.monotonic_now,
            awake=lambda: self.monotonic_now - self._slept,
        )

    def advance(self, seconds: float) -> None:
        self.wall_now += seconds
        self.monotonic_now += seconds

    def sleep(self, seconds: float) -> None:
        """Let the machine sleep for so long."""
        self.advance(seconds)
        self._slept += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock, as NTP or a hand does; monotonic time knows nothing of it."""
        self.wall_now += seconds
