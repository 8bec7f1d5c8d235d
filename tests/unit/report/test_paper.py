"""The paper's numbers, spot-checked; its means and counts hold its columns together."""

from fractions import Fraction

import pytest

from spica.recipe.load import read_recipe
from spica.report.paper import SUITE, TABLE2, TABLE3, TABLE4, TABLE5, TABLE6, TABLES
from spica.report.stats import percent

BENCHMARKS = ("mathverse", "mathvision", "olympiadbench", "mmmu")
WITH_MEAN = [(size, row) for size, rows in TABLE2.items() for row in rows if "mean" in rows[row]]


def row_of(table: str, size: str, row: str) -> tuple[float, ...]:
    return tuple(TABLES[table][size][row][name] for name in BENCHMARKS)


@pytest.mark.parametrize(("size", "row"), WITH_MEAN)
def test_a_mean_of_table_2_is_that_of_its_four_columns_rounded_half_up(size: str, row: str) -> None:
    four = [Fraction(str(value)) for value in row_of("table2", size, row)]

    assert percent(sum(four) / 400, 2) == f"{TABLE2[size][row]['mean']:.2f}"


@pytest.mark.parametrize("row", ["base", "D_T", "D_T+D_SD"])
def test_table_3_is_made_of_whole_questions_of_295_424_and_181(row: str) -> None:
    for level, n in (("Easy", 295), ("Medium", 424), ("Hard", 181)):
        printed = TABLE3["72B"][row][level]
        assert percent(Fraction(round(printed * n / 100), n), 2) == f"{printed:.2f}"


def test_rows_of_every_table_are_the_papers() -> None:
    assert row_of("table2", "72B", "D_T") == (48.4, 38.8, 29.9, 64.6)
    assert row_of("table2", "7B", "D_SD") == (37.5, 23.1, 10.3, 50.7)
    assert row_of("table4", "7B", "(4000,8000]") == (24.8, 24.9, 8.3, 39.8)
    assert row_of("table5", "72B", "3K") == (44.4, 40.5, 26.4, 58.2)
    assert row_of("table5", "7B", "1K") == (22.5, 23.7, 8.6, 42.8)
    assert row_of("table6", "72B", "hard") == (47.4, 39.1, 29.7, 63.0)
    assert TABLE2["others"]["Gemini-Pro"]["mean"] == 31.13
    assert TABLE3["others"]["QVQ-72B-preview"]["Hard"] == 48.62


def test_two_tables_differ_by_0_7_at_most_and_once() -> None:
    repeats = [
        (row_of("table2", "7B", "base"), row_of("table4", "7B", "base")),
        (row_of("table2", "7B", "D_T"), row_of("table5", "7B", "5K")),
        (row_of("table2", "72B", "D_T"), row_of("table5", "72B", "5K")),
        (row_of("table2", "72B", "D_T+D_SD"), row_of("table6", "72B", "medium")),
    ]
    gaps = [
        round(abs(one - other), 1)
        for first, second in repeats
        for one, other in zip(first, second, strict=True)
    ]

    assert sorted(gaps)[-2:] == [0.6, 0.7]
    assert gaps[1] == 0.7  # 7B base, MathVision: 16.3 and 15.6


def test_rows_that_the_paper_repeats_agree_or_differ_as_it_says() -> None:
    assert row_of("table6", "72B", "medium") == row_of("table2", "72B", "D_T+D_SD")
    assert TABLE5["72B"]["5K"]["mmmu"] - TABLE2["72B"]["D_T"]["mmmu"] == pytest.approx(0.1)
    assert TABLE2["7B"]["base"]["mathverse"] - TABLE4["7B"]["base"]["mathverse"] == pytest.approx(0.6)
    assert set(TABLE6["72B"]) == {"medium", "hard", "random"}


@pytest.mark.parametrize("name", ["virgo-7b", "virgo-72b"])
def test_the_virgo_recipes_evaluate_under_the_suite_of_the_papers_tables(name: str) -> None:
    recipe = read_recipe(name)

    assert recipe.prompt.model_dump() == {key: SUITE[key] for key in ("system", "prefix")}
    assert recipe.evaluate.prompts.model_dump() == SUITE["prompts"]
    assert recipe.evaluate.repetition_penalties[0] == SUITE["repetition_penalty"]
    assert (recipe.evaluate.temperature, recipe.evaluate.max_tokens) == (0.0, SUITE["max_tokens"])
