"""A small kubelet: the Pods of an API server, run as processes of this machine.

It binds every Pod to the one node that it has registered, gives it an address, takes what it names of Secrets and
ConfigMaps from the API server, writes a change of theirs through, performs the probes and reports the status. For the
network it tells every process the names of Services, each with the address of a Pod that is ready: a Service's port has
to be its Pods'. What a node does besides, such as to start a container anew, is left out.
"""

import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import reduce
from ipaddress import ip_address
from operator import getitem
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from support.helm import Object
from support.kubeapi import Api
from support.pod import Container, Entries, containers, entries_of, files_of, write
from support.sandbox import ADDRESS, Names

NODE = "node"

_TICK_SECONDS = 0.1
"""Between two looks at all Pods; a real kubelet is told of changes, and probes and refreshes by clocks of its own."""

_FIRST_ADDRESS = ip_address("10.2.0.1")

_GONE = (requests.codes.not_found, requests.codes.conflict)
"""What the API server says of a Pod that was deleted after it was listed."""

_SOURCES = {"secretRef": "Secret", "configMapRef": "ConfigMap"}
"""Whose entries become variables, by their fields of `envFrom`."""

Images = Mapping[str, tuple[str, ...]]
"""The command line that a container of each image begins with."""


@dataclass
class _Pod:
    """A Pod that runs.

    Attributes:
        seen: as the API server had it at its start.
        address: of its own.
        containers: each with its process.
        sources: what its volumes held when they were written last, by kind and name.
        status: as it was reported last.
    """

    seen: Mapping[str, Any]
    address: str
    containers: list[tuple[Container, subprocess.Popen[bytes]]]
    sources: Mapping[tuple[str, str], Entries]
    status: Mapping[str, Any] = field(default_factory=dict)
    since: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))

    def stop(self) -> None:
        """End its processes as a node does: asked first, and killed where they take too long."""
        for _, process in self.containers:
            process.terminate()
        until = time.monotonic() + self.seen["spec"]["terminationGracePeriodSeconds"]
        for _, process in self.containers:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def refresh(self, sources: Mapping[tuple[str, str], Entries]) -> None:
        """Write those of its volumes anew whose sources have changed."""
        if sources == self.sources:
            return
        volumes = {volume["name"]: volume for volume in self.seen["spec"].get("volumes", [])}
        for container, _ in self.containers:
            for name, folder in container.folders.items():
                files = files_of(volumes[name], sources)
                if files != files_of(volumes[name], self.sources):
                    write(folder, files)
        self.sources = sources

    def news(self) -> Mapping[str, Any] | None:
        """Return its status, None where it is what was reported last."""
        states = [_state(container, process) for container, process in self.containers]
        codes = [process.returncode for _, process in self.containers]
        phase = "Running" if None in codes else "Failed" if any(codes) else "Succeeded"
        ready = all(state["ready"] for state in states)
        found = {
            "phase": phase,
            "hostIP": ADDRESS,
            "podIP": self.address,
            "podIPs": [{"ip": self.address}],
            "startTime": self.since,
            "conditions": [
                {"type": "Initialized", "status": "True"},
                {"type": "ContainersReady", "status": str(ready)},
                {"type": "Ready", "status": str(ready)},
            ],
            "containerStatuses": states,
        }
        if found == self.status:
            return None
        self.status = found
        return found


