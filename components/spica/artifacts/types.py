"""The rows that stages exchange. Each is one JSON object on one line; pictures lie beside the file.

Artifact kinds and their files:

    prompts     prompts.jsonl (PromptRow), images/SHA256.png, quarantine.jsonl, gold_unparsed.jsonl; in
                held-out also dev.jsonl; responses.jsonl (Response) where rows bring their responses along
    rollouts    rollouts.jsonl (Rollout), kept.jsonl (Rollout), pass_rates.json, images/ (those asked about);
                base.jsonl (Rollout): the base's greedy answers, where a difficulty is wanted
    chat        train.json, val.json (arrays of ChatRow), dataset_info.json, images/, card.json,
                contamination.json, quarantine.jsonl
    checkpoint  a Hugging Face folder (safetensors, processor, chat template, README.md), metrics.jsonl
    scores      scores.jsonl (Score), summary.json
    report      report.json, report.html
    answer      answer.json
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from spica.artifacts.names import relative_name

SCHEMA_VERSION = 1
KINDS = ("prompts", "rollouts", "chat", "checkpoint", "scores", "report", "answer")
Kind = Literal["prompts", "rollouts", "chat", "checkpoint", "scores", "report", "answer"]
InnerPath = Annotated[str, AfterValidator(relative_name)]
"""Relative, posix, and inside the artifact's folder."""


GOLD_UNPARSED = "gold_unparsed"
"""Key of PromptRow.meta: why the row's right answer cannot be compared with anything. Also how a verdict over
such a row was found (`method`)."""


class Row(BaseModel):
    """A row on disk: typed, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Image(Row):
    """A picture beside the row file."""

    path: InnerPath
    """images/SHA256-of-the-file.png."""
    pixels: str
    """SHA-256 of mode, size and decoded RGB pixels: equal for re-encoded copies without loss."""


class Gold(Row):
    """The right answer, typed."""

    kind: Literal["letter", "number", "text", "yes_no", "math"]
    value: str
    """Canonical form: A..E, a number, lower-case text, yes or no; math: LaTeX as the benchmark writes it,
    several answers separated by commas."""
    options: tuple[str, ...] = ()
    """Option values in letter order; empty for open questions."""
    unit: str = ""
    """The unit that the question asks for, as the benchmark writes it."""
    tolerance: str = ""
    """Absolute tolerance as OlympiadBench writes it: one number, or one per answer separated by commas."""
    accepted: tuple[str, ...] = ()
    """Other answers that are right as well (MMMU's open questions)."""


class PromptRow(Row):
    """One question of any source or benchmark.

    {"id": "geos-17", "source": "geos", "question": "c+h=?",
     "images": [{"path": "images/3f..png", "pixels": "9a.."}],
     "gold": {"kind": "number", "value": "7", "options": []},
     "modality": "visual", "num_steps": 2, "meta": {}}
    """

    id: str
    source: str
    question: str
    """What the user message says after the prefix: options included, no hints, no picture placeholder."""
    images: tuple[Image, ...] = ()
    gold: Gold
    modality: Literal["text", "visual", "both"]
    """Where the facts stand: visual = only in the picture; both = in text and picture."""
    num_steps: int | None = None
    """Steps of the solution where the world knows it (the miniature)."""
    origin: str = ""
    """Where the row comes from: data set and configuration, as their publisher writes them."""
    license: str = ""
    """SPDX id or the publisher's own words; empty where the publisher says nothing."""
    meta: dict[str, str] = Field(default_factory=dict)
    """Official keys worth reporting by: version, level, subject, difficulty, question_type, glyphs ..."""


RolloutVerdict = Literal["correct", "wrong", "malformed", "no_box", "no_end", "empty", "refused", "cancelled"]


class Rollout(Row):
    """One response to one question."""

    id: str
    """PromptRow.id"""
    index: int
    """Rollout index, 0-based; (id, index) is unique."""
    teacher: str
    prompt_digest: str
    """SHA-256 of the message that was sent (text and picture digests)."""
    temperature: float
    top_p: float
    max_tokens: int
    seed: int
    response: str
    """Without white space around it."""
    finish_reason: str
    """As the endpoint said; of a refused one the reason, such as `HTTP 400 (BadRequestError)`."""
    num_tokens: int
    """Completion tokens as the endpoint counted them."""
    verdict: RolloutVerdict
    """malformed: right, but not one thought and one solution in their markers; refused: never answered;
    cancelled: longer than the shortest correct one, `num_tokens` is then a lower bound."""


class Message(Row):
    role: Literal["system", "user", "assistant"]
    content: str


class ChatRow(BaseModel):
    """One training sample in the paper's file schema (sharegpt/openai style); extra keys travel along.

    The number of `<image>` in the messages equals len(images), in order.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    id: str
    messages: tuple[Message, ...]
    images: tuple[InnerPath, ...] = ()


class Score(Row):
    """One judged response."""

    id: str
    source: str
    """Benchmark name, or `dev`."""
    arm: str
    repetition_penalty: float
    response: str
    extracted: str | None
    """What was read out of the response; None when nothing could be."""
    correct: bool
    """The headline: mode `repaired`. False also where nobody could judge (`method` is then `unjudged`)."""
    finish_reason: str
    num_tokens: int
    num_thought_tokens: int
    num_solution_tokens: int = 0
    num_thought_words: int = 0
    num_solution_words: int = 0
    """Words: what white space separates."""
    method: str = ""
    """Which rule decided `correct`, such as letter, number, algebra, judge, unjudged, no_end."""
    official: bool | None = None
    """Verdict of the benchmark's published program; None where it has none or nobody could judge."""
    fork: bool | None = None
    """Verdict of the authors' own scorer; None likewise."""


class Quarantined(Row):
    """One input row that was put aside, never silently: a line of quarantine.jsonl."""

    file: str
    line: int
    """1-based."""
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


class FileEntry(Row):
    """One file of an artifact."""

    path: InnerPath
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
