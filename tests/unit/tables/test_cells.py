"""Cells: reports' shares into rounded percent, and what the runs shared."""

from typing import Any

from spica_pipelines.cells import Made, Result, document, num_trained, own_cells
from spica_pipelines.tables import ComposedRun, compose, read_table
from spica_pipelines.tables_page import as_printed, render


def cell(num_correct: int, n: int) -> dict[str, Any]:
    return {"accuracy": num_correct / n, "ci95": [0.1, 0.9], "n": n}


REPORT: dict[str, Any] = {
    "data_cards": {
        "dataset-d_t": {"num_rows": 3587, "num_val": 64},
        "dataset-control": {"num_rows": 3000, "num_val": 64},
        "dataset-d_sd": {"num_rows": 975, "num_val": 75},
    },
    "table2": {
        arm: {
            "mathverse": cell(353, 1000),
            "mathvision": cell(192, 1000),
            "olympiadbench": cell(42, 1000),
            "mmmu": cell(658, 1000),
            "mean": 0.31125,
        }
        for arm in ("base", "D_T", "D_SD", "D_T+D_SD", "D_QVQ")
    },
    "table3": {
        "base": {"Easy": cell(220, 295), "Medium": cell(264, 424), "Hard": cell(91, 181)},
        "D_T": {"Overall": cell(249, 800)},
    },
    "by_steps": {
        "base": {"text": {"1": cell(300, 300), "2": cell(30, 300)}, "visual": {"8": cell(3, 300)}},
        "control": {"text": {"2": cell(33, 300), "3": cell(27, 300)}, "visual": {}},
        "D_T": {"text": {"2": cell(300, 300)}, "visual": {}},
    },
}


def results(names: list[str]) -> list[Result]:
    shared = Made("text", "k0", True, 10.0)
    return [
        Result(run, f"run-{run.name}", 61.0, [shared, Made("report", run.name, False, 2.0)], REPORT)
        for run in compose(names, "miniature")
    ]


def content(*names: str) -> dict[str, Any]:
    return document(
        {name: read_table(name)[0] for name in names},
        results([*names]),
        "miniature",
        "laptop",
        "commit 0123abc",
    )


def test_a_mean_of_31_125_percent_is_rounded_up() -> None:
    assert own_cells(REPORT, "base", "benchmarks")["mean"]["percent"] == "31.13"


def test_a_share_of_31_125_percent_is_rounded_up() -> None:
    assert own_cells(REPORT, "D_T", "difficulty")["Overall"]["percent"] == "31.13"


def test_the_papers_own_counts_give_the_papers_own_percent() -> None:
    cells = own_cells(REPORT, "base", "difficulty")

    assert [cells[level]["percent"] for level in ("Easy", "Medium", "Hard")] == ["74.58", "62.26", "50.28"]


def test_an_arm_that_a_report_lacks_has_no_cells() -> None:
    for columns in ("benchmarks", "difficulty", "steps"):
        assert own_cells(REPORT, "D_T+D_QVQ", columns) == {}  # type: ignore[arg-type]  # a loop over literals


def test_rows_are_those_that_are_trained_on_and_a_unions_are_those_of_both() -> None:
    assert [num_trained(REPORT, arm) for arm in ("D_T", "control", "D_SD", "D_T+D_SD", "D_QVQ")] == [
        3523,
        2936,
        900,
        4423,
        900,
    ]
    assert num_trained(REPORT, "base") is None
    assert num_trained({}, "D_T") is None


def test_every_table_has_the_number_of_rows_beside_each_line() -> None:
    page = render(content("table5", "table6", "study"))

    assert page.count('<th scope="col" class="num">Rows</th>') == 3
    assert page.count('<td class="num">3\N{NARROW NO-BREAK SPACE}523</td>') == 6 + 3
    assert page.count('<td class="num">4\N{NARROW NO-BREAK SPACE}423</td>') == 3
    assert "differ in number of rows" in page


def test_rows_of_a_run_that_failed_show_dashes_and_the_runs_table_says_why() -> None:
    runs = results(["table4"])
    failed = [one._replace(run_id="", tasks=[], report={}, unfinished="failed: disk: <full>") for one in runs]
    made = document(
        {"table4": read_table("table4")[0]}, [*runs[:1], *failed[1:]], "miniature", "laptop", "commit 0123abc"
    )

    rows = made["tables"][0]["rows"]
    assert [bool(row["cells"]["mmmu"]["ours"]) for row in rows] == [True, True, False, False]
    assert rows[3]["cells"]["mmmu"]["paper"] == 39.8
    assert (made["num_finished"], made["runs"][2]["unfinished"]) == (1, "failed: disk: <full>")
    page = render(made)
    assert page.count("failed: disk: &lt;full&gt;") == 2
    assert "1 of 3 runs are finished; cells of the others show a dash" in page


