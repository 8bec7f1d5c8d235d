"""The benchmarks in every format they are published in, read as a source of a recipe is read."""

import base64
import csv
import io
import json
import random
import tracemalloc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from PIL import Image as Pillow

from spica.artifacts.types import Gold, PromptRow
from spica.errors import DataError
from spica.recipe.schema import Source
from spica.sources.draft import BadRowError
from spica.sources.official import mapping, text_list
from spica.sources.read import Reading, read_source
from spica.sources.tsv import tsv_rows

from .tiny_png import png

PICTURE = base64.b64encode(png()).decode()
OTHER = base64.b64encode(png("blue")).decode()


def read(folder: Path, benchmark: str, num_rows: int | None = 99) -> Reading:
    """By default a declared part, since these files hold few rows."""
    source = Source.model_validate(
        {"name": benchmark, "uri": f"file://{folder}", "format": benchmark, "num_rows": num_rows}
    )
    out = folder.parent / "out"
    out.mkdir(exist_ok=True)
    return read_source(source, folder, out, seed=1)


def only(reading: Reading) -> PromptRow:
    assert reading.refused == []
    (row,) = reading.rows
    return row


def write_tsv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)), delimiter="\t")
        table.writeheader()
        table.writerows(rows)


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


VERSE = {
    "sample_index": "5",
    "problem_index": "1",
    "problem_version": "Vision Only",
    "question": "",
    "answer": "B",
    "question_type": "multi-choice",
    "metadata": {"split": "testmini", "source": "GeoQA", "subject": "Plane Geometry", "subfield": "Angle"},
    "query_wo": "Answer directly.",
    "query_cot": "Reason first.\nQuestion: ",
    "question_for_eval": "How large is x? ()\nChoices:\nA:40°\nB:60°",
}


def test_mathverse_as_json_with_a_picture_folder(tmp_path: Path) -> None:
    folder = tmp_path / "MathVerse"
    write_json(folder / "testmini.json", [{**VERSE, "image": "images_version_5/image_1.png"}])
    (folder / "images/images_version_5").mkdir(parents=True)
    (folder / "images/images_version_5/image_1.png").write_bytes(png())
    row = only(read(folder, "mathverse"))
    assert (row.id, row.question) == ("mathverse-5", "")
    assert row.gold == Gold(kind="letter", value="B", options=("40°", "60°"))
    assert len(row.images) == 1


def test_mathverse_as_parquet_with_the_picture_in_the_row(tmp_path: Path) -> None:
    folder = tmp_path / "MathVerse"
    folder.mkdir()
    rows = [{**VERSE, "image": {"bytes": png(), "path": "image_1.png"}}]
    parquet.write_table(pa.Table.from_pylist(rows), folder / "testmini.parquet")
    row = only(read(folder, "mathverse"))
    assert row.meta["subject"] == "Plane Geometry"
    assert len(row.images) == 1


def test_mathverse_as_tsv_whose_second_row_shares_the_first_ones_picture(tmp_path: Path) -> None:
    folder = tmp_path / "LMUData"
    lite = {
        **VERSE,
        "sample_index": "2",
        "problem_version": "Text Lite",
        "question": "x? ()\nChoices:\nA:1\nB:2",
    }
    rows = [{"index": 1, "image": PICTURE, **VERSE}, {"index": 2, "image": "1", **lite}]
    write_tsv(folder / "MathVerse_MINI.tsv", rows)
    only_vision, text_lite = read(folder, "mathverse").rows
    assert only_vision.images == text_lite.images
    assert text_lite.question == "x? ()\nChoices:\n(A) 1\n(B) 2"
    assert only_vision.meta["subfield"] == "Angle"


def test_mathvision_as_tsv_with_choices_and_category(tmp_path: Path) -> None:
    folder = tmp_path / "LMUData"
    row = {
        "index": 34,
        "question": "Which?\n<image1>",
        "choices": "['2', '3', '4', '5', '6']",
        "answer": "C",
        "category": "logic",
        "image": PICTURE,
    }
    write_tsv(folder / "MathVision.tsv", [row])
    found = only(read(folder, "mathvision"))
    assert (found.id, found.gold.value, found.meta["subject"]) == ("mathvision-34", "C", "logic")
    assert found.meta["question"] == "Which?\n<image1>"


