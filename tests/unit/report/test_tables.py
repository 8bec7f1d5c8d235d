from fractions import Fraction

from spica.answers.proportion import Proportion
from spica.report import tables

from .report_rows import item, outcomes

FOUR = [
    item("a", "mmmu", "visual", 1, {"difficulty": "Easy", "glyphs": "train"}),
    item("b", "mmmu", "visual", 3, {"difficulty": "Hard", "glyphs": "heldout"}),
    item("c", "mathverse", "both", 3, {"glyphs": "train"}),
    item("d", "olympiadbench", "text", 3),
    item("e", "olympiadbench", "text", 10),
]
SCORED = outcomes(FOUR, {"base": "10010", "D_T": "11111"}, thoughts={"D_T": (10, 30, 40, 20, 90)})


def test_table_2_has_the_papers_order_of_benchmarks() -> None:
    assert tables.table2(SCORED)["base"] == {
        "mathverse": Proportion(0, 1),
        "olympiadbench": Proportion(1, 2),
        "mmmu": Proportion(1, 2),
    }


def test_the_mean_counts_every_benchmark_once_whatever_its_size() -> None:
    assert tables.mean_accuracy(tables.table2(SCORED)["base"]) == Fraction(1, 3)


def test_table_3_splits_mmmu_by_difficulty_and_leaves_out_empty_levels() -> None:
    assert tables.table3(SCORED)["base"] == {
        "Easy": Proportion(1, 1),
        "Hard": Proportion(0, 1),
        "Overall": Proportion(1, 2),
    }


def test_steps_are_counted_apart_by_modality_and_items_with_both_in_neither() -> None:
    assert tables.by_steps(SCORED)["base"] == {
        "text": {3: Proportion(1, 1), 10: Proportion(0, 1)},
        "visual": {1: Proportion(1, 1), 3: Proportion(0, 1)},
    }


def test_steps_are_sorted_as_numbers() -> None:
    assert list(tables.lengths(SCORED)["D_T"]) == [1, 3, 10]


def test_the_length_of_thoughts_is_a_mean_over_all_items_of_a_step_count() -> None:
    assert tables.lengths(SCORED)["D_T"] == {1: 10.0, 3: 30.0, 10: 90.0}


def test_glyphs_count_purely_visual_items_only_and_seen_fonts_first() -> None:
    cells = tables.glyphs(SCORED)["base"]
    assert list(cells.items()) == [("train", Proportion(1, 1)), ("heldout", Proportion(0, 1))]


def test_the_best_model_is_chosen_on_dev_even_when_another_is_better_on_benchmarks() -> None:
    assert (
        tables.best_model(outcomes(FOUR, {"D_T": "11111"}, dev_right={"D_SD": "11", "D_T": "10"})) == "D_SD"
    )


def test_among_equals_on_dev_the_first_arm_is_best() -> None:
    tied = outcomes(FOUR, {}, dev_right={"D_T": "11", "D_T+D_SD": "11", "base": "10"})
    assert tables.best_model(tied) == "D_T"
