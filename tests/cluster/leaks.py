"""Looks for values of secrets where none may be: in objects, in logs of pods, in what the store holds."""

import base64
import json
from collections.abc import Iterator, Mapping

import boto3

from bed.objects import kubectl
from spica.errors import StageError


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
    wanted = {what: _forms(value.encode()) for what, value in secrets.items()}
    for kind, place, content in _contents(namespaces, buckets):
        counts[kind] += 1
        found += [
            f"{what} in {place}" for what, forms in wanted.items() if any(form in content for form in forms)
        ]
    return found, ", ".join(f"{count} {kind}" for kind, count in counts.items())


def _forms(value: bytes) -> list[bytes]:
    """The value as it is, and what is in base64 of any text that holds it."""
    forms = [value]
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + value)
        # The first and the last characters also depend on what stands beside the value.
        forms.append(encoded[4 if shift else 0 : len(encoded) // 4 * 4 - 4])
    return forms


def _contents(namespaces: tuple[str, ...], buckets: tuple[str, ...]) -> Iterator[tuple[str, str, bytes]]:
    listable = kubectl("api-resources", "--verbs=list", "--namespaced", "-o", "name").split()
    kinds = ",".join(sorted({kind for kind in listable if "metrics.k8s.io" not in kind}))
    for namespace in namespaces:
        items = json.loads(kubectl("get", kinds, "-n", namespace, "-o", "json", "--show-managed-fields"))[
            "items"
        ]
        for item in items:
            if item["kind"] != "Secret":
                yield (
                    "objects",
                    f"{item['kind']} {namespace}/{item['metadata']['name']}",
                    json.dumps(item).encode(),
                )
            if item["kind"] == "Pod":
                yield from _logs(item)
    s3 = boto3.client("s3")
    for bucket in buckets:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for entry in page.get("Contents", ()):
                content = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
                yield "files", f"s3://{bucket}/{entry['Key']}", content


def _logs(pod: dict[str, object]) -> Iterator[tuple[str, str, bytes]]:
    metadata, spec = pod["metadata"], pod["spec"]
    assert isinstance(metadata, dict) and isinstance(spec, dict)
    namespace, name = metadata["namespace"], metadata["name"]
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        try:
            text = kubectl("logs", name, "-n", namespace, "-c", container["name"])
        except StageError:
            continue  # it has not run
        yield "logs", f"log of {namespace}/{name} {container['name']}", text.encode()
