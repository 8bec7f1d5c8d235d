import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from spica.artifacts.manifest import Artifact
from spica.artifacts.rows import read_jsonl
from spica.artifacts.types import Score
from spica.errors import DataError, EndpointError, IntegrityError
from spica.evaluate.answers import Answer, join
from spica.evaluate.items import Item, Key, plan
from spica.evaluate.run import run
from spica.launch.contract import Endpoint
from spica.launch.local import LocalLauncher
from spica.launch.processes import descendants
from spica.miniature.base_path import base_path

from .evaluate_examples import (
    Running,
    artifact,
    make_rows,
    make_slice,
    serve_teacher,
    workspace,
    write_held_out,
)
from .judge_peer import judge_peer


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    folder = tmp_path_factory.mktemp("inputs")
    return {
        "checkpoint": artifact("checkpoint", base_path()),
        "held-out": write_held_out(folder, make_rows(folder, "questions", 4)),
    }


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with serve_teacher(tmp_path_factory.mktemp("teacher")) as endpoint:
        yield endpoint


@pytest.fixture
def launcher(teacher: Endpoint) -> Running:
    return Running(teacher)


def test_every_question_is_scored_once_per_penalty_in_order(
    tmp_path: Path, inputs: dict[str, Artifact], launcher: Running
) -> None:
    out = workspace(tmp_path)
    manifest = run(make_slice(), inputs, out, launcher)
    scores = read_jsonl(out.path / "scores.jsonl", Score)
    asked = [f"mathvision-{i}" for i in range(16)] + [f"questions-{i}" for i in range(4)]
    assert [(row.id, row.repetition_penalty) for row in scores] == [
        (row_id, penalty) for penalty in (1.0, 1.05) for row_id in asked
    ]
    assert {row.source for row in scores} == {"mathvision", "dev"}
    assert all(row.correct and 0 < row.num_thought_tokens < row.num_tokens for row in scores)
    assert manifest.metrics["accuracy.mathvision"] == 1.0
    assert manifest.execution.tokens == sum(row.num_tokens for row in scores)


def test_wrong_answers_lower_the_accuracy(tmp_path: Path, inputs: dict[str, Artifact]) -> None:
    out = workspace(tmp_path)
    with serve_teacher(tmp_path, "--wrong=1") as endpoint:
        run(make_slice(), inputs, out, Running(endpoint))
    summary = json.loads((out.path / "summary.json").read_text())
    assert summary["by_repetition_penalty"]["1.0"]["benchmarks"]["mathvision"]["accuracy"] == 0.0


def test_a_second_run_asks_only_what_the_journal_lacks(
    tmp_path: Path, inputs: dict[str, Artifact], launcher: Running
) -> None:
    first = workspace(tmp_path)
    run(make_slice(), inputs, first, launcher)
    journal = first.scratch / "answers.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    kept = b"".join(lines[:30]).replace(b'"num_tokens":', b'"num_tokens":10')  # told apart from new answers
    journal.write_bytes(kept + lines[30][:25])
    run(make_slice(), inputs, workspace(tmp_path), launcher)
    again = read_jsonl(first.path / "scores.jsonl", Score)
    assert sum(row.num_tokens >= 1000 for row in again) == 30
    assert len(again) == 40


def test_a_complete_journal_starts_no_server(
    tmp_path: Path, inputs: dict[str, Artifact], launcher: Running
) -> None:
    out = workspace(tmp_path)
    run(make_slice(), inputs, out, launcher)
    scores = (out.path / "scores.jsonl").read_bytes()
    run(make_slice(), inputs, workspace(tmp_path), launcher)
    assert launcher.num_served == 1
    assert (out.path / "scores.jsonl").read_bytes() == scores


def test_doubled_unknown_and_missing_answers_are_each_an_error_of_their_own(tmp_path: Path) -> None:
    items = [Item(row, tmp_path, "dev") for row in make_rows(tmp_path, "questions", 3)]
    questions = plan(items, [1.0])
    answers = [
        Answer(id=row_id, repetition_penalty=1.0, response="", finish_reason="stop", num_tokens=0)
        for row_id in ("questions-0", "questions-0", "strange", "questions-2")
    ]
    with pytest.raises(IntegrityError) as error:
        join(questions, answers)
    assert [fault.found for fault in error.value.faults] == [
        "no answer to 'questions-1' (repetition penalty 1.0)",
        "an answer to what was not asked: 'strange' (repetition penalty 1.0)",
        "two answers to 'questions-0' (repetition penalty 1.0)",
    ]


