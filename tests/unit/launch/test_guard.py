import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spica.launch.processes import Process, Record, boot_id, identify, is_alive, reap, write_record


def wait_for(condition: Callable[[], bool], timeout_s: float = 20.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def guard(folder: Path, *command: str) -> subprocess.Popen[str]:
    options = ["--owner", str(os.getpid()), "--record", str(folder / "record.json")]
    return subprocess.Popen(
        [sys.executable, "-m", "spica.launch.guard", *options, "--", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> int:
    assert process.stdout
    with process.stdout:
        return process.wait(20)


def test_a_guard_ends_with_its_commands_exit_code(tmp_path: Path) -> None:
    assert ended(guard(tmp_path, "sh", "-c", "exit 7")) == 7


def test_a_command_ended_by_a_signal_gives_128_plus_its_number(tmp_path: Path) -> None:
    assert ended(guard(tmp_path, "sh", "-c", "kill -KILL $$")) == 137


def test_a_command_that_does_not_exist_gives_127_and_says_so(tmp_path: Path) -> None:
    process = guard(tmp_path, "/no/such/command")
    assert process.stdout
    assert process.stdout.read() == "cannot run /no/such/command: No such file or directory\n"
    assert ended(process) == 127


def test_a_finished_guard_leaves_no_record(tmp_path: Path) -> None:
    ended(guard(tmp_path, "true"))
    assert list(tmp_path.iterdir()) == []


def test_sigterm_reaches_the_command(tmp_path: Path) -> None:
    process = guard(tmp_path, "sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done")
    assert process.stdout and process.stdout.readline() == "ready\n"
    process.terminate()
    assert ended(process) == 5


def test_sigquit_kills_a_command_that_ignores_sigterm(tmp_path: Path) -> None:
    process = guard(tmp_path, "sh", "-c", "trap '' TERM; echo $$; while :; do sleep 0.05; done")
    assert process.stdout
    command = identify(int(process.stdout.readline()))
    process.terminate()
    process.send_signal(signal.SIGQUIT)
    ended(process)
    assert command and not is_alive(command)


def test_what_a_killed_guard_leaves_is_reaped_from_its_record(tmp_path: Path) -> None:
    # The session of its own and the ignored SIGTERM keep the sleeper alive when its guard goes.
    process = guard(tmp_path, "sh", "-c", "setsid sh -c 'trap \"\" TERM; echo $$; sleep 1000' & wait")
    assert process.stdout
    sleeper = identify(int(process.stdout.readline()))
    assert sleeper
    record = tmp_path / "record.json"
    assert wait_for(lambda: record.exists() and f"[{sleeper.pid}, " in record.read_text())
    process.kill()
    ended(process)
    write_record(tmp_path / "record.json", Record(boot_id(), Process(os.getpid(), 1), (sleeper,)))
    assert reap(tmp_path) >= 1
    assert wait_for(lambda: not is_alive(sleeper))


@pytest.fixture
def sleeper() -> Iterator[Process]:
    with subprocess.Popen(["sleep", "1000"]) as process:
        found = identify(process.pid)
        assert found
        yield found
        process.kill()


def test_a_recycled_pid_is_never_killed(tmp_path: Path, sleeper: Process) -> None:
    stranger = sleeper._replace(start=sleeper.start - 1)
    write_record(tmp_path / "old.json", Record(boot_id(), Process(os.getpid(), 1), (stranger,)))
    assert reap(tmp_path) == 0
    assert is_alive(sleeper)


def test_processes_of_a_living_owner_are_left_alone(tmp_path: Path, sleeper: Process) -> None:
    owner = identify(os.getpid())
    assert owner
    write_record(tmp_path / "mine.json", Record(boot_id(), owner, (sleeper,)))
    assert reap(tmp_path) == 0
    assert is_alive(sleeper) and (tmp_path / "mine.json").exists()


def test_a_record_of_another_boot_kills_nobody(tmp_path: Path, sleeper: Process) -> None:
    write_record(tmp_path / "old.json", Record("another boot", Process(os.getpid(), 1), (sleeper,)))
    assert reap(tmp_path) == 0
    assert is_alive(sleeper) and not (tmp_path / "old.json").exists()


def test_a_torn_record_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "torn.json").write_text('{"boot": "')
    assert reap(tmp_path) == 0
    assert list(tmp_path.iterdir()) == []
