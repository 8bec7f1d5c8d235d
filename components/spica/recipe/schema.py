"""The recipe: the whole science of one experiment, typed. Sections stand in the order in which data flows."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

PositiveInt = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Beta = Annotated[float, Field(ge=0.0, lt=1.0)]
VariableName = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$", max_length=64)]
ProfileName = Literal["laptop", "node8", "cluster2", "cluster64"]
ObjectName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
"""Name of an object of the cluster (RFC 1123 label)."""
Benchmark = Literal["mathverse", "mathvision", "olympiadbench", "mmmu"]
Arm = Literal["base", "control", "D_T", "D_SD", "D_T+D_SD"]
Modality = Literal["text", "visual"]


class Section(BaseModel):
    """A part of a recipe: unknown keys are refused, values never change after reading."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,  # a key that stands in the wrong place must not reach a log
    )


class Student(Section):
    path: str
    """A Qwen2-VL folder, hub id or URI (file://, s3://, hf://, miniature://base)."""
    min_pixels: PositiveInt
    """Smallest picture the processor makes, in pixels (training and evaluation alike)."""
    max_pixels: PositiveInt
    """Largest picture the processor makes, in pixels."""


class Teacher(Section):
    url: str
    """Base URL of any OpenAI-compatible endpoint (http://host/v1), or miniature://teacher?... for ours."""
    model: str
    """Model name sent in each request."""
    api_key_env: VariableName | None = None
    """Name of the environment variable that holds the key; the key itself never stands in a recipe."""


class Models(Section):
    student: Student
    teacher: Teacher


class Source(Section):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+-]{0,40}$")]
    """Short name, as in table 1 of the paper."""
    uri: str
    """Where the rows lie: file://, s3://, hf://, miniature://."""
    format: Literal["llava_onevision", "questions", "mathverse", "mathvision", "olympiadbench", "mmmu"]
    """Row format of the files at `uri`."""
    num_rows: PositiveInt | None = None
    """Rows drawn by seed; all when left out."""


class Sources(Section):
    text: list[Source]
    """Text questions for D_T."""
    visual: list[Source]
    """VQA questions for D_SD (table 1)."""
    dev: list[Source]
    """Questions on which the best model is chosen; never a benchmark."""
    benchmarks: list[Source]
    """The test sets."""


class Prompt(Section):
    system: str
    """System message (Qwen2-VL's default)."""
    prefix: str
    """Put before every question in training and evaluation (README of the authors' repository)."""


class Rollouts(Section):
    num_rollouts: PositiveInt
    """Responses sampled per question (5 in the paper's released rows)."""
    temperature: Annotated[float, Field(ge=0.0, le=2.0)]
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    max_tokens: PositiveInt
    """Tokens per response; a response that reaches it has no end and counts as wrong."""


class Distill(Section):
    teacher: Rollouts
    """Sampling of D_T by the teacher."""
    student: Rollouts
    """Sampling of D_SD by M0, the student tuned on D_T."""


class Dataset(Section):
    num_val: Annotated[int, Field(ge=0)]
    """Rows held out for the validation loss that chooses the checkpoint (val_size in the authors' yaml)."""
    max_bad_fraction: Fraction
    """Share of quarantined rows above which the stage stops."""


class Sft(Section):
    freeze: Literal["llm_only", "llm+merger", "all"]
    """What trains: the LLM (the authors' yaml), LLM and merger (the paper), or everything."""
    epochs: PositiveInt
    batch_size: PositiveInt
    """Samples per optimizer step, exactly, over all ranks."""
    cutoff_len: PositiveInt
    """Longest sample in tokens; a longer one is refused and counted, never cut."""
    learning_rate: Annotated[float, Field(gt=0.0)]
    schedule: Literal["cosine", "linear"]
    min_lr_ratio: Fraction
    """Learning rate at the end of the schedule, as a share of `learning_rate`."""
    warmup_ratio: Fraction
    betas: tuple[Beta, Beta]
    eps: Annotated[float, Field(gt=0.0)]
    weight_decay: Annotated[float, Field(ge=0.0)]
    max_grad_norm: Annotated[float, Field(gt=0.0)]


class Evaluate(Section):
    temperature: Annotated[float, Field(ge=0.0, le=2.0)]
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    max_tokens: PositiveInt
    repetition_penalties: Annotated[list[Annotated[float, Field(gt=0.0)]], Field(min_length=1)]
    """Each is run and reported; the first one is the headline."""


class Gate(Section):
    """A claim that the report checks: accuracy of `model` minus accuracy of `over`."""

    name: str
    model: Arm
    over: Arm
    benchmark: Benchmark | None = None
    """One benchmark; all of them pooled when left out."""
    modality: Modality | None = None
    steps: tuple[int, int] | None = None
    """Pooled over items whose number of steps lies in this closed range."""
    min_gain: float | None = None
    """The gain must reach this and its 95 % interval must lie above zero."""
    max_gain: float | None = None
    """The gain must not exceed this."""


class Serve(Section):
    max_model_len: PositiveInt
    """Context length of the server, in tokens."""
    max_tokens: PositiveInt
    max_images: PositiveInt
    """Pictures allowed per request."""


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
    """Secret with the variable that models.teacher.api_key_env names."""
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


class Recipe(Section):
    """One experiment. `spica check` lists every fault of a file at once."""

    schema_version: Literal[1]
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)]
    store: str
    """Where artifacts live: file://folder or s3://bucket/prefix."""
    models: Models
    prompt: Prompt
    sources: Sources
    distill: Distill
    dataset: Dataset
    sft: Sft
    evaluate: Evaluate
    gates: list[Gate]
    serve: Serve
    profiles: dict[ProfileName, Scale]
