"""One poll's questions on LocalAI's distributed mode, and which of its endpoints are missing.

`/api/nodes`, `/api/nodes/models` and `/api/nodes/scheduling` are asked in this order. Where the first is missing
LocalAI is not in distributed mode, provided that it is LocalAI who says so: a proxy without a backend answers 404 to
everything. Where a release has not yet one of the others, what that would say is unknown.
"""

from http import HTTPStatus

from exporter import rows
from exporter.client import Answer
from exporter.clock import Clock
from exporter.errors import PollError
from exporter.fleet import Fleet, Listing
from exporter.localai import ASK_AGAIN_SECONDS
from exporter.memory import NEVER
from exporter.model import ClockReading
from exporter.questions import Questions, understood

NODES = "/api/nodes"
MODELS = "/api/nodes/models"
SCHEDULING = "/api/nodes/scheduling"


class Distributed:
    """Asks one LocalAI. Not for several threads at once.

    Args:
        questions: by which it is asked.
        clock: for how long an endpoint is believed to be missing.
    """

    def __init__(self, questions: Questions, clock: Clock) -> None:
        self._questions = questions
        self._clock = clock
        self._missing: dict[str, float] = {}

    def ask(self, deadline: float, *, known: bool, anew: bool = False) -> Fleet | None:
        """Ask once.

        Args:
            deadline: monotonic time at which the answers must have been understood.
            known: whether it is LocalAI who answers there, as what it said of P2P has just shown.
            anew: whether LocalAI may have become another, so that what was missing may be there.

        Returns:
            What it says, whole; None where it is not in distributed mode.

        Raises:
            PollError: the first question that got no usable answer, and why.
        """
        if anew:
            self._missing.clear()
        asked = self._get(NODES, deadline, known=known)
        if asked is None:
            return None
        answer, clock = asked
        budget = self._questions.budget(deadline)
        nodes, dropped_nodes = understood(answer, rows.nodes, self._questions.server_now(), budget)
        dropped = {Listing.NODES: dropped_nodes}
        replicas = schedules = None
        if asked := self._get(MODELS, deadline, known=True):
            replicas, dropped[Listing.MODELS] = understood(asked[0], rows.replicas, budget)
        if asked := self._get(SCHEDULING, deadline, known=True):
            schedules, dropped[Listing.SCHEDULING] = understood(asked[0], rows.schedules, budget)
        budget.on_time()
        return Fleet(nodes, replicas, schedules, dropped, clock)

    def _get(self, path: str, deadline: float, *, known: bool) -> tuple[Answer, ClockReading] | None:
        """Return the answer; None where there is no such endpoint, or was none a short while ago."""
        now = self._clock.monotonic()
        if now - self._missing.get(path, NEVER) < ASK_AGAIN_SECONDS:
            return None
        self._missing.pop(path, None)
        self._questions.budget(deadline).on_time()
        try:
            return self._questions.get(path, deadline)
        except PollError as error:
            if error.status != HTTPStatus.NOT_FOUND or not known:
                raise
        self._missing[path] = now
        return None
