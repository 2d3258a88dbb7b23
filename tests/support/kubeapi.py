"""A client of the Kubernetes API, for the tests and what they put in the place of a node."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from support.helm import Object

_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_METADATA = "application/json;g=meta.k8s.io;v=v1;as=PartialObjectMetadataList"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_DEADLINE_SECONDS = 30.0

_FLEETING = ("events", "leases")
"""What a cluster writes all the time, whatever is installed."""


class Api:
    """What one thread asks an API server.

    Args:
        url: of the API server.
        authority: the certificate that its own descends from.
        token: who asks.
    """

    def __init__(self, url: str, authority: Path, token: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(authority)
        # As Kubernetes' own client does, where the API server is too busy or has not loaded a new kind yet.
        busy = Retry(total=30, status_forcelist=[requests.codes.too_many_requests], allowed_methods=None)
        self._session.mount("https://", HTTPAdapter(max_retries=busy))
        self._session.headers["Authorization"] = f"Bearer {token}"

    def ask(
        self,
        method: str,
        path: str,
        body: Object | bytes | None = None,
        media_type: str = "application/json",
        accepted: str = "application/json",
    ) -> dict[str, Any]:
        """Return the answer of one request, whose body is of the media type that is given beside it.

        Raises:
            requests.HTTPError: the API server refused; its reason is in the text.
        """
        answer = self._session.request(
            method,
            f"{self._url}{path}",
            data=body if isinstance(body, bytes | None) else json.dumps(body),
            headers={"Content-Type": media_type, "Accept": accepted},
            timeout=_DEADLINE_SECONDS,
        )
        if not answer.ok:
            raise requests.HTTPError(f"{method} {path}: {answer.status_code} {answer.text}", response=answer)
        found: dict[str, Any] = answer.json()
        return found

    def get(self, path: str) -> dict[str, Any]:
        """Return an object, or a list of them."""
        return self.ask("GET", path)

    def find(self, path: str) -> dict[str, Any] | None:
        """Return an object, None where there is none of this name."""
        try:
            return self.get(path)
        except requests.HTTPError as error:
            if error.response.status_code != requests.codes.not_found:
                raise
            return None

    def items(self, path: str) -> list[dict[str, Any]]:
        """Return the objects of a collection."""
        found: list[dict[str, Any]] = self.get(path)["items"]
        return found

    def create(self, one: Object) -> dict[str, Any]:
        """Create an object of any kind that the API server knows."""
        return self.ask("POST", self._collection(one), one)

    def define(self, definition: bytes) -> str:
        """Create a CustomResourceDefinition, of which one has the YAML; return its path."""
        created = self.ask("POST", _DEFINITIONS, definition, "application/yaml")
        return f"{_DEFINITIONS}/{created['metadata']['name']}"

    def merge(self, path: str, change: Object) -> None:
        """Change what stands at `path` by a merge patch."""
        self.ask("PATCH", path, change, "application/merge-patch+json")

    def delete(self, path: str, grace_seconds: int | None = None) -> None:
        """Delete what stands at `path`, with the grace that it asked for itself or another."""
        grace = {} if grace_seconds is None else {"gracePeriodSeconds": grace_seconds}
        self.ask("DELETE", path, grace)

    def inventory(self) -> set[tuple[str, str, str]]:
        """Return every object of the cluster but for what is fleeting: resource, namespace and name."""
        return {
            (f"{prefix}/{resource['resource']}", one["metadata"].get("namespace", ""), one["metadata"]["name"])
            for prefix, resource in self._resources()
            if "list" in resource["verbs"] and resource["resource"] not in _FLEETING
            for one in self.ask("GET", f"{prefix}/{resource['resource']}", accepted=_METADATA)["items"] or ()
        }

    def _resources(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Return what kinds of objects there are, each with where its version stands."""
        groups = [
            *self.ask("GET", "/api", accepted=_DISCOVERY)["items"],
            *self.ask("GET", "/apis", accepted=_DISCOVERY)["items"],
        ]
        return [
            (f"/apis/{name}/{version['version']}" if name else f"/api/{version['version']}", resource)
            for group in groups
            for name in [group["metadata"].get("name", "")]
            for version in group["versions"]
            for resource in version["resources"]
        ]

    def _collection(self, one: Object) -> str:
        version = one["apiVersion"]
        prefix, name, namespaced = self._place(f"/apis/{version}" if "/" in version else f"/api/{version}", one["kind"])
        return f"{prefix}/namespaces/{one['metadata']['namespace']}/{name}" if namespaced else f"{prefix}/{name}"

    @functools.cache  # noqa: B019 - a client lives as long as its tests
    def _place(self, prefix: str, kind: str) -> tuple[str, str, bool]:
        for where, resource in self._resources():
            if where == prefix and resource["responseKind"]["kind"] == kind:
                return prefix, resource["resource"], resource["scope"] == "Namespaced"
        raise LookupError(f"the API server has no {kind} below {prefix}")
