"""What values the chart takes: each is documented, and what it refuses, Helm refuses."""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
import pytest
import yaml
from chart_files import DASHBOARDS, FILES_OF_CHART, dashboards
from chart_values import CHART, read_values
from generate import ALERTS
from support.constraints import Place, Violation, constraints, violations, without_nulls
from support.helm import CI, MAJORS, Values, run, template

from exporter import __version__

SCHEMA = json.loads((CHART / "values.schema.json").read_text("utf-8"))
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
JUDGE = jsonschema.Draft7Validator(SCHEMA)
VIOLATIONS = list(violations(SCHEMA))

SERVICE = {"service": {"enabled": False}}
CONDITIONS: tuple[tuple[Values, str], ...] = (
    ({"localai": {"url": ""}}, "/localai/url"),
    ({"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}, "/podMonitor/enabled"),
    ({"serviceMonitor": {"enabled": True}, "scrapeConfig": {"enabled": True}}, "/scrapeConfig/enabled"),
    ({"serviceMonitor": {"enabled": True}, "scrapeAnnotations": {"enabled": True}}, "/scrapeAnnotations/enabled"),
    ({"podMonitor": {"enabled": True}, "scrapeConfig": {"enabled": True}}, "/scrapeConfig/enabled"),
    ({"podMonitor": {"enabled": True}, "scrapeAnnotations": {"enabled": True}}, "/scrapeAnnotations/enabled"),
    ({"scrapeConfig": {"enabled": True}, "scrapeAnnotations": {"enabled": True}}, "/scrapeAnnotations/enabled"),
    ({"scrapeConfig": {"enabled": True}, "replicaCount": 2}, "/replicaCount"),
    ({"serviceMonitor": {"enabled": True}, **SERVICE}, "/service/enabled"),
    ({"scrapeConfig": {"enabled": True}, **SERVICE}, "/service/enabled"),
    ({"ingress": {"enabled": True, "hosts": [{"host": "a"}]}, **SERVICE}, "/service/enabled"),
    ({"httpRoute": {"enabled": True, "parentRefs": [{"name": "a"}]}, **SERVICE}, "/service/enabled"),
    ({"ingress": {"enabled": True}}, "/ingress/hosts"),
    ({"httpRoute": {"enabled": True}}, "/httpRoute/parentRefs"),
    ({"localai": {"auth": {"existingSecret": {"name": "a"}, "apiKey": "b"}}}, "/localai/auth/apiKey"),
    (
        {"localai": {"tls": {"ca": {"existingConfigMap": {"name": "a"}, "existingSecret": {"name": "b"}}}}},
        "/localai/tls/ca/existingSecret/name",
    ),
    ({"localai": {"tls": {"ca": {"existingConfigMap": {"name": "a"}, "pem": "b"}}}}, "/localai/tls/ca/pem"),
    ({"localai": {"tls": {"ca": {"existingSecret": {"name": "a"}, "pem": "b"}}}}, "/localai/tls/ca/pem"),
    ({"web": {"config": {"tlsSecret": "a"}}}, "/web/config/existingSecret/name"),
)
"""What excludes or needs what, and where Helm says so."""

BY_TEMPLATES: tuple[tuple[Values, str, str], ...] = (
    ({"localai": {"url": "http://user:canary@local-ai"}}, "localai.url: a user or password has no place", "canary"),
    ({"localai": {"proxyUrl": "http://user:canary@proxy"}}, "localai.proxyUrl: a user or password has no", "canary"),
    ({"localai": {"auth": {"apiKey": "canary,second"}}}, "localai.auth.apiKey holds a comma", "canary"),
    ({"localai": {"auth": {"apiKey": "canary second"}}}, "localai.auth.apiKey holds a comma, a blank", "canary"),
    ({"localai": {"auth": {"apiKey": "canaryé"}}}, "localai.auth.apiKey holds a comma, a blank", "canary"),
    (
        {"targets": {"existingConfigMap": {"name": "a"}}},
        "localai.url and targets exclude each other",
        "canary",
    ),
    (
        {"localai": {"url": ""}, "targets": {"config": {"a": 1}, "existingConfigMap": {"name": "a"}}},
        "targets.config and targets.existingConfigMap exclude each other",
        "canary",
    ),
    ({"targets": {"shards": 2}}, "targets.shards: there are no targets to share", "canary"),
    ({"web": {"port": 10041}}, "web.port and web.healthPort are the same", "canary"),
)
"""What only a template can refuse, in which words, and what these must not repeat."""


def errors(values: Values) -> list[jsonschema.ValidationError]:
    """Return what the schema finds wrong with values, outermost and innermost."""

    def all_of(error: jsonschema.ValidationError) -> Iterator[jsonschema.ValidationError]:
        yield error
        for inner in error.context or ():
            yield from all_of(inner)

    return [one for error in JUDGE.iter_errors(without_nulls(values)) for one in all_of(error)]


def over(values: Values, given: Values) -> dict[str, Any]:
    """Return values with what the operator gives, as Helm puts them together."""
    found = dict(values)
    for key, value in given.items():
        table = isinstance(value, Mapping) and isinstance(found.get(key), Mapping)
        found[key] = over(found[key], value) if table else value
    return found


def place(error: jsonschema.ValidationError) -> str:
    """Return where an error is, as Helm says it."""
    return "at '" + "".join(f"/{key}" for key in error.absolute_path) + "'"


def standing(error: jsonschema.ValidationError) -> Place:
    return tuple(error.absolute_schema_path)


@pytest.mark.parametrize("name", FILES_OF_CHART)
def test_a_generated_file_says_what_its_sources_say(name: str) -> None:
    assert (CHART / name).read_text("utf-8") == FILES_OF_CHART[name](), f"{name} is behind: ./run docs"


def test_the_dashboards_are_those_of_grafana() -> None:
    copies = {file.name: file.read_text("utf-8") for file in (CHART / "dashboards").iterdir()}
    assert copies == dashboards(), "the chart's dashboards are behind: ./run docs"
    assert copies, f"{DASHBOARDS} is empty"


def test_there_is_one_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_every_value_is_in_the_readme_and_described_in_the_schema() -> None:
    readme = (CHART / "README.md").read_text("utf-8")
    for value in read_values():
        assert f"| `{value.name}` |" in readme
        part = SCHEMA
        for key in value.path:
            part = part["properties"][key]
        assert part["description"] == value.text
        assert value.text.endswith("."), value.name


def test_every_value_is_read_by_a_template() -> None:
    templates = "".join(file.read_text("utf-8") for file in (CHART / "templates").rglob("*.*"))
    read = set(re.findall(r"[.\"](\w+)", templates))
    assert not [value.name for value in read_values() if value.path[-1] not in read]


def test_every_key_of_the_schema_is_a_value() -> None:
    def keys(schema: Mapping[str, Any], values: Any, at: str) -> Iterator[str]:
        for key, part in schema.get("properties", {}).items():
            if key not in values:
                yield f"{at}{key}"
            elif isinstance(values[key], dict):
                yield from keys(part, values[key], f"{at}{key}.")

    alerts = {f"prometheusRule.alerts.{alert.full_name}" for alert in ALERTS}
    assert set(keys(SCHEMA, DEFAULTS, "")) == {"enabled", *alerts}


def test_the_defaults_lack_nothing_but_localais_address() -> None:
    (only,) = errors(DEFAULTS)
    assert place(only) == "at '/localai/url'"
    assert not errors(over(DEFAULTS, {"localai": {"url": "http://local-ai"}}))


@pytest.mark.parametrize("name", CI)
def test_the_schema_takes_what_is_right(name: str) -> None:
    assert not errors(over(DEFAULTS, yaml.safe_load(CI[name].read_text("utf-8"))))


@pytest.mark.parametrize(
    "url",
    [
        "http://local-ai",
        "https://local-ai.llm.svc:8443/a/b",
        "http://[::1]:8080",
        "http://local-ai/@home",
        "http://{{ .Release.Name }}-local-ai:{{ .Values.x }}/p",
    ],
)
def test_the_schema_takes_addresses(url: str) -> None:
    assert not errors(over(DEFAULTS, {"localai": {"url": url}}))


@pytest.mark.parametrize(
    "url", ["", "local-ai", "ftp://local-ai", "http://", "http://a b", "http://a?b", "http://{{ a"]
)
def test_the_schema_refuses_what_is_no_address(url: str) -> None:
    assert errors(over(DEFAULTS, {"localai": {"url": url}}))


def test_a_parent_charts_own_keys_are_taken() -> None:
    shared = {"enabled": True, "global": {"storageClass": "fast"}, "localai": {"url": "http://local-ai"}}
    assert not errors(over(DEFAULTS, shared))


def test_every_constraint_has_a_case_that_it_refuses() -> None:
    refused = {violation.constraint for violation in VIOLATIONS}
    for values, _ in CONDITIONS:
        refused |= {standing(error) for error in errors(over(over(DEFAULTS, {"localai": {"url": "http://a"}}), values))}
    assert set(constraints(SCHEMA)) <= refused


def test_each_case_is_refused_by_its_own_constraint() -> None:
    for violation in VIOLATIONS:
        assert violation.constraint in {standing(error) for error in errors(violation.instance)}, violation


def joined(one: dict[str, Any], other: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return both instances in one, None where they speak of the same."""
    found = copy.deepcopy(one)
    for key, value in other.items():
        if key not in found:
            found[key] = value
            continue
        both = joined(found[key], value) if isinstance(found[key], dict) and isinstance(value, Mapping) else None
        if both is None:
            return None
        found[key] = both
    return found


def batches() -> list[tuple[dict[str, Any], list[Violation]]]:
    """Return all violations in as few values files as they fit: Helm names each of them."""
    found: list[tuple[dict[str, Any], list[Violation]]] = []
    for violation in VIOLATIONS:
        if not isinstance(violation.instance, dict):  # no values file at all
            continue
        for number, (values, inside) in enumerate(found):
            both = joined(values, violation.instance)
            if both is not None:
                found[number] = (both, [*inside, violation])
                break
        else:
            found.append((violation.instance, [violation]))
    return found


@pytest.mark.helm
@pytest.mark.parametrize("major", MAJORS)
def test_helm_names_every_violation(major: str) -> None:
    for values, inside in batches():
        done = run(major, *template(), "--values", "-", values=values)
        assert done.returncode != 0
        for violation in inside:
            places = [place(error) for error in errors(violation.instance) if standing(error) == violation.constraint]
            assert f"- {places[0]}: " in done.stderr, (violation, done.stderr)


@pytest.mark.helm
@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize(("values", "where"), CONDITIONS)
def test_helm_refuses_what_excludes_each_other(values: Values, where: str, major: str) -> None:
    done = run(major, *template(), "--values", CI["default"], "--values", "-", values=values)
    assert done.returncode != 0
    assert re.findall(r"at '(/[^']*)': (?!'allOf' failed)", done.stderr) == [where], done.stderr


@pytest.mark.helm
@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize(("values", "words", "secret"), BY_TEMPLATES)
def test_helm_refuses_in_words_and_repeats_no_secret(values: Values, words: str, secret: str, major: str) -> None:
    done = run(major, *template(), "--values", CI["default"], "--values", "-", values=values)
    assert done.returncode != 0
    assert words in done.stderr
    assert secret not in done.stderr


@pytest.mark.helm
@pytest.mark.parametrize("major", MAJORS)
def test_without_localais_address_helm_says_how_to_write_it(major: str) -> None:
    said = run(major, *template()).stderr
    assert "at '/localai/url'" in said
    assert "http://local-ai" in said
