"""One text that the operator gave, for a flag or in a file, to its value; ValueError says what is wrong with it."""

import re
from collections.abc import Callable
from pathlib import Path

from exporter.files import named, read_file
from exporter.usage import UsageError


def count(text: str) -> int:
    """Read a whole number from 0 on."""
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise ValueError(f"{text!r} is no whole number from 0 on")
    return int(text)


def size(text: str) -> int:
    """Read a size in bytes: `512`, `512KiB`, `32MiB`, `1GiB`."""
    match = re.fullmatch(r"([0-9]{1,12})(B|KiB|MiB|GiB)?", text)
    if not match or int(match[1]) == 0:
        raise ValueError(f"{text!r} is no size: write it in bytes, or as 512KiB, 32MiB or 1GiB")
    return int(match[1]) * {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}[match[2] or "B"]


def switch(text: str) -> bool:
    """Read `true`, `false`, `1` or `0`."""
    if text.lower() not in ("true", "false", "1", "0"):
        raise ValueError(f"{text!r} is neither true nor false")
    return text.lower() in ("true", "1")


def readable_file(text: str) -> Path:
    """Read the path of a file, and see that it can be read."""
    return _readable(Path(text), text)


def secret_file(text: str) -> Path:
    """Read the path of a file that may hold a private key, and see that it can be read."""
    path = Path(text)
    return _readable(path, named(path))


def _readable(path: Path, place: str) -> Path:
    try:
        read_file(path, place)
    except UsageError as error:
        raise ValueError(str(error)) from None
    return path


def host_name(text: str) -> str:
    """Read the name of a host."""
    if not text.strip():
        raise ValueError("a host name is empty")
    return text


def page_path(text: str) -> str:
    """Read the path of a page."""
    if not re.fullmatch(r"/[A-Za-z0-9._~/-]+", text) or text.startswith(("/-/", "//")):
        raise ValueError(f"{text!r} is no path for metrics: it starts with one slash, not with /-/, and is more than /")
    return text


def one_of(*words: str) -> Callable[[str], str]:
    """Return what reads one of these words."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"{text!r} is none of {', '.join(words)}")
        return text

    return parse
