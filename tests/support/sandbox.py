"""The machine of a cluster's own: network and mounts that `./run long` has unshared from those of the real one."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

ADDRESS = "10.0.0.1"
"""Of everything but the Pods; all of 10.0.0.0/8 is this machine's."""


def raise_network() -> None:
    """Give an empty network namespace its addresses.

    They are those of the loopback interface, but none of 127.0.0.0/8, which Kubernetes refuses for Pods.
    """
    up = [link["ifname"] for link in json.loads(_ip("-json", "link", "show")) if "UP" in link["flags"]]
    assert not up, f"this wants namespaces of its own, which ./run long unshares; here are {up}"
    _ip("link", "set", "lo", "up")
    _ip("address", "add", f"{ADDRESS}/8", "dev", "lo")


class Names:
    """The names that every process of the machine finds: they stand in the place of DNS.

    Args:
        folder: for a file that is mounted over the machine's own.
        fixed: addresses by name, which hold all the time.
    """

    def __init__(self, folder: Path, fixed: Mapping[str, str]) -> None:
        self._file = folder / "hosts"
        self._fixed = {"localhost": "127.0.0.1", **fixed}
        self._file.touch()
        self.tell({})
        subprocess.run(["mount", "--bind", self._file, "/etc/hosts"], check=True)

    def tell(self, names: Mapping[str, str]) -> None:
        """Change the names besides the fixed ones, where they are others than before."""
        text = "".join(f"{address} {name}\n" for name, address in {**self._fixed, **names}.items())
        if self._file.read_text("ascii") != text:
            # The mount is of this very file; whoever reads it meanwhile finds the fixed names.
            with self._file.open("r+", encoding="ascii") as file:
                file.write(text)
                file.truncate()


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, stdout=subprocess.PIPE, text=True).stdout
