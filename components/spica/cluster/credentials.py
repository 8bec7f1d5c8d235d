"""Whether the secrets that a profile names are there; what is in them is never looked at."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from spica.cluster.api import Cluster
from spica.cluster.finding import Finding, State
from spica.recipe.keys import KeyVariables
from spica.recipe.schema import PROXY_KEYS, STORAGE_KEYS, Kubernetes

S3_ENDPOINT = "serving.kserve.io/s3-endpoint"
S3_CA_BUNDLE, S3_CA_FILE = "serving.kserve.io/s3-cabundle-configmap", "serving.kserve.io/s3-cabundle"
SECRETS = "manifests/README.md, Secrets"


class Named(NamedTuple):
    """Something with keys that a profile names."""

    kind: str
    name: str
    keys: tuple[str, ...]
    annotations: tuple[tuple[str, str], ...] = ()
    """(name, value that it must have), any value when empty; for KServe."""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def named(kubernetes: Kubernetes, keys: KeyVariables) -> Iterator[Named]:
    """All that a profile names, with what KServe reads of the storage's secret."""
    names = kubernetes.secrets
    bundle = ((S3_CA_BUNDLE, names.ca_bundle), (S3_CA_FILE, "")) if names.ca_bundle else ()
    yield Named("Secret", names.storage, STORAGE_KEYS, ((S3_ENDPOINT, ""), *bundle))
    if names.teacher and keys.teachers:
        yield Named("Secret", names.teacher, keys.teachers)
    if names.judge and keys.evaluate:
        yield Named("Secret", names.judge, (keys.evaluate,))
    if names.proxy:
        yield Named("Secret", names.proxy, PROXY_KEYS)
    if names.ca_bundle:
        yield Named("ConfigMap", names.ca_bundle, ("ca.crt",))


def examine_named(cluster: Cluster, wanted: Named, namespace: str = "") -> Iterator[Finding]:
    """Keys, and whether they hold something. KServe reads nothing in another namespace than the cluster's."""
    what = f"{wanted.kind} {namespace}/{wanted.name}" if namespace else str(wanted)
    found: dict[str, Any] | None = cluster.get(wanted.kind, wanted.name, namespace or None)
    if found is None:
        yield Finding(what, State.FAULT, "missing", f"make it ({SECRETS})")
        return
    annotations = found["metadata"].get("annotations") or {}
    missing = [key for key in wanted.keys if not (found.get("data") or {}).get(key)]
    unsaid = [] if namespace else [
        name
        for name, value in wanted.annotations
        if not annotations.get(name) or value not in ("", annotations[name])
    ]  # fmt: skip
    if missing:
        yield Finding(what, State.FAULT, f"without {', '.join(missing)}", f"make it anew ({SECRETS})")
    elif unsaid:
        advice = f"annotate it ({SECRETS}): KServe fetches weights by that"
        yield Finding(what, State.FAULT, f"without annotation {', '.join(unsaid)}", advice)
    else:
        yield Finding(what, State.OK, ", ".join(wanted.keys))


def examine_pull_secrets(cluster: Cluster, account: str, namespace: str, like: str = "") -> Iterator[Finding]:
    """Registry secrets that an account names must be there; `like` another account's, it must name some."""
    what = f"registry of {namespace}:{account}"
    names = _pull_secrets(cluster, account, namespace)
    missing = [name for name in names if cluster.get("Secret", name, namespace) is None]
    if missing:
        text = f"no Secret {namespace}/{', '.join(missing)}, which the account names"
        yield Finding(what, State.FAULT, text, f"make it ({SECRETS})")
    elif like and not names and (others := _pull_secrets(cluster, like, cluster.namespace)):
        patch = json.dumps({"imagePullSecrets": [{"name": others[0]}]})
        advice = f"kubectl patch serviceaccount {account} -n {namespace} -p '{patch}'"
        text = f"it names no imagePullSecrets, {like} names {', '.join(others)}"
        yield Finding(what, State.FAULT, text, f"{advice}, and make the secret there")
    elif names:
        yield Finding(what, State.OK, ", ".join(names))


def _pull_secrets(cluster: Cluster, account: str, namespace: str) -> list[str]:
    found = cluster.get("ServiceAccount", account, namespace) or {}
    return [secret["name"] for secret in found.get("imagePullSecrets") or ()]
