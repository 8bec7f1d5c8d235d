import json
from pathlib import Path

import pytest

from spica.artifacts.manifest import Artifact
from spica.artifacts.rows import read_jsonl
from spica.artifacts.types import Score
from spica.errors import DataError, EndpointError, IntegrityError
from spica.evaluate.run import run
from spica.launch.contract import CommandServer, Endpoint, ModelServer
from spica.launch.local import LocalLauncher
from spica.launch.processes import identify
from spica.miniature.base import base_path

from .evaluate_examples import TeacherLauncher, artifact, make_slice, workspace, write_prompts


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    folder = tmp_path_factory.mktemp("inputs")
    return {
        "checkpoint": artifact("checkpoint", base_path()),
        "benchmarks": write_prompts(folder / "benchmarks", "mathvision", 16),
        "dev": write_prompts(folder / "dev", "questions", 4),
    }


def test_every_question_is_scored_once_per_penalty_in_order(
    tmp_path: Path, inputs: dict[str, Artifact]
) -> None:
    out = workspace(tmp_path)
    manifest = run(make_slice(), inputs, out, TeacherLauncher(tmp_path / "state"))
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
    run(make_slice(), inputs, out, TeacherLauncher(tmp_path / "state", "--wrong=1"))
    summary = json.loads((out.path / "summary.json").read_text())
    assert summary["by_repetition_penalty"]["1.0"]["benchmarks"]["mathvision"]["accuracy"] == 0.0


def test_a_second_run_asks_only_what_the_journal_lacks(tmp_path: Path, inputs: dict[str, Artifact]) -> None:
    launcher = TeacherLauncher(tmp_path / "state")
    first = workspace(tmp_path)
    run(make_slice(), inputs, first, launcher)
    scores = (first.path / "scores.jsonl").read_bytes()
    journal = first.scratch / "answers.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    kept = b"".join(lines[:30]).replace(b'"num_tokens":', b'"num_tokens":10')  # told apart from new answers
    journal.write_bytes(kept + lines[30][:25])
    run(make_slice(), inputs, first, launcher)
    again = read_jsonl(first.path / "scores.jsonl", Score)
    assert sum(row.num_tokens >= 1000 for row in again) == 30
    assert len(again) == len(scores.splitlines())


def test_a_complete_journal_starts_no_server(tmp_path: Path, inputs: dict[str, Artifact]) -> None:
    launcher = TeacherLauncher(tmp_path / "state")
    out = workspace(tmp_path)
    run(make_slice(), inputs, out, launcher)
    scores = (out.path / "scores.jsonl").read_bytes()
    run(make_slice(), inputs, out, launcher)
    assert launcher.num_served == 1
    assert (out.path / "scores.jsonl").read_bytes() == scores


def test_a_doubled_answer_is_an_integrity_error(tmp_path: Path, inputs: dict[str, Artifact]) -> None:
    launcher = TeacherLauncher(tmp_path / "state")
    out = workspace(tmp_path)
    run(make_slice(), inputs, out, launcher)
    journal = out.scratch / "answers.jsonl"
    journal.write_bytes(journal.read_bytes() + journal.read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(IntegrityError, match="1 doubled answers"):
        run(make_slice(), inputs, out, launcher)


def test_a_question_id_in_benchmarks_and_dev_is_an_integrity_error(
    tmp_path: Path, inputs: dict[str, Artifact]
) -> None:
    same = inputs | {"dev": inputs["benchmarks"]}
    with pytest.raises(IntegrityError, match="id 'mathvision-0' more than once"):
        run(make_slice(), same, workspace(tmp_path), TeacherLauncher(tmp_path / "state"))


def test_a_checkpoint_without_tokenizer_is_a_data_error(tmp_path: Path, inputs: dict[str, Artifact]) -> None:
    bare = inputs | {"checkpoint": artifact("checkpoint", tmp_path)}
    with pytest.raises(DataError, match=r"tokenizer\.json"):
        run(make_slice(), bare, workspace(tmp_path), TeacherLauncher(tmp_path / "state"))


class DyingLauncher(TeacherLauncher):
    """Serves a teacher that is killed before it is asked."""

    def serve(self, server: ModelServer | CommandServer) -> Endpoint:
        import os
        import signal

        from spica.launch.processes import descendants

        endpoint = super().serve(server)
        for process in descendants(os.getpid()):
            if "miniature.teacher" in Path(f"/proc/{process.pid}/cmdline").read_text() and not is_guard(
                process.pid
            ):
                os.kill(process.pid, signal.SIGKILL)
                while identify(process.pid):
                    pass
        return endpoint


def is_guard(pid: int) -> bool:
    return "spica.launch.guard" in Path(f"/proc/{pid}/cmdline").read_text()


def test_a_server_that_dies_is_told_with_its_log(tmp_path: Path, inputs: dict[str, Artifact]) -> None:
    with pytest.raises(EndpointError, match="exit code 137"):
        run(make_slice(), inputs, workspace(tmp_path), DyingLauncher(tmp_path / "state"))


@pytest.mark.slow
def test_a_real_vllm_server_answers_every_question(tmp_path: Path, inputs: dict[str, Artifact]) -> None:
    out = workspace(tmp_path)
    run(make_slice(), inputs, out, LocalLauncher(tmp_path / "state"))
    scores = read_jsonl(out.path / "scores.jsonl", Score)
    assert len(scores) == 40
    assert all(row.num_tokens > 0 for row in scores)
    log = (out.scratch / "server.log").read_text()
    assert "error" not in log.lower()
