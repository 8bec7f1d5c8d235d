"""The log goes where the weights go."""

import json
from pathlib import Path

from spica.sft.log import LOGS, StepLog


def write_steps(log: StepLog, first: int, last: int) -> None:
    for step in range(first, last + 1):
        log.batch(step, 1, [[["a", "b"]], [["c"]]])
        log.row({"step": step, "epoch": 1, "loss": 1.0}, 0.5)
    log.close()


def steps(path: Path) -> list[int]:
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_a_resumed_log_goes_on_from_what_its_checkpoint_holds(tmp_path: Path) -> None:
    write_steps(StepLog(tmp_path, 0, "sft", 9, 0, None), 1, 2)
    saved = tmp_path / "step-00000002"
    saved.mkdir()
    for log in LOGS:
        (saved / log).write_bytes((tmp_path / log).read_bytes())
        (tmp_path / log).write_text('{"step": 3, "tor')
    write_steps(StepLog(tmp_path, 0, "sft", 9, 2, saved), 3, 4)
    assert steps(tmp_path / "metrics.jsonl") == steps(tmp_path / "times.jsonl") == [1, 2, 3, 4]
    assert steps(tmp_path / "batches.jsonl") == [1, 1, 2, 2, 3, 3, 4, 4]


def test_a_training_without_a_checkpoint_starts_an_empty_log(tmp_path: Path) -> None:
    write_steps(StepLog(tmp_path, 0, "sft", 9, 0, None), 1, 5)
    write_steps(StepLog(tmp_path, 0, "sft", 9, 0, None), 1, 1)
    assert steps(tmp_path / "metrics.jsonl") == [1]


def test_rank_0_writes_for_all_and_the_others_nothing(tmp_path: Path) -> None:
    write_steps(StepLog(tmp_path, 1, "sft", 9, 0, None), 1, 2)
    assert list(tmp_path.iterdir()) == []
    write_steps(StepLog(tmp_path, 0, "sft", 9, 0, None), 1, 1)
    assert [json.loads(line) for line in (tmp_path / "batches.jsonl").read_text().splitlines()] == [
        {"step": 1, "epoch": 1, "rank": 0, "packs": [["a", "b"]]},
        {"step": 1, "epoch": 1, "rank": 1, "packs": [["c"]]},
    ]
