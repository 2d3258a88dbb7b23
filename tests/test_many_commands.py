"""The commands with a file of targets, as processes."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.processes import Peer, nobody, recorded, replaying, run, serving
from support.web import fetch

from exporter.discovery import Discovery
from exporter.http1 import Request
from exporter.probe import Probe

FILE = "targets.yml"
PATIENCE_SECONDS = 30.0


@pytest.fixture
def localai() -> Iterator[Peer]:
    with replaying(recorded("v4.7.1/cluster")) as peer:
        yield peer


@pytest.fixture
def away() -> Iterator[str]:
    with nobody() as url:
        yield url


@pytest.fixture
def path(tmp_path: Path, localai: Peer, away: str) -> Path:
    path = tmp_path / FILE
    path.write_text(f"targets:\n- {{name: home, url: '{localai.url}'}}\n- {{name: away, url: '{away}'}}\n")
    return path


class TestCheck:
    def test_a_right_file(self, path: Path) -> None:
        done = run("--config.file", str(path), "--config.check")
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{path} is right, targets: 2\n", "")

    def test_a_shard_of_a_right_file(self, path: Path) -> None:
        done = run("serve", "--config.check", variables={"P2P_EXPORTER_CONFIG_FILE": str(path), **shard("p2p-1/2")})
        assert (done.returncode, done.stdout) == (0, f"{path} is right, targets of shard 1/2: 1\n")

    def test_a_wrong_file(self, path: Path) -> None:
        path.write_text("targets:\n- {name: a}\n- {url: 'http://b'}\n")
        done = run("--config.file", str(path), "--config.check")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.splitlines() == [
            f"--config.file: {path}: line 2: target a has no url: say where its LocalAI is",
            f"--config.file: {path}: line 3: a target has no name: give it one, which becomes its label instance",
        ]

    @pytest.mark.parametrize(("name", "error"), [("none.yml", "FileNotFoundError"), (".", "IsADirectoryError")])
    def test_what_is_no_file(self, path: Path, name: str, error: str) -> None:
        wrong = path.parent / name
        done = run("--config.file", str(wrong), "--config.check")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"--config.file: {wrong} cannot be read ({error})\n"

    def test_no_file(self) -> None:
        done = run("--config.check")
        assert done.returncode == 2
        assert "--config.check looks at the file of --config.file: give that too" in done.stderr


def shard(text: str) -> dict[str, str]:
    return {"P2P_EXPORTER_CONFIG_SHARD": text}


@pytest.mark.parametrize("command", [("serve", "--web.listen-address", "127.0.0.1:0"), ("once", "--target", "a")])
def test_without_the_file_nothing_starts(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = run(*command, "--config.file", str(tmp_path / FILE))
    assert done.returncode == 2
    assert done.stderr == (
        f"localai-p2p-exporter: --config.file: {tmp_path / FILE} cannot be read (FileNotFoundError)\n"
    )


def test_a_server_does_not_start_with_a_wrong_file(path: Path) -> None:
    path.write_text("targets: 1")
    done = run("--config.file", str(path), "--web.listen-address", "127.0.0.1:0")
    assert done.returncode == 2
    assert done.stderr.endswith(f"localai-p2p-exporter: --config.file: {path}: line 1: targets must be a list\n")


def test_a_signal_has_the_file_read_again(path: Path, localai: Peer) -> None:
    with serving("--config.file", str(path)) as served:
        served.log_until('msg="LocalAI answers" target=home')
        path.write_text(f"targets:\n- {{name: other, url: '{localai.url}'}}\n")
        os.kill(served.process.pid, signal.SIGHUP)
        served.log_until('msg="LocalAI answers" target=other')
        assert fetch(served.url, "/probe?target=other").status == 200
        assert fetch(served.url, "/probe?target=home").status == 404
        path.write_text("targets: 1")
        os.kill(served.process.pid, signal.SIGHUP)
        line = served.log_until("the new targets are not used")
        assert f'reason="--config.file: {path}: line 1: targets must be a list"' in line
        served.process.terminate()
        written = served.finish()
        assert 'msg="poll failed" target=away reason=connect' in written
        assert "msg=stopped" in written
        assert served.process.returncode == 0


class TestOnce:
    def test_it_polls_the_target_that_is_named(self, path: Path) -> None:
        done = run("once", "--config.file", str(path), "--target", "home")
        assert done.returncode == 0
        assert "\nlocalai_p2p_up 1.0\n" in done.stdout
        assert run("once", "--config.file", str(path), "--target", "away").returncode == 1

    @pytest.mark.parametrize(
        ("flags", "said"),
        [
            ((), "once polls one LocalAI: name one of the targets of --config.file by --target"),
            (("--target", "nobody"), "--target: {path} names no such target"),
        ],
    )
    def test_it_wants_one(self, path: Path, flags: tuple[str, ...], said: str) -> None:
        done = run("once", "--config.file", str(path), *flags)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"localai-p2p-exporter: {said.format(path=path)}\n"

    def test_a_target_is_one_of_a_file(self) -> None:
        done = run("once", "--target", "home")
        assert done.returncode == 2
        assert "--target names a target of --config.file: give that too, or leave it out" in done.stderr


class TestDoctor:
    def test_it_looks_at_every_target(self, path: Path) -> None:
        done = run("doctor", "--config.file", str(path))
        lines = done.stdout.splitlines()
        assert done.returncode == 2
        assert lines[0] == "LOCALAI P2P CRITICAL: 2 of 2 targets are not in order: home, away"
        assert [line for line in lines if line.startswith("target: ")] == ["target: home", "target: away"]
        assert sum(line.startswith("LOCALAI P2P") for line in lines) == 3

    def test_it_looks_at_the_one_that_is_named(self, path: Path, away: str) -> None:
        done = run("doctor", "--config.file", str(path), "--target", "away")
        assert done.returncode == 2
        assert done.stdout.splitlines()[1] == f"asked: {away}"

    def test_it_tells_a_script(self, path: Path, localai: Peer, away: str) -> None:
        done = run("doctor", "--json", "--config.file", str(path))
        said = json.loads(done.stdout)
        assert [(one["target"], one["url"]) for one in said] == [("home", localai.url), ("away", away)]
        assert said[1]["severity"] == "critical"
        assert said[1]["findings"]

    def test_a_wrong_file_is_no_finding(self, path: Path) -> None:
        path.write_text("targets: 1")
        assert run("doctor", "--config.file", str(path)).returncode == 3


def test_a_list_that_nobody_can_reach_is_none() -> None:
    reply = Discovery(list)(Request("GET", "/sd"))
    assert reply.status == 400


@pytest.mark.parametrize("query", ["", "target", "target=", "x=home", "target=home&target=home", "Target=home"])
def test_a_page_is_asked_for_by_one_name(query: str) -> None:
    assert Probe(lambda _: None)(Request("GET", "/probe", query=query)).status == 400
