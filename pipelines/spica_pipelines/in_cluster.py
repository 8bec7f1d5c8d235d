"""Objects for `kubectl apply` that need no KFP client: a Job that submits the recipe from inside."""

from typing import Any

import yaml

from spica.artifacts.manifest import canonical_json, sha256_of
from spica.images import image
from spica.recipe.schema import PROXY_KEYS, Kubernetes
from spica_pipelines.compile import CA_FOLDER, certificates, node_selector
from spica_pipelines.submit import Order, require_kubernetes

TOKEN_FOLDER = "/var/run/secrets/kubeflow/pipelines"
RECIPE_FOLDER = "/etc/spica/recipe"
LABELS = {"app.kubernetes.io/part-of": "spica", "app.kubernetes.io/component": "submit"}
SERVICE_ACCOUNT = "spica-submit"
KEPT_S = 86_400
DEADLINE_S = 600


def objects(order: Order, endpoint: str) -> str:
    """A ConfigMap with the recipe and a Job that runs `spica submit`, as one YAML stream.

    Names carry a digest: an applied Job cannot be changed, so another recipe is another Job.

    Raises:
        RecipeError: a profile of this machine.
    """
    pod = _pod(order, endpoint, require_kubernetes(order.resolved))
    digest = sha256_of(canonical_json([order.text, pod]))[:8]
    name = f"submit-{order.resolved.recipe.name}-{digest}"
    pod["spec"]["volumes"][0]["configMap"]["name"] = name
    metadata = {"name": name, "namespace": order.namespace, "labels": LABELS}
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {"recipe.yaml": order.text},
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            # A second try could start a second run.
            "backoffLimit": 0,
            "activeDeadlineSeconds": DEADLINE_S,
            "ttlSecondsAfterFinished": KEPT_S,
            "template": pod,
        },
    }
    return yaml.dump_all([config, job], Dumper=_Plain, sort_keys=False, allow_unicode=True)


def _command(order: Order, endpoint: str) -> list[str]:
    words = ["spica", "submit", f"{RECIPE_FOLDER}/recipe.yaml", "--profile", order.resolved.profile]
    words += ["--endpoint", endpoint, "--namespace", order.namespace, "--token-env", "KFP_TOKEN"]
    words += ["--experiment", order.experiment]
    if order.priority:
        words += ["--priority", order.priority]
    if order.no_cache:
        words.append("--no-cache")
    read = f'KFP_TOKEN="$(cat {TOKEN_FOLDER}/token)"; export KFP_TOKEN; exec "$@"'
    return ["sh", "-ec", read, "submit", *words]


def _pod(order: Order, endpoint: str, kubernetes: Kubernetes) -> dict[str, Any]:
    token = {"audience": "pipelines.kubeflow.org", "expirationSeconds": 3600, "path": "token"}
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "serviceAccountName": SERVICE_ACCOUNT,
        "automountServiceAccountToken": False,
        "nodeSelector": node_selector(kubernetes),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(_command(order, endpoint), kubernetes)],
        "volumes": [
            {"name": "recipe", "configMap": {"name": ""}},
            {"name": "token", "projected": {"sources": [{"serviceAccountToken": token}]}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
        ],
    }
    if kubernetes.secrets.ca_bundle:
        pod["volumes"].append({"name": "ca", "configMap": {"name": kubernetes.secrets.ca_bundle}})
    return {"metadata": {"labels": LABELS}, "spec": pod}


def _container(command: list[str], kubernetes: Kubernetes) -> dict[str, Any]:
    environment = {"SPICA_IMAGE_CONTROL": image("control"), "HOME": "/tmp", **certificates(kubernetes)}
    env: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in environment.items()]
    mounts = [
        {"name": "recipe", "mountPath": RECIPE_FOLDER, "readOnly": True},
        {"name": "token", "mountPath": TOKEN_FOLDER, "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},
    ]
    if kubernetes.secrets.ca_bundle:
        mounts.append({"name": "ca", "mountPath": CA_FOLDER, "readOnly": True})
    if proxy := kubernetes.secrets.proxy:
        env += [
            {"name": key, "valueFrom": {"secretKeyRef": {"name": proxy, "key": key}}} for key in PROXY_KEYS
        ]
    return {
        "name": "submit",
        "image": image("control"),
        "command": command,
        "env": env,
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
        "workingDir": "/tmp",
    }


class _Plain(yaml.SafeDumper):
    """Texts of several lines as they are; nothing by reference."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Plain.add_representer(str, _text)
