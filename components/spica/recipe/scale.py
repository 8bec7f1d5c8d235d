"""Profiles: where an experiment runs and how it is spread; nothing here changes the science."""

from typing import Annotated, Literal

from pydantic import Field

from spica.recipe.section import PositiveInt, Section

ProfileName = Literal["laptop", "node8", "cluster2", "cluster64"]
NAME, MAX_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", 63
ObjectName = Annotated[str, Field(pattern=NAME, max_length=MAX_NAME)]
"""Name of an object of the cluster (RFC 1123 label)."""


class Pods(Section):
    """What each pod of one kind asks for, and whom it asks."""

    queue: ObjectName
    """Kueue LocalQueue in the run's namespace."""
    priority: ObjectName
    """Kueue WorkloadPriorityClass."""
    node_pool: ObjectName
    """Value of the node label spica.dev/pool."""
    gpus: Annotated[int, Field(ge=0)]
    """GPUs per pod; 0 computes on CPUs."""
    cpus: Annotated[float, Field(gt=0.0)]
    """CPUs that are requested; there is no limit: idle ones may be used."""
    memory_gib: PositiveInt
    shm_gib: PositiveInt
    """Size of /dev/shm; it counts as memory of the pod."""


class TrainingPods(Pods):
    """One pod per node of a training."""

    network: Literal["tcp", "roce", "infiniband"]
    """How ranks of different pods talk: presets of NCCL and device settings (spica.cluster.network)."""
    grace_s: PositiveInt
    """Seconds between SIGTERM and SIGKILL: a joint checkpoint and its upload must fit."""
    deadline_s: PositiveInt
    """Longest time a training may be active."""
    max_crashes: PositiveInt
    """Equal crashes at the same step after which a training counts as failed."""


class ServerPods(Pods):
    """One pod per model server."""

    ready_timeout_s: PositiveInt
    """Longest time until a server answers, loading the weights included."""


STORAGE_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_S3", "AWS_REGION")
PROXY_KEYS = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


class Secrets(Section):
    """Names of what the namespace holds; never a value."""

    storage: ObjectName
    """Secret with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL_S3 and AWS_REGION."""
    teacher: ObjectName | None = None
    """Secret with the variables that api_key_env of the teachers in use names."""
    judge: ObjectName | None = None
    """Secret with the variable that evaluate.judge.api_key_env names."""
    ca_bundle: ObjectName | None = None
    """ConfigMap whose key ca.crt holds the certificates to trust."""
    proxy: ObjectName | None = None
    """Secret with HTTP_PROXY, HTTPS_PROXY and NO_PROXY."""


class Kubernetes(Section):
    """Where and how the pods of a profile run; `spica doctor --cluster` checks that the cluster has it."""

    training: TrainingPods
    serving: ServerPods
    secrets: Secrets
    step_node_pool: ObjectName = "cpu"
    """Value of the node label spica.dev/pool of the machines that carry the steps of the pipeline."""


class Scale(Section):
    """What a profile may touch: where it runs and how it is spread, nothing that changes the science."""

    launcher: Literal["local", "kubernetes"]
    num_nodes: PositiveInt
    ranks_per_node: PositiveInt
    threads_per_rank: PositiveInt
    precision: Literal["fp32", "bf16"]
    zero_stage: Literal[0, 1, 2, 3]
    pack_tokens: PositiveInt
    """Tokens per packed sequence (one micro-batch of one rank); a longer sample still travels alone."""
    gradient_checkpointing: bool
    tensor_parallel: PositiveInt
    """GPUs per model server."""
    num_servers: PositiveInt
    concurrency: PositiveInt
    """Requests in flight to one endpoint."""
    kv_cache_gib: PositiveInt | None = None
    """KV cache of a CPU server; GPU servers take what is free."""
    request_timeout_s: Annotated[float, Field(gt=0.0)]
    """Longest silence of a streaming response before it counts as cut."""
    max_attempts: PositiveInt
    """Tries per request when the fault is passing (429, 5xx, cut stream)."""
    kubernetes: Kubernetes | None = None
    """Needed by launcher kubernetes."""
    store: str | None = None
    """Where artifacts live under this profile; the recipe's own `store` when left out."""
