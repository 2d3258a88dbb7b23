"""A Debian of the tests' own that systemd runs, with this machine's network: no engine, and nothing of ours is seen."""

import os
import select
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from support.containers import debian

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120.0
"""How long something there may take: never waited for where all is well."""

_BOOT = ROOT / "tests" / "tools" / "boot.sh"
_HIERARCHIES = tuple(Path("/sys/fs/cgroup") / name for name in ("", "systemd", "unified"))


def _output(words: list[str]) -> str:
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


class Machine:
    """The Debian in a folder.

    Attributes:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._pid = 0

    def install(self, *words: str) -> None:
        """Run a command in it that needs no systemd."""
        _output(["chroot", str(self.root), "/usr/bin/env", "-i", "PATH=/usr/bin:/bin", *words])

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file of it."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
        file.chmod(mode)

    def run(self, *words: str) -> str:
        """Run a command among its processes, which has to succeed, and return what it wrote."""
        return _output(["nsenter", f"--target={self._pid}", "--mount", "--pid", "--ipc", "--uts", "--cgroup", *words])

    def show(self, unit: str) -> Mapping[str, str]:
        """Return what systemd says of a unit."""
        lines = self.run("systemctl", "show", unit).splitlines()
        return {name: text for name, _, text in (line.partition("=") for line in lines)}

    @contextmanager
    def booted(self) -> Iterator[None]:
        """Let systemd run it, from when it has started what is always there to the end of the block."""
        group = f"localai-p2p-exporter-{os.getpid()}"
        with subprocess.Popen(["sh", str(_BOOT), str(self.root), group], stdin=subprocess.DEVNULL) as process:
            try:
                self._wait_for_systemd(process)
                yield
            finally:
                self._end(process)
                _remove(group)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Take the machine's current away, and wait until none of its processes is left."""
        first = os.pidfd_open(self._pid) if self._pid else None
        process.kill()
        process.wait()
        if first is not None:
            select.select([first], [], [], PATIENCE_SECONDS)
            os.close(first)

    def _wait_for_systemd(self, process: subprocess.Popen[bytes]) -> None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")

        def boots() -> bool:
            assert process.poll() is None, "the machine ended"
            found = children.read_text("ascii").split()
            self._pid = int(found[0]) if found else 0
            return bool(found) and Path(f"/proc/{found[0]}/comm").read_text("utf-8") == "systemd\n" and _is_up(self)

        wait(boots)


def wait(holds: Callable[[], object]) -> None:
    """Return when something holds that a machine brings about, which tells nobody."""
    until, tick = time.monotonic() + PATIENCE_SECONDS, threading.Event()
    while not holds():
        assert time.monotonic() < until, "the machine did not get there in time"
        tick.wait(0.1)


def _is_up(machine: Machine) -> bool:
    try:
        return machine.show("basic.target")["ActiveState"] == "active"
    except AssertionError:  # systemd does not listen yet
        return False


def _remove(group: str) -> None:
    for hierarchy in _HIERARCHIES:
        folders = [hierarchy / group, *(hierarchy / group).rglob("*")] if (hierarchy / group).is_dir() else []
        for folder in sorted((one for one in folders if one.is_dir()), reverse=True):
            folder.rmdir()


def with_the_exporter(root: Path) -> Machine:
    """Return a machine that is not booted yet, with the exporter installed as the README says, without a network."""
    _output(["tar", "--extract", f"--file={debian() / 'base.tar'}", f"--directory={root}"])
    machine = Machine(root)
    wheels = root / "wheels"
    shutil.copytree(debian() / "wheels", wheels)
    shutil.copy(ROOT / "requirements" / "run.txt", wheels)
    pip = ["-m", "pip", "--quiet", "--disable-pip-version-check"]
    _output([sys.executable, *pip, "wheel", "--no-deps", "--no-build-isolation", f"--wheel-dir={wheels}", str(ROOT)])
    (wheel,) = (file.name for file in wheels.glob("localai_p2p_exporter-*.whl"))
    python = "/opt/localai-p2p-exporter/bin/python3"
    machine.install("python3", "-m", "venv", "/opt/localai-p2p-exporter")
    offline = ["install", "--no-index", "--find-links=/wheels"]
    machine.install(python, *pip, *offline, "--require-hashes", "--requirement=/wheels/run.txt")
    machine.install(python, *pip, *offline, "--no-deps", f"/wheels/{wheel}")
    return machine
