import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from spica.artifacts.manifest import Artifact
from spica.artifacts.memo import execute
from spica.artifacts.rows import read_jsonl
from spica.artifacts.store import Store
from spica.artifacts.types import PromptRow, Quarantined
from spica.errors import DataError, PrerequisiteError, RecipeError
from spica.launch.contract import Launcher
from spica.recipe.schema import Source
from spica.recipe.slices import SourcesSlice
from spica.sources.run import run

from .tiny_png import png


def no_launcher() -> Launcher:
    return cast(Launcher, None)  # reading sources starts nothing


Stage = Callable[..., Artifact]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Runs the stage into a real store: stage(source, ..., dev=(), seed=1)."""

    def execute_sources(
        *sources: dict[str, Any], dev: Sequence[dict[str, Any]] = (), seed: int = 1
    ) -> Artifact:
        given, kept_apart = ([Source.model_validate(one) for one in part] for part in (sources, dev))
        slice = SourcesSlice(seed=seed, sources=given, dev=kept_apart)
        store = Store.parse(f"file://{tmp_path / 'store'}")
        return store.open(execute("text", run, slice, {}, store, no_launcher, tmp_path / "state"))

    return execute_sources


def prompts(artifact: Artifact) -> list[PromptRow]:
    return read_jsonl(artifact.path / "prompts.jsonl", PromptRow)


def quarantine(artifact: Artifact) -> list[str]:
    return [str(one) for one in read_jsonl(artifact.path / "quarantine.jsonl", Quarantined)]


def write_questions(folder: Path, *lines: str) -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    (folder / "questions.jsonl").write_text("".join(lines))
    return {"name": "mine", "uri": str(folder), "format": "questions"}


def question(row_id: str, **more: object) -> str:
    return json.dumps({"id": row_id, "question": f"What is {row_id}?", "answer": "7", **more}) + "\n"


def test_a_source_becomes_prompt_rows(stage: Stage, tmp_path: Path) -> None:
    source = write_questions(tmp_path / "data", question("1", image="1.png"))
    (tmp_path / "data/1.png").write_bytes(png())
    made = stage(source)
    (row,) = prompts(made)
    assert (row.id, row.source, row.question, row.modality) == ("mine-1", "mine", "What is 1?", "visual")
    assert (made.path / row.images[0].path).is_file()
    assert made.manifest.kind == "prompts"
    assert made.manifest.metrics == {
        "num_rows": 1,
        "num_quarantined": 0,
        "num_rows.mine": 1,
        "num_quarantined.mine": 0,
    }


def test_a_dev_split_lies_beside_the_prompts_with_one_folder_of_pictures_and_one_quarantine(
    stage: Stage, tmp_path: Path
) -> None:
    source = write_questions(tmp_path / "data", question("1", image="1.png"))
    (tmp_path / "data/1.png").write_bytes(png())
    other = write_questions(tmp_path / "other", question("1", image="1.png"), "[1]\n") | {"name": "dev"}
    (tmp_path / "other/1.png").write_bytes(png())
    made = stage(source, dev=[other])
    (row,), (dev,) = prompts(made), read_jsonl(made.path / "dev.jsonl", PromptRow)
    assert (row.id, dev.id, row.images) == ("mine-1", "dev-1", dev.images)
    assert len(list((made.path / "images").iterdir())) == 1
    assert [reason.split(": ")[0] for reason in quarantine(made)] == ["dev/questions.jsonl:2"]
    assert made.manifest.metrics["num_rows"] == 2


def test_questions_without_a_dev_split_have_no_such_file(stage: Stage, tmp_path: Path) -> None:
    made = stage(write_questions(tmp_path / "data", question("1")))
    assert not (made.path / "dev.jsonl").exists()


def test_bad_lines_rows_and_pictures_are_put_aside_with_file_line_and_reason(
    stage: Stage, tmp_path: Path
) -> None:
    lines = [question(str(i)) for i in range(7)]
    lines += [
        '{"id": "torn\n',
        "[1]\n",
        question("5"),
        question("8", image="gone.png"),
        question("9", image="bad.png"),
    ]
    lines += ['{"id": "x", "question": "What?"}\n', question("y", domain="\ud800")]
    source = write_questions(tmp_path / "data", *lines)
    (tmp_path / "data/bad.png").write_bytes(b"no picture")
    made = stage(source)
    assert [row.id for row in prompts(made)] == [f"mine-{i}" for i in range(7)]
    reasons = quarantine(made)
    assert [reason.split(": ")[0] for reason in reasons] == [
        f"mine/questions.jsonl:{n}" for n in range(8, 15)
    ]
    for reason, part in zip(
        reasons,
        (
            "torn JSON",
            "found list",
            "was used by an earlier row",
            "gone.png",
            "corrupt",
            "answer",
            "surrogate",
        ),
        strict=True,
    ):
        assert part in reason


def test_num_rows_draws_by_seed_in_the_order_of_the_file(stage: Stage, tmp_path: Path) -> None:
    source: dict[str, Any] = write_questions(tmp_path / "data", *(question(str(i)) for i in range(100)))
    first, again, other = (
        [row.id for row in prompts(stage(source | {"num_rows": 10}, seed=seed))] for seed in (1, 1, 2)
    )
    assert len(first) == 10
    assert first == again != other
    assert first == sorted(first, key=lambda row_id: int(row_id.removeprefix("mine-")))


def test_a_drawn_row_with_a_bad_picture_is_replaced_by_another(stage: Stage, tmp_path: Path) -> None:
    lines = [question("0", image="gone.png"), *(question(str(i)) for i in range(1, 4))]
    made = stage(write_questions(tmp_path / "data", *lines) | {"num_rows": 3})
    assert [row.id for row in prompts(made)] == ["mine-1", "mine-2", "mine-3"]


def test_a_source_with_mostly_unusable_rows_stops_the_stage(stage: Stage, tmp_path: Path) -> None:
    source = write_questions(tmp_path / "data", question("1"), "{}\n", "{}\n")
    with pytest.raises(DataError, match=r"2 of 3 rows are unusable: mine/questions\.jsonl:2: question"):
        stage(source)


def test_one_unusable_row_of_a_benchmark_stops_the_stage_and_is_named(stage: Stage, tmp_path: Path) -> None:
    rows = [{"id": i, "question": f"{i}?", "final_answer": ["7"] if i else []} for i in range(20)]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "OE_TO_maths_en_COMP.jsonl").write_text("\n".join(map(json.dumps, rows)))
    source = {
        "name": "olympiadbench",
        "uri": str(tmp_path / "data"),
        "format": "olympiadbench",
        "num_rows": 20,
    }
    found = r"1 of 20 rows are unusable: olympiadbench/OE_TO_maths_en_COMP\.jsonl:1: final_answer"
    with pytest.raises(DataError, match=found):
        stage(source)


def test_a_folder_without_files_of_the_format_stops_the_stage(stage: Stage, tmp_path: Path) -> None:
    write_questions(tmp_path / "data", question("1"))
    with pytest.raises(DataError, match=r"a file named test-\*\.parquet or .*test\.jsonl"):
        stage({"name": "mathvision", "uri": str(tmp_path / "data"), "format": "mathvision"})


def test_a_missing_folder_and_an_unknown_scheme_are_named(stage: Stage, tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match="nothing at"):
        stage({"name": "a", "uri": f"file://{tmp_path}/gone", "format": "questions"})
    with pytest.raises(RecipeError, match=r"ftp://x/y.*\n *allowed: file://folder"):
        stage({"name": "a", "uri": "ftp://x/y", "format": "questions"})


def test_origin_and_licence_ride_on_every_row_and_the_recipes_word_on_the_licence_comes_first(
    stage: Stage, tmp_path: Path
) -> None:
    source = write_questions(tmp_path / "data", question("1"))
    (row,) = prompts(stage(source))
    assert (row.origin, row.license) == ("mine", "")
    (row,) = prompts(stage(source | {"license": "CC0-1.0"}))
    assert row.license == "CC0-1.0"


def test_a_row_of_a_published_set_names_its_configuration_and_its_makers_licence(
    stage: Stage, tmp_path: Path
) -> None:
    turns = [{"from": "human", "value": "How many?"}, {"from": "gpt", "value": "3"}]
    (tmp_path / "data").mkdir()
    rows = [{"id": "1", "data_source": "CLEVR-Math(MathV360K)", "conversations": turns}]
    (tmp_path / "data/train.json").write_text(json.dumps(rows))
    (row,) = prompts(stage({"name": "CLEVR", "uri": str(tmp_path / "data"), "format": "llava_onevision"}))
    assert (row.origin, row.license) == ("CLEVR-Math(MathV360K)", "CC-BY-4.0")
    assert row.meta["domain"] == "object"


def test_drawn_data_is_named_as_such_and_carries_nobodys_licence(stage: Stage) -> None:
    uri = "miniature://vqa/CLEVR-Math(MathV360K)?seed=1&num=2"
    first, _ = prompts(stage({"name": "CLEVR", "uri": uri, "format": "llava_onevision"}))
    assert (first.origin, first.license) == ("miniature: CLEVR-Math(MathV360K)", "")


def test_a_parquet_table_with_embedded_pictures_is_read_row_by_row(stage: Stage, tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    turns = [{"from": "human", "value": "<image>\nHow many?"}, {"from": "gpt", "value": "The answer is 3"}]
    rows = [
        {"id": str(i), "image": {"bytes": png(size=(4, 3 + i)), "path": None}, "conversations": turns}
        for i in range(70)
    ]
    (tmp_path / "data").mkdir()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "data/train-0.parquet")
    source = {"name": "geos", "uri": str(tmp_path / "data"), "format": "llava_onevision", "num_rows": 5}
    made = stage(source)
    assert len(prompts(made)) == 5
    assert len(list((made.path / "images").iterdir())) == 5  # only drawn questions have theirs decoded


def test_two_sources_of_one_name_are_refused(stage: Stage, tmp_path: Path) -> None:
    source = write_questions(tmp_path / "data", question("1"))
    with pytest.raises(DataError, match="two named 'mine'"):
        stage(source, source)
    with pytest.raises(DataError, match="two named 'mine'"):
        stage(source, dev=[source])


def test_an_id_that_a_benchmark_and_a_dev_question_share_is_refused(stage: Stage, tmp_path: Path) -> None:
    source = write_questions(tmp_path / "data", question("a-1")) | {"name": "x"}
    other = write_questions(tmp_path / "other", question("1")) | {"name": "x-a"}
    with pytest.raises(DataError, match="id 'x-a-1' in two sources"):
        stage(source, dev=[other])


def test_a_changed_byte_of_the_data_runs_again_and_a_moved_folder_does_not(
    stage: Stage, tmp_path: Path
) -> None:
    source = write_questions(tmp_path / "data", question("1"))
    first = stage(source).manifest
    (tmp_path / "data").rename(tmp_path / "moved")
    assert stage(source | {"uri": str(tmp_path / "moved")}).manifest.key == first.key
    changed = write_questions(tmp_path / "moved", question("2"))
    assert stage(changed).manifest.key != first.key


def test_a_parquet_file_without_its_reader_says_what_to_install(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/train-0.parquet").write_bytes(b"PAR1")
    with pytest.raises(PrerequisiteError, match="pip install pyarrow"):
        stage({"name": "geos", "uri": str(tmp_path / "data"), "format": "llava_onevision"})
