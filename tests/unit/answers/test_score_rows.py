"""Files for `spica score`: every fault at once, predictions joined by id."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spica.answers.rows import read_rows
from spica.answers.score import score
from spica.answers.types import Judged
from spica.artifacts.rows import encode_row
from spica.errors import DataError, SpicaError
from spica_pipelines.cli import app

ROW = {"id": "7", "response": r"\boxed{\frac{1}{2}}", "gold": "0.5"}


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


def faults(path: Path, predictions: Path | None = None) -> list[tuple[str, str]]:
    with pytest.raises(DataError) as caught:
        read_rows(path, predictions)
    return [(fault.where.rpartition("/")[2], fault.found) for fault in caught.value.faults]


def test_every_bad_line_is_listed_at_once_with_its_number(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a",
        ROW,
        "{torn",
        [1],
        {"response": "x", "gold": "1"},
        {"id": "8"},
        ROW,
    )
    found = faults(path)
    assert [where for where, _ in found] == ["a:2", "a:3", "a:4", "a:6"]
    assert "no JSON" in found[0][1] and "again, first on line 1" in found[3][1]


@pytest.mark.parametrize(
    ("more", "method"),
    [
        ({}, "value"),
        ({"model": "m", "score": {"a": [1]}}, "value"),
        ({"options": "{[]: 1}", "question": [1], "unit": {}}, "value"),
        ({"response": None}, "empty"),
        ({"response": ["7"]}, "empty"),
        ({"gold": {"value": 7}}, "gold_unparsed"),
        ({"gold": True}, "gold_unparsed"),
        ({"gold": ["1", {}]}, "gold_unparsed"),
        ({"gold": None}, "gold_unparsed"),
    ],
)
def test_a_row_is_judged_whatever_it_holds(tmp_path: Path, more: dict[str, object], method: str) -> None:
    rows = read_rows(write(tmp_path / "a", {**ROW, **more}))
    assert [(row.method, row.correct) for row in score(rows, "math")] == [(method, method == "value")]


@pytest.mark.parametrize("benchmark", ["mathverse", "mathvision", "mmmu", "olympiadbench"])
def test_a_row_without_gold_is_said_so_by_the_published_programs(tmp_path: Path, benchmark: Judged) -> None:
    rows = read_rows(write(tmp_path / "a", {**ROW, "gold": [{}]}, {**ROW, "id": "8", "gold": "9"}))
    scored = score(rows, benchmark, "official")
    assert [(row.id, row.correct) for row in scored] == [("7", False), ("8", False)]
    assert scored[0].method == "gold_unparsed" != scored[1].method


def test_half_a_surrogate_pair_is_replaced(tmp_path: Path) -> None:
    torn = r"""{"id": "7", "response": "\\boxed{\ud800}", "gold": "1", "options": "['\\ud800']"}"""
    row = read_rows(write(tmp_path / "a", torn))[0]
    assert (row.response, row.options) == ("\\boxed{\ufffd}", ("\ufffd",))
    assert encode_row(score([row], "math")[0])


@pytest.mark.parametrize("options", [None, "", "['3', '4']", ["3", "4"], [3, 4]])
def test_options_come_as_nothing_text_or_list(tmp_path: Path, options: object) -> None:
    row = read_rows(write(tmp_path / "a", {**ROW, "id": 7, "gold": 0.5, "options": options, "error": None}))[
        0
    ]
    assert row.options in ((), ("3", "4")) and row.gold == "0.5" and row.id == "7"


def test_predictions_are_joined_by_id_whatever_their_order(tmp_path: Path) -> None:
    rows = write(tmp_path / "a", {"id": "1", "gold": "1"}, {"id": "2", "gold": "2"})
    predictions = write(
        tmp_path / "p", {"id": "2", "response": "two"}, {"id": "1", "response": "one", "model": "m"}
    )
    assert [row.response for row in read_rows(rows, predictions)] == ["one", "two"]


def test_ids_unknown_double_and_missing_are_each_their_own_fault(tmp_path: Path) -> None:
    rows = write(tmp_path / "a", {"id": "1", "gold": "1"}, {"id": "2", "gold": "2"})
    one = {"id": "1", "response": "x"}
    predictions = write(tmp_path / "p", one, one, {"id": "3", "response": "x"}, {"id": "2"})
    assert [where for where, _ in faults(rows, predictions)] == ["p:2", "p:3"]
    assert faults(rows, write(tmp_path / "q", one)) == [("a:2", "id '2' has no prediction")]


def test_the_command_writes_one_row_per_row_in_order(tmp_path: Path) -> None:
    rows = write(
        tmp_path / "a",
        {**ROW, "id": "z"},
        {**ROW, "id": "a", "response": ""},
        {**ROW, "id": "m", "gold": r"\frac{"},
    )
    done = CliRunner().invoke(
        app, ["score", str(rows), "--benchmark", "math", "--out", str(tmp_path / "out")]
    )
    assert done.exit_code == 0, done.output
    written = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert [(row["id"], row["correct"], row["method"]) for row in written] == [
        ("z", True, "value"),
        ("a", False, "empty"),
        ("m", False, "gold_unparsed"),
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--benchmark", "gsm8k"],
        ["--benchmark", "math", "--mode", "best"],
        ["--benchmark", "mmmu", "--mode", "fork"],
    ],
)
def test_an_unknown_benchmark_or_mode_is_a_fault_in_words(tmp_path: Path, arguments: list[str]) -> None:
    done = CliRunner().invoke(app, ["score", str(write(tmp_path / "a", ROW)), *arguments])
    assert isinstance(done.exception, SpicaError)
