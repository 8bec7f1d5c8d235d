"""`spica diff`: a real run against the paper's cells, and what is refused."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from spica.errors import DataError, RecipeError
from spica.report.paper import SUITE
from spica_pipelines.cli import main
from spica_pipelines.published import (
    Compared,
    Report,
    compare,
    known_differences,
    read_report,
    require_suite,
    size_of,
)


def cell(percent: float, low: float, high: float, n: int = 1000) -> dict[str, Any]:
    return {"accuracy": percent / 100, "ci95": [low / 100, high / 100], "n": n, "num_unjudged": 0}


NONE = {"accuracy": None, "ci95": None, "n": 0, "num_unjudged": 1000}
REPORT: dict[str, Any] = {
    "recipe": "virgo-72b",
    "suite": {**SUITE, "top_p": 1.0, "max_pixels": 262144, "judge": "gpt-4o-mini"},
    "modes": {
        "D_T": {
            "mathverse": {"repaired": cell(90.0, 88.0, 91.7), "fork": cell(49.0, 45.9, 52.1)},
            "mathvision": {"repaired": cell(90.0, 88.0, 91.7), "fork": cell(36.0, 33.1, 39.0)},
            "olympiadbench": {"repaired": cell(35.0, 32.1, 38.0), "fork": cell(20.0, 17.6, 22.6)},
            "mmmu": {"repaired": cell(64.6, 61.6, 67.5), "official": cell(70.0, 67.1, 72.8), "fork": "n/a"},
        }
    },
    "table3": {"D_T": {"Overall": cell(64.6, 61.6, 67.5)}},
}


def changed(**change: Any) -> dict[str, Any]:
    return deepcopy(REPORT) | change


def cells(content: dict[str, Any]) -> list[Compared]:
    return compare(Report.model_validate_json(json.dumps(content)), "table2", "72B", "report.json")


def written(folder: Path, content: Any) -> Path:
    (folder / "report.json").write_text(json.dumps(content))
    return folder


def diff(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr("sys.argv", ["spica", "diff", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code


def test_a_difference_of_0_6_is_within_the_convention() -> None:
    first = cells(REPORT)[0]  # 49.0 and 48.4

    assert (first.arm, first.column, first.verdict) == ("D_T", "mathverse", "within +-0.6")


def test_a_published_number_inside_our_interval_does_not_differ() -> None:
    second = cells(REPORT)[1]  # 36.0 and 38.8

    assert (second.column, second.verdict) == ("mathvision", "within the 95 % interval")


def test_a_published_number_outside_differs() -> None:
    third = cells(REPORT)[2]  # 20.0 and 29.9

    assert (third.verdict, round(third.difference, 2)) == ("differs", -9.9)


def test_a_cell_is_the_forks_where_the_authors_scorer_is_known_and_else_ours() -> None:
    compared = cells(REPORT)

    assert [(one.column, one.mode, float(one.ours)) for one in compared] == [
        ("mathverse", "fork", 49.0),
        ("mathvision", "fork", 36.0),
        ("olympiadbench", "fork", 20.0),
        ("mmmu", "repaired", 64.6),
        ("mean", "mixed", 42.4),
    ]


def test_a_mean_has_no_interval_and_differs_beyond_0_6() -> None:
    mean = cells(REPORT)[-1]  # (49 + 36 + 20 + 64.6) / 4 = 42.4 and 45.43

    assert (mean.column, mean.ci95, mean.verdict) == ("mean", None, "differs")


def test_responses_that_nobody_judged_are_counted_in_the_line() -> None:
    content = deepcopy(REPORT)
    content["modes"]["D_T"]["mathverse"]["fork"]["num_unjudged"] = 12

    assert str(cells(content)[0]).endswith("within +-0.6; 12 unjudged left out")


def test_diff_prints_every_cell_with_its_mode_and_ends_with_4_where_one_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert diff(monkeypatch, str(written(tmp_path, REPORT)), "--paper", "table2") == 4

    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "D_T       mathverse     fork     ours  49.00  paper  48.40   +0.60  within +-0.6"
    assert lines[-1] == "5 cells, 2 differ; +-0.6 is a convention, not a measured noise"


def test_diff_ends_with_0_where_no_cell_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert diff(monkeypatch, str(written(tmp_path, REPORT) / "report.json"), "--paper", "table3") == 0


def test_what_is_known_to_differ_under_one_suite_is_said() -> None:
    content = deepcopy(REPORT)
    content["modes"]["base"] = content["modes"]["D_T"]
    report = Report.model_validate_json(json.dumps(content))

    said = list(known_differences(report, compare(report, "table2", "72B", "report.json")))

    assert [line.partition(":")[0] for line in said[:4]] == ["fork", "repaired", "base", "pictures"]
    assert "at least partly Qwen's own published numbers (protocol C0)" in said[2]
    assert said[3] == "pictures: at most 262144 pixels; the authors' inference did not cap them"
    assert said[4] == "judged by gpt-4o-mini; the default of the authors' scripts is gpt-3.5-turbo"


def test_a_report_without_a_judge_is_refused_where_the_authors_asked_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = changed(suite=REPORT["suite"] | {"judge": None})

    assert diff(monkeypatch, str(written(tmp_path, content))) == 1
    told = capsys.readouterr().err
    assert "modes.D_T.mathverse.fork" in told and "modes.D_T.mathvision.fork" in told
    assert "suite.judge is null" in told
    assert diff(monkeypatch, str(tmp_path), "--paper", "table3") == 0  # MMMU needs none


def test_a_cell_in_which_nothing_was_judged_is_refused() -> None:
    content = deepcopy(REPORT)
    content["modes"]["D_T"]["mathverse"]["fork"] = NONE

    with pytest.raises(DataError) as error:
        cells(content)

    [fault] = error.value.faults
    assert (fault.where, fault.found) == (
        "report.json modes.D_T.mathverse.fork",
        "no response was judged",
    )


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
    report = Report.model_validate(changed(suite=REPORT["suite"] | change))

    with pytest.raises(DataError) as error:
        require_suite(report, "report.json")

    assert [fault.where for fault in error.value.faults] == [f"report.json suite.{key}"]


def test_the_papers_own_suite_is_accepted() -> None:
    require_suite(Report.model_validate(REPORT), "report.json")


@pytest.mark.parametrize(
    "text",
    [
        '{"table2": {}}',
        "no json",
        "[]",
        '{"recipe": "virgo-7b", "suite": {"judge": null}, "table3": {}}',
        '{"recipe": "virgo-7b", "suite": {}, "modes": {}, "table3": {}}',
    ],
)
def test_a_file_that_is_no_report_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text(text)
    for path in (tmp_path, tmp_path / "old.json"):
        with pytest.raises(DataError):
            read_report(path)


@pytest.mark.parametrize(
    "bad", [{"accuracy": None}, {"accuracy": 48.4}, {"ci95": None}, {"n": 0}, {"n": "x"}]
)
def test_a_cell_that_is_none_is_a_fault_with_its_place(
    bad: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = changed(table3={"D_T": {"Hard": cell(50.0, 42.0, 58.0, 181) | bad}})

    assert diff(monkeypatch, str(written(tmp_path, content)), "--paper", "table3") == 1

    told = capsys.readouterr().err
    assert f"table3.D_T.Hard.{next(iter(bad))}" in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("recipe", "table", "size"),
    [
        ("virgo-72b", "table2", "72B"),
        ("virgo-7b", "table2", "7B"),
        ("tables-72b", "table3", "72B"),
        ("table2-7b-d-qvq", "table2", "7B"),
    ],
)
def test_the_size_of_a_known_recipe_needs_no_word(recipe: str, table: str, size: str) -> None:
    assert size_of(recipe, table, None) == size_of(recipe, table, size) == size


@pytest.mark.parametrize(
    "recipe", ["table5-72b-1k", "table4-7b-0-2000", "table6-72b-hard", "study-72b-seed-0-base"]
)
def test_a_recipe_that_was_composed_for_another_table_is_refused(recipe: str) -> None:
    with pytest.raises(RecipeError, match="composed for a row of"):
        size_of(recipe, "table2", None)


def test_a_recipe_of_ones_own_needs_a_size_whatever_its_name_holds() -> None:
    with pytest.raises(RecipeError, match="say whose rows"):
        size_of("my-7b-study", "table2", None)
    assert size_of("my-7b-study", "table2", "72B") == "72B"


@pytest.mark.parametrize(
    ("recipe", "table", "size"),
    [
        ("virgo-72b", "table5", "72B"),
        ("mine", "table2", "2B"),
        ("mine", "table3", "7B"),
        ("virgo-7b", "table3", None),
        ("virgo-72b", "table2", "7B"),
    ],
)
def test_a_table_or_size_that_the_recipe_cannot_answer_for_is_told(
    recipe: str, table: str, size: str | None
) -> None:
    with pytest.raises(RecipeError):
        size_of(recipe, table, size)