def test_the_studys_means_leave_out_a_base_that_is_not_finished() -> None:
    runs = results(["study"])
    late = runs[2]._replace(run_id="", tasks=[], report={}, unfinished="has not run yet")
    made = document({"study": read_table("study")[0]}, [*runs[:2], late], "miniature", "laptop", "v")

    assert [(mean["arm"], mean["num_runs"]) for mean in made["tables"][0]["means"]] == [
        ("base", 2),
        ("control", 2),
        ("D_T", 2),
    ]
    assert "has not run yet" in render(made)


def test_steps_2_to_6_are_pooled_over_their_questions() -> None:
    cells = own_cells(REPORT, "control", "steps")

    assert (cells["text 2-6"]["accuracy"], cells["text 2-6"]["n"]) == (0.1, 600)
    assert "visual 2-6" not in cells


def test_each_cell_stands_beside_the_papers_own() -> None:
    table = content("table2")["tables"][0]
    base, qvq = table["rows"][0], table["rows"][2]

    assert (base["run"], base["run_id"], base["miniature"]) == ("tables-72b", "run-tables-72b", True)
    assert base["cells"]["mathverse"]["ours"] == {**cell(353, 1000), "percent": "35.30"} | {
        "ci95": base["cells"]["mathverse"]["ours"]["ci95"]
    }
    assert base["cells"]["mean"]["paper"] == 35.78
    assert (qvq["arm"], qvq["cells"]["mathvision"]["paper"]) == ("D_QVQ", 37.7)
    assert table["others"]["OpenAI o1"] == {"mmmu": 77.3}
    assert len(base["digest"]) == 64


def test_what_runs_share_is_one_artifact_and_counted_where_it_was_made_first() -> None:
    made = content("table2", "table3", "table6")

    assert [run["num_first"] for run in made["runs"]] == [2, 1, 1, 1, 1, 1]
    assert (made["num_tasks"], made["num_artifacts"]) == (12, 7)
    assert (made["artifacts_s"], made["unshared_s"]) == (22.0, 72.0)


def test_the_study_has_means_with_the_lowest_and_the_highest_run() -> None:
    base = content("study")["tables"][0]["means"][0]

    assert (base["arm"], base["num_runs"]) == ("base", 3)
    assert base["cells"]["text 2"] == {"mean": 0.1, "lowest": 0.1, "highest": 0.1}


def test_the_page_says_miniature_over_our_numbers_and_in_every_row() -> None:
    page = render(content("table2", "table5"))

    assert page.count("miniature (2 CPU cores)</th>") == 2
    assert page.count("<small>miniature: ") == 16
    assert "<b>Miniature.</b>" in page


def test_a_page_of_real_runs_does_not_say_miniature() -> None:
    runs = [Result(run, "id", 1.0, [], REPORT) for run in compose(["table3"], "virgo-72b")]
    made = document({"table3": read_table("table3")[0]}, runs, "virgo-72b", "cluster64", "commit 0123abc")

    assert "miniature" not in render(made).partition("</style>")[2].lower()
    assert "virgo-72b (cluster64)" in render(made)


def test_a_page_loads_nothing_and_escapes_every_text() -> None:
    made = content("table3")
    made["made_by"] = "<script>alert(1)</script>"

    page = render(made)

    assert "<script" not in page and "&lt;script&gt;" in page
    assert "http" not in page.partition("</style>")[2].replace("http-equiv", "")


def test_the_papers_numbers_have_the_decimals_that_it_prints() -> None:
    assert [as_printed("mean", 30.4), as_printed("mmmu", 65.0), as_printed("Easy", 65.8)] == [
        "30.40",
        "65.0",
        "65.80",
    ]
    assert as_printed("Overall", 66.0) == "66.0"


def test_a_run_is_named_by_its_recipe() -> None:
    assert all(
        len(run.name) <= 41 and isinstance(run, ComposedRun) for run in compose(["table4"], "virgo-7b")
    )
