"""The chart's values.schema.json: everything that a value may be, and what excludes what.

Draft 7 of JSON Schema, for Helm before 3.18 knows no newer one, and patterns in the syntax of Go, which cannot look
ahead. What its errors would repeat and must not, an API key or a password, is checked in templates/_exporter.tpl.
"""

import json
from collections.abc import Mapping

from chart_values import read_values
from generate import ALERTS
from rulebook import Alert
from schema_parts import Schema, at, kubernetes, listing, one_of, section, text, texts, where, whole

_DURATION = "^(0|([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$"
_NAME = "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$"
_LABEL = "^([a-z]([-a-z0-9]*[a-z0-9])?)?$"
_ENTRY = "^[-._a-zA-Z0-9]+$"
_TAG = "^([A-Za-z0-9_][-A-Za-z0-9_.]{0,127})?$"
_SIZE = "^([1-9][0-9]{0,11}(B|KiB|MiB|GiB)?)?$"
_PATH = "^/[-A-Za-z0-9._~/]+$"
# The first alternative allows nothing that the second would not: an error shows the pattern, and so how to write it.
_URL = r"^(http://local-ai|https?://([^\s?#{}]|\{\{[^{}]*\}\})+)$"
_URL_OR_NONE = r"^(https?://([^\s?#{}]|\{\{[^{}]*\}\})+)?$"

_SELECTING = ("app.kubernetes.io/name", "app.kubernetes.io/instance")
"""Labels that select the Pods: another value of theirs would cut the Service off."""


SWITCH: Schema = {"type": "boolean"}
DURATION = text(_DURATION)
NAME = text(_NAME, 253)
SECRET_ENTRY = section({"name": NAME, "key": text(_ENTRY)})
GIVEN: Schema = {"minLength": 1}
EMPTY: Schema = {"const": ""}
ON: Schema = {"const": True}
OFF: Schema = {"const": False}
LABELS = texts(*_SELECTING)
PORT = whole(1, 65_535)
OWN_PORT = whole(1024, 65_535)  # below it a process without capabilities may not be allowed to listen
SCHEME = one_of("http", "https")
INTEGER_OR_SHARE: Schema = {"type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]+%$"}
PROBE = section({"periodSeconds": whole(1), "timeoutSeconds": whole(1), "failureThreshold": whole(1)})

LOCALAI = section(
    {
        "url": text(_URL_OR_NONE),
        "auth": section(
            {"existingSecret": SECRET_ENTRY, "apiKey": text()},
            where("existingSecret.name", GIVEN, at("apiKey", EMPTY)),
        ),
        "tls": section(
            {
                "ca": section(
                    {"existingConfigMap": SECRET_ENTRY, "existingSecret": SECRET_ENTRY, "pem": text()},
                    where("existingConfigMap.name", GIVEN, at("existingSecret.name", EMPTY), at("pem", EMPTY)),
                    where("existingSecret.name", GIVEN, at("pem", EMPTY)),
                ),
                "clientCertificate": section({"existingSecret": NAME}),
                "insecure": SWITCH,
            }
        ),
        "proxyUrl": text(r"^(http://[^\s/]+/?)?$"),
        "maxResponseBytes": {"type": ["string", "integer"], "pattern": _SIZE, "minimum": 1},
    },
    required=("url",),
)

TARGETS = section(
    {
        "config": kubernetes(),
        "existingConfigMap": SECRET_ENTRY,
        "secrets": listing(text("^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", 253)),
        "shards": whole(1, 99_999),
    }
)

WEB = section(
    {
        "port": OWN_PORT,
        "telemetryPath": text(_PATH) | {"not": {"pattern": "^/(-/|/)"}},
        "disableExporterMetrics": SWITCH,
        "healthPort": OWN_PORT,
        "config": section(
            {"existingSecret": SECRET_ENTRY, "tlsSecret": NAME},
            where("tlsSecret", GIVEN, at("existingSecret.name", GIVEN)),
        ),
    }
)

STRATEGY = section(
    {
        "type": one_of("RollingUpdate", "Recreate"),
        "rollingUpdate": section({"maxSurge": INTEGER_OR_SHARE, "maxUnavailable": INTEGER_OR_SHARE}),
    }
)

