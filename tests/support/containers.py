"""buildah and podman without an engine, a registry or a network; images are made of the Debian of `./run long`."""

import os
import re
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from support.processes import PATIENCE_SECONDS, Served

BUILD, RUNTIME = "localhost/build", "localhost/runtime"
"""Debian with a shell and what makes virtual environments; its Python alone, without either."""

BUILD_PATIENCE_SECONDS = 600.0

_PYTHON_ALONE = re.compile(
    r"\./(bin|sbin|lib\w*|tmp|etc|usr|usr/s?bin|usr/lib\w*)/?$"
    r"|\./usr/bin/python3[^/]*$"
    r"|\./usr/lib\w*/(python3|[^/]+-linux-gnu|ssl|ld-linux)"
    r"|\./etc/(passwd|group|nsswitch\.conf|ld\.so|ssl)"
)

# crun refuses a machine that has cgroups of both versions: podman sees those of one, in a mount namespace of its own.
_ONE_CGROUP_VERSION = '! mountpoint -q /sys/fs/cgroup/unified || umount /sys/fs/cgroup/unified; exec podman "$@"'

_AS_A_CLUSTER_RUNS_IT = ("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges")
_WITHOUT_CGROUPS = ("--cgroups=disabled", "--network=host", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")


def debian() -> Path:
    """Return the folder that `./run long` fills: `base.tar`, and `wheels` for everything that the locks name."""
    folder = os.environ.get("DEBIAN")
    assert folder, "DEBIAN is missing: ./run long makes it"
    return Path(folder)


def python_alone(base: Path, target: Path) -> None:
    """Write what Python needs of a root file system's archive: no shell, no pip, no package manager."""
    with tarfile.open(base) as source, tarfile.open(target, "w") as written:
        for member in source:
            if _PYTHON_ALONE.match(member.name):
                written.addfile(member, source.extractfile(member) if member.isreg() else None)


class Engine:
    """buildah and podman with a storage of their own.

    Args:
        folder: for everything that they keep.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        configuration = folder / "storage.conf"
        configuration.write_text(
            f'[storage]\ndriver = "vfs"\ngraphroot = "{folder / "graph"}"\nrunroot = "{folder / "run"}"\n', "utf-8"
        )
        self._environment = {**os.environ, "CONTAINERS_STORAGE_CONF": str(configuration)}
        self._pip = folder / "pip.conf"
        self._pip.write_text("[global]\nno-index = true\nfind-links = /wheels\n", "utf-8")
        python_alone(debian() / "base.tar", folder / "runtime.tar")
        self.podman("import", str(debian() / "base.tar"), BUILD)
        self.podman("import", str(folder / "runtime.tar"), RUNTIME)

    def build(self, context: Path, tag: str, epoch: int, **arguments: str) -> None:
        """Build the Dockerfile of a checkout; pip finds its wheels in a folder, unknown to the Dockerfile."""
        given = {"BUILD_IMAGE": BUILD, "RUNTIME_IMAGE": RUNTIME, "SOURCE_DATE_EPOCH": str(epoch), **arguments}
        words = [
            *("buildah", "bud", "--isolation=chroot", "--format=docker", f"--timestamp={epoch}", "--pull=false"),
            *(f"--volume={source}:{target}:ro" for source, target in self._mounts().items()),
            *(f"--build-arg={name}={text}" for name, text in given.items()),
            *("--tag", tag, str(context)),
        ]
        done = subprocess.run(
            words,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=BUILD_PATIENCE_SECONDS,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _mounts(self) -> Mapping[Path, str]:
        return {debian() / "wheels": "/wheels", self._pip: "/etc/pip.conf"}

    @staticmethod
    def _words(*words: str) -> list[str]:
        return ["unshare", "--mount", "sh", "-c", _ONE_CGROUP_VERSION, "podman", *words]

    def podman(self, *words: str) -> str:
        """Run podman to its end, which has to be a good one, and return what it wrote."""
        done = self.ended(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ended(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run podman to its end."""
        return subprocess.run(
            self._words(*words),
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=BUILD_PATIENCE_SECONDS,
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a container to its end: podman's flags, the image, its arguments."""
        return self.ended("run", "--rm", *_WITHOUT_CGROUPS, *_AS_A_CLUSTER_RUNS_IT, *words)

    @contextmanager
    def serving(self, name: str, *words: str) -> Iterator[Served]:
        """Run a container of this name, and give it once it serves."""
        given = ("run", "--rm", "--name", name, *_WITHOUT_CGROUPS, *_AS_A_CLUSTER_RUNS_IT, *words)
        with subprocess.Popen(
            self._words(*given),
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                served = Served(process)
                served.wait_until_it_serves()
                yield served
            finally:
                if process.poll() is None:
                    self.podman("rm", "--force", "--time=0", name)
                process.wait(PATIENCE_SECONDS)