def test_a_tsv_is_streamed_and_its_pictures_are_not_held(tmp_path: Path) -> None:
    noise = io.BytesIO()
    Pillow.frombytes("RGB", (170, 170), random.Random(1).randbytes(3 * 170 * 170)).save(noise, "PNG")
    picture = base64.b64encode(noise.getvalue()).decode()
    row = {"question": "Which?", "answer": "1", "category": "logic", "image": picture}
    write_tsv(tmp_path / "LMUData/MathVision.tsv", [{"index": i, **row} for i in range(24)])
    tracemalloc.start()
    found = read(tmp_path / "LMUData", "mathvision")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.rows) == 24
    assert peak < 16 * len(picture)


def test_mathvision_as_parquet_sends_the_decoded_picture(tmp_path: Path) -> None:
    folder = tmp_path / "MathVision"
    folder.mkdir()
    row = {
        "id": "6",
        "question": "How many?\n<image1> <image2>",
        "options": [],
        "image": "images/6.jpg",
        "decoded_image": {"bytes": png(), "path": "6.jpg"},
        "answer": "12",
        "level": 2,
        "subject": "counting",
    }
    schema_row = {**row, "options": ["x"]}  # gives the empty list its type
    table = pa.Table.from_pylist([row], schema=pa.Table.from_pylist([schema_row]).schema)
    parquet.write_table(table, folder / "test-00000-of-00001.parquet")
    parquet.write_table(table, folder / "testmini-00000-of-00001.parquet")
    found = only(read(folder, "mathvision"))
    assert (len(found.images), found.gold.value, found.meta["level"]) == (1, "12", "2")


OLYMPIAD = {
    "id": 7,
    "subfield": "力学",
    "context": "如图, 物块静止.<img_12>",
    "question": "求速度 <img_30>.",
    "final_answer": ["$3$"],
    "is_multiple_answer": False,
    "unit": "m/s",
    "answer_type": "Numerical",
    "error": "1e-1",
}


def test_olympiadbench_as_json_in_chinese_with_two_pictures_by_tag(tmp_path: Path) -> None:
    folder = tmp_path / "OlympiadBench"
    write_json(folder / "data/OE_MM_physics_zh_CEE.json", [OLYMPIAD])
    write_json(folder / "data/TP_MM_physics_en_COMP.json", [{"id": 1}])
    (folder / "images").mkdir()
    (folder / "images/img_12.jpg").write_bytes(png())
    (folder / "images/img_30.jpg").write_bytes(png("blue"))
    row = only(read(folder, "olympiadbench"))
    assert (row.id, row.modality) == ("olympiadbench-OE_MM_physics_zh_CEE-7", "both")
    assert len(row.images) == 2
    assert row.gold == Gold(kind="number", value="3", unit="m/s", tolerance="1e-1")


def test_olympiadbench_as_parquet_with_numbered_picture_columns(tmp_path: Path) -> None:
    folder = tmp_path / "OlympiadBench/OE_MM_physics_zh_CEE"
    folder.mkdir(parents=True)
    images = {"image_1": {"bytes": png(), "path": None}, "image_2": {"bytes": png("blue"), "path": None}}
    parquet.write_table(
        pa.Table.from_pylist([{**OLYMPIAD, **images}]), folder / "OE_MM_physics_zh_CEE.parquet"
    )
    assert len(only(read(folder, "olympiadbench")).images) == 2


def test_olympiadbench_as_tsv_names_its_subset_in_source_and_writes_lists_as_text(tmp_path: Path) -> None:
    folder = tmp_path / "LMUData"
    row = {"index": 0, **OLYMPIAD, "source": "OE_MM_physics_zh_CEE", "image": f"['{PICTURE}', '{OTHER}']"}
    row |= {"final_answer": "['$3$']", "is_multiple_answer": "False"}
    write_tsv(folder / "OlympiadBench.tsv", [row, {**row, "id": 8, "source": "TP_MM_maths_zh_CEE"}])
    found = only(read(folder, "olympiadbench"))
    assert (len(found.images), found.meta["is_multiple_answer"]) == (2, "false")
    assert found.meta["final_answer"] == '["$3$"]'


MMMU_TSV = {
    "index": 31,
    "question": "Which of <image 2> and <image 1>?",
    "A": "the first",
    "B": "<image 1>",
    "answer": "B",
    "category": "Art_Theory",
    "split": "validation",
    "image": f"['{PICTURE}', '{OTHER}']",
}


def test_mmmu_as_tsv_reads_validation_rows_and_passes_over_dev(tmp_path: Path) -> None:
    folder = tmp_path / "LMUData"
    write_tsv(folder / "MMMU_DEV_VAL.tsv", [{**MMMU_TSV, "index": 1, "split": "dev"}, MMMU_TSV])
    row = only(read(folder, "mmmu"))
    assert row.id == "mmmu-validation_Art_Theory_31"
    assert row.gold == Gold(kind="letter", value="B", options=("the first", "image 2"))
    assert (row.meta["discipline"], len(row.images)) == ("Art and Design", 2)