class Kubelet:
    """A node that runs, from its entering to its exit.

    Args:
        api: for its thread alone.
        images: which there are.
        names: where those of Services are told.
        folder: for the Pods' files and logs.
    """

    def __init__(self, api: Api, images: Images, names: Names, folder: Path) -> None:
        self._api = api
        self._images = images
        self._names = names
        self._folder = folder
        self._pods: dict[str, _Pod] = {}
        self._started = 0
        self._stop = threading.Event()
        self._thread = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        self._api.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})
        ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
        self._api.merge(f"/api/v1/nodes/{NODE}/status", ready)
        self._loop = self._thread.submit(self._run)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.shutdown()
        for pod in self._pods.values():
            pod.stop()
        self.check()

    def check(self) -> None:
        """Raise what has ended its thread, if anything has."""
        if self._loop.done():
            self._loop.result()

    def logs(self) -> str:
        """Return what the containers of all Pods have written."""
        return "\n".join(f"{file}\n{file.read_text('utf-8')}" for file in sorted(self._folder.glob("*/*.log")))

    def _run(self) -> None:
        while not self._stop.wait(_TICK_SECONDS):
            self._names.tell(self._services())
            pods = {pod["metadata"]["uid"]: pod for pod in self._api.items("/api/v1/pods")}
            for uid in self._pods.keys() - pods.keys():
                self._pods.pop(uid).stop()
            for uid, pod in pods.items():
                try:
                    self._look_after(uid, pod)
                except requests.HTTPError as error:
                    if error.response.status_code not in _GONE:
                        raise

    def _services(self) -> dict[str, str]:
        found = {}
        for piece in self._api.items("/apis/discovery.k8s.io/v1/endpointslices"):
            service = piece["metadata"]["labels"]["kubernetes.io/service-name"]
            for endpoint in piece["endpoints"] or []:
                if endpoint["conditions"].get("ready"):
                    found[service] = found[f"{service}.{piece['metadata']['namespace']}.svc"] = endpoint["addresses"][0]
        return found

    def _look_after(self, uid: str, pod: Mapping[str, Any]) -> None:
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        if "deletionTimestamp" in pod["metadata"]:
            if uid in self._pods:
                self._pods.pop(uid).stop()
            self._api.delete(path, grace_seconds=0)
            return
        sources = self._sources(namespace, pod["spec"])
        if sources is None:
            return
        if uid in self._pods:
            self._pods[uid].refresh(sources)
        else:
            target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
            metadata = {"name": name, "namespace": namespace}
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": target}
            self._api.ask("POST", f"{path}/binding", binding)
            self._pods[uid] = self._start(self._api.get(path), sources)
        news = self._pods[uid].news()
        if news:
            self._api.merge(f"{path}/status", {"status": news})

    def _sources(self, namespace: str, spec: Mapping[str, Any]) -> Mapping[tuple[str, str], Entries] | None:
        """Return the Secrets and ConfigMaps that a Pod names, None where one is not there that has to be."""
        found = {}
        for kind, name, optional in _named(spec):
            one = self._api.find(f"/api/v1/namespaces/{namespace}/{kind.lower()}s/{name}")
            if not one and not optional:
                return None
            found[kind, name] = entries_of(one) if one else {}
        return found

    def _start(self, pod: Mapping[str, Any], sources: Mapping[tuple[str, str], Entries]) -> _Pod:
        address = str(_FIRST_ADDRESS + self._started)
        self._started += 1
        folder = self._folder / f"{pod['metadata']['namespace']}-{pod['metadata']['name']}"
        spec = {**pod["spec"], "containers": [_informed(one, pod) for one in pod["spec"]["containers"]]}
        made = [
            replace(container, program=self._images[container.spec["image"]])
            for container in containers(spec, (), sources, folder, address)
        ]
        folder.mkdir(exist_ok=True)
        running = [(one, one.start(folder / f"{one.spec['name']}.log")) for one in made]
        return _Pod(pod, address, running, sources)


def _named(spec: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Give the Secrets and ConfigMaps that a Pod names: kind, name, and whether it does without."""
    for volume in spec.get("volumes", []):
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"], volume["secret"].get("optional", False)
        elif "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"], volume["configMap"].get("optional", False)
    for container in spec["containers"]:
        for source in container.get("envFrom", []):
            for key, kind in _SOURCES.items():
                if key in source:
                    yield kind, source[key]["name"], source[key].get("optional", False)


def _informed(container: Mapping[str, Any], pod: Object) -> Mapping[str, Any]:
    """Return a container whose variables know what they ask of their Pod."""
    variables = [
        {"name": one["name"], "value": reduce(getitem, one["valueFrom"]["fieldRef"]["fieldPath"].split("."), pod)}
        if "valueFrom" in one
        else one
        for one in container.get("env", [])
    ]
    return {**container, "env": variables}


def _state(container: Container, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Return the status of a container, which is ready while it runs and those probes succeed that it has."""
    code = process.poll()
    probes = [name for name in ("readinessProbe", "livenessProbe") if name in container.spec]
    ready = code is None and all(container.probe(name) for name in probes)
    return {
        "name": container.spec["name"],
        "image": container.spec["image"],
        "imageID": container.spec["image"],
        "restartCount": 0,
        "started": code is None,
        "ready": ready,
        "state": {"running": {}} if code is None else {"terminated": {"exitCode": code}},
    }
