"""The four benchmarks of the miniature world, in the row formats of the official files.

Numbers of steps are even over 1, 2, 3, 4, 5, 6, 8; half of the pictures use faces held out of training. What
only this world knows travels in an extra key `spica`, which readers of the official files ignore.
"""

from typing import Any, NamedTuple

from spica.miniature.folders import DataFolder
from spica.miniature.pictures import Glyphs
from spica.miniature.world import LETTERS, STYLES, Modality, Problem, sample_problem

NUM_STEPS = (1, 2, 3, 4, 5, 6, 8)

NOT_EXPRESSED = {
    "all": (
        "multiple choice: written (choices=1) and read, but a model of this size does not learn the step from"
        " a value to its letter, so the miniature recipe asks open questions only (choices=0)",
    ),
    "mathverse": (
        "versions Text Lite, Vision Intensive and Vision Only (a question drawn into the picture)",
        "sources, subfields and geometric figures; subjects are names only",
    ),
    "mathvision": (
        "several <imageN> tags in one question",
        "options that are just the letters A..E because they are drawn in the picture",
        "answers that are expressions, units or lists",
    ),
    "olympiadbench": (
        "theorem proofs (TP_*)",
        "physics, and the context that goes before its questions",
        "Chinese problems and the subsets CEE",
        "several answers, units, tolerances; answer types Expression, Equation, Interval, Tuple",
        "several pictures in one question",
    ),
    "mmmu": (
        "two to seven pictures in one question, pictures as options",
        "subject knowledge; subjects are names only",
        "open questions with several accepted answers",
    ),
    "sources": (
        "yes/no answers (FigureQA)",
        "units and degrees (geometry)",
        "a picture style of its own for geometry",
    ),
}
"""What the official data has and this world cannot say, by name."""

_MATHVERSE_VERSIONS: tuple[tuple[str, Modality], ...] = (
    ("Text Dominant", "both"),
    ("Vision Dominant", "visual"),
)
_MATHVERSE_SUBJECTS = (
    ("Plane Geometry", "Length"),
    ("Solid Geometry", "Volume"),
    ("Functions", "Coordinate"),
)
_MATHVISION_SUBJECTS = (
    "algebra", "analytic geometry", "arithmetic", "combinatorial geometry", "combinatorics", "counting",
    "descriptive geometry", "graph theory", "logic", "metric geometry - angle", "metric geometry - area",
    "metric geometry - length", "solid geometry", "statistics", "topology", "transformation geometry",
)  # fmt: skip
_MATHVISION_LEVELS = {1: 1, 2: 2, 3: 3, 4: 3, 5: 4, 6: 4, 8: 5}
_MMMU_SUBJECTS = (
    "Accounting", "Agriculture", "Architecture_and_Engineering", "Art", "Art_Theory", "Basic_Medical_Science",
    "Biology", "Chemistry", "Clinical_Medicine", "Computer_Science", "Design",
    "Diagnostics_and_Laboratory_Medicine", "Economics", "Electronics", "Energy_and_Power", "Finance",
    "Geography", "History", "Literature", "Manage", "Marketing", "Materials", "Math",
    "Mechanical_Engineering", "Music", "Pharmacy", "Physics", "Psychology", "Public_Health", "Sociology",
)  # fmt: skip
_LETTER_QUERY = (
    "Please directly answer the question and provide the correct option letter, e.g., A, B, C, D.\n"
)
_VALUE_QUERY = "Please directly answer the question and provide the final value, e.g., 1, 2.5, 300.\n"


class Item(NamedTuple):
    """One test problem and the faces of its picture."""

    problem: Problem
    glyphs: Glyphs

    def facts(self, modality: Modality) -> dict[str, str | int]:
        """What the official format has no key for."""
        faces = {} if modality == "text" else {"glyphs": self.glyphs}
        return {"num_steps": self.problem.num_steps, "modality": modality, **faces}


def sample_items(folder: DataFolder, num: int, num_options: int, choices_in_four: int) -> list[Item]:
    """Draws eight-entry problems, in blocks of one per number of steps; of four blocks some have options."""
    items = []
    for i in range(num):
        block = i // len(NUM_STEPS)
        options = num_options if folder.choices and block // 2 % 4 < choices_in_four else 0
        style = STYLES[block % len(STYLES)]
        problem = sample_problem(folder.rng, NUM_STEPS[i % len(NUM_STEPS)], style=style, num_options=options)
        items.append(Item(problem, "heldout" if block % 2 else "train"))
    return items


