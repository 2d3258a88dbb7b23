import io
import json
import logging
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.log import JSONFormatter, LogfmtFormatter, about, configure, fields, origin
from exporter.shard import Shard

TIME = 1_795_348_800.25
STAMP = "2026-11-22T12:00:00.250Z"


@pytest.fixture(autouse=True)
def _untouched_logging() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("exporter", "urllib3")]
    before = [(one, one.level, one.propagate, list(one.handlers)) for one in loggers]
    yield
    for one, level, propagate, handlers in before:
        one.setLevel(level)
        one.propagate = propagate
        one.handlers = handlers


def record(message: str = "hello", level: int = logging.INFO, **values: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "exporter.x", "msg": message, "levelno": level} | fields(**values))
    made.created = TIME
    return made


def logfmt(message: str = "hello", level: int = logging.INFO, **values: object) -> str:
    return LogfmtFormatter().format(record(message, level, **values))


def int_or_canary(text: str) -> int:
    if not text.isdigit():
        raise ValueError("canary")
    return int(text)


def test_a_logfmt_line_has_time_level_message_and_fields_in_order() -> None:
    line = logfmt("LocalAI answers", nodes=6, source="p2p", p2p_enabled=True)
    assert line == f'time={STAMP} level=info msg="LocalAI answers" nodes=6 source=p2p p2p_enabled=true'


def test_what_a_thread_is_about_stands_in_each_of_its_lines() -> None:
    other: list[str] = []
    with about(target="home"):
        line = logfmt("poll failed", reason="dns")
        thread = threading.Thread(target=lambda: other.append(logfmt()))
        thread.start()
        thread.join()
    assert line == f'time={STAMP} level=info msg="poll failed" target=home reason=dns'
    assert [*other, logfmt()] == [f"time={STAMP} level=info msg=hello"] * 2


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("bare", "bare"),
        ("http://127.0.0.1:10040/metrics", "http://127.0.0.1:10040/metrics"),
        ("", '""'),
        ("two words", '"two words"'),
        ('a"b', r'"a\"b"'),
        ("a=b", '"a=b"'),
        (r"a\b", r'"a\\b"'),
        ("a\nlevel=error msg=forged", r'"a\nlevel=error msg=forged"'),
        ("a\rb", r'"a\rb"'),
        ("\x1b[2J", r'"\u001b[2J"'),
        ("\x9b2J", r'"\u009b2J"'),
        ("a\x00b", r'"a\u0000b"'),
        ("a\x7fb", r'"a\u007fb"'),
        ("a\u2028b", r'"a\u2028b"'),
        ("a\x85b", r'"a\u0085b"'),
        ("v4\u202e.9", r'"v4\u202e.9"'),
        ("a\u2066b\u2069", r'"a\u2066b\u2069"'),
        ("gpu\u200b-01", r'"gpu\u200b-01"'),
        ("\ufeffgpu", r'"\ufeffgpu"'),
        ("a\u3164b", r'"a\u3164b"'),
        ("Grüße", "Grüße"),
        (False, "false"),
        (0, "0"),
        (1.5, "1.5"),
    ],
)
def test_logfmt_quotes_what_would_not_be_read_back(value: object, written: str) -> None:
    assert logfmt(name=value) == f"time={STAMP} level=info msg=hello name={written}"


@given(st.text())
def test_no_text_breaks_out_of_its_line(text: str) -> None:
    line = logfmt(text, name=text, other="x")
    assert len(line.splitlines()) == 1
    assert line.startswith(f"time={STAMP} level=info msg=")
    assert line.endswith(" other=x")
    assert not any(character < " " or "\x80" <= character <= "\x9f" for character in line)


@given(st.text())
def test_a_json_line_is_one_object_that_reads_back(text: str) -> None:
    line = JSONFormatter().format(record(text, name=text, nodes=6, enabled=True))
    assert len(line.splitlines()) == 1
    assert json.loads(line) == {
        "time": STAMP,
        "level": "info",
        "msg": text,
        "name": text,
        "nodes": 6,
        "enabled": True,
    }


