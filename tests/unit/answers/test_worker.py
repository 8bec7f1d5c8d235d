"""The child process for algebra: it keeps its deadline, its memory and its quiet."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from spica.answers import worker

EQUAL = "spica.answers.algebra:equal"


def test_a_function_runs_in_another_process_and_its_json_comes_back() -> None:
    assert worker.call(EQUAL, "x+x", "2x", deadline_s=60.0) is True
    assert worker.pid() not in (None, os.getpid())


def test_a_call_past_its_deadline_is_killed_and_the_next_one_finds_a_new_child() -> None:
    worker.call(EQUAL, "1", "1", deadline_s=60.0)
    first = worker.pid()
    with pytest.raises(worker.WorkerTimeout) as caught:
        worker.call(EQUAL, r"\int_0^1 x^{x^{x}} \sin(e^{x^{9}}) dx", "7", deadline_s=0.01)
    assert isinstance(caught.value, TimeoutError)
    assert worker.pid() is None
    assert worker.call(EQUAL, "1", "1", deadline_s=60.0) is True
    assert worker.pid() != first


def test_a_child_that_was_killed_from_outside_is_started_again() -> None:
    worker.call(EQUAL, "1", "1", deadline_s=60.0)
    child = worker.pid()
    assert child is not None
    os.kill(child, signal.SIGKILL)
    try:
        worker.call(EQUAL, "1", "1", deadline_s=60.0)
    except worker.WorkerDied:  # it died after it was looked at
        pass
    assert worker.call(EQUAL, "1", "1", deadline_s=60.0) is True


@pytest.mark.parametrize(
    "function",
    ["os:system", "spica.answers.algebra:parse", "spica.answers.worker:call", "spica.answers.nothing:at_all"],
)
def test_only_functions_that_a_module_lists_are_called(function: str) -> None:
    with pytest.raises(worker.WorkerRaised):
        worker.call(function, "true", deadline_s=60.0)


def test_a_large_argument_passes_both_pipes() -> None:
    text = "x" * 300_000
    with pytest.raises(worker.WorkerRaised, match=r"TypeError"):
        worker.call(EQUAL, text, text, text, deadline_s=60.0)


def test_threads_take_turns_and_each_gets_its_own_reply() -> None:
    replies: dict[int, object] = {}

    def ask(number: int) -> None:
        replies[number] = worker.call(EQUAL, str(number), str(number % 2), deadline_s=60.0)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert replies == {number: number < 2 for number in range(6)}


def test_a_forked_process_has_a_child_of_its_own() -> None:
    worker.call(EQUAL, "1", "1", deadline_s=60.0)
    before, (read, write) = worker.pid(), os.pipe()
    forked = os.fork()
    if not forked:
        try:
            same = worker.call(EQUAL, "1", "1", deadline_s=60.0)
            os.write(write, b"own" if same and worker.pid() != before else b"bad")
            worker.stop()
        finally:
            os._exit(0)
    assert os.read(read, 3) == b"own"
    os.waitpid(forked, 0)
    os.close(read)
    os.close(write)
    assert worker.pid() == before
    assert worker.call(EQUAL, "1", "1", deadline_s=60.0) is True


def test_a_child_is_not_taken_for_as_large_as_its_parent() -> None:
    code = """
from spica.answers import worker
large = b"x" * worker.MAX_BYTES
children = set()
for _ in range(3):
    worker.call("spica.answers.algebra:equal", "1", "1", deadline_s=60.0)
    children.add(worker.pid())
print(len(children), None in children)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1 False\n"
