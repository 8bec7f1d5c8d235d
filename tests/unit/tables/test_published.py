"""`spica diff`: a real run against the paper's cells, and what is refused."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from spica.errors import DataError, RecipeError
from spica.report.paper import SUITE
from spica_pipelines.cli import main
from spica_pipelines.published import compare, read_report, require_suite


def cell(percent: float, low: float, high: float, n: int = 1000) -> dict[str, Any]:
    return {"accuracy": percent / 100, "ci95": [low / 100, high / 100], "n": n}


REPORT: dict[str, Any] = {
    "recipe": "virgo-72b",
    "suite": {**SUITE, "top_p": 1.0, "judge": "gpt-3.5-turbo"},
    "table2": {
        "D_T": {
            "mathverse": cell(49.0, 45.9, 52.1),
            "mathvision": cell(36.0, 33.1, 39.0),
            "olympiadbench": cell(20.0, 17.6, 22.6),
            "mmmu": cell(64.6, 61.6, 67.5),
            "mean": 0.424,
        }
    },
    "table3": {"D_T": {"Overall": cell(64.6, 61.6, 67.5)}},
}


def written(folder: Path, content: Any) -> Path:
    (folder / "report.json").write_text(json.dumps(content))
    return folder


def diff(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr("sys.argv", ["spica", "diff", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code


def test_a_difference_of_0_6_is_the_papers_own_noise() -> None:
    first = compare(REPORT, "table2", "72B")[0]  # 49.0 and 48.4

    assert (first.arm, first.column, first.verdict) == ("D_T", "mathverse", "within +-0.6")


def test_a_published_number_inside_our_interval_does_not_differ() -> None:
    second = compare(REPORT, "table2", "72B")[1]  # 36.0 and 38.8

    assert (second.column, second.verdict) == ("mathvision", "within the 95 % interval")


def test_a_published_number_outside_differs() -> None:
    third = compare(REPORT, "table2", "72B")[2]  # 20.0 and 29.9

    assert (third.verdict, round(third.difference, 2)) == ("differs", -9.9)


def test_a_mean_has_no_interval_and_differs_beyond_0_6() -> None:
    mean = compare(REPORT, "table2", "72B")[-1]  # (49 + 36 + 20 + 64.6) / 4 = 42.4 and 45.43

    assert (mean.column, float(mean.ours), mean.verdict) == ("mean", 42.4, "differs")


def test_diff_prints_every_cell_and_ends_with_4_where_one_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert diff(monkeypatch, str(written(tmp_path, REPORT)), "--paper", "table2") == 4

    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "D_T       mathverse     ours  49.00  paper  48.40   +0.60  within +-0.6"
    assert lines[-1] == "5 cells, 2 differ; the paper's own noise is +-0.6"


def test_diff_ends_with_0_where_no_cell_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert diff(monkeypatch, str(written(tmp_path, REPORT) / "report.json"), "--paper", "table3") == 0


def test_a_miniatures_report_is_refused_with_all_differences_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    miniature = deepcopy(REPORT)
    miniature["suite"] |= {
        "prompts": {"base": "prefix", "tuned": "prefix"},
        "repetition_penalty": 1.0,
        "max_tokens": 160,
        "num_rows": {"mathverse": 210, "mathvision": 210, "olympiadbench": 210, "mmmu": 210},
    }

    assert diff(monkeypatch, str(written(tmp_path, miniature))) == 1

    told = capsys.readouterr().err
    for key in (
        "prompts.base",
        "repetition_penalty",
        "max_tokens",
        "num_rows.mathverse",
        "num_rows.mathvision",
        "num_rows.olympiadbench",
        "num_rows.mmmu",
    ):
        assert f"suite.{key}" in told
    assert told.endswith("spica: 7 faults\n")


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"prefix": "Think."}, "prefix"),
        ({"system": ""}, "system"),
        ({"temperature": 0.7}, "temperature"),
        ({"num_rows": {**SUITE["num_rows"], "mathverse": 4728}}, "num_rows.mathverse"),
        ({"prompts": {"base": "official", "tuned": "prefix+official"}}, "prompts.tuned"),
    ],
)
def test_each_part_of_the_suite_is_locked(change: dict[str, Any], key: str) -> None:
    with pytest.raises(DataError) as error:
        require_suite({"suite": {**REPORT["suite"], **change}}, "report.json")

    assert [fault.where for fault in error.value.faults] == [f"report.json suite.{key}"]


def test_the_papers_own_suite_is_accepted() -> None:
    require_suite(REPORT, "report.json")


def test_a_file_that_is_no_report_is_told(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text('{"table2": {}}')
    for path in (tmp_path, tmp_path / "old.json"):
        with pytest.raises(DataError):
            read_report(path)


def test_tables_whose_rows_are_runs_and_unknown_sizes_are_told() -> None:
    for table, size in (("table5", "72B"), ("table2", "2B"), ("table3", "7B")):
        with pytest.raises(RecipeError):
            compare(REPORT, table, size)
