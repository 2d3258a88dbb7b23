"""The commands: what each is called with, what it does, and how it ends.

A command imports its own parts when it is run: a start waits for nothing that another command is made of.
"""

import argparse
import gc
import logging
import os
import re
import resource
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from types import FrameType, MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from exporter import __version__
from exporter.clock import Clock
from exporter.errors import NO_THREAD, UsageError
from exporter.flags import LOOP_FREE, VARIABLE_PREFIX, add_flags, load_settings, unknown_variables
from exporter.listen import systemd_sockets
from exporter.loading import lasting
from exporter.log import configure, fields
from exporter.settings import Settings, Target, concerns

if TYPE_CHECKING:
    from exporter.rounds import Rounds

_log = logging.getLogger(__name__)

PROGRAM = "localai-p2p-exporter"

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_UNKNOWN = 3
"""What a monitoring plugin ends with when it was called wrongly (Monitoring Plugins Development Guidelines)."""
EXIT_INTERRUPTED = 128 + signal.SIGINT
EXIT_TERMINATED = 128 + signal.SIGTERM
"""As shells name the end by a signal."""

_TURN_SECONDS = 0.0001
"""How long a thread keeps the interpreter while others want it. A scrape gives it away and wants it back a dozen times,
and would wait for it 5 ms each time, Python's default, while the loop makes use of LocalAI's answer."""


def _print(text: bytes) -> None:
    """Write to standard output, here, where a reader that has gone is expected, and not on Python's way out.

    Raises:
        BrokenPipeError: whoever read has gone.
        UsageError: it cannot be written.
    """
    try:
        sys.stdout.buffer.write(text)
        sys.stdout.flush()
    except OSError as error:
        # What Python would write on its way out goes nowhere either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        raise UsageError(f"standard output cannot be written ({error.strerror})") from None


def _serve(settings: Settings, arguments: argparse.Namespace) -> int:
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
    _print(f"{settings.config_file} is right, targets{of}: {targets}\n".encode())
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


def _once(settings: Settings, arguments: argparse.Namespace) -> int:
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
        _print(body)
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


def _doctor(settings: Settings, arguments: argparse.Namespace) -> int:
    from exporter import doctor  # noqa: PLC0415

    targets = _chosen(settings, arguments.target)
    report: doctor.Report | Rounds
    if len(targets) == 1:
        report = doctor.examine(targets[0][1], Clock.system())
    else:
        from exporter.rounds import examine_all  # noqa: PLC0415

        report = examine_all(targets, Clock.system())
    text = report.as_json() if arguments.json else report.as_text()
    _print(f"{text}\n".encode(sys.stdout.encoding, "backslashreplace"))
    return report.severity


def _demo(settings: Settings, arguments: argparse.Namespace) -> int:
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
                "Ctrl-C ends both.\n"
            )
            _print(text.encode())

        watched = replace(settings.target, url=localai.url)
        return _run(replace(settings, target=watched), stop, announce)


def _script(path: str | None) -> str:
    from importlib.resources import files  # noqa: PLC0415

    try:
        return (Path(path) if path else files("exporter.simulator") / "demo.scenario").read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--scenario: {path} cannot be read ({type(error).__name__})") from None


def _healthcheck(settings: Settings, _: argparse.Namespace) -> int:
    from exporter import healthcheck  # noqa: PLC0415

    address = settings.health_address or settings.listen_addresses[0]
    complaint = healthcheck.complaint(address)
    if complaint:
        sys.stderr.write(f"{PROGRAM}: {address} is not healthy: {complaint}\n")
        return EXIT_FAILED
    return EXIT_OK


def _add_once(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--target", metavar="NAME", help="Poll this target of --config.file.")
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="Write into this file, whole or not at all, for node_exporter's textfile collector.",
    )


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--target", metavar="NAME", help="Look at this target of --config.file alone.")
    parser.add_argument("--json", action="store_true", help="Print the findings as JSON.")


class _Command(NamedTuple):
    """One command.

    Attributes:
        text: what it does, in a line.
        run: does it, and returns the exit code.
        flags: beginnings of the names of the flags that it knows.
        more: adds the flags that are its own.
        defaults: variables that hold where the environment has none of that name.
        usage_exit: the exit code where it was called wrongly.
        warns: whether it warns of what a careful operator would want to be told.
    """

    text: str
    run: Callable[[Settings, argparse.Namespace], int]
    flags: Sequence[str] = ("",)
    more: Callable[[argparse.ArgumentParser], object] = lambda _: None
    defaults: Mapping[str, str] = MappingProxyType({})
    usage_exit: int = EXIT_USAGE
    warns: bool = True


