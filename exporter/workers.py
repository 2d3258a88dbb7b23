"""The threads that make those of the server's answers that may take long, while another one does its waiting."""

import threading
from collections.abc import Callable
from queue import Empty, Queue, SimpleQueue
from typing import Generic, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


class Workers(Generic[Job, Result]):
    """Threads that turn jobs into results, from `start` until `stop`.

    All of them start at once: where no thread is to be had, that shows then and not in the middle of a scrape. A worker
    waits while as many results as there are workers have not been taken: results may be large.

    Args:
        count: how many.
        name: of the threads; a number follows it.
        make: turns a job into its result; it does not raise.
        tell: called by a worker after each result.
    """

    def __init__(self, count: int, name: str, make: Callable[[Job], Result], tell: Callable[[], None]) -> None:
        self._make = make
        self._tell = tell
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._done: Queue[tuple[Job, Result]] = Queue(count)
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True) for number in range(1, count + 1)
        ]

    def start(self) -> None:
        """Start the threads.

        Raises:
            RuntimeError: there are not as many to be had.
        """
        for thread in self._threads:
            thread.start()

    @property
    def live(self) -> bool:
        """Whether all of them run."""
        return all(thread.is_alive() for thread in self._threads)

    def do(self, job: Job) -> None:
        """Have a job done."""
        self._jobs.put(job)

    def finished(self) -> tuple[Job, Result] | None:
        """Return the next job that is done and its result, once, or None; never waits."""
        try:
            return self._done.get_nowait()
        except Empty:
            return None

    def stop(self) -> None:
        """Let each end after the job that it is at, whose result is nobody's then; do not wait for that."""
        self._stopped.set()
        while self.finished():  # so that none waits for a place
            pass
        for _ in self._threads:
            self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None and not self._stopped.is_set():
            self._done.put((job, self._make(job)))
            self._tell()
