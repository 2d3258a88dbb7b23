"""The chart as a package: the same bytes from the same files, and from a registry what it is here."""

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from chart_values import CHART
from support.helm import CI, MAJORS, Object, helm, objects, rendered, template
from support.prometheus import free_port, started, tool

from exporter import __version__

pytestmark = pytest.mark.helm

ARCHIVE = f"localai-p2p-exporter-{__version__}.tgz"


def packed(major: str, chart: Path, folder: Path) -> Path:
    """Return the package that a Helm makes of a chart."""
    helm(major, "package", chart, "--destination", folder)
    return folder / ARCHIVE


def test_the_same_files_give_the_same_package(tmp_path: Path) -> None:
    # Helm 3 writes the time of packing into it; Helm 4 takes that of the sources from the variable.
    digests = set()
    for number, modified in enumerate((1_000_000_000, 1_700_000_000)):
        chart = tmp_path / str(number) / CHART.name
        shutil.copytree(CHART, chart)
        for file in chart.rglob("*"):
            os.utime(file, (modified, modified))
        digests.add(hashlib.sha256(packed("4", chart, tmp_path / f"packed-{number}").read_bytes()).hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize("major", MAJORS)
def test_the_package_has_what_its_users_need(major: str, tmp_path: Path) -> None:
    with tarfile.open(packed(major, CHART, tmp_path)) as archive:
        inside = {name.removeprefix(f"{CHART.name}/") for name in archive.getnames()}
    here = {str(file.relative_to(CHART)) for file in CHART.rglob("*") if file.is_file()}
    assert inside == {name for name in here if not name.startswith("ci/")}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    port = free_port()
    configuration = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    file = tmp_path / "registry.yml"
    file.write_text(json.dumps(configuration), "utf-8")  # JSON is YAML
    words = [tool("docker-registry"), "serve", str(file)]
    with started(words, tmp_path / "registry.log", f"http://127.0.0.1:{port}", "/v2/"):
        yield f"oci://127.0.0.1:{port}/charts"


@pytest.mark.parametrize("major", MAJORS)
def test_a_registry_gives_back_the_chart(major: str, registry: str, tmp_path: Path) -> None:
    helm(major, "push", packed(major, CHART, tmp_path), registry, "--plain-http")
    words = template(chart=f"{registry}/{CHART.name}")
    pulled = helm(major, *words, "--version", __version__, "--plain-http", "--values", CI["servicemonitor"])
    assert objects(pulled) == list(rendered("servicemonitor"))


def test_a_parent_chart_turns_it_on_and_off(tmp_path: Path) -> None:
    shutil.copytree(CHART, tmp_path / "charts" / CHART.name)
    dependency = {"name": CHART.name, "version": __version__, "condition": f"{CHART.name}.enabled"}
    chart = {"apiVersion": "v2", "name": "parent", "version": "1.0.0", "dependencies": [dependency]}
    (tmp_path / "Chart.yaml").write_text(json.dumps(chart), "utf-8")

    def made(*, enabled: bool) -> list[Object]:
        ours = yaml.safe_load(CI["servicemonitor"].read_text("utf-8"))
        values = {CHART.name: {**ours, "enabled": enabled}, "global": {"storageClass": "fast"}}
        return objects(helm("4", *template(chart=tmp_path), "--values", "-", values=values))

    assert made(enabled=True) == list(rendered("servicemonitor"))
    assert not made(enabled=False)
