"""What each command does, and how it ends.

A command imports its own parts when it is run: a start waits for nothing that another command is made of.
"""

import argparse
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING

from exporter.clock import Clock
from exporter.listen import systemd_sockets
from exporter.loading import lasting
from exporter.settings import Settings, Target
from exporter.stdout import write
from exporter.usage import NO_THREAD, UsageError

if TYPE_CHECKING:
    from exporter.rounds import Rounds

_log = logging.getLogger(__name__)

PROGRAM = "localai-p2p-exporter"

SHELLS = ("bash", "fish", "zsh")

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_TERMINATED = 128 + signal.SIGTERM
"""As shells name the end by a signal."""

_TURN_SECONDS = 0.0001
"""How long a thread keeps the interpreter while others want it. A scrape gives it away and wants it back a dozen times,
and would wait for it 5 ms each time, Python's default, while the loop makes use of LocalAI's answer."""


def serve(settings: Settings, arguments: argparse.Namespace) -> int:
    """Poll and serve until a signal, or until what does either has died."""
    if vars(arguments)["config.check"]:
        return _check(settings)
    put = _setter()
    stop, again = stop_on_signals(put), threading.Event()
    signal.signal(signal.SIGHUP, lambda *_: put(again) if settings.config_file else _say_what_is_read_again())
    return _run(settings, stop, again=again)


def _check(settings: Settings) -> int:
    if settings.config_file is None:
        raise UsageError("--config.check looks at the file of --config.file: give that too")
    from exporter.reload import check  # noqa: PLC0415

    try:
        targets = check(settings.config_file, settings.shard)
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_FAILED
    of = f" of shard {settings.shard}" if settings.shard else ""
    write(f"{settings.config_file} is right, targets{of}: {targets}\n".encode())
    return EXIT_OK


def _say_what_is_read_again() -> None:
    # Many send it to have a configuration read again. This thread, the only one that a handler interrupts, waits.
    _log.info("SIGHUP changes nothing: changed files of the API key and the web configuration are read anyway")


def _without_created_series() -> None:
    from prometheus_client import disable_created_metrics  # noqa: PLC0415

    disable_created_metrics()  # type: ignore[no-untyped-call]


def _run(
    settings: Settings,
    stop: threading.Event,
    announce: Callable[[Sequence[str]], None] | None = None,
    again: threading.Event | None = None,
) -> int:
    sys.setswitchinterval(_TURN_SECONDS)
    with lasting():
        from exporter.app import Exporter  # noqa: PLC0415

        _without_created_series()
        sockets = systemd_sockets(os.environ) if settings.systemd_socket else None
        exporter = Exporter(settings, Clock.system(), sockets, again)
    try:
        if announce:
            announce(exporter.urls)
        lives = exporter.wait(stop)
    finally:
        exporter.close()
        # On its way out Python would look through all that is alive: seconds, where that is 100,000 nodes.
        gc.freeze()
    if not lives:
        _log.error(
            "the poll loop or the server hangs or has died: ending, so that a supervisor starts the exporter anew"
        )
        return EXIT_FAILED
    _log.info("stopped")
    return EXIT_OK


def _setter() -> Callable[[threading.Event], None]:
    """Return what a signal's handler may call to have an event set, whatever the main thread is just doing.

    An event has a lock, which the interrupted thread may hold, and would wait for itself; a simple queue has none.

    Raises:
        UsageError: no thread is to be had.
    """
    asked: SimpleQueue[threading.Event] = SimpleQueue()

    def work() -> None:
        while True:
            asked.get().set()

    try:
        threading.Thread(target=work, name="signals", daemon=True).start()
    except RuntimeError:
        raise UsageError(NO_THREAD) from None
    return asked.put


def stop_on_signals(put: Callable[[threading.Event], None] | None = None) -> threading.Event:
    """Return what SIGTERM and SIGINT set from now on.

    Args:
        put: what `_setter` returned, where others use it too.

    Raises:
        UsageError: no thread is to be had.
    """
    stop, put = threading.Event(), put or _setter()

    # An own handler for both: a process with the id 1, as in a container, ignores a signal that has none.
    def handle(_signal: int, _frame: FrameType | None) -> None:
        put(stop)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    return stop


