import json
import re
from pathlib import Path

import pytest

from spica.artifacts.manifest import Manifest
from spica.artifacts.runs import list_runs, record_failure, record_task, start_run, task_records
from spica.errors import DataError, Fault, LockedError, PrerequisiteError

from .artifact_examples import manifest_of, write_files


def made_at(folder: Path, started: str) -> Manifest:
    manifest = manifest_of(write_files(folder, model_bin="weights"))
    return manifest.model_copy(
        update={"execution": manifest.execution.model_copy(update={"started": started})}
    )


def test_a_run_id_says_when_and_what(state: Path) -> None:
    with start_run(state, "virgo-7b", "node8", 0) as run:
        assert re.fullmatch(r"\d{8}-\d{6}-virgo-7b-[0-9a-f]{4}", run.id)


def test_a_finished_run_is_recorded_with_its_tasks(state: Path, tmp_path: Path) -> None:
    with start_run(state, "miniature", "laptop", 0) as run:
        record_task(state, run.id, made_at(tmp_path / "a", "2999-01-01T00:00:00"))
    record = json.loads((state / "runs" / run.id / "run.json").read_text())
    assert (record["recipe"], record["profile"], record["status"]) == ("miniature", "laptop", "succeeded")
    assert [(task["task"], task["cached"], task["wall_s"]) for task in record["tasks"]] == [
        ("sft-d_t+d_sd", False, 1.0)
    ]


def test_a_task_made_before_the_run_began_counts_as_cached(state: Path, tmp_path: Path) -> None:
    with start_run(state, "miniature", "laptop", 0) as run:
        record_task(state, run.id, made_at(tmp_path / "a", "2000-01-01T00:00:00"))
    task = list_runs(state)[0].tasks[0]
    assert (task.cached, task.wall_s) == (True, 0.0)


def test_a_failed_run_says_why_and_in_which_task(state: Path) -> None:
    fault = DataError(Fault("text.jsonl", "no rows", "rows", "look"))
    with pytest.raises(DataError), start_run(state, "miniature", "laptop", 0) as run:
        record_failure(state, run.id, "text", fault)
        raise fault
    listed = list_runs(state)[0]
    assert (listed.status, listed.error) == ("failed", "text.jsonl: no rows")
    assert (listed.tasks[0].task, listed.tasks[0].error) == ("text", "text.jsonl: no rows")


def test_an_interrupted_run_is_recorded_as_interrupted(state: Path) -> None:
    with pytest.raises(KeyboardInterrupt), start_run(state, "miniature", "laptop", 0):
        raise KeyboardInterrupt
    assert list_runs(state)[0].status == "interrupted"


def test_a_run_that_needs_more_room_than_there_is_does_not_start(state: Path) -> None:
    with pytest.raises(PrerequisiteError) as caught, start_run(state, "miniature", "laptop", 1 << 60):
        pass
    fault = caught.value.faults[0]
    assert (fault.where, fault.allowed) == (str(state), "at least 1073741824.0 GiB")
    assert re.fullmatch(r"[0-9.]+ GiB free", fault.found)
    assert list_runs(state) == []


def test_runs_are_listed_newest_first_and_broken_records_are_passed_over(
    state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("20260101-000000-a-0000", "20260102-000000-a-0000"):
        record = {
            "id": name,
            "recipe": "a",
            "profile": "laptop",
            "status": "failed",
            "started": "",
            "pid": 1,
            "host": "",
        }
        (state / "runs" / name).mkdir(parents=True)
        (state / "runs" / name / "run.json").write_text(json.dumps(record))
    (state / "runs" / "20260103-000000-a-0000").mkdir()
    (state / "runs" / "20260103-000000-a-0000" / "run.json").write_text("{")
    assert [run.id[:8] for run in list_runs(state)] == ["20260102", "20260101"]
    assert "is no record of a run" in caplog.text


def test_a_task_outside_of_a_run_is_recorded_nowhere(state: Path, tmp_path: Path) -> None:
    record_task(state, "", made_at(tmp_path / "a", "2999-01-01T00:00:00"))
    assert not state.exists()


def test_a_failed_task_keeps_its_faults_and_exit_code(state: Path) -> None:
    faults = (Fault("a", "b", "c", "d"), Fault("e", "f", "g", "h"))
    with start_run(state, "miniature", "laptop", 0) as run:
        record_failure(state, run.id, "text", LockedError(*faults))
    record = task_records(state, run.id)["text"]
    assert (record.faults, record.exit_code) == (faults, 3)


def test_tasks_are_known_by_name_while_the_run_goes_on(state: Path, tmp_path: Path) -> None:
    manifest = made_at(tmp_path / "a", "2999-01-01T00:00:00")
    with start_run(state, "miniature", "laptop", 0) as run:
        record_task(state, run.id, manifest)
        assert task_records(state, run.id)[manifest.task].digest == manifest.digest