def write_mathverse(folder: DataFolder, num: int) -> None:
    """testmini.json and images/: each problem once with its entries as text too, once in the picture only."""
    rows: list[dict[str, Any]] = []
    for index, item in enumerate(
        sample_items(folder, (num + 1) // 2, num_options=4, choices_in_four=2), start=1
    ):
        for version, modality in _MATHVERSE_VERSIONS:
            rows.append(_mathverse_row(folder, item, index, len(rows) + 1, version, modality))
    folder.write_json("testmini.json", rows[:num])


def _mathverse_row(
    folder: DataFolder, item: Item, problem_index: int, sample_index: int, version: str, modality: Modality
) -> dict[str, Any]:
    problem = item.problem
    context = f"{problem.scene.cells}\n" if modality == "both" else ""
    lines = [f"{letter}:{value}" for letter, value in zip(LETTERS, problem.options, strict=False)]
    question = context + "\n".join([f"{problem.expression}=?", *(["Choices:", *lines] if lines else [])])
    subject, subfield = _MATHVERSE_SUBJECTS[problem_index % len(_MATHVERSE_SUBJECTS)]
    name = f"images_{version.replace(' ', '_')}/image_{problem_index}.png"
    folder.write_picture(f"images/{name}", problem.scene, item.glyphs)
    query = (_LETTER_QUERY if problem.options else _VALUE_QUERY) + f"Question: {question}"
    return {
        "sample_index": str(sample_index),
        "problem_index": str(problem_index),
        "problem_version": version,
        "question": question,
        "image": name,
        "answer": problem.gold,
        "question_type": "multi-choice" if problem.options else "free-form",
        "metadata": {"split": "testmini", "source": "miniature", "subject": subject, "subfield": subfield},
        "query_wo": query,
        "query_cot": query,
        "question_for_eval": question,
        "spica": item.facts(modality),
    }


def write_mathvision(folder: DataFolder, num: int) -> None:
    """test.jsonl and images/: levels 1..5 by number of steps, half with five options."""
    items = enumerate(sample_items(folder, num, num_options=5, choices_in_four=2), start=1)
    folder.write_jsonl("test.jsonl", (_mathvision_row(folder, i, item) for i, item in items))


def _mathvision_row(folder: DataFolder, index: int, item: Item) -> dict[str, Any]:
    problem = item.problem
    return {
        "id": str(index),
        "question": f"{problem.expression}=?\n<image1>",
        "options": [str(value) for value in problem.options],
        "answer": problem.gold,
        "solution": None,
        "level": _MATHVISION_LEVELS[problem.num_steps],
        "subject": _MATHVISION_SUBJECTS[index % len(_MATHVISION_SUBJECTS)],
        "image": folder.write_picture(f"images/{index}.png", problem.scene, item.glyphs),
        "spica": item.facts("visual"),
    }


def write_olympiadbench(folder: DataFolder, num: int) -> None:
    """data/OE_MM_maths_en_COMP.json with images/, and OE_TO_maths_en_COMP.json: half each, all open."""
    num_mm = (num + 1) // 2
    items = sample_items(folder, num_mm, num_options=0, choices_in_four=0)
    texts = sample_items(folder, num - num_mm, num_options=0, choices_in_four=0)
    rows = [
        _olympiad_row(i, item, f"<img_{i}>\n{item.problem.question}", "visual")
        for i, item in enumerate(items)
    ]
    for i, item in enumerate(items):
        folder.write_picture(f"images/img_{i}.png", item.problem.scene, item.glyphs)
    folder.write_json("data/OE_MM_maths_en_COMP.json", rows)
    rows = [
        _olympiad_row(num_mm + i, item, f"{item.problem.scene.cells}\n{item.problem.question}", "text")
        for i, item in enumerate(texts)
    ]
    folder.write_json("data/OE_TO_maths_en_COMP.json", rows)


def _olympiad_row(index: int, item: Item, question: str, modality: Modality) -> dict[str, Any]:
    return {
        "id": index,
        "subfield": "Combinatorics",
        "context": None,
        "question": question,
        "solution": [f"{item.problem.expression} = {item.problem.gold} modulo 10"],
        "final_answer": [f"${item.problem.gold}$"],
        "is_multiple_answer": False,
        "unit": None,
        "answer_type": "Numerical",
        "error": None,
        "spica": item.facts(modality),
    }


def write_mmmu(folder: DataFolder, num: int) -> None:
    """validation.jsonl and images/: 30 subject names in turn, difficulty by steps, 3 in 4 with options."""
    items = enumerate(sample_items(folder, num, num_options=4, choices_in_four=3))
    folder.write_jsonl("validation.jsonl", (_mmmu_row(folder, i, item) for i, item in items))


def _mmmu_row(folder: DataFolder, index: int, item: Item) -> dict[str, Any]:
    problem = item.problem
    subject = _MMMU_SUBJECTS[index % len(_MMMU_SUBJECTS)]
    row_id = f"validation_{subject}_{index // len(_MMMU_SUBJECTS) + 1}"
    path = folder.write_picture(f"images/{row_id}_1.png", problem.scene, item.glyphs)
    return {
        "id": row_id,
        "question": f"<image 1>\n{problem.expression}=?",
        "options": str([str(value) for value in problem.options]),
        "explanation": "",
        "image_1": {"bytes": None, "path": path},
        **{f"image_{i}": None for i in range(2, 8)},
        "img_type": "['Tables']",
        "answer": problem.gold,
        "topic_difficulty": "Easy"
        if problem.num_steps == 1
        else "Medium"
        if problem.num_steps <= 4
        else "Hard",
        "question_type": "multiple-choice" if problem.options else "open",
        "subfield": subject,
        "spica": item.facts("visual"),
    }