@pytest.mark.parametrize(("value", "text"), [(ValueError("x"), "x"), (Shard(0, 3), "0/3"), (Path("/x"), "/x")])
def test_json_has_what_is_neither_text_nor_number_as_logfmt_has_it(value: object, text: str) -> None:
    assert json.loads(JSONFormatter().format(record(at=value)))["at"] == text
    assert logfmt(at=value).endswith(f" at={text}")


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (logging.DEBUG, "debug"),
        (logging.INFO, "info"),
        (logging.WARNING, "warn"),
        (logging.ERROR, "error"),
        (logging.CRITICAL, "error"),
        (25, "info"),
    ],
)
def test_levels_are_named_as_exporters_name_them(number: int, name: str) -> None:
    assert f" level={name} " in logfmt(level=number)
    assert json.loads(JSONFormatter().format(record(level=number)))["level"] == name


def test_none_is_left_out_and_nothing_else_is() -> None:
    assert fields(version=None, nodes=0, name="", on=False) == {"fields": {"nodes": 0, "name": "", "on": False}}


def test_an_exception_shows_where_and_not_what() -> None:
    with pytest.raises(ValueError, match="Expecting") as caught:
        json.loads('["canary" \n canary')
    assert origin(caught.value) == f"decoder.py:{traceback.extract_tb(caught.value.__traceback__)[-1].lineno}"
    assert origin(ValueError("never raised")) == "an unknown place"


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["debug", "info", "warn", "error"]),
        ("info", ["info", "warn", "error"]),
        ("warn", ["warn", "error"]),
        ("error", ["error"]),
    ],
)
def test_configure_shows_from_its_level_on(level: str, shown: list[str]) -> None:
    stream = io.StringIO()
    configure(level, "json", stream)
    log = logging.getLogger("exporter.some.module")
    log.debug("x")
    log.info("x")
    log.warning("x")
    log.error("x")
    assert [json.loads(line)["level"] for line in stream.getvalue().splitlines()] == shown


def test_configure_writes_to_standard_error_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "logfmt")
    logging.getLogger("exporter.x").info("hello", extra=fields(nodes=6))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith(" level=info msg=hello nodes=6\n")


def test_configure_twice_writes_each_line_once() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure("info", "logfmt", first)
    configure("info", "logfmt", second)
    logging.getLogger("exporter").info("hello")
    assert first.getvalue() == ""
    assert second.getvalue().count("\n") == 1


def test_configure_leaves_other_programs_logging_alone() -> None:
    root, other = logging.getLogger(), logging.getLogger("some.other.library")
    before = [(one.level, list(one.handlers), one.propagate, one.disabled) for one in (root, other)]
    configure("debug", "logfmt", io.StringIO())
    assert [(one.level, list(one.handlers), one.propagate, one.disabled) for one in (root, other)] == before


def test_our_lines_do_not_reach_the_root_logger(caplog: pytest.LogCaptureFixture) -> None:
    configure("debug", "logfmt", io.StringIO())
    logging.getLogger("exporter.x").error("ours")
    assert caplog.messages == []


def test_what_urllib3_says_is_written_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    stream = io.StringIO()
    configure("debug", "logfmt", stream)
    caplog.set_level(logging.DEBUG)
    logging.getLogger("urllib3.connectionpool").error("http://user:canary@host/")
    assert stream.getvalue() == ""
    assert caplog.messages == []


def test_a_traceback_is_not_written() -> None:
    stream = io.StringIO()
    configure("debug", "logfmt", stream)
    try:
        int_or_canary("x")
    except ValueError:
        logging.getLogger("exporter.x").exception("failed")
    assert stream.getvalue().count("\n") == 1
    assert "canary" not in stream.getvalue()
