"""What the pods of a training are told: one JSON document, nothing in it is local or secret."""

import re

from spica.artifacts.code import module_digest
from spica.artifacts.manifest import Reference, canonical_json, sha256_of
from spica.artifacts.s3_store import S3Store
from spica.artifacts.store import Store
from spica.artifacts.types import Row
from spica.errors import Fault, PrerequisiteError, StageError

MAX_NAME = 50
"""Longest name of a job: what operators derive from it stays within 63 characters."""
END_LENGTH = 10
DIGEST = "spica.dev/spec-digest"
"""Annotation of an object: the digest of its spec as it was asked for."""


class Order(Row):
    """A training, for whatever node takes part in it."""

    task: str
    key: str
    store: str
    """s3://bucket/prefix"""
    module: str
    code: str
    """Digest of the module's code where the artifact's key was made; pods run that of their image."""
    slice: str
    """JSON, as the ranks read it."""
    inputs: dict[str, Reference]
    num_nodes: int
    ranks_per_node: int
    threads_per_rank: int
    max_crashes: int


def require_code(order: Order) -> None:
    """Compare the code of this image with that of whoever ordered: the key of the artifact names the latter.

    Raises:
        StageError: they differ; what is trained here would be published as something else.
    """
    found = module_digest(order.module)
    if found != order.code:
        advice = "make images of the checkout that ordered it (images/README.md), then run again"
        raise StageError(
            Fault("code in image train", found[:12], f"{order.code[:12]}, that of the order", advice)
        )


def object_name(task: str, key: str) -> str:
    """Name of the job or server of an artifact, a DNS label (RFC 1035): equal artifacts, equal names.

    The words are for people, and tasks may share them; the end is a digest of task and key.

    >>> object_name("sft-d_t+d_sd", "0123456789abcdef")
    'sft-d-t-d-sd-c022f96300'
    """
    words = re.sub(r"[^a-z0-9]+", "-", task.lower()).lstrip("-0123456789")
    end = sha256_of(canonical_json([task, key]))[:END_LENGTH]
    return f"{words[: MAX_NAME - END_LENGTH - 1].rstrip('-') or 'task'}-{end}"


def label_value(text: str) -> str:
    """A text as a label's value: 63 characters of letters, digits, `-`, `_` and `.`."""
    return re.sub(r"[^A-Za-z0-9._-]+", ".", text)[:63].strip("-_.")


def s3_store(uri: str) -> S3Store:
    """The store that all pods reach.

    Raises:
        PrerequisiteError: it is one of another kind.
    """
    store = Store.parse(uri)
    if not isinstance(store, S3Store):
        raise PrerequisiteError(Fault("store", uri, "s3://bucket/prefix", "set `store` in the profile"))
    return store


def digest_of(spec: object) -> str:
    """SHA-256 of an object's spec as it was asked for."""
    return sha256_of(canonical_json(spec))
