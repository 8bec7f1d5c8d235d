r"""Question files of the miniature world: text problems for D_T and the dev split.

    {"id": "0", "question": "F4G9A2C1\nc+g=?", "answer": "0", "domain": "math",
     "spica": {"num_steps": 2, "modality": "text"}}

Pictures of the dev split lie in images/; `spica` holds what only this world knows.
"""

from typing import Any

import numpy as np

from spica.miniature.folders import DataFolder
from spica.miniature.world import MAX_STEPS, STYLES, Problem, sample_problem

NUM_CELLS = (4, 6, 7, 8, 8, 8)
"""Entries per training scene: they vary, so that positions cannot be memorised."""


def sample_training_problem(rng: np.random.Generator, option_share: float, long_biased: bool) -> Problem:
    """Draws a training problem; `long_biased` takes the larger of two draws of the number of steps."""
    draws = rng.integers(1, MAX_STEPS + 1, 2)
    num_cells = int(rng.choice(NUM_CELLS))
    num_steps = min(int(draws.max() if long_biased else draws[0]), num_cells)
    num_options = int(rng.integers(4, 6)) if rng.random() < option_share else 0
    return sample_problem(rng, num_steps, num_cells, num_options=num_options)


def write_text(folder: DataFolder, num: int) -> None:
    """Text problems: steps as the larger of two uniform draws 1..8, a quarter with options."""
    share = 0.25 if folder.choices else 0.0
    problems = [sample_training_problem(folder.rng, share, long_biased=True) for _ in range(num)]
    folder.write_jsonl("questions.jsonl", (_text_row(str(i), problem) for i, problem in enumerate(problems)))


def write_dev(folder: DataFolder, num: int) -> None:
    """Half text, half visual, 1..8 steps evenly, a quarter with options, training faces."""
    rows = []
    for i in range(num):
        block = i // (2 * MAX_STEPS)
        num_steps, num_options = i // 2 % MAX_STEPS + 1, 4 if folder.choices and block % 4 == 3 else 0
        problem = sample_problem(folder.rng, num_steps, style=STYLES[block % 3], num_options=num_options)
        rows.append(_text_row(str(i), problem) if i % 2 == 0 else _visual_row(folder, str(i), problem))
    folder.write_jsonl("questions.jsonl", rows)


def _text_row(row_id: str, problem: Problem) -> dict[str, Any]:
    return {
        "id": row_id,
        "question": f"{problem.scene.cells}\n{problem.question}",
        "answer": problem.gold,
        "domain": "math",
        "spica": {"num_steps": problem.num_steps, "modality": "text"},
    }


def _visual_row(folder: DataFolder, row_id: str, problem: Problem) -> dict[str, Any]:
    return {
        "id": row_id,
        "question": problem.question,
        "answer": problem.gold,
        "domain": "math",
        "image": folder.write_picture(f"images/{row_id}.png", problem.scene, "train"),
        "spica": {"num_steps": problem.num_steps, "modality": "visual", "glyphs": "train"},
    }
