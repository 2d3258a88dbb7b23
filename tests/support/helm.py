"""Real Helm, and what it makes of the chart."""

import functools
import json
import os
import subprocess
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from chart_values import CHART

from support.prometheus import tool

ROOT = Path(__file__).parent.parent.parent
_FOLDER = ROOT / ".cache" / "helm"

MAJORS = ("3", "4")
OLDEST, MIDDLE, NEWEST = KUBERNETES = ("1.25", "1.31", "1.37")
RELEASE, NAMESPACE = "p2p", "llm"

CI = {file.name.removesuffix("-values.yaml"): file for file in sorted((CHART / "ci").glob("*-values.yaml"))}
"""Each values file that the chart is tried with, by its name."""

Object = Mapping[str, Any]
"""A rendered object, as JSON has it."""

Values = Mapping[str, Any]
"""What the operator gives, as in a values file."""


class _Loader(yaml.CSafeLoader):
    """Refuses a key that is there twice, of which Kubernetes takes one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT002 - PyYAML's
        keys = [key.value for key, _ in node.value]
        assert len(set(keys)) == len(keys), f"twice in one mapping: {keys} {node.start_mark}"
        return super().construct_mapping(node, deep)


def program(major: str) -> str:
    """Return the path of a Helm: from HELM3 or HELM4, or what `./run` has unpacked."""
    unpacked = _FOLDER / f"helm{major}"
    return str(unpacked) if f"HELM{major}" not in os.environ and unpacked.exists() else tool(f"helm{major}")


def run(major: str, *words: str | Path, values: Values | None = None) -> subprocess.CompletedProcess[str]:
    """Run Helm to its end, with no cluster in reach but one that the words name; `--values -` reads the values."""
    places = {f"HELM_{name}_HOME": str(_FOLDER / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
    return subprocess.run(
        [program(major), *map(str, words)],
        env={
            "PATH": os.environ["PATH"],
            "KUBECONFIG": os.devnull,
            "KUBECACHEDIR": os.devnull,  # where Helm would remember what kinds a cluster has
            "SOURCE_DATE_EPOCH": "0",
            **places,
        },
        input=json.dumps(values or {}),  # JSON is YAML
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def helm(major: str, *words: str | Path, values: Values | None = None) -> str:
    """Run Helm, which must succeed, and return what it printed."""
    done = run(major, *words, values=values)
    assert done.returncode == 0, f"helm{major} {' '.join(map(str, words))}\n{done.stdout}{done.stderr}"
    return done.stdout


def template(kubernetes: str = MIDDLE, chart: str | Path = CHART) -> list[str | Path]:
    """Return the words that render the chart for a Kubernetes; `--values` go behind."""
    return ["template", RELEASE, chart, "--namespace", NAMESPACE, "--kube-version", kubernetes]


def objects(text: str) -> list[Object]:
    """Return the objects of a stream of YAML."""
    return [one for one in yaml.load_all(text, _Loader) if one]


@functools.cache
def rendered(name: str, major: str = "4", kubernetes: str = MIDDLE) -> tuple[Object, ...]:
    """Return what a values file of ci/ makes of the chart."""
    return tuple(objects(helm(major, *template(kubernetes), "--values", CI[name])))


def every() -> list[Object]:
    """Return every object that some file of ci/ makes."""
    return [one for name in CI for one in rendered(name)]


def render(values: Values, name: str = "default") -> list[Object]:
    """Return what these values, over those of a file of ci/, make of the chart."""
    return objects(helm("4", *template(), "--values", CI[name], "--values", "-", values=values))


def of_kind(found: Iterable[Object], kind: str) -> Object:
    """Return the one object of a kind."""
    (one,) = (one for one in found if one["kind"] == kind)
    return one
