"""Rows in the paper's file schema (protocol A2-A4), and what keeps a row out of it."""

import re
from pathlib import Path
from typing import Any, NamedTuple

from spica.artifacts.types import ChatRow, Message, PromptRow, Rollout
from spica.dataset.pictures import picture_fault
from spica.recipe.schema import Prompt

PLACEHOLDER = "<image>"
GOLD = "gold"
"""Teacher of a row whose response is the boxed gold answer."""

_MARKER = re.compile(r"<\|(?!(?:begin|end)_of_(?:thought|solution)\|>)[A-Za-z0-9_]+\|>")
_ANY_MARKER = re.compile(r"<\|[A-Za-z0-9_]+\|>")


class Sample(NamedTuple):
    """A question and the response to train on."""

    prompt: PromptRow
    rollout: Rollout


def sample_fault(sample: Sample, images_root: Path) -> str | None:
    """Why a sample cannot be trained on; None when it can."""
    prompt, rollout = sample
    if rollout.verdict != "correct":
        return f"a kept rollout with verdict {rollout.verdict}"
    if marker := _ANY_MARKER.search(prompt.question):
        return f"marker {marker[0]} in the question"
    if marker := _MARKER.search(rollout.response):
        return f"marker {marker[0]} in the response"
    num_placeholders = (prompt.question + rollout.response).count(PLACEHOLDER)
    if num_placeholders:
        num_pictures = len(prompt.images)
        return f"{num_pictures + num_placeholders} {PLACEHOLDER} for {num_pictures} pictures"
    for image in prompt.images:
        if fault := picture_fault(images_root, image.path):
            return fault
    return None


def chat_row(prompt: Prompt, sample: Sample, response: str, id: str, pass_rate: str = "") -> ChatRow:
    r"""One row: system, user (pictures, prefix, newline, question), assistant; extra keys tell its origin.

    {"id": "geos-17", "messages": [{"role": "system", "content": "You are a helpful assistant."},
     {"role": "user", "content": "<image>Please first think ...\nc+h=?"},
     {"role": "assistant", "content": "<|begin_of_thought|>\n\nc4; ..."}],
     "images": ["images/3f..png"], "source": "geos", "origin": "GEOS(MathV360K)", "license": "", "domain":
     "geometry", "num_steps": 2, "gold": "7", "pass_rate": "3/5", "teacher": "qvq", ...}

    Args:
        prompt: System text (no system message when empty) and prefix.
        sample: Question and rollout.
        response: `thought` for the rollout's response, `answer` for `\boxed{gold}` alone.
        id: Of the row; the question's own where one of its rollouts is kept.
        pass_rate: Correct rollouts of all, such as 3/5.
    """
    row, rollout = sample
    thought = response == "thought"
    said = rollout.response if thought else f"\\boxed{{{row.gold.value}}}"
    asked = PLACEHOLDER * len(row.images) + f"{prompt.prefix}\n{row.question}"
    turns = [("system", prompt.system), ("user", asked), ("assistant", said)]
    origin: dict[str, Any] = {
        "source": row.source,
        "origin": row.origin,
        "license": row.license,
        "domain": row.meta.get("domain", ""),
        "num_steps": row.num_steps,
        "gold": row.gold.value,
        "pass_rate": pass_rate,
        "teacher": rollout.teacher if thought else GOLD,
        "prompt_digest": rollout.prompt_digest,
    }
    if thought:
        names = ("temperature", "top_p", "max_tokens", "seed", "verdict", "num_tokens")
        origin |= {name: getattr(rollout, name) for name in names}
        origin["rollout_index"] = rollout.index
    messages = tuple(Message.model_validate({"role": role, "content": text}) for role, text in turns if text)
    return ChatRow(id=id, messages=messages, images=tuple(image.path for image in row.images), **origin)
