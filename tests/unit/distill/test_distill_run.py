import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from spica.artifacts.manifest import Artifact
from spica.artifacts.rows import read_jsonl
from spica.artifacts.types import PromptRow, Rollout
from spica.artifacts.workspace import Workspace
from spica.distill.run import run
from spica.errors import DataError, EndpointError, PrerequisiteError
from spica.launch.contract import CommandServer, Job, ModelServer, Training
from spica.launch.local import LocalLauncher
from spica.recipe.slices import ServerScale

from .distill_examples import (
    KEY,
    make_slice,
    manifest,
    prompts,
    question_of,
    scripted_teacher,
    teacher_process,
    workspace,
)

Make = Callable[[str], Workspace]


class NoLauncher:
    """Must not be asked."""

    def train(self, job: Training) -> Job:
        raise NotImplementedError

    def serve(self, server: ModelServer | CommandServer) -> "Running":
        raise NotImplementedError


class Running:
    """An endpoint that somebody else runs."""

    model = "miniature-teacher"

    def __init__(self, url: str) -> None:
        self.url = url
        self.num_checks = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def check(self) -> None:
        self.num_checks += 1


class ServesAt(NoLauncher):
    """Says what it was asked to serve, and serves the teacher at `url` in its place."""

    def __init__(self, url: str) -> None:
        self.endpoint = Running(url)
        self.served: list[ModelServer | CommandServer] = []

    def serve(self, server: ModelServer | CommandServer) -> Running:
        self.served.append(server)
        return self.endpoint


def rollouts_of(out: Workspace) -> list[Rollout]:
    return read_jsonl(out.path / "rollouts.jsonl", Rollout)


def test_every_question_gets_its_rollouts_in_order_with_verdicts(
    teacher_url: str, small_prompts: Artifact, make_workspace: Make
) -> None:
    out = make_workspace("out")
    published = run(make_slice(teacher_url), {"prompts": small_prompts}, out, NoLauncher())
    rollouts = rollouts_of(out)
    assert [(row.id, row.index) for row in rollouts] == [(f"q{i}", k) for i in range(24) for k in range(3)]
    assert {row.verdict for row in rollouts} == {"correct", "wrong", "no_box", "no_end", "empty"}
    assert len({row.seed for row in rollouts}) == 72
    assert len({row.prompt_digest for row in rollouts}) == 24
    assert {row.teacher for row in rollouts} == {"miniature-teacher"}
    kept = read_jsonl(out.path / "kept.jsonl", Rollout)
    for row in kept:
        right = [r for r in rollouts if r.id == row.id and r.verdict == "correct"]
        assert row.num_tokens == min(r.num_tokens for r in right)
    num_correct = sum(row.verdict == "correct" for row in rollouts)
    rates = json.loads((out.path / "pass_rates.json").read_text())
    assert published.metrics == {
        "num_questions": 24,
        "num_rollouts": 72,
        "num_correct": num_correct,
        "num_malformed": 0,
        "num_refused": 0,
        "num_kept": len(kept),
        "pass_rate": round(num_correct / 72, 6),
    }
    assert rates["overall"] == published.metrics["pass_rate"]
    assert published.execution.tokens == sum(row.num_tokens for row in rollouts)
    assert sorted(path.name for path in (out.path / "images").iterdir()) == sorted(
        f"{i}.png" for i in range(24) if i % 3 == 1
    )


def test_the_result_does_not_depend_on_concurrency(
    teacher_url: str, small_prompts: Artifact, make_workspace: Make
) -> None:
    written = []
    for concurrency in (1, 16):
        out = make_workspace(f"c{concurrency}")
        slice = make_slice(teacher_url, requests={"concurrency": concurrency})
        run(slice, {"prompts": small_prompts}, out, NoLauncher())
        written.append((out.path / "rollouts.jsonl").read_bytes())
    assert written[0] == written[1]


def test_a_miniature_url_starts_the_shipped_teacher(
    small_prompts: Artifact, make_workspace: Make, tmp_path: Path
) -> None:
    out = make_workspace("out")
    slice = make_slice("miniature://teacher?wrong=0.0&seed=1")
    published = run(slice, {"prompts": small_prompts}, out, LocalLauncher(tmp_path / "state"))
    assert published.metrics["pass_rate"] == 1.0


