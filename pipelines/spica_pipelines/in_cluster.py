"""Objects for `kubectl apply` that need no KFP client: a Job that submits the recipe from inside."""

from typing import Any

import yaml

from spica.artifacts.manifest import canonical_json, sha256_of
from spica.images import image
from spica_pipelines.compile import CPU_POOL, PROXY_KEYS
from spica_pipelines.submit import Order

TOKEN_FOLDER = "/var/run/secrets/kubeflow/pipelines"
RECIPE_FOLDER = "/etc/spica/recipe"
LABELS = {"app.kubernetes.io/part-of": "spica", "app.kubernetes.io/component": "submit"}
KEPT_S = 86_400
DEADLINE_S = 600


def objects(order: Order, endpoint: str) -> str:
    """A ConfigMap with the recipe and a Job that runs `spica submit`, as one YAML stream.

    Names carry a digest: an applied Job cannot be changed, so another recipe is another Job.
    """
    secrets = order.resolved.scale.kubernetes.secrets if order.resolved.scale.kubernetes else None
    proxy = secrets.proxy if secrets else None
    pod = _pod(_command(order, endpoint), proxy)
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


def _pod(command: list[str], proxy: str | None) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": "submit",
        "image": image("control"),
        "command": command,
        "env": [{"name": "SPICA_IMAGE_CONTROL", "value": image("control")}],
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "recipe", "mountPath": RECIPE_FOLDER, "readOnly": True},
            {"name": "token", "mountPath": TOKEN_FOLDER, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
        "workingDir": "/tmp",
    }
    if proxy:
        container["env"] += [
            {"name": key, "valueFrom": {"secretKeyRef": {"name": proxy, "key": key}}} for key in PROXY_KEYS
        ]
    token = {"audience": "pipelines.kubeflow.org", "expirationSeconds": 3600, "path": "token"}
    return {
        "metadata": {"labels": LABELS},
        "spec": {
            "restartPolicy": "Never",
            "serviceAccountName": "spica-pipeline",
            "automountServiceAccountToken": False,
            "nodeSelector": dict(CPU_POOL),
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [
                {"name": "recipe", "configMap": {"name": ""}},
                {"name": "token", "projected": {"sources": [{"serviceAccountToken": token}]}},
                {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
            ],
        },
    }


class _Plain(yaml.SafeDumper):
    """Texts of several lines as they are; nothing by reference."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Plain.add_representer(str, _text)
