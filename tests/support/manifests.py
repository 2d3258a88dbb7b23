"""Whether Kubernetes, or the owner of its kind, would take an object; strictly, so that a typo is an error."""

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
from cloudcoil.models.prometheus_operator import v1, v1alpha1
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.protocols import Validator
from pydantic import BaseModel

from support.helm import Object

BUILT_IN = {
    "v1": ("ConfigMap", "Pod", "Secret", "Service", "ServiceAccount"),
    "apps/v1": ("Deployment", "StatefulSet"),
    "networking.k8s.io/v1": ("Ingress", "NetworkPolicy"),
    "policy/v1": ("PodDisruptionBudget",),
}
"""Kinds whose schemas every Kubernetes from 1.25 on has."""

_OPERATOR: Mapping[tuple[str, str], type[BaseModel]] = {
    ("monitoring.coreos.com/v1", "ServiceMonitor"): v1.ServiceMonitor,
    ("monitoring.coreos.com/v1", "PodMonitor"): v1.PodMonitor,
    ("monitoring.coreos.com/v1", "PrometheusRule"): v1.PrometheusRule,
    ("monitoring.coreos.com/v1alpha1", "ScrapeConfig"): v1alpha1.ScrapeConfig,
}

_WRITTEN_BY_HAND: Mapping[tuple[str, str], Mapping[str, Any]] = {
    # Of grafana-operator 5 there is neither a package nor a module here. From its API reference: what we use, no more.
    ("grafana.integreatly.org/v1beta1", "GrafanaDashboard"): {
        "required": ["instanceSelector", "json"],
        "properties": {
            "instanceSelector": {
                "required": ["matchLabels"],
                "properties": {"matchLabels": {"type": "object", "additionalProperties": {"type": "string"}}},
            },
            "allowCrossNamespaceImport": {"type": "boolean"},
            "folder": {"type": "string"},
            "json": {"type": "string"},
        },
    },
    # From the reference of Gateway API 1.0, likewise; `./run long` asks the real CRD.
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): {
        "required": ["parentRefs", "rules"],
        "properties": {
            "parentRefs": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "required": ["name"],
                    "properties": {name: {"type": "string"} for name in ("name", "namespace", "sectionName")},
                },
            },
            "hostnames": {"type": "array", "items": {"type": "string"}},
            "rules": {
                "type": "array",
                "items": {
                    "properties": {
                        "backendRefs": {
                            "type": "array",
                            "items": {
                                "required": ["name", "port"],
                                "properties": {"name": {"type": "string"}, "port": {"type": "integer"}},
                            },
                        },
                        "matches": {
                            "type": "array",
                            "items": {
                                "properties": {
                                    "path": {
                                        "properties": {
                                            "type": {"enum": ["Exact", "PathPrefix", "RegularExpression"]},
                                            "value": {"type": "string", "pattern": "^/"},
                                        }
                                    }
                                }
                            },
                        },
                        "filters": {
                            "type": "array",
                            "items": {
                                "required": ["type"],
                                "properties": {
                                    "type": {"type": "string"},
                                    "responseHeaderModifier": {"properties": {"set": {"type": "array"}}},
                                },
                            },
                        },
                    }
                },
            },
        },
    },
}

REFUSED = (ValidationError, kubernetes_validate.ValidationError)
"""What `judge` raises of an object that is none of its kind."""

_METADATA = {
    "type": "object",
    "required": ["name", "namespace", "labels"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "maxLength": 253},
        "namespace": {"type": "string"},
        **{name: {"type": "object", "additionalProperties": {"type": "string"}} for name in ("labels", "annotations")},
    },
}


def strict(schema: Any) -> Any:
    """Return a schema that refuses what it does not name, wherever it names anything."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(part) for key, part in schema.items()}
    if "properties" in closed and "x-kubernetes-preserve-unknown-fields" not in closed:
        closed = {"type": "object", "additionalProperties": False, **closed}
    return closed


def validator_of(spec: Mapping[str, Any]) -> Validator:
    """Return what judges a whole object of a kind by the schema of its `spec`."""
    parts = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": _METADATA, "spec": strict(spec)}
    return Draft202012Validator({"properties": parts, "required": list(parts), "additionalProperties": False})


@functools.cache
def _custom(version: str, kind: str) -> Validator | None:
    if model := _OPERATOR.get((version, kind)):
        return Draft202012Validator(strict(model.model_json_schema(by_alias=True)))
    spec = _WRITTEN_BY_HAND.get((version, kind))
    return validator_of(spec) if spec else None


@functools.cache
def _judge_of(version: str, kind: str, kubernetes: str) -> Callable[[Any], object]:
    if kind in BUILT_IN.get(version, ()):
        return functools.partial(kubernetes_validate.validate, desired_version=kubernetes, strict=True)
    custom = _custom(version, kind)
    if custom is None:
        raise LookupError(f"nobody judges {version} {kind}: add who does")
    return custom.validate


@functools.cache  # the same object comes from both Helms, and from many values
def _judge(text: str, kubernetes: str) -> None:
    one = json.loads(text)
    _judge_of(one["apiVersion"], one["kind"], kubernetes)(one)


def judge(one: Object, kubernetes: str) -> None:
    """Return where an object is one of its kind, for a Kubernetes of this version.

    Raises:
        LookupError: nobody here knows the kind.
        REFUSED: it is none.
    """
    _judge(json.dumps(one), kubernetes)
