import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from spica.artifacts.types import PromptRow
from spica.miniature import world
from spica.miniature.benchmarks import _MMMU_SUBJECTS
from spica.miniature.folders import write_folder
from spica.miniature.pictures import read_picture
from spica.miniature.vqa import CONFIGS
from spica.recipe.schema import Source
from spica.sources.mmmu import DISCIPLINES
from spica.sources.read import read_source

FORMATS = {
    "text": "questions",
    "dev": "questions",
    "mathverse": "mathverse",
    "mathvision": "mathvision",
    "olympiadbench": "olympiadbench",
    "mmmu": "mmmu",
    **{f"vqa/{config}": "llava_onevision" for config in CONFIGS},
}


def load(name: str, folder: Path, num: int, seed: int = 1) -> list[PromptRow]:
    """What the loader of the official format makes of the miniature's files."""
    uri = f"miniature://{name}?seed={seed}&num={num}"
    write_folder(uri, folder / "raw")
    # A number of rows declares a part: whole benchmarks are held against their published counts.
    part = {"num_rows": 1000} if name in ("mathverse", "mathvision", "olympiadbench", "mmmu") else {}
    source = Source.model_validate({"name": "mini", "uri": uri, "format": FORMATS[name], **part})
    (folder / "out").mkdir()
    read = read_source(source, folder / "raw", folder / "out", seed=0)
    assert read.refused == []
    return read.rows


@pytest.mark.parametrize("name", FORMATS)
def test_the_official_loader_reads_every_row_and_its_gold_is_what_the_world_answers(
    name: str, tmp_path: Path
) -> None:
    rows = load(name, tmp_path, num=16)
    assert len(rows) >= 16
    for row in rows:
        parsed = world.parse_prompt(row.question)
        assert row.num_steps == len(parsed.terms)
        assert (parsed.entries is None) == (row.modality == "visual")
        entries = parsed.entries
        if row.images:
            entries = read_picture((tmp_path / "out" / row.images[0].path).read_bytes())
        assert entries is not None
        problem = world.Problem(world.Scene(entries, "table"), parsed.terms, parsed.options)
        assert row.gold.value == problem.gold
        assert row.gold.options == tuple(str(option) for option in parsed.options)
        modality: Any = row.modality
        context = "" if row.modality == "visual" else f"{problem.scene.cells}\n"
        assert problem.prompt(modality) == f"{world.PREFIX}\n{context}{problem.question}"
        assert row.question == f"{context}{problem.question}"


@pytest.mark.parametrize("name", ["mathverse", "mathvision", "mmmu", "olympiadbench"])
def test_benchmarks_spread_steps_evenly_and_half_of_their_pictures_use_heldout_faces(
    name: str, tmp_path: Path
) -> None:
    rows = load(name, tmp_path, num=112)
    steps = Counter(row.num_steps for row in rows)
    assert set(steps) == {1, 2, 3, 4, 5, 6, 8}
    assert max(steps.values()) - min(steps.values()) <= 2
    glyphs = Counter(row.meta["glyphs"] for row in rows if row.images)
    assert glyphs["train"] == glyphs["heldout"]


def test_equal_uris_give_equal_bytes_and_another_seed_other_ones(tmp_path: Path) -> None:
    digests = []
    for i, seed in enumerate((1, 1, 2)):
        write_folder(f"miniature://mmmu?seed={seed}&num=8", tmp_path / str(i))
        files = sorted(path for path in (tmp_path / str(i)).rglob("*") if path.is_file())
        digests.append(hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest())
    assert digests[0] == digests[1] != digests[2]


def test_training_dev_and_benchmarks_share_no_question_with_its_context_and_no_picture(
    tmp_path: Path,
) -> None:
    seen: dict[str, set[str]] = {}
    pixels: dict[str, set[str]] = {}
    for name in ("text", "dev", "mathverse", "mathvision", "olympiadbench", "mmmu", "vqa/TabMWP(MathV360K)"):
        rows = load(name, tmp_path / name, num=1000 if name == "text" else 70)
        seen[name] = {row.question for row in rows if not row.images}
        pixels[name] = {image.pixels for row in rows for image in row.images}
        assert sum(len(row.images) for row in rows) == len(pixels[name])
    for kept in (seen, pixels):
        assert len(set().union(*kept.values())) == sum(len(values) for values in kept.values())


def test_mathverse_tells_each_problem_in_both_versions(tmp_path: Path) -> None:
    rows = load("mathverse", tmp_path, num=4)
    assert [(row.meta["version"], row.modality) for row in rows[:2]] == [
        ("Text Dominant", "both"),
        ("Vision Dominant", "visual"),
    ]
    assert rows[0].question.split("\n", 1)[1] == rows[1].question


def test_mmmu_difficulty_and_mathvision_level_follow_the_steps(tmp_path: Path) -> None:
    difficulty = {row.num_steps: row.meta["difficulty"] for row in load("mmmu", tmp_path / "mmmu", num=7)}
    assert difficulty == {1: "Easy", 2: "Medium", 3: "Medium", 4: "Medium", 5: "Hard", 6: "Hard", 8: "Hard"}
    level = {row.num_steps: row.meta["level"] for row in load("mathvision", tmp_path / "mathvision", num=7)}
    assert level == {1: "1", 2: "2", 3: "3", 4: "3", 5: "4", 6: "4", 8: "5"}


def test_the_mmmu_subjects_are_the_official_thirty() -> None:
    assert sorted(_MMMU_SUBJECTS) == sorted(
        subject for subjects in DISCIPLINES.values() for subject in subjects
    )
    assert len(_MMMU_SUBJECTS) == 30


def test_an_official_reader_that_knows_no_extra_key_finds_all_official_ones(tmp_path: Path) -> None:
    write_folder("miniature://mathverse?num=2", tmp_path / "mathverse")
    (row, _) = json.loads((tmp_path / "mathverse/testmini.json").read_text())
    assert set(row) - {"spica"} == {
        "sample_index", "problem_index", "problem_version", "question", "image", "answer", "question_type",
        "metadata", "query_wo", "query_cot", "question_for_eval",
    }  # fmt: skip
    write_folder("miniature://mathvision?num=1", tmp_path / "mathvision")
    row = json.loads((tmp_path / "mathvision/test.jsonl").read_text())
    assert set(row) - {"spica"} == {
        "id",
        "question",
        "options",
        "answer",
        "solution",
        "level",
        "subject",
        "image",
    }


def test_visual_sources_word_their_rows_in_several_ways(tmp_path: Path) -> None:
    write_folder("miniature://vqa/GEOS(MathV360K)?num=60", tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    answers = {row["conversations"][1]["value"].rstrip("0123456789") for row in rows}
    assert {"", "The answer is ", "Answer: "} <= answers
    assert {row["conversations"][0]["value"].split()[0] for row in rows} == {"<image>"}
    assert len({row["conversations"][0]["value"].split("Question:")[0] for row in rows}) == 4
