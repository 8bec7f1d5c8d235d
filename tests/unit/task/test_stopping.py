import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spica.artifacts.runs import start_run
from spica.task import OWNER_VARIABLE, PROGRESS_MARK, Place

COMMAND = "from spica.task import run_from_command_line; run_from_command_line('saving_stage')"
IN_A_RUN = """
import sys
from types import SimpleNamespace
from spica.task import run_task
task, slice, place, output = sys.argv[1:]
run_task(task, "saving_stage", slice, place, {}, SimpleNamespace(path=output, metadata={}))
"""


def environment(folder: Path, owner: int | None = None) -> dict[str, str]:
    variables = {"PYTHONPATH": str(Path(__file__).parent), "SPICA_STATE": str(folder / "state")}
    variables |= {"SAVED": str(folder / "saved")}
    return {**os.environ, **variables, **({OWNER_VARIABLE: str(owner)} if owner else {})}


def call(folder: Path, output: str) -> subprocess.CompletedProcess[str]:
    """The stage with nothing to save, through its command line."""
    (folder / "slice.json").write_text('{"saving_s": 0}')
    arguments = ["text", "slice.json", output, "--store", f"file://{folder}/store"]
    command = [sys.executable, "-c", COMMAND, *arguments]
    return subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True)


@contextmanager
def owned_task(
    folder: Path, saving_s: float
) -> Iterator[tuple["subprocess.Popen[str]", "subprocess.Popen[bytes]"]]:
    """The stage at work, and the process that owns it; nobody reads the output after the first lines."""
    place = Place(store=f"file://{folder}/store", launcher="local").model_dump_json()
    arguments = ["text", json.dumps({"saving_s": saving_s}), place, str(folder / "text.ref")]
    with subprocess.Popen(["sleep", "1000"]) as owner:
        command = [sys.executable, "-c", IN_A_RUN, *arguments]
        task = subprocess.Popen(
            command, env=environment(folder, owner.pid), stdout=subprocess.PIPE, text=True
        )
        try:
            assert task.stdout
            while task.stdout.readline() != f"{PROGRESS_MARK}at work\n":
                assert task.poll() is None
            task.stdout.close()
            yield task, owner
        finally:
            task.kill()
            task.wait()
            owner.kill()


def test_a_stopped_stage_saves_however_often_it_is_told(tmp_path: Path) -> None:
    with owned_task(tmp_path, saving_s=0.3) as (task, _):
        task.send_signal(signal.SIGINT)
        while task.poll() is None:
            task.send_signal(signal.SIGTERM)
            task.send_signal(signal.SIGINT)
        assert (task.wait(), (tmp_path / "saved").exists()) == (130, True)


def test_the_stage_of_a_killed_owner_saves_and_ends(tmp_path: Path) -> None:
    with owned_task(tmp_path, saving_s=0.3) as (task, owner):
        owner.kill()
        owner.wait()
        assert (task.wait(20), (tmp_path / "saved").exists()) == (130, True)


def test_a_stopped_stage_ends_at_once_when_its_owner_does_not_wait(tmp_path: Path) -> None:
    with owned_task(tmp_path, saving_s=1000) as (task, owner):
        task.send_signal(signal.SIGINT)
        while not is_ignored(task.pid, signal.SIGTERM):
            assert task.poll() is None
        owner.kill()
        owner.wait()
        assert (task.wait(20), (tmp_path / "saved").exists()) == (137, False)


def is_ignored(pid: int, number: int) -> bool:
    [mask] = (
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigIgn")
    )
    return bool(int(mask.split()[1], 16) >> (number - 1) & 1)


def test_a_reference_that_finds_no_room_is_told_in_four_parts(tmp_path: Path) -> None:
    ended = call(tmp_path, "/dev/full")
    assert (ended.returncode, "Traceback" in ended.stderr) == (3, False)
    assert "disk full" in ended.stderr


def test_a_fault_that_cannot_be_recorded_is_told(tmp_path: Path) -> None:
    with start_run(tmp_path / "state", "small", "laptop", needed_bytes=1) as run:
        (tmp_path / "state" / "runs" / run.id / "tasks.jsonl").mkdir()
        place = Place(store=f"file://{tmp_path}/store", launcher="local", run=run.id).model_dump_json()
        arguments = ["text", '{"saving_s": "long"}', place, str(tmp_path / "text.ref")]
        command = [sys.executable, "-c", IN_A_RUN, *arguments]
        ended = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True)
        (tmp_path / "state" / "runs" / run.id / "tasks.jsonl").rmdir()
    assert (ended.returncode, "Traceback" in ended.stderr) == (2, False)
    assert "slice of text.saving_s" in ended.stderr
    assert "the run's record lacks this fault" in ended.stderr