NETWORK_POLICY = section(
    {
        "enabled": SWITCH,
        "prometheus": listing(kubernetes()),
        "localai": section({"peers": listing(kubernetes()), "port": PORT}),
        "dns": section({"peers": listing(kubernetes()), "port": PORT}),
        "extraIngress": listing(kubernetes()),
        "extraEgress": listing(kubernetes()),
    }
)

INGRESS = section(
    {
        "enabled": SWITCH,
        "className": NAME,
        "annotations": texts(),
        "hosts": listing(
            section(
                {
                    "host": text("^[^/\\s:]+$"),
                    "path": text("^/"),
                    "pathType": one_of("Prefix", "Exact", "ImplementationSpecific"),
                },
                required=("host",),
            )
        ),
        "tls": listing(kubernetes("secretName")),
    },
    where("enabled", ON, at("hosts", {"minItems": 1})),
)

HTTP_ROUTE = section(
    {
        "enabled": SWITCH,
        "annotations": texts(),
        "parentRefs": listing(kubernetes("name")),
        "hostnames": listing(text("^[^/\\s:]+$")),
        "matches": listing(kubernetes()),
        "filters": listing(kubernetes("type")),
    },
    where("enabled", ON, at("parentRefs", {"minItems": 1})),
)

_OBJECT: dict[str, Schema] = {"enabled": SWITCH, "labels": LABELS, "annotations": texts(), "namespace": NAME}

MONITOR = section(
    _OBJECT
    | {
        "interval": DURATION,
        "scrapeTimeout": DURATION,
        "scheme": SCHEME,
        "tlsConfig": kubernetes(),
        "basicAuth": kubernetes(),
        "relabelings": listing(kubernetes()),
        "metricRelabelings": listing(kubernetes()),
    }
)


def _alert(alert: Alert) -> Schema:
    thresholds = section({name: {"type": "number", "minimum": 0} for name in alert.thresholds})
    return section(
        {
            "enabled": SWITCH,
            "severity": text("^[^\\s]+$"),
            "for": text(_DURATION) | GIVEN,
        }
        | ({"thresholds": thresholds} if alert.thresholds else {})
    )


PROMETHEUS_RULE = section(
    _OBJECT
    | {
        "distributed": SWITCH | {"type": ["boolean", "null"]},
        "runbookBaseUrl": text(r"^https?://[^\s#]+$"),
        "alertLabels": texts("alertname", "severity"),
        "alerts": section({alert.full_name: _alert(alert) for alert in ALERTS}),
    }
)

DASHBOARDS = section(
    _OBJECT
    | {
        "distributed": SWITCH | {"type": ["boolean", "null"]},
        "label": text(r"^[^\s]+$"),
        "labelValue": text(),
        "folder": text(),
        "folderAnnotation": text(r"^[^\s]+$"),
    }
)

GRAFANA_DASHBOARD = section(
    _OBJECT
    | {
        "distributed": SWITCH | {"type": ["boolean", "null"]},
        "instanceSelector": kubernetes(),
        "folder": text(),
        "allowCrossNamespaceImport": SWITCH,
    }
)

