import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from spica.artifacts.journal import Journal
from spica.errors import PrerequisiteError


class Step(BaseModel):
    id: str
    num_tokens: int = 0


def test_rows_come_back_in_order_of_appending(tmp_path: Path) -> None:
    with Journal(tmp_path / "steps.jsonl") as journal:
        journal.append(Step(id="a", num_tokens=3))
        journal.append(Step(id="b"))
    with Journal(tmp_path / "steps.jsonl") as journal:
        assert journal.rows(Step) == [Step(id="a", num_tokens=3), Step(id="b")]


def test_a_row_is_one_line_of_json(tmp_path: Path) -> None:
    with Journal(tmp_path / "steps.jsonl") as journal:
        journal.append(Step(id="line\u2028break\n", num_tokens=1))
    assert (tmp_path / "steps.jsonl").read_bytes() == '{"id":"line\u2028break\\n","num_tokens":1}\n'.encode()


def test_a_torn_last_line_is_dropped_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "steps.jsonl"
    path.write_bytes(b'{"id":"a","num_tokens":3}\n{"id":"b","num_to')
    with caplog.at_level(logging.WARNING), Journal(path) as journal:
        journal.append(Step(id="c"))
        assert [row.id for row in journal.rows(Step)] == ["a", "c"]
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: dropped a torn last line (17 bytes)"
    ]


def test_a_torn_line_longer_than_a_read_block_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    path.write_bytes(b'{"id":"a"}\n' + b"x" * 200_000)
    with Journal(path):
        assert path.read_bytes() == b'{"id":"a"}\n'


def test_a_journal_that_is_only_a_torn_line_becomes_empty(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    path.write_bytes(b'{"id":')
    with Journal(path) as journal:
        assert journal.rows(Step) == []
    assert path.read_bytes() == b""


def test_a_malformed_line_in_the_middle_is_put_aside_with_file_line_and_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "steps.jsonl"
    path.write_bytes(b'{"id":"a"}\n{"id":5}\n\x00\x00\n{"id":"b"}\n')
    with Journal(path) as journal:
        assert [row.id for row in journal.rows(Step)] == ["a", "b"]
        assert [(bad.file, bad.line) for bad in journal.quarantine] == [
            ("steps.jsonl", 2),
            ("steps.jsonl", 3),
        ]
        assert str(journal.quarantine[0]) == "steps.jsonl:2: id: Input should be a valid string"
    assert "2 journal lines cannot be read, the first: steps.jsonl:2" in caplog.text
    assert b'{"id":5}' in path.read_bytes()


def test_everything_appended_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    program = (
        "import os, signal, sys; from pathlib import Path; from pydantic import BaseModel\n"
        "from spica.artifacts.journal import Journal\n"
        "class Step(BaseModel):\n    id: str\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "for index in range(100): journal.append(Step(id=str(index)))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)], check=False).returncode == -9
    with Journal(path) as journal:
        assert [row.id for row in journal.rows(Step)] == [str(index) for index in range(100)]


def test_fsync_comes_once_per_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Journal(tmp_path / "steps.jsonl", max_unsynced=10, max_unsynced_s=3600) as journal:
        synced: list[int] = []
        monkeypatch.setattr(os, "fsync", synced.append)
        for index in range(25):
            journal.append(Step(id=str(index)))
        assert len(synced) == 2


def test_a_full_disk_is_a_prerequisite_error_and_leaves_whole_lines(full_disk: Path) -> None:
    path = full_disk / "steps.jsonl"
    path.touch()
    with (
        pytest.raises(PrerequisiteError, match=r"disk full, [0-9]+ bytes free") as caught,
        Journal(path) as journal,
    ):
        for _ in range(40):
            journal.append(Step(id="x" * 50_000))
    assert caught.value.faults[0].where == str(path)
    content = path.read_bytes()
    assert content == b"" or content.endswith(b"}\n")


def test_appending_goes_on_when_there_is_room_again(full_disk: Path) -> None:
    ballast = full_disk / "ballast"
    ballast.write_bytes(b"x" * 900_000)
    with pytest.raises(PrerequisiteError), Journal(full_disk / "steps.jsonl", max_unsynced=1) as journal:
        journal.append(Step(id="x" * 500_000))
    ballast.unlink()
    lines = (full_disk / "steps.jsonl").read_bytes().splitlines()
    assert all(line.endswith(b"}") for line in lines)
