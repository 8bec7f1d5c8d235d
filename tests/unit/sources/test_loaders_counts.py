"""A whole benchmark against its published counts; rows are made up, numbers are the official ones."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from spica.artifacts.types import Gold, Quarantined
from spica.errors import DataError
from spica.recipe.schema import Source
from spica.sources.counts import COUNTS, check_counts
from spica.sources.draft import Draft
from spica.sources.mathverse import VERSIONS


def source(benchmark: str, num_rows: int | None = None) -> Source:
    return Source.model_validate(
        {"name": benchmark, "uri": "hf://datasets/a/b", "format": benchmark, "num_rows": num_rows}
    )


def draft(row_id: str, **meta: str) -> Draft:
    return Draft(id=row_id, question="", gold=Gold(kind="number", value="1"), modality="visual", meta=meta)


def spread(benchmark: str, key: str) -> list[str]:
    """Values of a key, each as often as the benchmark has it."""
    return [value for value, count in COUNTS[benchmark][key].items() for _ in range(count)]


def mathverse() -> list[Draft]:
    types = {n: "multi-choice" if n <= 436 else "free-form" for n in range(1, 789)}
    subjects = {
        n: "Plane Geometry" if n <= 510 else "Solid Geometry" if n <= 629 else "Functions"
        for n in range(1, 789)
    }
    return [
        draft(f"{number}", version=version, problem=str(n), question_type=types[n], subject=subjects[n])
        for number, (n, version) in enumerate(product(range(1, 789), VERSIONS), start=1)
    ]


def mathvision() -> list[Draft]:
    columns = zip(*(spread("mathvision", key) for key in ("level", "subject", "question_type")), strict=True)
    return [
        draft(str(i), level=level, subject=subject, question_type=kind)
        for i, (level, subject, kind) in enumerate(columns, start=1)
    ]


def olympiadbench() -> list[Draft]:
    return [
        draft(f"{subset}-{i}", subset=subset) for i, subset in enumerate(spread("olympiadbench", "subset"))
    ]


def mmmu() -> list[Draft]:
    columns = zip(*(spread("mmmu", key) for key in ("subject", "question_type", "difficulty")), strict=True)
    return [
        draft(f"validation_{subject}_{i % 30 + 1}", subject=subject, question_type=kind, difficulty=level)
        for i, (subject, kind, level) in enumerate(columns)
    ]


WHOLE: dict[str, tuple[Callable[[], list[Draft]], int]] = {
    "mathverse": (mathverse, 3940),
    "mathvision": (mathvision, 3040),
    "olympiadbench": (olympiadbench, 6728),
    "mmmu": (mmmu, 900),
}


@pytest.mark.parametrize("benchmark", WHOLE)
def test_a_whole_benchmark_passes(benchmark: str) -> None:
    make, num = WHOLE[benchmark]
    drafts = make()
    assert len(drafts) == num
    check_counts(source(benchmark), drafts, [])


def faults(benchmark: str, drafts: list[Draft], *bad: Quarantined) -> str:
    with pytest.raises(DataError) as error:
        check_counts(source(benchmark), drafts, bad)
    return str(error.value)


def test_a_missing_row_is_named_with_its_subset_and_how_many() -> None:
    drafts = mathverse()
    lite = next(one for one in drafts if one.meta["version"] == "Text Lite" and one.meta["problem"] == "12")
    told = faults("mathverse", [one for one in drafts if one is not lite])
    assert "source mathverse: version Text Lite" in told
    assert "787 rows; missing: Text Lite problem 12" in told
    assert "788 (all of mathverse)" in told


def test_missing_mathvision_rows_are_named_by_their_ids() -> None:
    assert "missing: 101, 102" in faults("mathvision", mathvision()[:100] + mathvision()[102:])


def test_a_missing_olympiadbench_subset_is_told_by_its_size() -> None:
    drafts = [one for one in olympiadbench() if one.meta["subset"] != "OE_TO_physics_zh_CEE"]
    told = faults("olympiadbench", drafts)
    assert "subset OE_TO_physics_zh_CEE" in told
    assert "0 rows" in told and "115 (all of olympiadbench)" in told


def test_rows_of_a_group_that_the_benchmark_does_not_have_are_told() -> None:
    told = faults("mathverse", [*mathverse(), draft("x", version="Text Only", problem="1")])
    assert "version Text Only" in told and "0 (all of mathverse)" in told


def test_doubled_rows_and_rows_of_another_split_are_told_with_their_reasons() -> None:
    doubled = Quarantined(
        file="mmmu/v.jsonl", line=901, reason="id 'validation_Art_1' was used by an earlier row"
    )
    other = Quarantined(file="mmmu/v.jsonl", line=902, reason="a row of split dev, validation is needed")
    told = faults("mmmu", mmmu(), doubled, other)
    assert "2 rows refused: mmmu/v.jsonl:901: id 'validation_Art_1' was used by an earlier row; " in told
    assert "mmmu/v.jsonl:902: a row of split dev" in told


def test_a_file_without_difficulties_is_whole_but_one_with_wrong_ones_is_not() -> None:
    bare = [draft(one.id, **{k: v for k, v in one.meta.items() if k != "difficulty"}) for one in mmmu()]
    check_counts(source("mmmu"), bare, [])
    changed: list[Any] = [draft(one.id, **{**one.meta, "difficulty": "Easy"}) for one in mmmu()]
    assert "difficulty Hard" in faults("mmmu", changed)


def test_a_declared_part_is_not_counted() -> None:
    check_counts(source("mmmu", num_rows=3), mmmu()[:3], [])


def test_other_formats_are_not_counted() -> None:
    check_counts(source("questions"), [], [])
