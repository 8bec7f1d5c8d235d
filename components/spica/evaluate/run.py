"""The stage: one checkpoint, served by vLLM, over every benchmark and the dev questions.

    scores.jsonl    one judged response per question and repetition penalty
    summary.json    accuracy with 95 % intervals by benchmark, mode, official group, modality and number of
                    steps; lengths, rates, the judge and its agreement with judgements made by hand

Everything is joined by id, never by position (protocol A4: a dropped row shifts all that follow).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from spica.artifacts.journal import Journal
from spica.artifacts.manifest import Artifact, Manifest
from spica.artifacts.rows import write_jsonl
from spica.artifacts.tokenizer import load_tokenizer
from spica.artifacts.types import Score
from spica.artifacts.workspace import Workspace
from spica.evaluate.agreement import agreement
from spica.evaluate.answers import Answer, ask_missing, join
from spica.evaluate.items import Key, Question, plan, read_items
from spica.evaluate.judge import Judge
from spica.evaluate.score import Asked, score
from spica.evaluate.summary import flatten, judge_card, summarise
from spica.launch.contract import Launcher
from spica.recipe.slices import EvaluateSlice


def run(slice: EvaluateSlice, inputs: Mapping[str, Artifact], out: Workspace, launcher: Launcher) -> Manifest:
    """Asks every question once per repetition penalty and judges the answers.

    Args:
        slice: Prompt, sampling and sizes.
        inputs: `checkpoint` and `held-out`.
        out: Where scores go; its scratch holds the journal, so that a killed run repeats what was in flight.
        launcher: Starts the model server.

    Raises:
        DataError: The checkpoint has no tokenizer, a picture is missing.
        EndpointError: The server or the judge died or refused.
        PrerequisiteError: The variable with the judge's key is not set.
        IntegrityError: An id is missing or doubled, among the questions or among the answers.
    """
    checkpoint = inputs["checkpoint"]
    tokenizer = load_tokenizer(checkpoint.path)
    items = read_items(inputs["held-out"].path)
    questions = plan(items, slice.evaluate.repetition_penalties)
    with Journal(out.scratch / "answers.jsonl") as journal:
        done = journal.rows(Answer)
        done += ask_missing(slice, questions, done, checkpoint, out.scratch, launcher, journal)
    answers = join(questions, done)
    with Journal(out.scratch / "judgements.jsonl") as journal:
        judge = _judge(slice, journal)
        scores = _scores(slice, questions, answers, tokenizer, judge)
        agreed = None if judge is None else agreement(judge, slice.requests.concurrency)
    summary = summarise(slice.arm, items, scores, slice.evaluate.repetition_penalties)
    summary["judge"] = judge_card(slice.evaluate.judge, judge.num_calls if judge else 0, agreed)
    write_jsonl(out.path / "scores.jsonl", scores)
    text = json.dumps(summary, indent=1, ensure_ascii=False) + "\n"
    (out.path / "summary.json").write_text(text, encoding="utf-8")
    return out.publish("scores", flatten(summary), tokens=sum(row.num_tokens for row in scores))


def _judge(slice: EvaluateSlice, journal: Journal) -> Judge | None:
    endpoint = slice.evaluate.judge
    return None if endpoint is None else Judge(endpoint, slice.requests, journal)


def _scores(
    slice: EvaluateSlice,
    questions: Sequence[Question],
    answers: Mapping[Key, Answer],
    tokenizer: Any,
    judge: Judge | None,
) -> list[Score]:
    """Scores in the order of the questions; each repetition penalty is a run of its own."""
    scores: list[Score] = []
    for penalty in slice.evaluate.repetition_penalties:
        asked = [Asked(one.item, answers[one.key]) for one in questions if one.repetition_penalty == penalty]
        scores += score(asked, slice.arm, tokenizer, judge, slice.requests.concurrency)
    return scores
