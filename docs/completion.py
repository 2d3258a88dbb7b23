"""Writes the scripts by which shells complete the commands and their flags, out of the tables of both: `./run docs`."""

import argparse
from pathlib import Path

import shtab

from exporter import __version__
from exporter.cli import COMMANDS, Command, Option
from exporter.commands import PROGRAM, SHELLS
from exporter.flags import Flag, known_flags

FOLDER = Path(__file__).parents[1] / "exporter" / "completion"


def _add_flag(parser: argparse.ArgumentParser, flag: Flag | Option) -> None:
    if not flag.metavar:
        parser.add_argument(f"--{flag.name}", action="store_true", help=flag.text)
        return
    choices = flag.choices if isinstance(flag, Flag) else ()
    action = parser.add_argument(f"--{flag.name}", help=flag.text, metavar=flag.metavar, choices=choices or None)
    if flag.metavar == "FILE":
        action.complete = shtab.FILE  # type: ignore[attr-defined]


def _add(parser: argparse.ArgumentParser, command: Command) -> None:
    parser.add_argument("--version", action="version", version=__version__, help="Print the version.")
    for option in command.options:
        _add_flag(parser, option)
    for flag in known_flags(command.flags):
        _add_flag(parser, flag)
    if command.words:
        parser.add_argument("word", choices=command.words)


def script(shell: str) -> str:
    """Return the script for a shell."""
    parser = argparse.ArgumentParser(PROGRAM)
    _add(parser, COMMANDS["serve"])
    commands = parser.add_subparsers()
    for name, command in COMMANDS.items():
        _add(commands.add_parser(name, help=command.text), command)
    return shtab.complete(parser, shell)


if __name__ == "__main__":
    for shell in SHELLS:
        (FOLDER / shell).write_text(script(shell), "utf-8")
