"""What the pods of a training are told: one JSON document, nothing in it is local or secret."""

import re

from spica.artifacts.manifest import Reference, canonical_json, sha256_of
from spica.artifacts.types import Row

MAX_NAME = 50
"""Longest name of a job: what operators derive from it stays within 63 characters."""
KEY_LENGTH = 10


class Order(Row):
    """A training, for whatever node takes part in it."""

    task: str
    key: str
    store: str
    """s3://bucket/prefix"""
    module: str
    slice: str
    """JSON, as the ranks read it."""
    inputs: dict[str, Reference]
    num_nodes: int
    ranks_per_node: int
    threads_per_rank: int
    max_crashes: int


def object_name(task: str, key: str) -> str:
    """Name of the job or server of an artifact: equal artifacts, equal names.

    >>> object_name("sft-d_t+d_sd", "0123456789abcdef")
    'sft-d-t-d-sd-0123456789'
    """
    words = re.sub(r"[^a-z0-9]+", "-", task.lower()).strip("-")
    return f"{words[: MAX_NAME - KEY_LENGTH - 1].rstrip('-')}-{key[:KEY_LENGTH]}"


def label_value(text: str) -> str:
    """A text as a label's value: 63 characters of letters, digits, `-`, `_` and `.`."""
    return re.sub(r"[^A-Za-z0-9._-]+", ".", text)[:63].strip("-_.")


def digest_of(spec: object) -> str:
    """SHA-256 of an object's spec as it was asked for."""
    return sha256_of(canonical_json(spec))
