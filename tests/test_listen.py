"""Addresses and systemd's descriptors become listening sockets, or an error that says what to do."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing

import pytest
from support.exposition import Exposition
from support.processes import PATIENCE_SECONDS, command, environment, nobody
from support.prometheus import free_port

from exporter.listen import bind, bind_all, systemd_sockets, url
from exporter.settings import ListenAddress
from exporter.usage import UsageError

FLAG = "--web.listen-address"

NOT_OURS = (
    "systemd passed its sockets to process '1', which is not this one: what ExecStart= starts has to exec the exporter"
)
NO_LISTENER = "descriptor 3 is no listening TCP socket: the .socket unit needs ListenStream= with a port, and Accept=no"

LIKE_SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="x")
os.execv(sys.argv[2], sys.argv[2:])
"""

SERVE = command("serve", "--web.systemd-socket")


def reached(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 5).close()
    except OSError:
        return False
    return True


class TestAddress:
    @pytest.mark.ipv6
    @pytest.mark.parametrize(
        ("text", "begins", "families"),
        [
            ("127.0.0.1:0", "http://127.0.0.1:", ("127.0.0.1",)),
            ("[::1]:0", "http://[::1]:", ("::1",)),
            (":0", "http://127.0.0.1:", ("127.0.0.1", "::1")),
            ("[::]:0", "http://127.0.0.1:", ("127.0.0.1", "::1")),
            ("0.0.0.0:0", "http://127.0.0.1:", ("127.0.0.1",)),
        ],
    )
    def test_is_listened_on(self, text: str, begins: str, families: tuple[str, ...]) -> None:
        with closing(bind(ListenAddress.parse(text), FLAG)) as sock:
            assert url(sock, secure=False).startswith(begins)
            assert url(sock, secure=True).startswith(begins.replace("http", "https"))
            port = sock.getsockname()[1]
            assert tuple(host for host in ("127.0.0.1", "::1") if reached(host, port)) == families

    def test_no_host_where_there_is_no_ipv6(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
        with closing(bind(ListenAddress.parse(":0"), FLAG)) as sock:
            assert sock.family == socket.AF_INET

    @pytest.mark.parametrize(
        ("host", "why"),
        [
            ("192.0.2.1", "EADDRNOTAVAIL"),
            ("nowhere.invalid", "the host has no such address"),
            ("a" * 64, "the host has no such address"),
            ("\u00fc" * 64, "the host has no such address"),
        ],
        ids=["not ours", "unknown name", "no name at all", "not encodable"],
    )
    def test_that_the_host_does_not_have(self, host: str, why: str) -> None:
        with pytest.raises(UsageError) as caught:
            bind(ListenAddress(host, 0), FLAG)
        assert str(caught.value) == f"{FLAG} {host}:0: nothing can listen there ({why})"

    def test_one_in_use_frees_the_others(self) -> None:
        with closing(bind(ListenAddress("127.0.0.1", 0), FLAG)) as taken, closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            free, used = (ListenAddress("127.0.0.1", sock.getsockname()[1]) for sock in (probe, taken))
            probe.close()
            with pytest.raises(UsageError) as caught:
                bind_all([free, used], "--web.flag")
            assert str(caught.value) == f"--web.flag {used}: nothing can listen there (EADDRINUSE)"
            bind(free, FLAG).close()


class TestSystemd:
    @pytest.mark.parametrize(
        ("environ", "said"),
        [
            ({}, "systemd passed no socket: start the exporter by its .socket unit"),
            ({"LISTEN_FDS": "1"}, "systemd passed no socket: start the exporter by its .socket unit"),
            ({"LISTEN_PID": "{pid}"}, "systemd passed no socket: start the exporter by its .socket unit"),
            (
                {"LISTEN_PID": "1", "LISTEN_FDS": "1"},
                NOT_OURS,
            ),
            *(
                ({"LISTEN_PID": "{pid}", "LISTEN_FDS": count}, f"LISTEN_FDS is {count!r}: that is no number of sockets")
                for count in ("0", "-1", "x", "\u0661", "9999999")
            ),
        ],
    )
    def test_what_it_did_not_pass(self, environ: dict[str, str], said: str) -> None:
        given = {name: text.format(pid=os.getpid()) for name, text in environ.items()} | {"LISTEN_FDNAMES": "x"}
        with pytest.raises(UsageError) as caught:
            systemd_sockets(given)
        assert str(caught.value) == f"--web.systemd-socket: {said}"
        assert given == {}

    @pytest.fixture
    def listener(self) -> Iterator[socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            yield listener

    def start(self, given: socket.socket, *words: str) -> subprocess.Popen[str]:
        """Start a program as systemd does: the socket is descriptor 3, and the process that execs is the one named."""
        return subprocess.Popen(
            [sys.executable, "-c", LIKE_SYSTEMD, str(given.fileno()), *words],
            env=environment(),
            pass_fds=[given.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def test_the_program_serves_on_its_socket_and_on_no_address(self, listener: socket.socket) -> None:
        host, port = listener.getsockname()
        with (
            socket.create_server(("127.0.0.1", 0)) as taken,
            nobody() as localai,
            self.start(
                listener,
                *SERVE,
                *("--web.listen-address", f"127.0.0.1:{taken.getsockname()[1]}", "--localai.url", localai),
            ) as process,
        ):
            assert process.stderr
            assert f"urls=http://127.0.0.1:{port} " in process.stderr.readline()
            with socket.create_connection((host, port), 5) as client:
                client.sendall(b"GET /-/healthy HTTP/1.0\r\n\r\n")
                assert b"\r\n\r\nHealthy.\n" in b"".join(iter(lambda: client.recv(4_096), b""))
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE_SECONDS)
            assert process.returncode == 0

    def test_what_is_no_listening_socket_is_said(self) -> None:
        with socket.socket() as deaf, self.start(deaf, *SERVE) as process:
            _, written = process.communicate(timeout=PATIENCE_SECONDS)
        assert (process.returncode, written) == (
            2,
            f"localai-p2p-exporter: --web.systemd-socket: {NO_LISTENER}\n",
        )

    def test_no_child_takes_them_for_its_own(self, listener: socket.socket) -> None:
        script = (
            "import os, subprocess, sys\n"
            "from exporter.listen import systemd_sockets\n"
            "(sock,) = systemd_sockets(os.environ)\n"
            "print(sock.getsockname()[1], sock.get_inheritable(), flush=True)\n"
            "subprocess.run(['env'], check=True, close_fds=False)\n"
        )
        with self.start(listener, sys.executable, "-c", script) as process:
            written, _ = process.communicate(timeout=PATIENCE_SECONDS)
        assert written.startswith(f"{listener.getsockname()[1]} False\n")
        assert not re.search(r"^LISTEN_", written, re.MULTILINE)

    @pytest.mark.heavy
    def test_a_scrape_starts_the_program_and_is_answered_by_it(self) -> None:
        address = f"127.0.0.1:{free_port()}"
        variables = [f"--setenv={name}" for name in environment()]
        with (
            nobody() as localai,
            subprocess.Popen(
                ["systemd-socket-activate", f"--listen={address}", *variables, *SERVE, "--localai.url", localai],
                env=environment(),
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            ) as process,
        ):
            assert process.stderr
            assert process.stderr.readline() == f"Listening on {address} as 3.\n"
            with urllib.request.urlopen(f"http://{address}/metrics", timeout=PATIENCE_SECONDS) as answer:
                assert Exposition(answer.read().decode()).series("exporter_build_info")
            process.send_signal(signal.SIGTERM)
            _, written = process.communicate(timeout=PATIENCE_SECONDS)
            assert f"urls=http://{address} " in written
            assert process.returncode == 0
