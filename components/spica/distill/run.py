"""The stage: prompts in, verified rollouts out.

    rollouts.jsonl   every response with its verdict, by question and rollout index
    kept.jsonl       the shortest correct responses of each question that has one (and the wanted difficulty)
    pass_rates.json  how often the teacher was right: overall, by source, by number of steps
    base.jsonl       the base's greedy answers, where a difficulty is wanted

The teacher is any OpenAI-compatible endpoint, the miniature's own, or a checkpoint served for the occasion.
Questions that came with a response are not asked.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spica.artifacts.journal import Journal
from spica.artifacts.manifest import Artifact, Manifest
from spica.artifacts.names import relative_name
from spica.artifacts.responses import read_responses
from spica.artifacts.rows import read_jsonl, write_jsonl
from spica.artifacts.types import PromptRow, Rollout
from spica.artifacts.workspace import Workspace
from spica.distill.cancel import settle, still_lost
from spica.distill.difficulty import for_base, of_difficulty, solved
from spica.distill.draws import plan
from spica.distill.given import given_rollout, is_askable
from spica.distill.sample import sample
from spica.distill.select import pass_rates, shortest_correct
from spica.distill.teacher import open_teacher
from spica.errors import DataError, Fault
from spica.launch.contract import Launcher
from spica.recipe.slices import DistillSlice


@dataclass(frozen=True)
class _Asking:
    """What one round of questions needs besides the questions."""

    slice: DistillSlice
    checkpoint: Artifact | None
    prompts: Path
    out: Workspace
    launcher: Launcher

    def ask(self, rows: Sequence[PromptRow], name: str, journal: str) -> list[Rollout]:
        """Every rollout of the rows in canonical order; a journal in scratch spares what is there already."""
        draws = plan(self.slice, rows)
        with Journal(self.out.scratch / journal) as kept:
            finished = still_lost(kept.rows(Rollout))
            done = {(rollout.id, rollout.index): rollout for rollout in finished}
            missing = [draw for draw in draws if (draw.row.id, draw.index) not in done]
            if missing:
                print(f"{len(draws)} rollouts of {len(rows)} questions, {len(done)} done", flush=True)
                opened = open_teacher(self.slice, self.checkpoint, self.out.scratch, self.launcher, name)
                with opened as teacher:
                    for rollout in sample(self.slice, missing, self.prompts, teacher, kept, finished):
                        done[rollout.id, rollout.index] = rollout
        return [done[draw.row.id, draw.index] for draw in draws]


def run(slice: DistillSlice, inputs: Mapping[str, Artifact], out: Workspace, launcher: Launcher) -> Manifest:
    """Samples `num_rollouts` responses per question, each journalled as it comes.

    Args:
        slice: Sampling, prompt and, unless it is the input `teacher`, the endpoint.
        inputs: `prompts`; `teacher` (a checkpoint) when the slice names none; `base` (a checkpoint) for
            difficulty medium and hard.
        out: Where rollouts go; the journal in its scratch spares a killed run what it already has.
        launcher: Starts the server where Spica has to.

    Raises:
        DataError: Question ids are not unique, a picture is missing.
        EndpointError: The teacher cannot be asked, or refuses more than single questions.
        PrerequisiteError: The key's variable is not set.
    """
    prompts = inputs["prompts"].path
    rows = _read_prompts(prompts)
    given = read_responses(prompts)
    asked = [row for row in rows if row.id not in given and is_askable(row)]
    answers: list[Rollout] = []
    if slice.base_prompt is not None:
        base = for_base(slice)
        answers = _Asking(base, inputs.get("base"), prompts, out, launcher).ask(asked, "base", "base.jsonl")
        asked = [row for row in asked if row.id not in solved(answers)]
    drawn = _Asking(slice, inputs.get("teacher"), prompts, out, launcher).ask(
        asked, "teacher", "rollouts.jsonl"
    )
    num_tokens = sum(rollout.num_tokens for rollout in (*answers, *drawn))
    if slice.rollouts.cancel_longer:
        drawn = settle(drawn)
    by_id: dict[str, list[Rollout]] = {row.id: [] for row in rows}
    for rollout in drawn:
        by_id[rollout.id].append(rollout)
    for row in rows:
        if row.id in given:
            by_id[row.id].append(given_rollout(slice, row, given[row.id]))
    rollouts = [rollout for same in by_id.values() for rollout in same]
    return _publish(slice, rows, rollouts, answers, prompts, out, num_tokens)


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


def _publish(
    slice: DistillSlice,
    rows: list[PromptRow],
    rollouts: list[Rollout],
    answers: list[Rollout],
    prompts: Path,
    out: Workspace,
    num_tokens: int,
) -> Manifest:
    kept = shortest_correct(rollouts, slice.rollouts.num_kept)
    if slice.rollouts.difficulty != "random":
        wanted = of_difficulty(rollouts, slice.rollouts.difficulty)
        kept = [rollout for rollout in kept if rollout.id in wanted]
    rates = pass_rates(rows, rollouts)
    num_unparsed = sum(not is_askable(row) for row in rows)
    content = {**rates, "num_gold_unparsed": num_unparsed, "num_base_right": len(solved(answers))}
    write_jsonl(out.path / "rollouts.jsonl", rollouts)
    write_jsonl(out.path / "kept.jsonl", kept)
    if answers:
        write_jsonl(out.path / "base.jsonl", answers)
    text = json.dumps(content, indent=1, sort_keys=True) + "\n"
    (out.path / "pass_rates.json").write_text(text, encoding="utf-8")
    for path in sorted({image.path for row in rows for image in row.images}):
        target = out.path / relative_name(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(prompts / path, target)
    counted = ["correct", "malformed", "refused", *(["cancelled"] if slice.rollouts.cancel_longer else [])]
    metrics: dict[str, int | float] = {
        "num_questions": len(rows),
        "num_rollouts": len(rollouts),
        **{f"num_{name}": rates["verdicts"].get(name, 0) for name in counted},
        "num_kept": len(kept),
    }
    if rates["overall"] is not None:
        metrics["pass_rate"] = rates["overall"]
    return out.publish("rollouts", metrics, tokens=num_tokens)