def once(settings: Settings, arguments: argparse.Namespace) -> int:
    """Poll once, and write the page that a scrape would have had."""
    # By way of all that tidies up, and also as a process with the id 1, which ignores a signal that has no handler.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
    from exporter.app import make_poller, make_registry  # noqa: PLC0415
    from exporter.exposition import Renderer  # noqa: PLC0415
    from exporter.store import Store  # noqa: PLC0415
    from exporter.textfile import write_atomically  # noqa: PLC0415

    _without_created_series()
    if settings.config_file is not None and arguments.target is None:
        raise UsageError("once polls one LocalAI: name one of the targets of --config.file by --target")
    ((_, target),) = _chosen(settings, arguments.target)
    clock, store = Clock.system(), Store()
    outcome = make_poller(target, store, clock).poll()
    output = arguments.output
    # A file is read later than now: an age in it would stand still while the node's true age grows.
    registry = make_registry(target, store, clock, process=False, ages=output is None)
    body = Renderer(registry).page().body
    if output is None:
        write(body)
    else:
        write_atomically(Path(output), body)
    return EXIT_OK if outcome.failure is None else EXIT_FAILED


def _chosen(settings: Settings, name: str | None) -> Sequence[tuple[str, Target]]:
    """Return the target of that name, or all where none is given; the only one has no name."""
    if settings.config_file is None:
        if name is not None:
            raise UsageError("--target names a target of --config.file: give that too, or leave it out")
        return [("", settings.target)]
    from exporter.reload import choose  # noqa: PLC0415

    return choose(settings.config_file, name)


def doctor(settings: Settings, arguments: argparse.Namespace) -> int:
    """Write what is wrong; the exit code is that of a monitoring plugin."""
    from exporter.doctor import Report, examine  # noqa: PLC0415

    targets = _chosen(settings, arguments.target)
    report: Report | Rounds
    if len(targets) == 1:
        report = examine(targets[0][1], Clock.system())
    else:
        from exporter.rounds import examine_all  # noqa: PLC0415

        report = examine_all(targets, Clock.system())
    text = report.as_json() if arguments.json else report.as_text()
    write(f"{text}\n".encode(sys.stdout.encoding, "backslashreplace"))
    return report.severity


def demo(settings: Settings, arguments: argparse.Namespace) -> int:
    """Serve what a simulated LocalAI says, until a signal."""
    from exporter.simulator import Simulator, parse_scenario  # noqa: PLC0415

    stop = stop_on_signals()
    try:
        scenario = parse_scenario(_script(arguments.scenario))
    except UsageError as error:
        raise UsageError(f"--scenario: {error}") from None
    with Simulator(scenario) as localai:

        def announce(urls: Sequence[str]) -> None:
            text = (
                f"A simulated LocalAI answers at  {localai.url}/api/p2p\n"
                f"The exporter shows it at        {urls[0]}{settings.telemetry_path}\n"
                f"and on a page for people at     {urls[0]}/\n"
                "Ctrl-C ends both.\n"
            )
            write(text.encode())

        watched = settings.target._replace(url=localai.url)
        return _run(settings._replace(target=watched), stop, announce)


def _script(path: str | None) -> str:
    from importlib.resources import files  # noqa: PLC0415

    try:
        return (Path(path) if path else files("exporter.simulator") / "demo.scenario").read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--scenario: {path} cannot be read ({type(error).__name__})") from None


def healthcheck(settings: Settings, _: argparse.Namespace) -> int:
    """Ask the exporter that has these settings for its health."""
    from exporter.healthcheck import complaint  # noqa: PLC0415

    address = settings.health_address or settings.listen_addresses[0]
    found = complaint(address)
    if found:
        sys.stderr.write(f"{PROGRAM}: {address} is not healthy: {found}\n")
        return EXIT_FAILED
    return EXIT_OK


def completion(_: Settings, arguments: argparse.Namespace) -> int:
    """Write the script by which a shell completes what is typed, as docs/generate.py has made it."""
    from importlib.resources import files  # noqa: PLC0415

    if arguments.word not in SHELLS:
        raise UsageError(f"say for which shell: {', '.join(SHELLS)}")
    write((files("exporter") / "completion" / arguments.word).read_bytes())
    return EXIT_OK
