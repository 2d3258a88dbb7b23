"""A rendered Pod without a cluster: its container's command line, environment and mounted files as a process.

Done as the kubelet would, with three differences that a test process needs: the files lie in a folder of the test, the
process listens on one address alone, and it is the exporter of this checkout and no image.
"""

import base64
import re
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.helm import Object
from support.processes import PATIENCE_SECONDS, command, environment

LOOPBACK = "127.0.0.1"

Entries = Mapping[str, bytes]
"""What a Secret or ConfigMap holds, by key."""

_UNCHECKED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_UNCHECKED.check_hostname = False
_UNCHECKED.verify_mode = ssl.CERT_NONE
"""The kubelet checks no certificate either."""


@dataclass(frozen=True)
class Container:
    """One container, ready to be run.

    Attributes:
        spec: as rendered.
        words: its command line, with the files where they are.
        variables: its environment.
        folders: where its volumes are mounted, by their names.
        address: of its Pod.
        program: what its image runs.
    """

    spec: Mapping[str, Any]
    words: list[str]
    variables: Mapping[str, str]
    folders: Mapping[str, Path]
    address: str = LOOPBACK
    program: tuple[str, ...] = tuple(command())

    def port(self, name: str) -> int:
        """Return the port of this name."""
        (number,) = (port["containerPort"] for port in self.spec["ports"] if port["name"] == name)
        return int(number)

    def probe(self, name: str) -> bool:
        """Whether a probe succeeds now."""
        asked = self.spec[name]["httpGet"]
        scheme = asked.get("scheme", "HTTP").lower()
        url = f"{scheme}://{self.address}:{self.port(asked['port'])}{asked['path']}"
        try:
            with urllib.request.urlopen(url, timeout=self.spec[name]["timeoutSeconds"], context=_UNCHECKED):
                return True
        except OSError:
            return False

    def run(self) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            [*self.program, *self.words],
            env=environment(self.variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )

    def start(self, log: Path) -> subprocess.Popen[bytes]:
        """Start it."""
        with log.open("wb") as output:
            return subprocess.Popen(
                [*self.program, *self.words],
                env=environment(self.variables),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @contextmanager
    def running(self, log: Path) -> Iterator[subprocess.Popen[bytes]]:
        """Run it until the end of the block, from when its readiness probe succeeds on."""
        process = self.start(log)
        try:
            until = time.monotonic() + PATIENCE_SECONDS
            while not self.probe("readinessProbe"):
                assert process.poll() is None, log.read_text("utf-8")
                assert time.monotonic() < until, f"never ready: {log.read_text('utf-8')}"
                # Who is probed tells nobody that it is ready.
                threading.Event().wait(0.05)
            yield process
        finally:
            process.kill()
            process.wait()


def containers(
    pod: Mapping[str, Any],
    found: Iterable[Object],
    given: Mapping[tuple[str, str], Entries],
    folder: Path,
    address: str = LOOPBACK,
    *,
    name: str = "",
) -> list[Container]:
    """Return a Pod's containers with their files written into `folder`.

    Args:
        pod: its `spec`.
        found: every rendered object, among them its ConfigMaps and Secrets.
        given: what else there is of these, by kind and name: the operator's own.
        folder: empty, for the files.
        address: of the Pod.
        name: its own, for what asks for that.
    """
    there = dict(given) | {
        (one["kind"], one["metadata"]["name"]): entries_of(one)
        for one in found
        if one["kind"] in ("ConfigMap", "Secret")
    }
    volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
    made = []
    for spec in pod["containers"]:
        root = folder / spec["name"]
        folders = {}
        for mount in spec.get("volumeMounts", []):
            folders[mount["name"]] = root / mount["mountPath"].lstrip("/")
            write(folders[mount["name"]], files_of(volumes[mount["name"]], there))
        words = [_elsewhere(word, spec, root, address) for word in spec.get("args", [])]
        variables = _variables(spec, there, name)
        made.append(Container(spec, [_expanded(word, variables) for word in words], variables, folders, address))
    return made


def _variables(spec: Mapping[str, Any], there: Mapping[tuple[str, str], Entries], name: str) -> dict[str, str]:
    """Return a container's environment; of what it asks of its Pod and node the name alone is there."""
    found: dict[str, str] = {}
    for source in spec.get("envFrom", []):
        kind = "Secret" if "secretRef" in source else "ConfigMap"
        name = source["secretRef" if kind == "Secret" else "configMapRef"]["name"]
        found |= {key: content.decode() for key, content in there[kind, name].items()}
    for one in spec.get("env", []):
        if "value" in one:
            found[one["name"]] = one["value"]
        elif one["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}:
            found[one["name"]] = name
    return found


def write(folder: Path, files: Entries) -> None:
    """Write a volume's files as the kubelet does, whole by one link, so that a second time changes all at once."""
    folder.mkdir(parents=True, exist_ok=True)
    generation = folder / f"..generation-{len(list(folder.iterdir()))}"
    generation.mkdir()
    for name, content in files.items():
        (generation / name).write_bytes(content)
    fresh = folder / "..fresh"
    fresh.symlink_to(generation.name)
    fresh.rename(folder / "..data")
    for name in files:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(f"..data/{name}")


def entries_of(one: Object) -> Entries:
    """Return what a Secret or ConfigMap holds."""
    if one["kind"] == "Secret":
        return {key: base64.b64decode(text, validate=True) for key, text in one["data"].items()}
    return {key: text.encode() for key, text in one["data"].items()}


def files_of(volume: Mapping[str, Any], there: Mapping[tuple[str, str], Entries]) -> Entries:
    """Return the files of a Pod's volume, of what there is by kind and name."""
    if "emptyDir" in volume:
        return {}
    kind = "Secret" if "secret" in volume else "ConfigMap"
    source = volume["secret" if kind == "Secret" else "configMap"]
    entries = there[kind, source["secretName" if kind == "Secret" else "name"]]
    return {item["path"]: entries[item["key"]] for item in source["items"]} if "items" in source else entries


def _expanded(word: str, variables: Mapping[str, str]) -> str:
    return re.sub(r"\$\((\w+)\)", lambda match: variables[match[1]], word)


def _elsewhere(word: str, spec: Mapping[str, Any], root: Path, address: str) -> str:
    flag, equals, value = word.partition("=")
    if flag.endswith("-address") and value.startswith(":"):
        return f"{flag}={address}{value}"
    mounted = any(value.startswith(f"{mount['mountPath']}/") for mount in spec.get("volumeMounts", []))
    return f"{flag}{equals}{root}{value}" if mounted else word
