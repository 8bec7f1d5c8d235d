"""What a whole benchmark holds (protocol C1 to C4), and what a wrong set of rows lacks or has too much.

Level and subject counts of MATH-Vision were counted in mathllm/MATH-V:data/test.jsonl, question types of MMMU
in MMMU-Benchmark/MMMU:mmmu/answer_dict_val.json, those of MathVerse in ZrrSkywalker/MathVerse; the sizes of
OlympiadBench's subsets are those of Hothan/OlympiadBench; MMMU's difficulties follow from the paper's table
3.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product

from spica.artifacts.types import Quarantined
from spica.errors import DataError, Fault
from spica.recipe.schema import Source
from spica.sources.draft import Draft
from spica.sources.mathverse import VERSIONS
from spica.sources.mmmu import DISCIPLINES

COUNTS: Mapping[str, Mapping[str, Mapping[str, int]]] = {
    "mathverse": {
        "version": dict.fromkeys(VERSIONS, 788),
        "question_type": {"multi-choice": 5 * 436, "free-form": 5 * 352},
        "subject": {"Plane Geometry": 5 * 510, "Solid Geometry": 5 * 119, "Functions": 5 * 159},
    },
    "mathvision": {
        "level": {"1": 237, "2": 738, "3": 551, "4": 830, "5": 684},
        "subject": {
            "metric geometry - area": 500, "metric geometry - length": 449, "algebra": 345,
            "combinatorial geometry": 308, "solid geometry": 244, "metric geometry - angle": 173,
            "transformation geometry": 168, "combinatorics": 168, "arithmetic": 140, "logic": 119,
            "descriptive geometry": 104, "graph theory": 90, "analytic geometry": 84, "counting": 67,
            "statistics": 58, "topology": 23,
        },
        "question_type": {"multi-choice": 1532, "free-form": 1508},
    },
    "olympiadbench": {
        "subset": {
            "OE_MM_maths_en_COMP": 150, "OE_MM_maths_zh_CEE": 1910, "OE_MM_maths_zh_COMP": 56,
            "OE_MM_physics_en_COMP": 456, "OE_MM_physics_zh_CEE": 1483, "OE_TO_maths_en_COMP": 674,
            "OE_TO_maths_zh_CEE": 1240, "OE_TO_maths_zh_COMP": 408, "OE_TO_physics_en_COMP": 236,
            "OE_TO_physics_zh_CEE": 115,
        },
    },
    "mmmu": {
        "subject": {subject: 30 for subjects in DISCIPLINES.values() for subject in subjects},
        "question_type": {"multiple-choice": 847, "open": 53},
        "difficulty": {"Easy": 295, "Medium": 424, "Hard": 181},
    },
}  # fmt: skip
"""Benchmark -> key of meta -> value -> rows."""

_OPTIONAL = ("difficulty", "level")
"""Keys that some of the published files lack altogether."""
_MAX_SHOWN = 5


def check_counts(source: Source, drafts: Sequence[Draft], bad: Sequence[Quarantined]) -> None:
    """Holds a benchmark against its published counts.

    Only where the source declares all of it: a benchmark source without `num_rows`; a number of rows declares
    a part, whose figures are those of a part.

    Args:
        source: Name, format, number of rows.
        drafts: Every row that was read.
        bad: Rows that were refused: of another split, doubled, malformed.

    Raises:
        DataError: One fault per group with another number of rows, and one for the refused rows.
    """
    if source.format not in COUNTS or source.num_rows is not None:
        return
    faults = [
        fault
        for key, expected in COUNTS[source.format].items()
        for fault in _wrong(source, key, expected, Counter(draft.meta.get(key, "") for draft in drafts))
    ]
    if bad:
        shown = "; ".join(str(one) for one in bad[:_MAX_SHOWN])
        advice = "take doubled rows and those of other splits out, mend the others"
        faults.append(
            Fault(f"source {source.name}", f"{len(bad)} rows refused: {shown}", "rows of one split", advice)
        )
    if faults:
        raise DataError(*_with_missing(source, drafts, faults))


def _wrong(source: Source, key: str, expected: Mapping[str, int], found: Counter[str]) -> list[Fault]:
    if key in _OPTIONAL and set(found) == {""}:
        return []
    return [
        Fault(
            f"source {source.name}: {key} {value or '(none)'}",
            f"{found[value]} rows",
            f"{expected.get(value, 0)} (all of {source.format})",
            "fetch the files again, or say `num_rows` to evaluate a declared part",
        )
        for value in [*expected, *sorted(found.keys() - expected.keys())]
        if found[value] != expected.get(value, 0)
    ]


def _with_missing(source: Source, drafts: Sequence[Draft], faults: list[Fault]) -> list[Fault]:
    """The faults, the first of them with the names of missing rows where a benchmark numbers its rows."""
    missing = _missing(source.format, drafts)
    if not missing:
        return faults
    more = f" and {len(missing) - _MAX_SHOWN} more" if len(missing) > _MAX_SHOWN else ""
    found = f"{faults[0].found}; missing: {', '.join(missing[:_MAX_SHOWN])}{more}"
    return [faults[0]._replace(found=found), *faults[1:]]


def _missing(benchmark: str, drafts: Sequence[Draft]) -> list[str]:
    expected: list[str] = []
    present = {draft.id for draft in drafts}
    if benchmark == "mathverse":
        expected = [f"{version} problem {number}" for version, number in product(VERSIONS, range(1, 789))]
        present = {f"{draft.meta.get('version')} problem {draft.meta.get('problem')}" for draft in drafts}
    elif benchmark == "mathvision":
        expected = [str(number) for number in range(1, 3041)]
    elif benchmark == "mmmu":
        subjects = (subject for subjects in DISCIPLINES.values() for subject in subjects)
        expected = [f"validation_{subject}_{number}" for subject, number in product(subjects, range(1, 31))]
    return [name for name in expected if name not in present]
