"""etcd, the API server, the controller manager and the scheduler."""

from bed.layout import API_PORT, KUBECONFIG, NODE_IP, SERVICE_CIDR, STATE
from bed.processes import answers, start, wait_until
from bed.programs import binary

PKI = STATE / "pki"
ETCD = "http://127.0.0.1:2379"
ISSUER = "https://kubernetes.default.svc.cluster.local"
LOOPBACK = ("--bind-address=127.0.0.1", "--leader-elect=false")


def up() -> None:
    """Start what does not run and wait until the API server is ready."""
    start("etcd", binary("etcd"), f"--data-dir={STATE}/etcd", "--unsafe-no-fsync", "--log-level=warn")
    start("apiserver", binary("kube-apiserver"), *_apiserver_flags())
    wait_until("API server", is_ready, log="apiserver")
    start(
        *("controller-manager", binary("kube-controller-manager"), *LOOPBACK),
        *(f"--kubeconfig={STATE}/controller-manager.conf", "--use-service-account-credentials=true"),
        *(f"--root-ca-file={PKI}/ca.crt", f"--service-account-private-key-file={PKI}/sa.key"),
        *(f"--cluster-signing-cert-file={PKI}/ca.crt", f"--cluster-signing-key-file={PKI}/ca.key"),
        *("--allocate-node-cidrs=false", "--node-monitor-grace-period=40s"),
    )
    start("scheduler", binary("kube-scheduler"), *LOOPBACK, f"--kubeconfig={STATE}/scheduler.conf")


def is_ready() -> bool:
    """Whether the API server answers that it is."""
    return answers(binary("kubectl"), "--kubeconfig", KUBECONFIG, "get", "--raw", "/readyz")


def _apiserver_flags() -> list[str]:
    return [
        *(f"--etcd-servers={ETCD}", f"--bind-address={NODE_IP}", f"--advertise-address={NODE_IP}"),
        *(f"--secure-port={API_PORT}", f"--service-cluster-ip-range={SERVICE_CIDR}"),
        *(f"--tls-cert-file={PKI}/apiserver.crt", f"--tls-private-key-file={PKI}/apiserver.key"),
        f"--client-ca-file={PKI}/ca.crt",
        *(f"--kubelet-client-certificate={PKI}/admin.crt", f"--kubelet-client-key={PKI}/admin.key"),
        f"--kubelet-certificate-authority={PKI}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-key-file={PKI}/sa.pub",
        f"--service-account-signing-key-file={PKI}/sa.key",
        *(f"--service-account-issuer={ISSUER}", f"--api-audiences={ISSUER}"),
        *("--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction"),
        "--allow-privileged=true",
        # Webhooks and aggregated APIs are dialled at their pods, not at a Service's address.
        "--enable-aggregator-routing=true",
        f"--requestheader-client-ca-file={PKI}/front-proxy.crt",
        *("--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group"),
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        *(
            f"--proxy-client-cert-file={PKI}/front-proxy.crt",
            f"--proxy-client-key-file={PKI}/front-proxy.key",
        ),
        "--event-ttl=24h",
    ]
