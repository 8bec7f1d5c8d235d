"""Tables as changes of recipes: what is merged, what is one run, and what is told of a mistake."""

from pathlib import Path

import pytest

from spica.errors import RecipeError
from spica.recipe.document import parse, write
from spica.recipe.load import find_recipe, parse_recipe, read_text
from spica_pipelines import tables
from spica_pipelines.tables import ComposedRun, compose, merged, parse_table, table_names

PAPER = ["table2", "table3", "table4", "table5", "table6"]


def run_of(runs: list[ComposedRun], table: str, published: str, size: str) -> ComposedRun:
    [found] = [
        run
        for run in runs
        for asked in run.rows
        if (asked.table, asked.row.published, asked.row.size) == (table, published, size)
    ]
    return found


@pytest.fixture
def table_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of recipes that holds one table of one's own, tables/mine.yaml."""
    (tmp_path / "tables").mkdir()
    monkeypatch.setattr(tables, "recipes_folder", lambda: tmp_path)
    return tmp_path / "tables" / "mine.yaml"


def test_mappings_are_merged_and_lists_are_replaced() -> None:
    value = {"a": {"b": 1, "c": [1, 2]}, "d": None}

    assert merged(value, {"a": {"c": [3]}, "d": {"e": 4}}) == {"a": {"b": 1, "c": [3]}, "d": {"e": 4}}
    assert value == {"a": {"b": 1, "c": [1, 2]}, "d": None}


def test_two_rows_with_one_change_are_one_run_that_compares_both_arms(table_file: Path) -> None:
    table_file.write_text("""
title: mine
columns: benchmarks
rows:
  - {label: a, size: 72B, arm: D_T, change: {miniature: {dataset: {text: {num_rows: 720}}}}}
  - {label: b, size: 72B, arm: control, change: {miniature: {dataset: {text: {num_rows: 720}}}}}
  - {label: c, size: 72B, arm: D_T, change: {miniature: {dataset: {text: {num_rows: 721}}}}}
""")

    first, second = compose(["mine"], "miniature")

    assert (first.name, first.arms, len(first.rows)) == ("mine-72b-a", ("base", "control", "D_T"), 2)
    assert (second.name, second.arms, len(second.rows)) == ("mine-72b-c", ("base", "D_T"), 1)
    recipe = parse_recipe(first.text, "composed")
    assert recipe.dataset.text.num_rows == 720
    assert (recipe.gates, recipe.name) == ([], "mine-72b-a")


def test_a_change_that_names_an_unknown_key_is_told_with_the_line_of_its_row(table_file: Path) -> None:
    table_file.write_text("""title: mine
columns: benchmarks
rows:
  - {label: a, size: 72B, arm: D_T}
  - {label: b, size: 72B, arm: D_T, change: {miniature: {dataset: {text: {num_row: 720}}}}}
  - {label: c, size: 72B, arm: D_QVQ}
""")

    with pytest.raises(RecipeError) as error:
        compose(["mine"], "miniature")

    arm, key = error.value.faults
    assert arm.where == "tables/mine.yaml:4, tables/mine.yaml:6 (tables-72b arms[2])"
    assert key.where == "tables/mine.yaml:5 (mine-72b-b dataset.text.num_row)"
    assert (key.found, key.next) == ("unknown key `num_row`", "did you mean `num_rows`?")


def test_all_faults_of_a_table_file_are_told_at_once_with_their_lines() -> None:
    with pytest.raises(RecipeError) as error:
        parse_table("title: x\ncolumns: benchmark\nrows:\n  - {label: a, size: 8B, arm: D_T}\n", "mine.yaml")

    assert [fault.where for fault in error.value.faults] == [
        "mine.yaml:2 columns",
        "mine.yaml:4 rows[0].size",
    ]


def test_a_row_whose_change_leaves_a_subject_out_is_not_a_row_of_it() -> None:
    assert "study" in table_names()
    assert compose(["study"], "virgo-7b") == []


def test_a_base_row_takes_a_run_that_trains_anyway_and_asks_the_base_the_same() -> None:
    runs = compose(["table4"], "virgo-7b")

    assert {run.name: run.arms for run in runs} == {
        "table4-7b-0-2000": ("base", "D_T"),
        "table4-7b-2000-4000": ("base", "D_T"),
        "table4-7b-4000-8000": ("base", "D_T"),
    }
    assert run_of(runs, "table4", "base", "7B") is runs[0]


