"""The stage: the best model of the report answers one question of the dev split.

answer.json is an `Answer`; images/ holds the picture that was shown.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from spica.answers import extract, judge, split_response
from spica.artifacts.manifest import Artifact, Manifest
from spica.artifacts.rows import read_jsonl
from spica.artifacts.types import PromptRow, Row
from spica.artifacts.workspace import Workspace
from spica.errors import DataError, EndpointError, Fault
from spica.launch.contract import Launcher
from spica.recipe.slices import ServeSlice
from spica.serve.ask import ask_row
from spica.serve.server import model_server

NUM_STEPS = 3
"""The question asked has this many steps, or the nearest number: long to think, short to read."""


class Answer(Row):
    """answer.json."""

    id: str
    question: str
    image: str | None
    """Path beside answer.json; None where all questions are text."""
    thought: str
    solution: str
    answer: str | None
    """What stands in the box."""
    gold: str
    correct: bool
    model: str
    """The arm that answered."""


def run(slice: ServeSlice, inputs: Mapping[str, Artifact], out: Workspace, launcher: Launcher) -> Manifest:
    """Serve the report's best model and ask it a visual dev question of about three steps.

    Args:
        slice: Prompt, limits and sizes.
        inputs: `report`, `held-out`, and `checkpoint-ARM` for the recipe's arms.
        out: Where the answer goes.
        launcher: Starts the model server.

    Raises:
        DataError: The report names no model that is among the inputs; dev has no question.
        EndpointError: The server died or refused.
    """
    arm = _best_model(inputs["report"].path / "report.json", inputs)
    held_out = inputs["held-out"].path
    row = choose(read_jsonl(held_out / "dev.jsonl", PromptRow))
    server = model_server(slice, inputs[_input_of(arm)], out.scratch / "server.log", name=arm)
    with launcher.serve(server) as endpoint:
        try:
            result = ask_row(slice, endpoint.url, row, held_out, endpoint.model)
        except EndpointError:
            endpoint.check()
            raise
    answer = _answer(row, result.text, result.finish_reason, arm)
    if answer.image:
        (out.path / answer.image).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(held_out / answer.image, out.path / answer.image)
    (out.path / "answer.json").write_text(answer.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return out.publish("answer", {"model": arm, "correct": int(answer.correct)}, tokens=result.num_tokens)


def choose(rows: list[PromptRow]) -> PromptRow:
    """The first visual question nearest to NUM_STEPS steps; any question where none is visual.

    Raises:
        DataError: There is no question.
    """
    if not rows:
        raise DataError(Fault("dev", "no question", "at least one", "add a source to sources.dev"))
    visual = [row for row in rows if row.images and row.modality == "visual"]
    # Questions of unknown length come last.
    return min(visual or rows, key=lambda row: abs((row.num_steps or 1000) - NUM_STEPS))


def _input_of(arm: str) -> str:
    """The visual arms have one name of input, whoever wrote their thoughts."""
    return f"checkpoint-{arm}".replace("QVQ", "SD")


def _best_model(path: Path, inputs: Mapping[str, Artifact]) -> str:
    best = json.loads(path.read_bytes()).get("best_model")
    if _input_of(best) not in inputs:
        raise DataError(
            Fault(
                where=f"{path.name}: best_model",
                found=str(best),
                allowed=", ".join(name for name in inputs if name.startswith("checkpoint-")),
                next="run the report again",
            )
        )
    return str(best)


def _answer(row: PromptRow, response: str, finish_reason: str, arm: str) -> Answer:
    reply = split_response(response)
    return Answer(
        id=row.id,
        question=row.question,
        image=row.images[0].path if row.images else None,
        thought=reply.thought,
        solution=reply.solution,
        answer=extract(response),
        gold=row.gold.value,
        correct=judge(response, finish_reason, row.gold) == "correct",
        model=arm,
    )
