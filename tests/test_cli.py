import http.client
import json
import os
import platform
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.processes import (
    PATIENCE_SECONDS,
    Served,
    command,
    environment,
    nobody,
    recorded,
    replaying,
    response,
    run,
    serving,
    silence,
)

from exporter import __version__
from exporter.cli import COMMANDS
from exporter.commands import stop_on_signals
from exporter.usage import NO_THREAD, UsageError

CANARY = "sk-canary-7f3a"

SEE_HELP = "See --help; LocalAI's API key goes into --localai.api-key-file"
COMMAND_LIST = "the commands are serve, once, doctor, demo, healthcheck, completion"

STOP_SECONDS = 2.0
"""What a supervisor is promised."""


@pytest.fixture
def cluster_url() -> Iterator[str]:
    with replaying(recorded("v4.7.1/cluster")) as peer:
        yield peer.url


def samples(exposition: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return every sample of a page in the text format, which must be one."""
    found = {}
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found
            found[key] = sample.value
    return found


def value(exposition: str, name: str, **labels: str) -> float | None:
    return samples(exposition).get((name, frozenset(labels.items())))


def get(url: str) -> tuple[int, str]:
    host = url.removeprefix("http://").partition("/")[0]
    connection = http.client.HTTPConnection(host, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", url.removeprefix(f"http://{host}"))
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def stopped(served: Served, number: signal.Signals = signal.SIGTERM, pid: int | None = None) -> str:
    """Send a signal, see it end in time with 0, and return everything that it wrote."""
    began = time.monotonic()
    os.kill(pid or served.process.pid, number)
    written = served.finish()
    assert time.monotonic() - began < STOP_SECONDS
    assert served.process.returncode == 0
    assert "Traceback" not in written
    return written


# What it is called with


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"localai-p2p-exporter {__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "name"),
    [(("--help",), "serve"), (("-h",), "serve"), (("doctor", "--help"), "doctor")],
    ids=["long", "short", "command"],
)
def test_help(arguments: tuple[str, ...], name: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    usage, text, _ = done.stdout.split("\n\n", 2)
    assert usage == f"usage: localai-p2p-exporter {name} [flags]"
    assert " ".join(text.split()) == COMMANDS[name].text
    assert "\n  --localai.url URL\n" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "variables", "code", "text"),
    [
        pytest.param(("sevre",), {}, 2, f"there is no such command: {COMMAND_LIST}", id="command"),
        pytest.param(("--nope",), {}, 2, f"unknown: --nope. {SEE_HELP}", id="flag"),
        pytest.param(("serve", "--nope"), {}, 2, f"unknown: --nope. {SEE_HELP}", id="serve-flag"),
        pytest.param(("once", "--nope"), {}, 2, f"unknown: --nope. {SEE_HELP}", id="once-flag"),
        pytest.param(("doctor", "--nope"), {}, 3, f"unknown: --nope. {SEE_HELP}", id="doctor-flag"),
        pytest.param(("serve", "more"), {}, 2, f"a word that belongs to no flag. {SEE_HELP}", id="word"),
        pytest.param(("--localai.ur=http://x",), {}, 2, f"unknown: --localai.ur. {SEE_HELP}", id="abbreviation"),
        pytest.param(
            (f"--localai.api-key={CANARY}",), {}, 2, f"unknown: --localai.api-key. {SEE_HELP}", id="key-as-flag"
        ),
        pytest.param(
            ("--localai.api-key-file", CANARY),
            {},
            2,
            "--localai.api-key-file: the file cannot be read (FileNotFoundError)",
            id="key-as-file",
        ),
        pytest.param(("--log.level",), {}, 2, "argument --log.level: expected one argument", id="no-value"),
        pytest.param(
            (f"--localai.tls-insecure={CANARY}",),
            {},
            2,
            "argument --localai.tls-insecure: this flag takes no value",
            id="value-of-a-switch",
        ),
        pytest.param(
            ("doctor", f"--json={CANARY}"), {}, 3, "argument --json: this flag takes no value", id="value-of-json"
        ),
        pytest.param(("--localai.api-key", f"-{CANARY}"), {}, 2, f"unknown: --localai.api-key. {SEE_HELP}", id="dash"),
        pytest.param((f"-{CANARY}",), {}, 2, f"a word that belongs to no flag. {SEE_HELP}", id="word-with-a-dash"),
        pytest.param(
            ("--log.level=loud",), {}, 2, "--log.level: 'loud' is none of debug, info, warn, error", id="value"
        ),
        pytest.param(
            ("doctor",),
            {"P2P_EXPORTER_LOG_LEVEL": "loud"},
            3,
            "P2P_EXPORTER_LOG_LEVEL: 'loud' is none of debug, info, warn, error",
            id="doctor-variable",
        ),
        pytest.param(
            ("once",),
            {"LOCALAI_API_KEY": f"{CANARY},b"},
            2,
            "LOCALAI_API_KEY holds a comma: LocalAI reads a list of keys from a variable of that name; "
            "give the exporter one",
            id="key",
        ),
        pytest.param(
            ("once", "--localai.url=https://localhost", f"--localai.tls-ca-file={__file__}"),
            {},
            2,
            "--localai.tls-ca-file, --localai.tls-cert-file and --localai.tls-key-file must be PEM files that fit "
            "together, the key without a passphrase",
            id="no-PEM",
        ),
    ],
)
def test_a_wrong_call_ends_with_words_and_a_code(
    arguments: tuple[str, ...], variables: dict[str, str], code: int, text: str
) -> None:
    done = run(*arguments, variables=variables)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", f"localai-p2p-exporter: {text}\n")


def test_a_variable_that_nobody_knows_is_warned_of(cluster_url: str) -> None:
    variables = {"P2P_EXPORTER_LOCALAI_ULR": "http://x", "LOCALAI_URL": cluster_url}
    done = run("once", variables=variables)
    assert done.returncode == 0
    warnings = [line for line in done.stderr.splitlines() if " level=warn " in line]
    assert [line.partition(" level=warn ")[2] for line in warnings] == [
        'msg="this variable is none of the exporter\'s" variable=P2P_EXPORTER_LOCALAI_ULR'
    ]


def test_a_careless_setting_is_warned_of(cluster_url: str) -> None:
    done = run("once", "--localai.url", cluster_url, "--localai.tls-insecure", "--log.level", "warn")
    assert done.returncode == 0
    assert done.stderr.partition(" level=")[2] == (
        'warn msg="LocalAI\'s certificate is not checked: whoever stands between can read the API key"\n'
    )


# once


def test_once_prints_what_localai_says(cluster_url: str) -> None:
    done = run("once", "--localai.url", cluster_url)
    assert done.returncode == 0
    assert value(done.stdout, "localai_p2p_up") == 1
    assert value(done.stdout, "localai_p2p_enabled") == 1
    assert value(done.stdout, "localai_p2p_nodes_online", role="worker", backend="llama_cpp") == 3
    assert value(done.stdout, "localai_p2p_nodes_online", role="worker", backend="mlx") == 1
    assert value(done.stdout, "localai_p2p_nodes_online", role="federated", backend="") == 2
    assert value(done.stdout, "localai_p2p_exporter_api_info", generation="3", source="workers+federation+stats") == 1
    names = {name for name, _ in samples(done.stdout)}
    assert "localai_p2p_node_last_seen_age_seconds" in names
    assert all(name.startswith("localai_p2p_") for name in names)
    assert not any(name.endswith("_created") for name in names)
    (line,) = done.stderr.splitlines()
    assert 'level=info msg="LocalAI answers" source=workers+federation+stats generation=3' in line


def test_once_without_localai_says_so() -> None:
    with nobody() as url:
        done = run("once", "--localai.url", url)
    assert done.returncode == 1
    assert value(done.stdout, "localai_p2p_up") == 0
    assert value(done.stdout, "localai_p2p_exporter_poll_failures_total", reason="connect") == 1
    names = {name for name, _ in samples(done.stdout)}
    assert not any(name.startswith("localai_p2p_node") for name in names)
    (line,) = done.stderr.splitlines()
    assert 'level=warn msg="poll failed" reason=connect' in line


def test_once_writes_a_file_for_the_textfile_collector(cluster_url: str, tmp_path: Path) -> None:
    path = tmp_path / "p2p.prom"
    done = run("once", "--localai.url", cluster_url, "--output", str(path))
    assert (done.returncode, done.stdout) == (0, "")
    assert [entry.name for entry in tmp_path.iterdir()] == ["p2p.prom"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    written = path.read_text("utf-8")
    assert value(written, "localai_p2p_up") == 1
    names = {name for name, _ in samples(written)}
    assert "localai_p2p_node_last_seen_timestamp_seconds" in names
    assert not any(name.endswith("_age_seconds") for name in names)
    assert all(name.startswith("localai_p2p_") for name in names)


def test_once_writes_the_file_also_without_localai(tmp_path: Path) -> None:
    path = tmp_path / "p2p.prom"
    path.write_text("localai_p2p_up 1.0\n")
    with nobody() as url:
        done = run("once", "--localai.url", url, "--output", str(path))
    assert (done.returncode, done.stdout) == (1, "")
    assert value(path.read_text("utf-8"), "localai_p2p_up") == 0


@pytest.mark.parametrize("target", ["missing/p2p.prom", "file/p2p.prom", "pipe", "link"])
def test_once_that_cannot_write_says_so(cluster_url: str, tmp_path: Path, target: str) -> None:
    (tmp_path / "file").write_text("x")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    path = tmp_path / target
    done = run("once", "--localai.url", cluster_url, "--output", str(path), "--log.level", "error")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(rf"localai-p2p-exporter: --output: {path} .+\n", done.stderr)
    assert (tmp_path / "pipe").is_fifo()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "link", "pipe"]


@pytest.mark.parametrize("name", ["once", "doctor"])
def test_a_reader_that_has_gone_is_no_traceback(cluster_url: str, name: str) -> None:
    # As in `once | head -1`, for certain: nobody reads any more when it writes.
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as out:
        done = run(name, "--localai.url", cluster_url, "--log.level", "error", stdout=out)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("once",), 2), (("doctor",), 3), (("doctor", "--json"), 3), (("--help",), 2), (("doctor", "--version"), 3)],
    ids=["once", "doctor", "json", "help", "version"],
)
def test_output_that_cannot_be_written_is_said_in_a_line(
    cluster_url: str, arguments: tuple[str, ...], code: int
) -> None:
    with Path("/dev/full").open("wb") as out:
        done = run(*arguments, variables={"LOCALAI_URL": cluster_url, "P2P_EXPORTER_LOG_LEVEL": "error"}, stdout=out)
    said = "localai-p2p-exporter: standard output cannot be written (No space left on device)\n"
    assert (done.returncode, done.stderr) == (code, said)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_knows_few_characters_is_shown_the_others_escaped(encoding: str) -> None:
    answers = recorded("v3.6.0/cluster") | {"/version": response('{"version": "v3.6.0 世界"}')}
    with replaying(answers) as peer:
        done = run("doctor", variables={"LOCALAI_URL": peer.url, "PYTHONIOENCODING": encoding})
    assert (done.returncode, done.stderr) == (1, "")
    assert r"LocalAI v3.6.0 \u4e16\u754c, API" in done.stdout


def test_the_first_line_is_enough_for_a_reader(cluster_url: str) -> None:
    line = " ".join([*command("once"), "--log.level error | head -n 1"])
    done = subprocess.run(
        ["sh", "-c", line],
        env=environment({"LOCALAI_URL": cluster_url}),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"# HELP localai_p2p_\w+ .+\n", done.stdout)


@pytest.mark.parametrize(
    ("name", "number", "code"),
    [("once", signal.SIGINT, 130), ("doctor", signal.SIGINT, 130), ("once", signal.SIGTERM, 143)],
)
def test_a_signal_ends_a_poll_that_hangs_without_a_traceback(name: str, number: signal.Signals, code: int) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as localai,
        subprocess.Popen(
            command(name, "--localai.url", f"http://127.0.0.1:{localai.getsockname()[1]}"),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        localai.settimeout(PATIENCE_SECONDS)
        connection, _ = localai.accept()
        with connection:
            assert connection.recv(65_536).startswith(b"GET ")
            process.send_signal(number)
            out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, out, err) == (code, b"", b"")


# serve


def test_serve_shows_localai(cluster_url: str) -> None:
    with serving("--localai.url", cluster_url) as served:
        line = served.log_until("LocalAI answers")
        assert re.fullmatch(
            r'time=\S+Z level=info msg="LocalAI answers" source=workers\+federation\+stats generation=3 '
            r'version="v4\.7\.1 \(\)" p2p_enabled=true nodes=6 nodes_online=6\n',
            line,
        )
        status, page = get(f"{served.url}/metrics")
        assert status == 200
        assert value(page, "localai_p2p_up") == 1
        assert value(page, "localai_p2p_nodes_online", role="worker", backend="llama_cpp") == 3
        names = {name for name, _ in samples(page)}
        assert {"process_cpu_seconds_total", "python_info"} <= names
        assert not any(name.endswith("_created") for name in names)
        status, landing = get(f"{served.url}/")
        assert status == 200
        assert 'href="./metrics"' in landing
        assert get(f"{served.url}/nothing-here")[0] == 404
        written = stopped(served)
    assert re.match(
        rf"time=\S+Z level=info msg=serving urls={served.url} metrics=/metrics localai={cluster_url}\n", written
    )
    assert re.search(r"time=\S+Z level=info msg=stopped\n$", written)


def test_serve_is_healthy_and_ready_while_localai_is_down() -> None:
    with nobody() as url, serving("--localai.url", url) as served:
        served.log_until("poll failed")
        assert get(f"{served.url}/-/healthy") == (200, "Healthy.\n")
        assert get(f"{served.url}/-/ready") == (200, "Ready.\n")
        status, page = get(f"{served.url}/metrics")
        assert status == 200
        assert value(page, "localai_p2p_up") == 0
        stopped(served)


def test_serve_is_healthy_and_not_ready_while_the_first_poll_hangs() -> None:
    with silence() as url, serving("--localai.url", url) as served:
        assert get(f"{served.url}/-/healthy") == (200, "Healthy.\n")
        assert get(f"{served.url}/-/ready") == (503, "The first poll has not ended yet.\n")
        status, page = get(f"{served.url}/metrics")
        assert status == 200
        assert value(page, "localai_p2p_up") is None
        assert (
            value(page, "localai_p2p_exporter_build_info", version=__version__, python=platform.python_version()) == 1
        )
        stopped(served)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("localai", [nobody, silence], ids=["localai-down", "localai-hangs"])
def test_serve_ends_in_time(localai: Callable[[], AbstractContextManager[str]], number: signal.Signals) -> None:
    with localai() as url, serving("--localai.url", url) as served:
        assert get(f"{served.url}/-/healthy")[0] == 200
        assert "msg=stopped" in stopped(served, number)


def test_clients_that_wait_do_not_hold_the_end_up(cluster_url: str) -> None:
    with serving("--localai.url", cluster_url) as served:
        host, _, port = served.url.removeprefix("http://").partition(":")
        idle = [socket.create_connection((host, int(port)), 5) for _ in range(20)]
        for sock in idle[:10]:
            sock.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n")
            assert sock.recv(12) == b"HTTP/1.1 200"
        idle[10].sendall(b"GET /")
        assert "msg=stopped" in stopped(served)
        for sock in idle:
            sock.close()


def test_serve_handles_both_signals_itself(cluster_url: str) -> None:
    # A process with the id 1 ignores a signal that it has no handler of its own for.
    with serving("--localai.url", cluster_url) as served:
        status = Path(f"/proc/{served.process.pid}/status").read_text()
        caught = re.search(r"^SigCgt:\s+([0-9a-f]+)$", status, re.MULTILINE)
        assert caught
        mask = int(caught[1], 16)
        assert all(mask >> (number - 1) & 1 for number in (signal.SIGTERM, signal.SIGINT))
        stopped(served, signal.SIGTERM)


UNSHARE = ("unshare", "--pid", "--fork")

# Where no process may have an id space of its own, as in a container without privileges, the test above has to do.
if subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0:

    def test_serve_ends_in_time_as_the_process_with_the_id_1(cluster_url: str) -> None:
        with serving("--localai.url", cluster_url, under=UNSHARE) as served:
            outer = served.process.pid
            (child,) = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()
            ids = re.search(r"^NSpid:\s+(.+)$", Path(f"/proc/{child}/status").read_text(), re.MULTILINE)
            assert ids
            assert ids[1].split()[-1] == "1"
            assert "msg=stopped" in stopped(served, pid=int(child))


def test_a_signal_to_reload_is_answered_in_the_log_and_ends_nothing(cluster_url: str) -> None:
    with serving("--localai.url", cluster_url) as served:
        served.log_until("LocalAI answers")
        os.kill(served.process.pid, signal.SIGHUP)
        line = served.log_until("SIGHUP")
        assert " level=info " in line
        assert "the web configuration are read anyway" in line
        assert get(f"{served.url}/-/healthy")[0] == 200
        stopped(served)


def test_a_second_signal_changes_nothing(cluster_url: str) -> None:
    with serving("--localai.url", cluster_url) as served:
        os.kill(served.process.pid, signal.SIGINT)
        assert "msg=stopped" in stopped(served, signal.SIGINT)


@pytest.mark.parametrize("arguments", [(), ("serve",)], ids=["by-default", "serve"])
def test_an_address_in_use_is_said(arguments: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        # The first address is free: its server must not keep the program alive.
        done = run(*arguments, "--web.listen-address", "127.0.0.1:0", "--web.listen-address", address)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"localai-p2p-exporter: --web.listen-address {address}: nothing can listen there (EADDRINUSE)\n"
    )


def test_serve_as_it_was_told(cluster_url: str) -> None:
    variables = {
        "P2P_EXPORTER_LOG_FORMAT": "json",
        "P2P_EXPORTER_WEB_TELEMETRY_PATH": "/p2p/metrics",
        "P2P_EXPORTER_WEB_DISABLE_EXPORTER_METRICS": "true",
        "LOCALAI_URL": cluster_url,
    }
    with serving("--web.listen-address", "127.0.0.1:0", variables=variables) as served:
        served.log_until("LocalAI answers")
        urls = json.loads(served.lines[0])["urls"].split()
        assert len(set(urls)) == 2
        for url in urls:
            status, page = get(f"{url}/p2p/metrics")
            assert status == 200
            assert value(page, "localai_p2p_up") == 1
            assert all(name.startswith("localai_p2p_") for name, _ in samples(page))
            assert get(f"{url}/metrics")[0] == 404
        lines = [json.loads(line) for line in stopped(served).splitlines()]
    assert [line["msg"] for line in lines] == ["serving", "LocalAI answers", "stopped"]
    assert all(line["level"] == "info" for line in lines)


# Secrets


@pytest.mark.parametrize("name", ["v4.7.1/key-right", "v4.7.1/key-wrong"])
def test_the_key_and_the_token_are_shown_nowhere(name: str) -> None:
    answers = recorded(name)
    token = answers["/api/p2p/token"].partition(b"\r\n\r\n")[2].strip().decode()
    arguments = ("--log.level", "debug", "--collector.token")
    shown = []
    with replaying(answers) as peer:
        variables = {"LOCALAI_API_KEY": CANARY, "LOCALAI_URL": peer.url}
        for command_name in ("once", "doctor"):
            done = run(command_name, *arguments, variables=variables)
            shown.append(done.stdout + done.stderr)
        with serving(*arguments, variables=variables) as served:
            served.log_until("LocalAI answers" if name.endswith("right") else "poll failed")
            shown.extend(get(served.url + path)[1] for path in ("/metrics", "/", "/-/healthy", "/-/ready", "/x"))
            shown.append(Path(f"/proc/{served.process.pid}/cmdline").read_text())
            shown.append(stopped(served))
        assert all(f"Authorization: Bearer {CANARY}" in head for head in peer.heads)
    assert all(shown)
    for text in shown:
        assert CANARY not in text
        assert token not in text


SIGNALLED = """
import os, signal, threading, time
from exporter.commands import stop_on_signals

stop = stop_on_signals()

def send():
    while True:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.0001)

threading.Thread(target=send, daemon=True).start()
for _ in range(100_000):
    stop.clear()
os._exit(0)
"""


def test_a_signal_may_come_at_any_moment() -> None:
    # Also while the main thread holds the lock of the event that its handler sets.
    done = subprocess.run([sys.executable, "-c", SIGNALLED], timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 0


def test_without_a_thread_for_signals_nothing_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(UsageError) as caught:
        stop_on_signals()
    assert str(caught.value) == NO_THREAD
