import json
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from spica.artifacts.manifest import Artifact
from spica.artifacts.rows import read_jsonl, write_jsonl
from spica.artifacts.types import Gold, PromptRow, Rollout
from spica.artifacts.workspace import Workspace
from spica.distill.difficulty import OFFICIAL_PREFIX, for_base, of_difficulty, solved
from spica.distill.run import run
from spica.errors import PrerequisiteError
from spica.launch.contract import CommandServer, Job, ModelServer, Training
from spica.miniature.world import PREFIX

from .distill_examples import make_slice, manifest, scripted_teacher
from .test_rollout_selection import rollout

Make = Callable[[str], Workspace]
MEDIUM = {"num_rollouts": 5, "difficulty": "medium"}


class Served:
    """A checkpoint that is served already."""

    model = "ours"

    def __init__(self, url: str) -> None:
        self.url = url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def check(self) -> None:
        pass


class ServesEach:
    """Serves each server's name at a URL of its own."""

    def __init__(self, **urls: str) -> None:
        self.urls = urls
        self.served: list[str] = []

    def train(self, job: Training) -> Job:
        raise NotImplementedError

    def serve(self, server: ModelServer | CommandServer) -> Served:
        self.served.append(server.name)
        return Served(self.urls[server.name])


def questions(folder: Path, num: int) -> Artifact:
    rows = [
        PromptRow(
            id=f"q{number}",
            source="geos",
            question=f"{number}+0=?",
            gold=Gold(kind="number", value=str(number)),
            modality="text",
        )
        for number in range(num)
    ]
    folder.mkdir()
    write_jsonl(folder / "prompts.jsonl", rows)
    return Artifact(manifest(), "", lambda _: folder)


def checkpoint(task: str, folder: Path) -> Artifact:
    return Artifact(manifest("checkpoint", task), "", lambda _: folder)


def test_the_levels_count_correct_rollouts_of_five() -> None:
    rollouts = [
        rollout(str(count), index, "correct" if index < count else "malformed")
        for count in range(6)
        for index in range(5)
    ]
    assert of_difficulty(rollouts, "medium") == {"4", "5"}
    assert of_difficulty(rollouts, "hard") == {"2", "3"}


def test_the_base_is_right_without_any_thought() -> None:
    answers = [rollout("a", 0, "correct"), rollout("b", 0, "malformed"), rollout("c", 0, "no_box")]
    assert solved(answers) == {"a", "b"}


@pytest.mark.parametrize(("base_prompt", "prefix"), [("official", OFFICIAL_PREFIX), ("prefix", PREFIX)])
def test_the_base_is_asked_once_greedily_by_its_own_prompt(base_prompt: str, prefix: str) -> None:
    slice = for_base(make_slice(None, base_prompt=base_prompt, rollouts=MEDIUM))
    assert (slice.prompt.prefix, slice.rollouts.num_rollouts, slice.rollouts.temperature) == (prefix, 1, 0.0)
    assert slice.rollouts.max_tokens == 200


def test_medium_keeps_what_the_base_cannot_do_and_m0_often_does(tmp_path: Path, make_workspace: Make) -> None:
    """The base solves 0 and 1; of five tries M0 solves 2 in five, 3 in four, 4 in three, 5 in none."""
    prompts = questions(tmp_path / "prompts", 6)
    tries = dict.fromkeys(range(6), 0)
    wanted = {2: 5, 3: 4, 4: 3, 5: 0}
    asked: list[str] = []

    def of_base(text: str) -> str:
        number = int(text.rpartition("\n")[2].partition("+")[0])
        return f"\\boxed{{{number if number < 2 else 99}}}"

    def of_m0(text: str) -> str:
        number = int(text.partition("+")[0])
        asked.append(text)
        tries[number] += 1
        said = number if tries[number] <= wanted[number] else 99
        thought = "<|begin_of_thought|>t<|end_of_thought|>"
        return f"{thought}<|begin_of_solution|>\\boxed{{{said}}}<|end_of_solution|>"

    out = make_workspace("out")
    slice = make_slice(None, base_prompt="official", rollouts=MEDIUM, requests={"concurrency": 1})
    inputs = {
        "prompts": prompts,
        "teacher": checkpoint("sft-d_t", tmp_path),
        "base": checkpoint("student", tmp_path),
    }
    with scripted_teacher(lambda text, seed: 200, of_base) as base:
        with scripted_teacher(lambda text, seed: 200, of_m0) as m0:
            launcher = ServesEach(base=base, teacher=m0)
            published = run(slice, inputs, out, launcher)
    assert launcher.served == ["base", "teacher"]
    assert len(asked) == 20 and set(asked) == {"2+0=?", "3+0=?", "4+0=?", "5+0=?"}
    assert [(one.id, one.index) for one in read_jsonl(out.path / "kept.jsonl", Rollout)] == [
        ("q2", 0),
        ("q3", 0),
    ]
    answers = read_jsonl(out.path / "base.jsonl", Rollout)
    assert [(one.id, one.verdict) for one in answers[:3]] == [
        ("q0", "malformed"),
        ("q1", "malformed"),
        ("q2", "wrong"),
    ]
    assert {one.teacher for one in answers} == {"student@3f3f3f3f3f3f"}
    rates = json.loads((out.path / "pass_rates.json").read_text())
    assert (rates["num_base_right"], rates["correct_histogram"]) == (2, {"0": 3, "3": 1, "4": 1, "5": 1})
    assert (published.metrics["num_questions"], published.metrics["num_rollouts"]) == (6, 20)


def test_a_level_without_the_base_says_what_to_pass(tmp_path: Path, make_workspace: Make) -> None:
    slice = make_slice(None, base_prompt="prefix", rollouts=MEDIUM)
    inputs = {"prompts": questions(tmp_path / "prompts", 1), "teacher": checkpoint("sft-d_t", tmp_path)}
    with pytest.raises(PrerequisiteError, match="pass the checkpoint of student as input `base`"):
        run(slice, inputs, make_workspace("out"), ServesEach())
