"""One poll's questions to LocalAI, and what is remembered of it from poll to poll.

Generations 2 and 3 are asked `/api/p2p/workers`, `/api/p2p/federation` and `/api/p2p/stats`, in this order. Where one
of them is missing (generation 1, or the web UI off) `/api/p2p` is asked in the same poll, and alone from then on, until
something tells that LocalAI may have become another.
"""

from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import TypeVar

from exporter import decode
from exporter.clock import Clock
from exporter.errors import PollError
from exporter.memory import NEVER, Doubts, Ids, Memory, listed
from exporter.model import Snapshot, Source
from exporter.questions import Getter, Questions, understood
from exporter.repeats import Reader

ASK_AGAIN_SECONDS = 300.0
"""How long it is believed that an endpoint is missing, and that version and capability are what they were."""

ASK_TOKEN_AGAIN_SECONDS = 3_600.0
"""How long the join token is believed: it is the cluster's one credential, and is seldom asked for."""

INFO_SECONDS = 2.0
"""The most time of a poll that version, capability and token may take together; and never more than half of what is
left, because the nodes are still to be put to use."""

WORKERS = "/api/p2p/workers"
FEDERATION = "/api/p2p/federation"
STATS = "/api/p2p/stats"
P2P = "/api/p2p"
TOKEN = "/api/p2p/token"  # noqa: S105 - a path
VERSION = "/version"
WELL_KNOWN = "/.well-known/localai.json"

Value = TypeVar("Value")


class LocalAI:
    """Polls one LocalAI. Not for several threads at once.

    Args:
        client: who asks.
        clock: for deadlines, and for LocalAI's time where it does not say its own.
        most_bytes: that an answer may have; how many nodes it may have follows from it.
        collect_token: whether the join token may be asked for.

    Attributes:
        questions: by which whatever else is asked of this LocalAI is asked too, so that both hear of its clock and its
            restarts.
    """

    def __init__(self, client: Getter, clock: Clock, most_bytes: int, *, collect_token: bool = False) -> None:
        self._client = client
        self._clock = clock
        self.questions = Questions(client, clock, most_bytes)
        self._collect_token = collect_token
        self._memory = Memory()
        self._doubts = Doubts()
        self._read_workers = Reader(decode.workers)
        self._read_federation = Reader(decode.federation)

    def forget(self) -> None:
        """Ask LocalAI everything anew at the next poll, as after one that failed: this one came to nothing later on."""
        self._memory = Memory()

    def poll(self, deadline: float) -> Snapshot:
        """Ask LocalAI once.

        Args:
            deadline: monotonic time at which the poll must have ended.

        Returns:
            What it says, whole.

        Raises:
            PollError: the first question that got no usable answer, and why.
        """
        # Forgotten until the poll has succeeded: whatever happens in between, LocalAI is asked anew then.
        before, self._memory = self._memory, Memory()
        snapshot, lists_asked_at = self._read(before, deadline)
        budget = self.questions.budget(deadline)
        budget.check_nodes(len(snapshot.nodes), "LocalAI")
        budget.on_time()
        ids = listed(snapshot)
        changed = self._is_changed(before, snapshot, ids)
        self.questions.reconnected = False
        memory = replace(
            Memory() if changed else before,
            source=snapshot.source,
            generation=snapshot.generation,
            ids=ids,
            clock=snapshot.clock,
            lists_asked_at=lists_asked_at,
        )
        self._memory = memory = self._ask_info(memory, deadline)
        if changed and memory.says_the_same_as(before):
            self._doubts.was_groundless()
        generation = snapshot.generation
        if generation == "1-2" and memory.version:
            generation = decode.generation_of(memory.version) or generation
        return replace(snapshot, server=memory.info(), generation=generation, renewed=changed)

    def _is_changed(self, memory: Memory, snapshot: Snapshot, ids: Ids) -> bool:
        """Whether LocalAI is, or may be, another than it was."""
        if snapshot.generation != memory.generation:
            return True
        doubted = self.questions.reconnected or memory.is_doubted_by(snapshot, ids)
        return doubted and self._doubts.are_left(self._clock.monotonic())

    def _read(self, memory: Memory, deadline: float) -> tuple[Snapshot, float]:
        """Return the nodes, and when the list endpoints were last asked for."""
        now = self._clock.monotonic()
        snapshot = None
        if memory.source == Source.P2P and now - memory.lists_asked_at < ASK_AGAIN_SECONDS:
            snapshot = self._read_p2p(deadline)
            if not self._is_changed(memory, snapshot, listed(snapshot)):
                return snapshot, memory.lists_asked_at
        try:
            return self._read_lists(deadline), now
        except PollError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
        return snapshot or self._read_p2p(deadline), now

    def _read_lists(self, deadline: float) -> Snapshot:
        budget = self.questions.budget(deadline)
        answer, _ = self.questions.get(WORKERS, deadline)
        workers = understood(answer, self._read_workers, self.questions.server_now(), budget)
        answer, _ = self.questions.get(FEDERATION, deadline)
        federated = understood(answer, self._read_federation, self.questions.server_now(), budget)
        answer, clock = self.questions.get(STATS, deadline)
        totals = understood(answer, decode.stats, workers.generation, budget)
        return decode.lists_snapshot(workers, federated, totals, clock)

    def _read_p2p(self, deadline: float) -> Snapshot:
        answer, clock = self.questions.get(P2P, deadline)
        # The rule is LocalAI's, so it is applied to what LocalAI's clock said, to the second.
        now = clock.server if answer.date is None else answer.date
        return understood(answer, decode.p2p_snapshot, now, clock, self.questions.budget(deadline))

    def _ask_info(self, memory: Memory, deadline: float) -> Memory:
        """Ask what LocalAI says of itself, where that is due and time is left. No failure in here fails the poll."""
        now = self._clock.monotonic()
        info_due = now - memory.info_asked_at >= ASK_AGAIN_SECONDS
        token_due = info_due if memory.has_token is None else now - memory.token_read_at >= ASK_TOKEN_AGAIN_SECONDS
        if now >= deadline:
            return memory
        deadline = now + min(INFO_SECONDS, (deadline - now) / 2)
        budget = self.questions.budget(deadline)
        if info_due:
            version = self._ask(VERSION, deadline, decode.version, budget)
            upgraded = None not in (version, memory.version) and version != memory.version
            memory = replace(
                memory,
                info_asked_at=now,
                lists_asked_at=NEVER if upgraded else memory.lists_asked_at,
                version=version,
                capable=self._ask(WELL_KNOWN, deadline, decode.capability, budget),
            )
        if token_due and self._collect_token:
            token = self._ask(TOKEN, deadline, decode.token)
            memory = replace(
                memory,
                token_read_at=now,
                has_token=None if token is None else token != "",
                fingerprint=token or None,
            )
        return memory

    def _ask(self, path: str, deadline: float, read: Callable[..., Value], *more: object) -> Value | None:
        try:
            return read(self._client.get(path, deadline).body, *more)
        except PollError:
            return None
