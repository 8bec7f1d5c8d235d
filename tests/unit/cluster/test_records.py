from typing import Any

import pytest

from spica.artifacts.s3_store import S3Store
from spica.artifacts.shelf import Shelf
from spica.cluster.records import Records
from spica.errors import StageError

from ..artifacts.artifact_examples import KEY

TASK = "sft-d_t"


@pytest.fixture(scope="module")
def connected(s3_client: Any) -> S3Store:
    # A store keeps its client, and making one takes longer than most tests.
    return S3Store("spica", "runs")


@pytest.fixture
def shelf(s3: Any, connected: S3Store) -> Shelf:
    return connected.job_shelf(TASK, KEY)


def records(shelf: Shelf, node: int = 0, max_crashes: int = 3) -> Records:
    """Those of a new pod."""
    return Records(shelf, TASK, node, max_crashes)


def is_final(shelf: Shelf, error: str, node: int = 0) -> bool:
    try:
        records(shelf, node).crash(error)
    except StageError:
        return True
    return False


def save(shelf: Shelf, step: int) -> None:
    shelf.write(f"checkpoints/step-{step:08d}/manifest.json", b"[]")


def test_attempts_without_a_newer_checkpoint_come_to_an_end_that_says_how_the_last_one_ended(
    shelf: Shelf,
) -> None:
    save(shelf, 7)
    for _ in range(3):
        attempt = records(shelf, max_crashes=1)
        attempt.begin()
        attempt.end("a peer was lost")
    with pytest.raises(StageError) as raised:
        records(shelf, max_crashes=1).begin()
    (fault,) = raised.value.faults
    assert fault.where == "sft-d_t from step 7"
    assert fault.found == "3 attempts brought no newer checkpoint; the last one: a peer was lost"


def test_an_attempt_that_could_not_say_how_it_ended_counts_too(shelf: Shelf) -> None:
    for _ in range(3):
        records(shelf, max_crashes=1).begin()
    with pytest.raises(StageError, match="without a word"):
        records(shelf, max_crashes=1).begin()


def test_after_the_last_attempt_the_count_begins_anew(shelf: Shelf) -> None:
    for _ in range(3):
        records(shelf, max_crashes=1).begin()
    with pytest.raises(StageError):
        records(shelf, max_crashes=1).begin()
    records(shelf, max_crashes=1).begin()


def test_preempted_attempts_do_not_count(shelf: Shelf) -> None:
    for _ in range(5):
        attempt = records(shelf, max_crashes=1)
        attempt.begin()
        attempt.withdraw()
    assert shelf.names() == []


def test_a_newer_checkpoint_gives_new_attempts(shelf: Shelf) -> None:
    for step in (12, 24):
        save(shelf, step)
        for _ in range(3):
            records(shelf, max_crashes=1).begin()


def test_the_last_of_equal_crashes_is_final(shelf: Shelf) -> None:
    assert [is_final(shelf, "ValueError: odd") for _ in range(3)] == [False, False, True]


def test_nodes_that_crash_together_are_one_crash(shelf: Shelf) -> None:
    assert not any(is_final(shelf, "ValueError: odd", node) for node in range(4))
    assert [is_final(shelf, "ValueError: odd") for _ in range(2)] == [False, True]


def test_other_errors_and_other_steps_are_other_crashes(shelf: Shelf) -> None:
    assert not any(is_final(shelf, error) for error in ("a", "b", "a", "b"))
    save(shelf, 5)
    assert not is_final(shelf, "a")


def test_after_a_final_crash_the_count_begins_anew(shelf: Shelf) -> None:
    assert [is_final(shelf, "a") for _ in range(4)] == [False, False, True, False]


def test_a_crash_is_how_its_attempt_ended(shelf: Shelf) -> None:
    attempt = records(shelf, max_crashes=2)
    attempt.begin()
    attempt.crash("ValueError: odd")
    (name,) = (name for name in shelf.names() if name.startswith("attempts/"))
    assert shelf.read(name) == b'"ValueError: odd"'