def test_a_base_row_whose_base_is_asked_in_another_way_keeps_a_run_of_its_own(table_file: Path) -> None:
    table_file.write_text("""
title: mine
columns: benchmarks
rows:
  - {label: a, size: 72B, arm: base, change: {miniature: {evaluate: {max_tokens: 80}}}}
  - {label: b, size: 72B, arm: base, change: {miniature: {seed: 9}}}
  - {label: c, size: 72B, arm: base, change: {miniature: {sft: {epochs: 1}}}}
  - {label: d, size: 72B, arm: D_T}
""")

    runs = compose(["mine"], "miniature")

    assert [[asked.row.label for asked in run.rows] for run in runs] == [["a"], ["b"], ["d", "c"]]
    assert [run.arms for run in runs] == [("base", "D_T")] * 3


def test_table_6_medium_of_virgo_72b_is_table_2s_union_run() -> None:
    runs = compose(PAPER, "virgo-72b")

    union = run_of(runs, "table2", "D_T+D_SD", "72B")
    assert run_of(runs, "table6", "medium", "72B") is union
    assert run_of(runs, "table6", "hard", "72B") is not union
    assert run_of(runs, "table5", "5K", "72B") is union


def test_table_6_random_of_the_miniature_is_table_2s_union_run() -> None:
    runs = compose(PAPER, "miniature")

    assert run_of(runs, "table6", "random", "72B") is run_of(runs, "table2", "D_T+D_SD", "72B")
    assert len(runs) == 13


def test_the_studys_runs_are_three_bases_with_three_arms() -> None:
    runs = compose(["study"], "miniature")
    recipes = [parse_recipe(run.text, run.name) for run in runs]

    assert [recipe.models.student.path for recipe in recipes] == [
        f"miniature://base?size=large&seed={seed}" for seed in (0, 1, 2)
    ]
    assert {run.arms for run in runs} == {("base", "control", "D_T")}
    assert {len(recipe.evaluate.repetition_penalties) for recipe in recipes} == {1}


def test_the_study_has_300_questions_of_each_modality_and_number_of_steps() -> None:
    recipe = parse_recipe(compose(["study"], "miniature")[0].text, "study")
    num = {source.name: source.num_rows or 0 for source in recipe.sources.benchmarks}

    # Half of olympiadbench is text, the only text questions; seven numbers of steps are even in each half.
    assert num["olympiadbench"] // 2 // 7 >= 300
    assert all(f"num={source.num_rows}&" in source.uri for source in recipe.sources.benchmarks)


def test_real_rows_have_the_papers_numbers() -> None:
    runs = compose(PAPER, "virgo-7b")

    def text(table: str, row: str) -> tuple[tuple[int, int] | None, int | None]:
        selection = parse_recipe(run_of(runs, table, row, "7B").text, row).dataset.text
        return selection.length_bin, selection.num_rows

    assert text("table4", "(2000,4000]") == ((2000, 4000), 1000)
    assert text("table5", "3K") == (None, 3000)
    visual = parse_recipe(run_of(runs, "table2", "D_QVQ", "7B").text, "qvq").distill.visual
    assert (visual.teacher, visual.difficulty) == ("qvq", "random")


def test_an_unknown_table_or_subject_is_told() -> None:
    for names, subject, found in ((["table7"], "miniature", "table7"), (["table2"], "virgo", "virgo")):
        with pytest.raises(RecipeError) as error:
            compose(names, subject)
        assert found in error.value.faults[0].found


@pytest.mark.parametrize("name", ["miniature", "virgo-72b"])
def test_a_recipe_that_is_written_is_read_as_the_same_values(name: str) -> None:
    value = parse(read_text(find_recipe(name)), name).value

    assert parse(write(value), "written").value == value


def test_text_that_looks_like_a_number_is_written_as_text() -> None:
    value = {"a": "1e3", "b": "true", "c": "yes", "d": 1e-08, "e": "~", "f": "2026-01-01"}

    assert parse(write(value), "written").value == value
