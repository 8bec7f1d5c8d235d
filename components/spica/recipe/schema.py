"""The recipe: the whole science of one experiment, typed. Sections stand in the order in which data flows."""

from typing import Annotated, Literal

from pydantic import Field

from spica.recipe.arms import ARM_TASKS, M0, Arm, compared_arms
from spica.recipe.scale import (
    PROXY_KEYS,
    STORAGE_KEYS,
    Kubernetes,
    Pods,
    ProfileName,
    Scale,
    Secrets,
    ServerPods,
    TrainingPods,
)
from spica.recipe.section import Fraction, PositiveInt, Section, VariableName

__all__ = [  # the names of arms and scale, too: a recipe is imported from one place
    "ARM_TASKS",
    "M0",
    "PROXY_KEYS",
    "STORAGE_KEYS",
    "Arm",
    "Kubernetes",
    "Pods",
    "ProfileName",
    "Scale",
    "Secrets",
    "Section",
    "ServerPods",
    "TrainingPods",
    "compared_arms",
]

Beta = Annotated[float, Field(ge=0.0, lt=1.0)]
Benchmark = Literal["mathverse", "mathvision", "olympiadbench", "mmmu"]
Modality = Literal["text", "visual"]
TeacherName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,40}$")]


class Student(Section):
    path: str
    """A Qwen2-VL folder, hub id or URI (file://, s3://, hf://, miniature://base[?size=small&seed=1])."""
    min_pixels: PositiveInt
    """Smallest picture the processor makes, in pixels (training and evaluation alike)."""
    max_pixels: PositiveInt
    """Largest picture the processor makes, in pixels."""


class Endpoint(Section):
    """Any OpenAI-compatible endpoint."""

    url: str
    """Base URL (http://host/v1), or miniature://teacher?... for ours."""
    model: str
    """Model name sent in each request."""
    api_key_env: VariableName | None = None
    """Name of the environment variable that holds the key; the key itself never stands in a recipe."""


class Teacher(Endpoint):
    """An endpoint that answers at length."""

    prefix: str | None = None
    """Text before each question; the recipe's prompt.prefix when left out."""


class Models(Section):
    student: Student
    teachers: dict[TeacherName, Teacher]
    """Teachers by name; `distill` says which of them is asked."""


class Source(Section):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+-]{0,40}$")]
    """Short name, as in table 1 of the paper."""
    uri: str
    """Where the rows lie: file://, s3://, hf://, miniature://."""
    format: Literal[
        "llava_onevision",
        "questions",
        "sharegpt",
        "long_form_thought",
        "mathverse",
        "mathvision",
        "olympiadbench",
        "mmmu",
    ]
    """Row format of the files at `uri`."""
    num_rows: PositiveInt | None = None
    """Rows drawn by seed; all when left out. All of a benchmark is held against its published counts, a
    number declares a part of it."""
    license: str | None = None
    """SPDX id or the publisher's words; what is known of a published set when left out."""
    teacher: str | None = None
    """Who wrote the responses that the rows bring along (formats sharegpt, long_form_thought)."""


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
    """How one set of questions is answered, and which answers are kept."""

    teacher: Annotated[str, Field(pattern=r"^(M0|[a-z0-9][a-z0-9.-]{0,40})$")]
    """A name of models.teachers, or M0: the student tuned on D_T."""
    num_rollouts: PositiveInt
    """Responses sampled per question (5 in the paper's released rows)."""
    temperature: Annotated[float, Field(ge=0.0, le=2.0)]
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    max_tokens: PositiveInt
    """Tokens per response; a response that reaches it has no end and counts as wrong."""
    num_kept: PositiveInt = 1
    """Trajectories kept per question: the shortest correct ones (1 in the paper's released rows)."""
    difficulty: Literal["random", "medium", "hard"] = "random"
    """Table 6, visual only. random: every question; medium, hard: those that the base gets wrong and M0 gets
    right in 4 or 5, in 2 or 3 of 5 rollouts."""
    cancel_longer: bool = False
    """End a rollout as soon as it cannot be the shortest correct one any more; the same ones are kept."""


class Distill(Section):
    text: Rollouts
    """D_T."""
    visual: Rollouts
    """D_SD by M0, or D_QVQ by another teacher."""


class Selection(Section):
    """Which of the kept responses are trained on."""

    num_rows: PositiveInt | None = None
    """Rows to train on, drawn by seed after num_val rows are held out (table 5); all when left out."""
    length_bin: tuple[Annotated[int, Field(ge=0)], PositiveInt] | None = None
    """[more than, at most] so many tokens of the response by the student's tokenizer (table 4)."""


class Split(Section):
    num_val: Annotated[int, Field(ge=0)]
    """Rows held out for the validation loss that chooses the checkpoint (val_size in the authors' yaml)."""
    max_bad_fraction: Fraction
    """Share of quarantined rows above which the stage stops."""


class Dataset(Split):
    text: Selection
    """Of D_T, and of the control set."""
    visual: Selection
    """Of D_SD or D_QVQ."""


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


class Prompts(Section):
    """What is put around a benchmark's question (protocol C0)."""

    base: Literal["official", "prefix"]
    """The base model's: each benchmark's official prompt, or prompt.prefix before the question."""
    tuned: Literal["prefix", "prefix+official"]
    """The tuned models': prompt.prefix before the question, or before the official prompt."""


class Evaluate(Section):
    prompts: Prompts = Prompts(base="prefix", tuned="prefix")
    judge: Endpoint | None = None
    """Judges words where rules cannot (MathVerse); without one such rows are `unjudged`."""
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
    arms: list[Arm] | None = None
    """What is compared, in any order: the base and at least one more; all when left out. Steps that no arm
    needs are left out of the pipeline."""
    gates: list[Gate]
    serve: Serve
    profiles: dict[ProfileName, Scale]

    @property
    def compared(self) -> tuple[Arm, ...]:
        """What is compared, in the order of table 2."""
        possible = compared_arms(self.distill.visual.teacher)
        return possible if self.arms is None else tuple(arm for arm in possible if arm in self.arms)
