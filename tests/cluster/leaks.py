"""Looks for values of secrets where none may be: in objects, in logs of pods, in what the store holds."""

import base64
import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
from kubernetes import client, config

from bed.layout import KUBECONFIG
from bed.objects import kubectl


def leaks(
    secrets: Mapping[str, str], namespaces: tuple[str, ...], buckets: tuple[str, ...]
) -> tuple[list[str], str]:
    """Where which value was found, and what was searched.

    Args:
        secrets: what it is -> its value.
        namespaces: all of their objects but Secrets, and all logs of their pods.
        buckets: all of their objects.
    """
    found, counts = [], dict.fromkeys(("objects", "logs", "files"), 0)
    wanted = {what: forms(value.encode()) for what, value in secrets.items()}
    for kind, place, content in _contents(namespaces, buckets):
        counts[kind] += 1
        found += [
            f"{what} in {place}" for what, forms in wanted.items() if any(form in content for form in forms)
        ]
    return found, ", ".join(f"{count} {kind}" for kind, count in counts.items())


def forms(value: bytes) -> list[bytes]:
    """The value as it is, and what is in base64 of any text that holds it."""
    forms = [value]
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + value)
        # The first and the last characters also depend on what stands beside the value.
        forms.append(encoded[4 if shift else 0 : len(encoded) // 4 * 4 - 4])
    return forms


def _contents(namespaces: tuple[str, ...], buckets: tuple[str, ...]) -> Iterator[tuple[str, str, bytes]]:
    for namespace in namespaces:
        yield from _objects(namespace)
    for bucket in map(boto3.resource("s3").Bucket, buckets):
        for entry in bucket.objects.all():
            yield "files", f"s3://{bucket.name}/{entry.key}", entry.get()["Body"].read()


def _objects(namespace: str) -> Iterator[tuple[str, str, bytes]]:
    core = client.CoreV1Api(config.new_client_from_config(str(KUBECONFIG)))
    listable = kubectl("api-resources", "--verbs=list", "--namespaced", "-o", "name").split()
    kinds = ",".join(sorted({kind for kind in listable if "metrics.k8s.io" not in kind}))
    text = kubectl("get", kinds, "-n", namespace, "-o", "json", "--show-managed-fields")
    for item in json.loads(text)["items"]:
        if item["kind"] != "Secret":
            place = f"{item['kind']} {namespace}/{item['metadata']['name']}"
            yield "objects", place, json.dumps(item).encode()
        if item["kind"] == "Pod":
            yield from _logs(core, item)


def _logs(core: client.CoreV1Api, pod: dict[str, Any]) -> Iterator[tuple[str, str, bytes]]:
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    for container in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]):
        # Nothing where it has not run.
        with contextlib.suppress(client.ApiException):
            answer = core.read_namespaced_pod_log(
                name, namespace, container=container["name"], _preload_content=False
            )
            yield "logs", f"log of {namespace}/{name} {container['name']}", answer.data