def test_answers_are_joined_by_id_whatever_their_order(tmp_path: Path) -> None:
    items = [Item(row, tmp_path, "dev") for row in make_rows(tmp_path, "questions", 3)]
    answers = [
        Answer(id=item.row.id, repetition_penalty=1.0, response="", finish_reason="stop", num_tokens=i)
        for i, item in enumerate(items)
    ]
    joined = join(plan(items, [1.0]), answers[::-1])
    assert [joined[Key(item.row.id, 1.0)].num_tokens for item in items] == [0, 1, 2]


def test_a_doubled_line_of_the_journal_is_an_integrity_error(
    tmp_path: Path, inputs: dict[str, Artifact], launcher: Running
) -> None:
    out = workspace(tmp_path)
    run(make_slice(), inputs, out, launcher)
    journal = out.scratch / "answers.jsonl"
    journal.write_bytes(journal.read_bytes() + journal.read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(IntegrityError, match="two answers to"):
        run(make_slice(), inputs, workspace(tmp_path), launcher)


def test_the_judge_and_its_agreement_stand_in_the_summary(
    tmp_path: Path, inputs: dict[str, Artifact], launcher: Running
) -> None:
    out = workspace(tmp_path)
    with judge_peer() as peer:
        evaluate = make_slice().evaluate.model_dump() | {"judge": {"url": peer.url, "model": "by-rule"}}
        manifest = run(make_slice(evaluate=evaluate), inputs, out, launcher)
    card = json.loads((out.path / "summary.json").read_text())["judge"]
    assert (card["model"], card["golden"]["num"], card["golden"]["num_unjudged"]) == ("by-rule", 72, 0)
    assert card["num_calls"] == len(peer.bodies) > 72
    assert 0.2 < card["golden"]["kappa"] < 1
    assert manifest.metrics["judge_kappa"] == card["golden"]["kappa"]
    scores = read_jsonl(out.path / "scores.jsonl", Score)
    assert all(row.fork for row in scores if row.source == "mathvision")


def test_a_question_id_in_benchmarks_and_dev_is_an_integrity_error(
    tmp_path: Path, inputs: dict[str, Artifact], launcher: Running
) -> None:
    same = inputs | {"held-out": write_held_out(tmp_path, make_rows(tmp_path, "mathvision", 1))}
    with pytest.raises(IntegrityError, match="id 'mathvision-0' more than once"):
        run(make_slice(), same, workspace(tmp_path), launcher)


def test_a_checkpoint_without_tokenizer_is_a_data_error(
    tmp_path: Path, inputs: dict[str, Artifact], launcher: Running
) -> None:
    bare = inputs | {"checkpoint": artifact("checkpoint", tmp_path)}
    with pytest.raises(DataError, match=r"tokenizer\.json"):
        run(make_slice(), bare, workspace(tmp_path), launcher)


def test_a_server_that_dies_is_told_with_its_log(tmp_path: Path, inputs: dict[str, Artifact]) -> None:
    with serve_teacher(tmp_path) as endpoint:
        guard = next(process for process in descendants(os.getpid()) if is_guard_of(process.pid, tmp_path))
        os.kill(descendants(guard.pid)[0].pid, signal.SIGKILL)
        with pytest.raises(EndpointError, match="exit code 137"):
            run(make_slice(), inputs, workspace(tmp_path), Running(endpoint))


def is_guard_of(pid: int, state: Path) -> bool:
    return f"--record\0{state}/" in Path(f"/proc/{pid}/cmdline").read_text()


@pytest.mark.slow
def test_a_real_vllm_server_answers_every_question(tmp_path: Path, inputs: dict[str, Artifact]) -> None:
    out = workspace(tmp_path)
    one_step = inputs | {"held-out": write_held_out(tmp_path, make_rows(tmp_path, "dev", 20, num_steps=1))}
    manifest = run(make_slice(), one_step, out, LocalLauncher(tmp_path / "state"))
    assert len(read_jsonl(out.path / "scores.jsonl", Score)) == 2 * (16 + 20)
    # The shipped base can read one entry, in text and picture, and nothing longer.
    assert float(manifest.metrics["accuracy.dev"]) >= 0.5
    assert list((tmp_path / "state/processes").iterdir()) == []
