"""The commands: what each is called with, and what becomes of a call that is wrong."""

import argparse
import logging
import os
import re
import resource
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import NamedTuple, NoReturn

from exporter import __version__, commands
from exporter.arguments import add_flags, load_settings, unknown_variables
from exporter.commands import EXIT_FAILED, PROGRAM
from exporter.flags import LOOP_FREE, VARIABLE_PREFIX, known_flags
from exporter.log import configure, fields
from exporter.settings import Settings, concerns
from exporter.stdout import write
from exporter.usage import UsageError

_log = logging.getLogger(__name__)

EXIT_USAGE = 2
EXIT_UNKNOWN = 3
"""What a monitoring plugin ends with when it was called wrongly (Monitoring Plugins Development Guidelines)."""
EXIT_INTERRUPTED = 128 + signal.SIGINT
"""As shells name the end by a signal."""


class Option(NamedTuple):
    """What one command alone is told, and no variable says.

    Attributes:
        name: without the two dashes.
        text: one sentence.
        metavar: what stands for the value; empty where it takes none.
    """

    name: str
    text: str
    metavar: str = ""


class Command(NamedTuple):
    """One command.

    Attributes:
        text: what it does, in a line.
        run: does it, and returns the exit code.
        flags: beginnings of the names of the flags that it knows.
        options: what it can be told besides.
        words: one of which may follow it.
        defaults: variables that hold where the environment has none of that name.
        usage_exit: the exit code where it was called wrongly.
        warns: whether it warns of what a careful operator would want to be told.
    """

    text: str
    run: Callable[[Settings, argparse.Namespace], int]
    flags: Sequence[str] = ("",)
    options: Sequence[Option] = ()
    words: Sequence[str] = ()
    defaults: Mapping[str, str] = MappingProxyType({})
    usage_exit: int = EXIT_USAGE
    warns: bool = True


COMMANDS = {
    "serve": Command(
        "Poll LocalAI and serve its metrics (the default).",
        commands.serve,
        options=(Option("config.check", "Say what is wrong with the file of --config.file; exit 0 or 1."),),
    ),
    "once": Command(
        "Poll once and print the metrics; exit 1 unless LocalAI was understood.",
        commands.once,
        LOOP_FREE,
        (
            Option("target", "Poll this target of --config.file.", "NAME"),
            Option(
                "output", "Write into this file, whole or not at all, for node_exporter's textfile collector.", "FILE"
            ),
        ),
    ),
    "doctor": Command(
        "Say what is wrong between here and LocalAI, and what to do; exit 0, 1 or 2 as plugins do.",
        commands.doctor,
        LOOP_FREE,
        (
            Option("target", "Look at this target of --config.file alone.", "NAME"),
            Option("json", "Print the findings as JSON."),
        ),
        usage_exit=EXIT_UNKNOWN,
    ),
    "demo": Command(
        "Serve the metrics of simulated clusters that live, of P2P and of distributed mode, for a first look.",
        commands.demo,
        ("poll.", "node.", "expect.", "collector.", "web.", "log."),
        (Option("scenario", "Play this script instead of the built-in one.", "FILE"),),
        defaults={
            f"{VARIABLE_PREFIX}WEB_LISTEN_ADDRESS": "127.0.0.1:10040",
            f"{VARIABLE_PREFIX}POLL_INTERVAL": "5s",
            f"{VARIABLE_PREFIX}COLLECTOR_DISTRIBUTED": "true",
        },
    ),
    "healthcheck": Command(
        "Ask a running exporter on this machine whether it is healthy; exit 0 or 1.",
        commands.healthcheck,
        ("web.", "log."),
        warns=False,
    ),
    "completion": Command(
        f"Print the script by which a shell completes these commands and flags: {', '.join(commands.SHELLS)}.",
        commands.completion,
        (),
        words=commands.SHELLS,
        warns=False,
    ),
}


_FLAG = re.compile(r"--[a-z][a-z.-]*|-[a-z]")


class _Parser(argparse.ArgumentParser):
    def __init__(self, name: str, command: Command) -> None:
        word = f" [{'|'.join(command.words)}]" if command.words else ""
        super().__init__(
            prog=PROGRAM,
            usage=f"{PROGRAM} {name}{word} [flags]",
            # Its formatter is made anew for each flag, and would each time look how wide the terminal is.
            formatter_class=partial(argparse.HelpFormatter, width=80),
            allow_abbrev=False,
            exit_on_error=False,
        )
        self._command = command
        self.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
        if command.words:
            self.add_argument("word", nargs="?")
        for option in command.options:
            self.add_argument(f"--{option.name}", action="store" if option.metavar else "store_true")
        add_flags(self, command.flags)

    def format_help(self) -> str:
        """Return the page of `--help`."""
        from exporter.manual import NOTES, Entry, flag_sections, page  # noqa: PLC0415

        command = self._command
        own = [Entry(f"--{one.name} {one.metavar}".rstrip(), one.text) for one in command.options]
        own += [Entry("--help", "Print this page."), Entry("--version", "Print the version.")]
        flags = dict(flag_sections(known_flags(command.flags), command.defaults))
        sections = {
            "Commands": [Entry(name, one.text) for name, one in COMMANDS.items()],
            "What has no variable": own,
            **flags,
        }
        head = (self.format_usage().rstrip(), command.text)
        return page(head, sections, [NOTES] if flags else [], shutil.get_terminal_size().columns)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """End after `--help` or `--version`, once what they wrote has gone out."""
        write(b"")
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
        parsed = _Parser(name, command).parse_all(words)
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
