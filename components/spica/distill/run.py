"""The stage: prompts in, verified rollouts out.

    rollouts.jsonl   every response with its verdict, by question and rollout index
    kept.jsonl       the shortest correct response of each question that has one
    pass_rates.json  how often the teacher was right: overall, by source, by number of steps

The teacher is any OpenAI-compatible endpoint, the miniature's own, or a checkpoint served for the occasion.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from spica.artifacts.journal import Journal
from spica.artifacts.manifest import Artifact, Manifest
from spica.artifacts.names import relative_name
from spica.artifacts.rows import read_jsonl, write_jsonl
from spica.artifacts.types import PromptRow, Rollout
from spica.artifacts.workspace import Workspace
from spica.distill.sample import plan, sample
from spica.distill.select import pass_rates, shortest_correct
from spica.distill.teacher import open_teacher
from spica.errors import DataError, Fault
from spica.launch.contract import Launcher
from spica.recipe.slices import DistillSlice


def run(slice: DistillSlice, inputs: Mapping[str, Artifact], out: Workspace, launcher: Launcher) -> Manifest:
    """Samples `num_rollouts` responses per question, each journalled as it comes.

    Args:
        slice: Sampling, prompt and, unless it is the input `teacher`, the endpoint.
        inputs: `prompts`; `teacher` (a checkpoint) when the slice names none.
        out: Where rollouts go; the journal in its scratch spares a killed run what it already has.
        launcher: Starts the server where Spica has to.

    Raises:
        DataError: Question ids are not unique, a picture is missing.
        EndpointError: The teacher cannot be asked, or refuses more than single questions.
        PrerequisiteError: The key's variable is not set.
    """
    prompts = inputs["prompts"].path
    rows = _read_prompts(prompts)
    draws = plan(slice, rows)
    with Journal(out.scratch / "rollouts.jsonl") as journal:
        done = {(rollout.id, rollout.index): rollout for rollout in journal.rows(Rollout)}
        missing = [draw for draw in draws if (draw.row.id, draw.index) not in done]
        if missing:
            num_done = len(draws) - len(missing)
            print(f"{len(draws)} rollouts of {len(rows)} questions, {num_done} done", flush=True)
            with open_teacher(slice, inputs.get("teacher"), out.scratch, launcher) as teacher:
                for rollout in sample(slice, missing, prompts, teacher, journal, num_done):
                    done[rollout.id, rollout.index] = rollout
    rollouts = [done[draw.row.id, draw.index] for draw in draws]
    return _publish(rows, rollouts, prompts, out)


def _read_prompts(folder: Path) -> list[PromptRow]:
    rows = read_jsonl(folder / "prompts.jsonl", PromptRow)
    ids = {row.id for row in rows}
    if not rows or len(ids) < len(rows):
        raise DataError(
            Fault(
                where=str(folder / "prompts.jsonl"),
                found=f"{len(rows)} questions with {len(ids)} different ids",
                allowed="at least one question, each with an id of its own",
                next="look at the sources in the recipe: two of them may hold the same rows",
            )
        )
    return rows


def _publish(rows: list[PromptRow], rollouts: list[Rollout], prompts: Path, out: Workspace) -> Manifest:
    kept = shortest_correct(rollouts)
    rates = pass_rates(rows, rollouts)
    write_jsonl(out.path / "rollouts.jsonl", rollouts)
    write_jsonl(out.path / "kept.jsonl", kept)
    text = json.dumps(rates, indent=1, sort_keys=True) + "\n"
    (out.path / "pass_rates.json").write_text(text, encoding="utf-8")
    for path in sorted({image.path for row in rows for image in row.images}):
        target = out.path / relative_name(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(prompts / path, target)
    metrics = {
        "num_questions": len(rows),
        "num_rollouts": len(rollouts),
        **{f"num_{name}": rates["verdicts"].get(name, 0) for name in ("correct", "malformed", "refused")},
        "num_kept": len(kept),
        "pass_rate": rates["overall"],
    }
    return out.publish("rollouts", metrics, tokens=sum(rollout.num_tokens for rollout in rollouts))