COMMANDS = {
    "serve": _Command(
        "Poll LocalAI and serve its metrics (the default).",
        _serve,
        more=lambda parser: parser.add_argument(
            "--config.check", action="store_true", help="Say what is wrong with the file of --config.file; exit 0 or 1."
        ),
    ),
    "once": _Command(
        "Poll once and print the metrics; exit 1 unless LocalAI was understood.",
        _once,
        LOOP_FREE,
        _add_once,
    ),
    "doctor": _Command(
        "Say what is wrong between here and LocalAI, and what to do; exit 0, 1 or 2 as plugins do.",
        _doctor,
        LOOP_FREE,
        _add_doctor,
        usage_exit=EXIT_UNKNOWN,
    ),
    "demo": _Command(
        "Serve the metrics of a simulated cluster that lives, for a first look.",
        _demo,
        ("poll.", "node.", "expect.", "collector.", "web.", "log."),
        lambda parser: parser.add_argument(
            "--scenario", metavar="FILE", help="Play this script instead of the built-in one."
        ),
        {f"{VARIABLE_PREFIX}WEB_LISTEN_ADDRESS": "127.0.0.1:10040", f"{VARIABLE_PREFIX}POLL_INTERVAL": "5s"},
    ),
    "healthcheck": _Command(
        "Ask a running exporter on this machine whether it is healthy; exit 0 or 1.",
        _healthcheck,
        ("web.", "log."),
        warns=False,
    ),
}


_FLAG = re.compile(r"--[a-z][a-z.-]*|-[a-z]")


class _Parser(argparse.ArgumentParser):
    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """End after `--help` or `--version`, once what they wrote has gone out."""
        _print(b"")
        super().exit(status, message)

    def parse_all(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse every word; what is unknown is named without its value, which could be a key."""
        try:
            parsed, unknown = self.parse_known_args(words)
        except argparse.ArgumentError as error:
            # Its other text repeats the value.
            wanted = "expected one argument"
            said = wanted if error.message == wanted else "this flag takes no value"
            raise UsageError(f"argument {error.argument_name}: {said}") from None
        if unknown:
            names = (word.partition("=")[0] for word in unknown)
            flags = [name for name in names if _FLAG.fullmatch(name)]
            named = f"unknown: {', '.join(flags)}" if flags else "a word that belongs to no flag"
            raise UsageError(f"{named}. See --help; LocalAI's API key goes into --localai.api-key-file")
        return parsed


def _parser(name: str, command: _Command) -> _Parser:
    listing = "\n".join(f"  {other:<13}{COMMANDS[other].text}" for other in COMMANDS)
    parser = _Parser(
        prog=f"{PROGRAM} {name}",
        usage=f"{PROGRAM} [{'|'.join(COMMANDS)}] [flags]",
        description=f"{command.text}\n\ncommands:\n{listing}",
        epilog="Each flag has the variable that stands behind it; the flag goes first where both are given.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        exit_on_error=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    command.more(parser)
    add_flags(parser, command.flags)
    return parser


def _leave_no_core() -> None:
    # A core would hold the API key. One byte is too few for a file, and unlike 0 it also tells Linux (do_coredump in
    # fs/coredump.c) not to hand the core to a program that core_pattern names.
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (1 if hard else 0, hard))


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Run a command and return its exit code.

    Args:
        arguments: the command line without the program's name; the process' own by default.
        environ: the environment's variables; the process' own by default.
    """
    _leave_no_core()
    words = list(sys.argv[1:] if arguments is None else arguments)
    environ = os.environ if environ is None else environ
    name = words.pop(0) if words and not words[0].startswith("-") else "serve"
    command = COMMANDS.get(name)
    if command is None:
        sys.stderr.write(f"{PROGRAM}: there is no such command: the commands are {', '.join(COMMANDS)}\n")
        return EXIT_USAGE
    try:
        parsed = _parser(name, command).parse_all(words)
        # An empty variable is an absent one.
        given = {**command.defaults, **{variable: text for variable, text in environ.items() if text}}
        settings = load_settings(vars(parsed), given, command.flags)
        configure(settings.log_level, settings.log_format)
        if command.warns:
            for variable in unknown_variables(environ):
                _log.warning("this variable is none of the exporter's", extra=fields(variable=variable))
            for concern in concerns(settings.target):
                _log.warning(concern)
        return command.run(settings, parsed)
    except UsageError as error:
        sys.stderr.write(f"{PROGRAM}: {error}\n")
        return command.usage_exit
    except BrokenPipeError:
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
