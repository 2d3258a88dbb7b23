"""A whole cluster on this machine: a real control plane, and a small kubelet as its only node."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.controlplane import ControlPlane, control_plane
from support.helm import Object, run
from support.kubeapi import Api
from support.kubelet import Images, Kubelet
from support.sandbox import Names, raise_network

PATIENCE_SECONDS = 60.0
"""How long something may take that controllers bring about: never waited for where all is well."""

_RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}

_BORN_WITH = ("serviceaccounts/default", "configmaps/kube-root-ca.crt")
"""What controllers put into every namespace."""


@dataclass(frozen=True)
class Cluster:
    """A cluster that runs.

    Attributes:
        plane: its control plane.
        kubelet: its node.
        api: for the thread of the tests.
    """

    plane: ControlPlane
    kubelet: Kubelet
    api: Api

    def wait(self, holds: Callable[[], object]) -> None:
        """Return when something holds that controllers or the kubelet bring about."""
        if not any(holds() for _ in self._looks()):
            raise AssertionError(f"the cluster did not get there in time\n{self.kubelet.logs()}")

    def wait_until_restored(self, inventory: set[tuple[str, str, str]]) -> None:
        """Return when there is what this inventory of the API has, no more and no less."""
        changed: set[tuple[str, str, str]] = set()
        for _ in self._looks():
            changed = self.api.inventory() ^ inventory
            if not changed:
                return
        raise AssertionError(f"left behind, or gone: {sorted(changed)}")

    def namespace(self, name: str) -> None:
        """Make a namespace that lets in no Pod but those of the level `restricted` of Pod Security."""
        metadata = {"name": name, "labels": _RESTRICTED}
        self.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        for path in _BORN_WITH:
            self.wait(lambda path=path: self.api.find(f"/api/v1/namespaces/{name}/{path}"))  # type: ignore[misc]

    def define(self, definitions: Iterable[bytes]) -> None:
        """Create CustomResourceDefinitions, each in YAML; the API server serves their kinds from then on."""
        paths = [self.api.define(definition) for definition in definitions]
        self.wait(lambda: all(is_true(self.api.get(path), "Established") for path in paths))

    def helm(self, major: str, *words: str | Path, values: Mapping[str, Any] | None = None) -> str:
        """Run Helm on the cluster, which must succeed without a warning, and return what it printed."""
        done = run(major, *words, "--kubeconfig", self.plane.kubeconfig, values=values)
        assert (done.returncode, done.stderr) == (0, ""), f"helm{major} {' '.join(map(str, words))}\n{done}"
        return done.stdout

    def wait_until_available(self, namespace: str) -> None:
        """Return when the namespace's one Deployment runs what it should, and nothing else runs any more."""
        self.wait(lambda: self._available(namespace))

    def addresses(self, namespace: str) -> list[str]:
        """Return the addresses and ports of a namespace's one Service, as `HOST:PORT`."""
        pieces = self.api.items(f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices")
        return [
            f"{address}:{port['port']}"
            for piece in pieces
            for endpoint in piece["endpoints"] or []
            if endpoint["conditions"].get("ready")
            for address in endpoint["addresses"]
            for port in piece["ports"] or []
        ]

    def _looks(self) -> Iterator[None]:
        """Give a moment to look at the cluster again and again, while there is patience."""
        until = time.monotonic() + PATIENCE_SECONDS
        tick = threading.Event()
        while time.monotonic() < until:
            self.kubelet.check()
            yield
            # Whom one would have to watch depends on what is waited for.
            tick.wait(0.1)

    def _available(self, namespace: str) -> bool:
        (one,) = self.api.items(f"/apis/apps/v1/namespaces/{namespace}/deployments")
        status, wanted = one.get("status", {}), one["spec"]["replicas"]
        return bool(
            status.get("observedGeneration") == one["metadata"]["generation"]
            and status.get("updatedReplicas") == status.get("replicas") == status.get("availableReplicas") == wanted
            and is_true(one, "Available")
            and len(self.api.items(f"/api/v1/namespaces/{namespace}/pods")) == wanted
        )


def is_true(one: Object, condition: str) -> bool:
    """Whether an object's status has a condition of this type that holds."""
    conditions = one.get("status", {}).get("conditions", [])
    return any(each["type"] == condition and each["status"] == "True" for each in conditions)


@contextmanager
def cluster(folder: Path, images: Images, names: Mapping[str, str]) -> Iterator[Cluster]:
    """Run a cluster to the end of the block.

    Args:
        folder: for the files, data and logs of all of it.
        images: which its node knows.
        names: addresses that every process finds by name.
    """
    raise_network()
    told = Names(folder, names)
    pods = folder / "pods"
    pods.mkdir()
    with control_plane(folder) as plane, Kubelet(plane.api(), images, told, pods) as kubelet:
        yield Cluster(plane, kubelet, plane.api())