VALUES: Mapping[str, Schema] = {
    # Read by the `condition` of a chart that has this one among its dependencies.
    "enabled": SWITCH,
    # Shared with other charts, which have keys of their own there.
    "global": {
        "type": "object",
        "properties": {"imageRegistry": text(r"^[^\s]*$"), "imagePullSecrets": listing(kubernetes("name"))},
    },
    "nameOverride": text(_LABEL, 63) | {"not": {"const": "local-ai"}},
    "fullnameOverride": text(_LABEL, 63),
    "commonLabels": LABELS,
    "localai": LOCALAI,
    "targets": TARGETS,
    "poll": section({"interval": DURATION, "timeout": DURATION, "staleAfter": DURATION}),
    "node": section({"retention": DURATION, "limit": whole(0, 10**15 - 1)}),
    "expect": section(
        {
            "workers": whole(0, 10**15 - 1) | {"type": ["integer", "null"]},
            "federated": whole(0, 10**15 - 1) | {"type": ["integer", "null"]},
            "hosts": listing(text("[^\\s]")),
        }
    ),
    "collector": section({"token": SWITCH, "distributed": SWITCH}),
    "web": WEB,
    "log": section({"level": one_of("debug", "info", "warn", "error"), "format": one_of("logfmt", "json")}),
    "image": section(
        {
            "registry": text(r"^[^\s]*$"),
            "repository": text("^[a-z0-9]+([._/-]+[a-z0-9]+)*$"),
            "tag": text(_TAG),
            "digest": text("^(sha256:[0-9a-f]{64})?$"),
            "pullPolicy": one_of("Always", "IfNotPresent", "Never"),
        }
    ),
    "imagePullSecrets": listing(kubernetes("name")),
    "replicaCount": whole(),
    "revisionHistoryLimit": whole(),
    "strategy": STRATEGY,
    "serviceAccount": section({"create": SWITCH, "name": NAME, "annotations": texts()}),
    "podSecurityContext": kubernetes(),
    "securityContext": kubernetes(),
    "resources": kubernetes(),
    "livenessProbe": PROBE,
    "readinessProbe": PROBE,
    "terminationGracePeriodSeconds": whole(2),
    "annotations": texts(),
    "podAnnotations": texts(),
    "podLabels": LABELS,
    "nodeSelector": texts(),
    "tolerations": listing(kubernetes()),
    "affinity": kubernetes(),
    "topologySpreadConstraints": listing(kubernetes("maxSkew", "topologyKey", "whenUnsatisfiable")),
    "priorityClassName": NAME,
    "runtimeClassName": NAME,
    "hostAliases": listing(kubernetes("ip")),
    "dnsConfig": kubernetes(),
    "extraArgs": listing(text("^--[a-z]")),
    "extraEnv": listing(kubernetes("name")),
    "envFrom": listing(kubernetes()),
    "extraVolumes": listing(kubernetes("name")),
    "extraVolumeMounts": listing(kubernetes("name", "mountPath")),
    "extraContainers": listing(kubernetes("name")),
    "podDisruptionBudget": section({"enabled": SWITCH, "maxUnavailable": whole(1)}),
    "service": section(
        {
            "enabled": SWITCH,
            "type": one_of("ClusterIP", "NodePort", "LoadBalancer"),
            "port": PORT,
            "ipFamilyPolicy": one_of("", "SingleStack", "PreferDualStack", "RequireDualStack"),
            "annotations": texts(),
            "labels": LABELS,
        }
    ),
    "networkPolicy": NETWORK_POLICY,
    "ingress": INGRESS,
    "httpRoute": HTTP_ROUTE,
    # In a rule's text and in a relabeling's replacement: nothing that would end the one, or be expanded by the other.
    "scrape": section({"job": text(r'^[^\s"\\$]+$'), "cluster": text("^[^$]*$")}),
    "serviceMonitor": MONITOR,
    "podMonitor": MONITOR,
    "scrapeConfig": MONITOR,
    "scrapeAnnotations": section({"enabled": SWITCH, "scheme": SCHEME}),
    "prometheusRule": PROMETHEUS_RULE,
    "dashboards": DASHBOARDS,
    "grafanaDashboard": GRAFANA_DASHBOARD,
    "tests": section({"enabled": SWITCH}),
    "extraManifests": listing({"type": ["object", "string"]}),
}

WAYS = ("serviceMonitor", "podMonitor", "scrapeConfig", "scrapeAnnotations")
"""How Prometheus finds the exporter. Two at once would scrape it twice."""

NO_TARGETS: Schema = {
    "allOf": [at("targets.config", {"maxProperties": 0}), at("targets.existingConfigMap.name", EMPTY)]
}

RULES: tuple[Schema, ...] = (
    {"if": NO_TARGETS, "then": at("localai.url", {"pattern": _URL})},
    *(
        where(f"{way}.enabled", ON, *(at(f"{other}.enabled", OFF) for other in WAYS[place + 1 :]))
        for place, way in enumerate(WAYS[:-1])
    ),
    # A Service's one address would show now this replica, now that.
    where("scrapeConfig.enabled", ON, at("replicaCount", {"maximum": 1})),
    *(
        where(f"{user}.enabled", ON, at("service.enabled", ON))
        for user in ("serviceMonitor", "scrapeConfig", "ingress", "httpRoute")
    ),
)


def schema_file() -> str:
    """Return values.schema.json, with the comments of values.yaml as descriptions."""
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of localai-p2p-exporter",
        **section(VALUES, *RULES, required=("localai",)),
    }
    tree = json.loads(json.dumps(schema))  # a copy of each part, for one part may stand at several places
    for value in read_values():
        here = tree
        for key in value.path:
            here = here["properties"][key]
        here["description"] = value.text
    return json.dumps(tree, indent=2) + "\n"
