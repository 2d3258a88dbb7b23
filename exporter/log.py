"""Log lines in logfmt or JSON, on the standard library's logging."""

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from exporter.plain import plain

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_NAMES = {number: name for name, number in _LEVELS.items()} | {logging.CRITICAL: "error"}
_BARE = re.compile(r"[^\s\"=]+")


def fields(**values: object) -> dict[str, Any]:
    """Return the `extra` of a logging call that gives the line these fields; None is left out."""
    return {"fields": {name: value for name, value in values.items() if value is not None}}


_about: ContextVar[Mapping[str, object]] = ContextVar("about")


@contextmanager
def about(**values: object) -> Iterator[None]:
    """Give every line that this thread writes in the block these fields, before its own."""
    token = _about.set(values)
    try:
        yield
    finally:
        _about.reset(token)


def origin(error: BaseException) -> str:
    """Say where an exception was raised, as `file:line`: all of a traceback that cannot hold a secret."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"


def _line(record: logging.LogRecord) -> Mapping[str, object]:
    moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "time": moment,
        "level": _NAMES.get(record.levelno, "info"),
        "msg": record.getMessage(),
        **_about.get({}),
        **getattr(record, "fields", {}),
    }


def _logfmt(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    # JSON's quoting: a line break or a terminal's escape sequence in a name cannot forge a second line.
    return text if _BARE.fullmatch(text) and plain(text) == text else json.dumps(text)


class LogfmtFormatter(logging.Formatter):
    """`time=2026-11-22T21:06:12.250Z level=info msg="LocalAI answers" nodes=6`."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        return " ".join(f"{name}={_logfmt(value)}" for name, value in _line(record).items())


class JSONFormatter(logging.Formatter):
    """The same fields as one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        # A value of several parts has one text, which JSON would not ask for: it makes a list of a named tuple.
        line = _line(record).items()
        return json.dumps({name: value if isinstance(value, str | int | float) else str(value) for name, value in line})


def configure(level: str, style: str, stream: TextIO | None = None) -> None:
    """Send this program's log lines to `stream`, standard error by default.

    Args:
        level: `debug`, `info`, `warn` or `error`.
        style: `logfmt` or `json`.
        stream: where they go.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JSONFormatter() if style == "json" else LogfmtFormatter())
    program = logging.getLogger("exporter")
    program.handlers = [handler]
    program.setLevel(_LEVELS[level])
    program.propagate = False
    # The libraries log URLs and headers as they meet them; what matters of that is in our own lines.
    logging.getLogger("urllib3").addHandler(logging.NullHandler())
    logging.getLogger("urllib3").propagate = False