def test_a_checkpoint_is_served_where_the_slice_names_no_endpoint(
    teacher_url: str, small_prompts: Artifact, make_workspace: Make, tmp_path: Path
) -> None:
    out = make_workspace("out")
    launcher = ServesAt(teacher_url)
    inputs = {
        "prompts": small_prompts,
        "teacher": Artifact(manifest("checkpoint", "sft-d_t"), "", lambda _: tmp_path),
    }
    run(make_slice(None), inputs, out, launcher)
    assert launcher.served == [
        ModelServer(
            name="teacher",
            checkpoint=inputs["teacher"],
            logs=out.scratch / "teacher.log",
            scale=ServerScale(
                precision="bf16",
                threads=1,
                tensor_parallel=1,
                num_servers=2,
                kv_cache_gib=1,
                max_model_len=512,
                max_images=1,
            ),
        )
    ]
    assert {row.teacher for row in rollouts_of(out)} == {"sft-d_t@3f3f3f3f3f3f"}


def test_a_fault_at_a_served_teacher_looks_whether_it_died(
    small_prompts: Artifact, make_workspace: Make, tmp_path: Path
) -> None:
    launcher = ServesAt("http://127.0.0.1:9/v1")
    inputs = {
        "prompts": small_prompts,
        "teacher": Artifact(manifest("checkpoint", "sft-d_t"), "", lambda _: tmp_path),
    }
    with pytest.raises(EndpointError):
        run(make_slice(None), inputs, make_workspace("out"), launcher)
    assert launcher.endpoint.num_checks == 1


def test_neither_endpoint_nor_checkpoint_is_an_error(small_prompts: Artifact, make_workspace: Make) -> None:
    with pytest.raises(
        PrerequisiteError, match="neither an endpoint in the slice nor an input named teacher"
    ):
        run(make_slice(None), {"prompts": small_prompts}, make_workspace("out"), NoLauncher())


def test_two_questions_with_one_id_are_an_error(tmp_path: Path, make_workspace: Make) -> None:
    artifact = prompts(tmp_path / "prompts", 2)
    path = artifact.path / "prompts.jsonl"
    path.write_text(path.read_text().replace("q1", "q0"))
    with pytest.raises(DataError, match="2 questions with 1 different ids"):
        run(make_slice("http://127.0.0.1:9/v1"), {"prompts": artifact}, make_workspace("out"), NoLauncher())


def test_a_missing_key_names_its_variable(small_prompts: Artifact, make_workspace: Make) -> None:
    slice = make_slice("http://127.0.0.1:9/v1", teacher={"api_key_env": "SPICA_NO_SUCH_KEY"})
    with pytest.raises(PrerequisiteError, match=r"\$SPICA_NO_SUCH_KEY is not set"):
        run(slice, {"prompts": small_prompts}, make_workspace("out"), NoLauncher())


