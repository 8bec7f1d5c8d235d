from pathlib import Path

import pytest
from pydantic import BaseModel

from spica.artifacts.rows import read_jsonl, write_jsonl
from spica.artifacts.types import Quarantined
from spica.errors import DataError, PrerequisiteError


class Item(BaseModel):
    id: str
    num_steps: int


GOOD = b'{"id": "a", "num_steps": 2}\n'


def test_written_rows_are_read_back(tmp_path: Path) -> None:
    rows = [Item(id="a", num_steps=2), Item(id="é\n", num_steps=3)]
    assert write_jsonl(tmp_path / "items.jsonl", rows) == 2
    assert read_jsonl(tmp_path / "items.jsonl", Item) == rows


def test_a_bad_line_is_a_data_error_where_nothing_may_be_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_bytes(GOOD + b'{"id": "b"}\n')
    with pytest.raises(
        DataError, match=r"1 of 2 lines are no Item: items.jsonl:2: num_steps: Field required"
    ):
        read_jsonl(path, Item)


def test_bad_lines_are_put_aside_with_file_line_and_reason(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_bytes(GOOD + b"\n" + b"\xff\xfe\n" + GOOD + b'{"id": "c", "num')
    aside: list[Quarantined] = []
    assert len(read_jsonl(path, Item, aside)) == 2
    assert [(bad.line, bad.reason.split(":")[0]) for bad in aside] == [(3, "Invalid JSON"), (5, "torn")]


def test_a_last_line_without_newline_counts_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_bytes(GOOD.strip())
    assert read_jsonl(path, Item) == [Item(id="a", num_steps=2)]


@pytest.mark.parametrize(("fraction", "refused"), [(0.24, True), (0.25, False)])
def test_more_bad_lines_than_allowed_stop_the_reading(tmp_path: Path, fraction: float, refused: bool) -> None:
    path = tmp_path / "items.jsonl"
    path.write_bytes(GOOD * 3 + b"[]\n")
    if refused:
        with pytest.raises(DataError, match=r"at most 24\.00%"):
            read_jsonl(path, Item, [], max_bad_fraction=fraction)
    else:
        assert len(read_jsonl(path, Item, [], max_bad_fraction=fraction)) == 3


def test_a_missing_file_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_jsonl(tmp_path / "items.jsonl", Item)


def test_a_full_disk_leaves_no_part_of_a_row_file(full_disk: Path) -> None:
    with pytest.raises(PrerequisiteError, match="disk full"):
        write_jsonl(full_disk / "items.jsonl", (Item(id="x" * 50_000, num_steps=1) for _ in range(40)))
    assert list(full_disk.iterdir()) == []
