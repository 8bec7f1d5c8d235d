import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spica.artifacts.locks import held
from spica.artifacts.runs import list_runs, start_run
from spica.errors import LockedError

PROGRAM = """
import sys
from pathlib import Path
from spica.artifacts.runs import start_run
with start_run(Path(sys.argv[1]), "miniature", "laptop", 0) as run:
    print(run.id, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(state: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Another process in the middle of a run, and the id of that run."""
    command = [sys.executable, "-c", PROGRAM, str(state)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
        process.kill()


def test_a_second_run_is_told_who_holds_the_first(
    state: Path, other: tuple["subprocess.Popen[str]", str]
) -> None:
    process, run_id = other
    with pytest.raises(LockedError) as caught, start_run(state, "miniature", "laptop", 0):
        pass
    fault = caught.value.faults[0]
    assert fault.found.startswith(
        f"run {run_id}, held by pid {process.pid} on {os.uname().nodename} since 20"
    )
    assert f"`kill {process.pid}`" in fault.next
    assert caught.value.exit_code == 3


def test_a_run_of_another_process_is_listed_as_running(
    state: Path, other: tuple["subprocess.Popen[str]", str]
) -> None:
    assert [(run.id, run.status) for run in list_runs(state)] == [(other[1], "running")]


def test_a_killed_run_is_listed_as_killed_and_gives_its_lock_back(
    state: Path, other: tuple["subprocess.Popen[str]", str]
) -> None:
    process, run_id = other
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert [(run.id, run.status) for run in list_runs(state)] == [(run_id, "killed")]
    with start_run(state, "miniature", "laptop", 0):
        assert [run.status for run in list_runs(state)] == ["running", "killed"]


def test_a_lock_is_refused_to_another_part_of_the_same_process(tmp_path: Path) -> None:
    with held(tmp_path / "a.lock", "first"), pytest.raises(LockedError, match="first, held by pid"):
        with held(tmp_path / "a.lock", "second"):
            pass


def test_a_lock_is_free_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError), held(tmp_path / "a.lock", "first"):
        raise ValueError
    with held(tmp_path / "a.lock", "second"):
        assert (tmp_path / "a.json").exists()
    assert not (tmp_path / "a.json").exists()
