import json
from collections.abc import Callable
from pathlib import Path

from spica.artifacts.manifest import Artifact
from spica.artifacts.responses import Response
from spica.artifacts.rows import read_jsonl, write_jsonl
from spica.artifacts.types import Gold, PromptRow, Rollout
from spica.artifacts.workspace import Workspace
from spica.distill.run import run

from .distill_examples import make_slice, manifest, scripted_teacher
from .test_difficulty import ServesEach

Make = Callable[[str], Workspace]
NOBODY = "http://127.0.0.1:9/v1"


def said(answer: str) -> str:
    thought = "<|begin_of_thought|>t<|end_of_thought|>"
    return f"{thought}<|begin_of_solution|>{answer}<|end_of_solution|>"


def prompts(folder: Path, given: dict[str, str], unparsed: tuple[str, ...] = (), asked: int = 0) -> Artifact:
    ids = [*given, *unparsed, *(f"asked-{number}" for number in range(asked))]
    rows = [
        PromptRow(
            id=id,
            source="d_t",
            question=f"{id}?",
            gold=Gold(kind="number", value="7"),
            modality="text",
            meta={"gold_unparsed": "a program"} if id in unparsed or id.startswith("code") else {},
        )
        for id in dict.fromkeys(ids)
    ]
    folder.mkdir()
    write_jsonl(folder / "prompts.jsonl", rows)
    responses = [Response(id=id, teacher="r1-lite", response=text) for id, text in given.items()]
    write_jsonl(folder / "responses.jsonl", responses)
    return Artifact(manifest(), "", lambda _: folder)


def test_questions_that_bring_their_response_ask_nobody(tmp_path: Path, make_workspace: Make) -> None:
    given = {
        "right": said("\\boxed{7}"),
        "wrong": said("\\boxed{8}"),
        "bare": "\\boxed{7}",
        "code-1": said("print(7)"),
        "code-2": "print(7)",
    }
    out = make_workspace("out")
    published = run(make_slice(NOBODY), {"prompts": prompts(tmp_path / "p", given)}, out, ServesEach())
    rollouts = read_jsonl(out.path / "rollouts.jsonl", Rollout)
    assert {one.id: one.verdict for one in rollouts} == {
        "right": "correct",
        "wrong": "wrong",
        "bare": "malformed",
        "code-1": "correct",
        "code-2": "malformed",
    }
    assert {(one.index, one.teacher, one.temperature, one.num_tokens) for one in rollouts} == {
        (0, "r1-lite", 0.0, 0)
    }
    assert [one.id for one in read_jsonl(out.path / "kept.jsonl", Rollout)] == ["right", "code-1"]
    assert published.execution.tokens == 0


def test_the_others_are_asked_in_the_same_run(tmp_path: Path, make_workspace: Make) -> None:
    out = make_workspace("out")
    with scripted_teacher(lambda text, seed: 200, lambda text: said("\\boxed{7}")) as url:
        artifact = prompts(tmp_path / "p", {"given": said("\\boxed{7}")}, asked=2)
        run(make_slice(url), {"prompts": artifact}, out, ServesEach())
    rollouts = read_jsonl(out.path / "rollouts.jsonl", Rollout)
    assert [(one.id, one.index) for one in rollouts] == [
        ("given", 0),
        *((f"asked-{number}", index) for number in range(2) for index in range(3)),
    ]


def test_a_question_whose_answer_nobody_could_accept_is_counted_and_not_asked(
    tmp_path: Path, make_workspace: Make
) -> None:
    out = make_workspace("out")
    artifact = prompts(tmp_path / "p", {"given": said("\\boxed{7}")}, unparsed=("odd",))
    run(make_slice(NOBODY), {"prompts": artifact}, out, ServesEach())
    assert [one.id for one in read_jsonl(out.path / "rollouts.jsonl", Rollout)] == ["given"]
    assert json.loads((out.path / "pass_rates.json").read_text())["num_gold_unparsed"] == 1
