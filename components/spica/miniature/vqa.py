r"""The eight VQA sources of table 1, in the row format of lmms-lab/LLaVA-OneVision-Data.

    {"id": "0", "image": "images/0.png", "data_source": "GEOS(MathV360K)", "conversations": [
      {"from": "human", "value": "<image>\nHint: Please answer the question and provide the correct option
       letter, e.g., A, B, C, D, at the end.\nQuestion: c+h=?\nChoices:\n(A) 3\n(B) 7\n(C) 0\n(D) 5"},
      {"from": "gpt", "value": "The answer is B"}],
     "spica": {"num_steps": [2], "modality": "visual", "glyphs": "train"}}

The official rows embed the picture in parquet; here it is a file beside the rows. Hints, lead-ins and forms
of the gold answer vary as upstream does (with its misspellings), and rows of the Cauldron may hold two
questions.
"""

from typing import Any, Literal, NamedTuple

import numpy as np

from spica.miniature.folders import DataFolder
from spica.miniature.questions import sample_training_problem
from spica.miniature.world import Problem, Scene, Style, sample_problem


class VqaConfig(NamedTuple):
    """One source: rows in table 1, style of pictures (None: all three), and how it words its rows."""

    num: int
    style: Style | None
    wording: Literal["geometry", "hint", "cauldron"]
    option_share: float


CONFIGS = {
    "GEOS(MathV360K)": VqaConfig(279, None, "geometry", 0.5),
    "GeoQA+(MathV360K)": VqaConfig(563, None, "geometry", 0.5),
    "Geometry3K(MathV360K)": VqaConfig(551, None, "geometry", 0.5),
    "UniGeo(MathV360K)": VqaConfig(555, None, "geometry", 0.5),
    "TabMWP(MathV360K)": VqaConfig(568, "table", "hint", 0.25),
    "FigureQA(MathV360K)": VqaConfig(589, "bar", "hint", 0.25),
    "chartqa(cauldron,llava_format)": VqaConfig(509, "bar", "cauldron", 0.0),
    "CLEVR-Math(MathV360K)": VqaConfig(548, "dots", "hint", 0.25),
    "clevr(cauldron,llava_format)": VqaConfig(548, "dots", "cauldron", 0.0),
}
"""Config names of LLaVA-OneVision-Data; CLEVR has two. The world has no fourth style for geometry."""

_LETTER_HINT = (
    "Hint: Please answer the question and provide the correct option letter, e.g., A, B, C, D, at the end."
)
_VALUE_HINT = "Hint: Please answer the question and provide the final answer at the end."
_GEOMETRY_LEAD_INS = (
    "First perform reasoning, then finally select the question from the choices in the following format: "
    "Answer: xxx.",
    "Please solve the mathemtical problem and select the corret answer.",
)
_SUFFIXES = (
    "Answer the question using a single word or phrase.",
    "Give a very brief answer.",
    "Provide a short and direct response.",
    "Concise answer only.",
)


def write_vqa(folder: DataFolder, config: str, num: int) -> None:
    """Rows of one source: 1..8 steps uniformly (as many as the scene has entries at most), training faces."""
    rows = (_row(folder, config, str(i), f"images/{i}.png") for i in range(num))
    folder.write_jsonl("train.jsonl", rows)


def _row(folder: DataFolder, config: str, row_id: str, picture: str) -> dict[str, Any]:
    style, wording, option_share = (
        CONFIGS[config].style,
        CONFIGS[config].wording,
        CONFIGS[config].option_share,
    )
    share = option_share if folder.choices else 0.0
    first = sample_training_problem(folder.rng, share, long_biased=False)
    scene = Scene(first.scene.entries, style or first.scene.style)
    problems = [Problem(scene, first.terms, first.options)]
    if wording == "cauldron" and folder.rng.random() < 0.25:
        second = sample_problem(
            folder.rng, int(folder.rng.integers(1, len(scene.entries) + 1)), len(scene.entries)
        )
        problems.append(Problem(scene, _on_scene(second, scene)))
    turns = [turn for problem in problems for turn in _turns(problem, wording, folder.rng)]
    turns[0]["value"] = "<image>\n" + turns[0]["value"]
    return {
        "id": row_id,
        "image": folder.write_picture(picture, scene, "train"),
        "conversations": turns,
        "data_source": config,
        "spica": {"num_steps": [p.num_steps for p in problems], "modality": "visual", "glyphs": "train"},
    }


def _on_scene(problem: Problem, scene: Scene) -> tuple[tuple[int, str], ...]:
    """The problem's terms, asked about the labels that `scene` has at the same places."""
    places = [label for label, _ in problem.scene.entries]
    return tuple((sign, scene.entries[places.index(label)][0]) for sign, label in problem.terms)


def _turns(problem: Problem, wording: str, rng: np.random.Generator) -> list[dict[str, str]]:
    if wording == "cauldron":
        asked = f"{problem.question}\n{_SUFFIXES[int(rng.integers(len(_SUFFIXES)))]}"
        answers: tuple[str, ...] = (problem.gold, f"{problem.gold}.")
    else:
        lead_in = _LETTER_HINT if problem.options else _VALUE_HINT
        if wording == "geometry" and problem.options and rng.random() < 0.5:
            lead_in = _GEOMETRY_LEAD_INS[int(rng.integers(len(_GEOMETRY_LEAD_INS)))]
        asked = f"{lead_in}\nQuestion: {problem.question}"
        answers = (
            f"The answer is {problem.gold}",
            problem.gold,
            f"{problem.gold}.",
            f"Answer: {problem.gold}",
        )
        if problem.options:
            answers += (f"({problem.gold}) {problem.answer}", f"The answer is {problem.answer}")
    return [
        {"from": "human", "value": asked},
        {"from": "gpt", "value": answers[int(rng.integers(len(answers)))]},
    ]
