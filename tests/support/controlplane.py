"""A real control plane of Kubernetes: etcd, kube-apiserver and kube-controller-manager, without a node."""

import json
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.certificates import make_authority, make_leaf
from support.kubeapi import Api
from support.prometheus import started, tool
from support.sandbox import ADDRESS

_ETCD = "http://127.0.0.1:2379"
_ISSUER = "https://kubernetes.default.svc"
_TOKEN = "administrator-of-the-tests"  # noqa: S105 - of a cluster that nobody else reaches

_CONTROLLERS = ("*", "-node-lifecycle-controller", "-taint-eviction-controller")
"""All but those that expect a kubelet's heartbeat, and would take the Pods from a node without."""


@dataclass(frozen=True)
class ControlPlane:
    """A control plane that runs.

    Attributes:
        url: of the API server.
        authority: the certificate that the API server's own descends from.
        kubeconfig: a file that lets programs in as administrators.
        token: another, with the token of theirs alone.
    """

    url: str
    authority: Path
    kubeconfig: Path
    token: Path

    def api(self) -> Api:
        """Return a client for one thread, with all rights."""
        return Api(self.url, self.authority, _TOKEN)


@contextmanager
def control_plane(folder: Path) -> Iterator[ControlPlane]:
    """Run a control plane, with its logs and data in `folder`, from when it is ready to the end of the block."""
    authority = make_authority(folder, "authority")
    server = make_leaf(folder, "server", authority, f"DNS:localhost,IP:{ADDRESS}")
    accounts = folder / "accounts.key"
    subprocess.run(["openssl", "genrsa", "-out", accounts, "2048"], check=True, capture_output=True)
    users = folder / "users.csv"
    users.write_text(f"{_TOKEN},administrator,1,system:masters\n", "ascii")
    plane = ControlPlane(f"https://{ADDRESS}:6443", authority.cert_file, folder / "kubeconfig", folder / "token")
    plane.token.write_text(_TOKEN, "ascii")
    plane.kubeconfig.write_text(json.dumps(_kubeconfig(plane)), "utf-8")  # JSON is YAML
    plane.kubeconfig.chmod(0o600)  # Helm warns of one that others can read
    etcd = [
        tool("etcd"),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={_ETCD}",
        f"--advertise-client-urls={_ETCD}",
        "--unsafe-no-fsync",
    ]
    tls = (
        f"--bind-address={ADDRESS}",
        f"--tls-cert-file={server.cert_file}",
        f"--tls-private-key-file={server.key_file}",
    )
    apiserver = [
        tool("kube-apiserver"),
        f"--etcd-servers={_ETCD}",
        f"--advertise-address={ADDRESS}",
        "--service-cluster-ip-range=10.1.0.0/16",
        *tls,
        f"--token-auth-file={users}",
        "--authorization-mode=RBAC",
        f"--service-account-key-file={accounts}",
        f"--service-account-signing-key-file={accounts}",
        f"--service-account-issuer={_ISSUER}",
    ]
    manager = [
        tool("kube-controller-manager"),
        f"--kubeconfig={plane.kubeconfig}",
        *tls,
        f"--controllers={','.join(_CONTROLLERS)}",
        f"--service-account-private-key-file={accounts}",
        f"--root-ca-file={authority.cert_file}",
        "--leader-elect=false",
    ]
    trusted = ssl.create_default_context(cafile=authority.cert_file)
    with ExitStack() as running:
        running.enter_context(started(etcd, folder / "etcd.log", _ETCD, "/readyz"))
        running.enter_context(started(apiserver, folder / "kube-apiserver.log", plane.url, "/readyz", trusted))
        managed = f"https://{ADDRESS}:10257"
        running.enter_context(started(manager, folder / "manager.log", managed, "/healthz", trusted))
        yield plane


def _kubeconfig(plane: ControlPlane) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "tests",
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "administrator"}}],
        "clusters": [
            {"name": "tests", "cluster": {"server": plane.url, "certificate-authority": str(plane.authority)}}
        ],
        "users": [{"name": "administrator", "user": {"tokenFile": str(plane.token)}}],
    }