def test_the_key_reaches_no_file_no_output_and_no_error(
    small_prompts: Artifact,
    make_workspace: Make,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(0)
    monkeypatch.setenv("SPICA_TEST_KEY", KEY)
    options = ("--api-key-env=SPICA_TEST_KEY", "--fault=429=0.2", "--retry-after-s=0")
    with teacher_process(*options) as url:
        out = make_workspace("out")
        slice = make_slice(url, teacher={"api_key_env": "SPICA_TEST_KEY"}, requests={"max_attempts": 9})
        run(slice, {"prompts": small_prompts}, out, NoLauncher())
        refused = make_workspace("refused")
        monkeypatch.setenv("SPICA_TEST_KEY", f"{KEY}-wrong")
        with pytest.raises(EndpointError) as error:
            run(slice, {"prompts": small_prompts}, refused, NoLauncher())
    files = [path for folder in (out, refused) for path in folder.path.parent.rglob("*") if path.is_file()]
    assert any(path.name == "rollouts.jsonl" and path.parent == out.scratch for path in files)
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    assert KEY not in "".join(capfd.readouterr()) + caplog.text + str(error.value)
    assert "HTTP 401" in str(error.value)


def test_a_question_that_is_always_refused_gives_failed_rollouts_with_their_reason(
    small_prompts: Artifact, make_workspace: Make, caplog: pytest.LogCaptureFixture
) -> None:
    with scripted_teacher(lambda text, seed: 400 if text == question_of(small_prompts, "q3") else 200) as url:
        out = make_workspace("out")
        published = run(make_slice(url), {"prompts": small_prompts}, out, NoLauncher())
    failed = [row for row in rollouts_of(out) if row.verdict == "refused"]
    assert [(row.id, row.index, row.response, row.num_tokens) for row in failed] == [
        ("q3", index, "", 0) for index in range(3)
    ]
    assert {row.finish_reason for row in failed} == {"HTTP 400 (BadRequestError)"}
    assert published.metrics["num_refused"] == 3
    assert len(read_jsonl(out.scratch / "rollouts.jsonl", Rollout)) == 72
    assert "3 rollouts refused, the first: HTTP 400 (BadRequestError)" in caplog.text


def test_more_refusals_than_one_question_has_end_the_run_and_name_the_first(
    small_prompts: Artifact, make_workspace: Make
) -> None:
    out = make_workspace("out")
    with scripted_teacher(lambda text, seed: 422 if seed % 2 else 200) as url:
        with pytest.raises(EndpointError) as error:
            run(make_slice(url), {"prompts": small_prompts}, out, NoLauncher())
    assert error.value.faults[0].found == "HTTP 422 (BadRequestError); with it 4 rollouts were refused"
    assert error.value.faults[0].allowed == "at most 3 refused rollouts"
    assert {row.verdict for row in read_jsonl(out.scratch / "rollouts.jsonl", Rollout)} <= {"wrong"}


def test_a_teacher_that_refuses_everything_is_an_error(tmp_path: Path, make_workspace: Make) -> None:
    out = make_workspace("out")
    with scripted_teacher(lambda text, seed: 413) as url:
        with pytest.raises(EndpointError, match=r"HTTP 413 \(BadRequestError\)\n"):
            run(make_slice(url), {"prompts": prompts(tmp_path / "one", 1)}, out, NoLauncher())
    assert read_jsonl(out.scratch / "rollouts.jsonl", Rollout) == []


def test_a_right_answer_without_its_thought_is_malformed_and_never_kept(
    tmp_path: Path, make_workspace: Make
) -> None:
    artifact = prompts(tmp_path / "one", 1)
    gold = read_jsonl(artifact.path / "prompts.jsonl", PromptRow)[0].gold.value
    bare = f"<|begin_of_solution|>\\boxed{{{gold}}}<|end_of_solution|>"
    said = iter(
        [bare, f" \n<|begin_of_thought|>c4;+h9;c4;<|end_of_thought|>\n{bare}\n", f"\\boxed{{{gold}}}"]
    )
    out = make_workspace("out")
    with scripted_teacher(lambda text, seed: 200, lambda text: next(said)) as url:
        slice = make_slice(url, requests={"concurrency": 1})
        published = run(slice, {"prompts": artifact}, out, NoLauncher())
    assert [row.verdict for row in rollouts_of(out)] == ["malformed", "correct", "malformed"]
    [kept] = read_jsonl(out.path / "kept.jsonl", Rollout)
    assert kept.response == f"<|begin_of_thought|>c4;+h9;c4;<|end_of_thought|>\n{bare}"
    assert (kept.max_tokens, published.metrics["num_malformed"]) == (200, 2)


def test_a_finished_journal_needs_no_teacher(
    teacher_url: str, small_prompts: Artifact, make_workspace: Make
) -> None:
    first = make_workspace("out")
    run(make_slice(teacher_url), {"prompts": small_prompts}, first, NoLauncher())
    again = make_workspace("out")
    run(make_slice("http://127.0.0.1:9/v1"), {"prompts": small_prompts}, again, NoLauncher())
    assert len(rollouts_of(again)) == 72


def test_kill_9_repeats_only_requests_in_flight(
    small_prompts: Artifact, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with teacher_process("--seed=1", "--wrong=0.2", "--fault=slow=1.0", "--slow-s=0.01") as url:
        whole = workspace(tmp_path / "whole")
        run(make_slice(url), {"prompts": small_prompts}, whole, NoLauncher())
        journal = tmp_path / "killed" / "scratch" / "rollouts.jsonl"
        arguments = [url, str(small_prompts.path), str(tmp_path / "killed")]
        script = Path(__file__).with_name("killed_distill.py")
        with subprocess.Popen([sys.executable, str(script), *arguments]) as process:
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline and (
                not journal.exists() or journal.read_bytes().count(b"\n") < 20
            ):
                time.sleep(0.005)
            os.kill(process.pid, signal.SIGKILL)
        num_kept = journal.read_bytes().count(b"\n")
        assert 20 <= num_kept < 72
        with journal.open("ab") as file:
            file.write(b'{"id": "q0", "ind')
        capfd.readouterr()
        resumed = workspace(tmp_path / "killed")
        run(make_slice(url), {"prompts": small_prompts}, resumed, NoLauncher())
    assert capfd.readouterr().out.startswith(f"72 rollouts of 24 questions, {num_kept} done\n")
    assert len(read_jsonl(journal, Rollout)) == 72
    for name in ("rollouts.jsonl", "kept.jsonl", "pass_rates.json"):
        assert (resumed.path / name).read_bytes() == (whole.path / name).read_bytes()