def test_mmmu_as_tsv_gives_an_open_question_back_its_answer(tmp_path: Path) -> None:
    folder = tmp_path / "LMUData"
    row = {**MMMU_TSV, "A": "['24/7', '3.429']", "B": "Other Answers", "answer": "A"}
    write_tsv(folder / "MMMU_DEV_VAL.tsv", [row])
    found = only(read(folder, "mmmu"))
    assert found.gold == Gold(kind="number", value="24/7", accepted=("3.429",))
    assert found.meta["question_type"] == "open"


def test_mmmu_as_parquet_of_several_subjects(tmp_path: Path) -> None:
    folder = tmp_path / "MMMU"
    for subject in ("Art", "Physics"):
        (folder / subject).mkdir(parents=True)
        row = {
            "id": f"validation_{subject}_1",
            "question": "<image 1> Which?",
            "options": "['a', \"b's\"]",
            "image_1": {"bytes": png(), "path": "1.png"},
            "answer": "A",
            "topic_difficulty": "Easy",
            "question_type": "multiple-choice",
            "subfield": "x",
        }
        parquet.write_table(
            pa.Table.from_pylist([row]), folder / subject / "validation-00000-of-00001.parquet"
        )
        parquet.write_table(pa.Table.from_pylist([row]), folder / subject / "dev-00000-of-00001.parquet")
    assert [row.meta["subject"] for row in read(folder, "mmmu").rows] == ["Art", "Physics"]


def test_a_tsv_that_is_no_text_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "LMUData"
    folder.mkdir()
    (folder / "MathVision.tsv").write_bytes(b"index\tquestion\n1\t\xff\xfe\n")
    with pytest.raises(DataError, match="a table with tabs between columns"):
        read(folder, "mathvision")


def test_a_users_own_jsonl_with_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    (folder / "figures").mkdir(parents=True)
    (folder / "figures/a.png").write_bytes(png())
    rows = [
        {"id": "a", "question": "How many corners?\n(A) 3\n(B) 4", "answer": "B", "image": "figures/a.png"},
        {"question": "What is $2^5$?", "answer": "32", "domain": "math"},
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    drawn, plain = read(folder, "questions", num_rows=None).rows
    assert (drawn.id, drawn.modality, len(drawn.images)) == ("questions-a", "visual", 1)
    assert drawn.gold == Gold(kind="letter", value="B", options=("3", "4"))
    assert (plain.id, plain.images, plain.gold) == ("questions-2", (), Gold(kind="number", value="32"))


@pytest.mark.parametrize(
    ("format", "row"),
    [
        ("questions", {"id": None, "question": "What is {}?", "answer": "9"}),
        (
            "llava_onevision",
            {"conversations": [{"from": "human", "value": "{}?"}, {"from": "gpt", "value": "9"}]},
        ),
        ("long_form_thought", {"question": "What is {}?", "combined_text": "\\boxed{9}"}),
    ],
)
def test_rows_without_an_id_are_named_by_file_and_line_where_there_are_several_files(
    tmp_path: Path, format: str, row: Mapping[str, Any]
) -> None:
    (tmp_path / "more").mkdir()
    for name in ("a.jsonl", "more/a.jsonl"):
        (tmp_path / name).write_text((json.dumps(row) + "\n") * 2)
    assert [one.id for one in read(tmp_path, format, num_rows=None).rows] == [
        f"{format}-{name}" for name in ("a-1", "a-2", "more-a-1", "more-a-2")
    ]
    assert [one.id for one in read(tmp_path / "a.jsonl", format, num_rows=None).rows] == [
        f"{format}-1",
        f"{format}-2",
    ]


def test_a_row_that_refers_to_a_row_without_a_picture_has_none(tmp_path: Path) -> None:
    rows = [{"index": "1", "image": "", "question": "c=?"}, {"index": "2", "image": "1", "question": "d=?"}]
    write_tsv(tmp_path / "table/rows.tsv", rows)
    assert [row.get("image", "") for _, row in tsv_rows(tmp_path / "table/rows.tsv")] == ["", ""]


def test_a_repr_with_a_list_as_key_is_no_list_and_no_object() -> None:
    assert mapping("{[]: 1}") == {}
    with pytest.raises(BadRowError, match="options: a list of texts"):
        text_list("{[]: 1}", "options", 4)
