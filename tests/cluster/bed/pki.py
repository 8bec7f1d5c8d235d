"""The cluster's certificate authority, its certificates and the kubeconfigs that use them."""

import subprocess
from pathlib import Path

from bed.layout import API_PORT, KUBECONFIG, KUBERNETES_IP, NODE, NODE_IP, STATE

FOLDER = STATE / "pki"
CA = FOLDER / "ca.crt"
CLIENTS = {
    "admin": "/O=system:masters/CN=admin",
    "kubelet": f"/O=system:nodes/CN=system:node:{NODE}",
    "controller-manager": "/CN=system:kube-controller-manager",
    "scheduler": "/CN=system:kube-scheduler",
    "proxy": "/CN=system:kube-proxy",
}


def make() -> None:
    """Make what is missing; the authority stays the same from one start to the next."""
    FOLDER.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (FOLDER / "complete").exists():
        _authority("ca", "/CN=spica-ca")
        _authority("front-proxy", "/CN=front-proxy-client")
        _openssl("genrsa", "-out", "sa.key", "2048")
        _openssl("rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub")
        service = "kubernetes.default.svc.cluster.local".split(".")
        hosts = [".".join(service[:length]) for length in (1, 2, 3, 5)]
        certificate("apiserver", "/CN=kube-apiserver", ips=[NODE_IP, KUBERNETES_IP], hosts=hosts)
        kserve = "kserve-webhook-server-service.kserve.svc"
        certificate("kserve-webhook", "/CN=kserve-webhook", hosts=[kserve])
        for name, subject in CLIENTS.items():
            certificate(name, subject, ips=[NODE_IP], hosts=[NODE])
        (FOLDER / "complete").touch()
    for name in CLIENTS:
        kubeconfig(name)


def certificate(
    name: str, subject: str, *, ips: list[str] | None = None, hosts: list[str] | None = None
) -> None:
    """Write NAME.key and NAME.crt, signed by the cluster's authority, good as server and as client."""
    names = ",".join([*(f"IP:{ip}" for ip in ips or []), *(f"DNS:{host}" for host in hosts or [])])
    (FOLDER / "extensions").write_text(f"extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName={names}\n")
    request = (
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        f"{name}.key",
        "-out",
        f"{name}.csr",
        "-subj",
        subject,
    )
    _openssl("req", *request)
    signing = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "3650")
    _openssl("x509", "-req", "-in", f"{name}.csr", *signing, "-extfile", "extensions", "-out", f"{name}.crt")


def kubeconfig(name: str) -> Path:
    """Write STATE/NAME.conf, by which the holder of NAME's certificate reaches the API server."""
    path = KUBECONFIG.with_name(f"{name}.conf")
    path.touch(mode=0o600)
    path.write_text(
        f"""apiVersion: v1
kind: Config
clusters: [{{name: spica, cluster: {{server: "https://{NODE_IP}:{API_PORT}", certificate-authority: {CA}}}}}]
users: [{{name: {name}, user: {{client-certificate: {FOLDER}/{name}.crt, client-key: {FOLDER}/{name}.key}}}}]
contexts: [{{name: spica, context: {{cluster: spica, user: {name}}}}}]
current-context: spica
"""
    )
    return path


def _authority(name: str, subject: str) -> None:
    key = ("-newkey", "rsa:2048", "-nodes", "-days", "3650", "-keyout", f"{name}.key", "-out", f"{name}.crt")
    _openssl("req", "-x509", *key, "-subj", subject)


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=FOLDER, check=True, capture_output=True)
