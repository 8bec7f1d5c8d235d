"""The stage: one checkpoint, served by vLLM, over every benchmark and the dev questions.

    scores.jsonl    one judged response per question and repetition penalty
    summary.json    accuracy with 95 % intervals by benchmark, official group, modality and number of steps

Everything is joined by id, never by position (protocol A4: a dropped row shifts all that follow).
"""

import json
from collections.abc import Mapping

from spica.artifacts.journal import Journal
from spica.artifacts.manifest import Artifact, Manifest
from spica.artifacts.rows import write_jsonl
from spica.artifacts.workspace import Workspace
from spica.evaluate.answers import Answer, ask_missing, join
from spica.evaluate.items import plan, read_items
from spica.evaluate.score import load_tokenizer, score
from spica.evaluate.summary import flatten, summarise
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
        EndpointError: The server died or refused.
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
    scores = [score(question.item, answers[question.key], slice.arm, tokenizer) for question in questions]
    summary = summarise(slice.arm, items, scores, slice.evaluate.repetition_penalties)
    write_jsonl(out.path / "scores.jsonl", scores)
    text = json.dumps(summary, indent=1, ensure_ascii=False) + "\n"
    (out.path / "summary.json").write_text(text, encoding="utf-8")
    return out.publish("scores", flatten(summary), tokens=sum(row.num_tokens for row in scores))
