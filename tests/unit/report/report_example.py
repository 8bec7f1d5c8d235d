"""Inputs of a report as a miniature run leaves them, made up, and the report made of them.

    python tests/unit/report/report_example.py FOLDER

Pictures, questions and thoughts come from the miniature world; who is right is drawn from rates like those
that a real run shows. Everything is deterministic.
"""

import hashlib
import json
import math
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spica.artifacts.manifest import Artifact, Execution, Manifest
from spica.artifacts.rows import write_jsonl
from spica.artifacts.types import FileEntry, Gold, Image, Kind, PromptRow, Rollout, Score
from spica.artifacts.workspace import Workspace
from spica.evaluate.items import Item
from spica.evaluate.summary import summarise
from spica.miniature import pictures, world
from spica.recipe.schema import Gate
from spica.recipe.slices import ReportSlice

OTHER_MODALITY: Mapping[str, world.Modality] = {"mathverse": "both", "olympiadbench": "text", "dev": "text"}
STEPS = (1, 2, 3, 4, 5, 6, 8)
TEXT_RATES = {
    "base": (1.0, 0.11, 0.07, 0.07, 0.08, 0.08, 0.06),
    "control": (0.99, 0.16, 0.11, 0.09, 0.08, 0.10, 0.09),
    "D_T": (1.0, 1.0, 1.0, 1.0, 1.0, 0.99, 0.73),
    "D_SD": (0.98, 0.36, 0.23, 0.41, 0.30, 0.13, 0.09),
    "D_T+D_SD": (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.47),
}
VISUAL_RATES = {
    "base": (1.0, 0.12, 0.07, 0.07, 0.08, 0.07, 0.08),
    "control": (0.98, 0.12, 0.07, 0.06, 0.08, 0.07, 0.08),
    "D_T": (0.96, 0.92, 0.98, 0.89, 0.92, 0.94, 0.10),
    "D_SD": (1.0, 0.99, 1.0, 0.97, 0.6, 0.16, 0.10),
    "D_T+D_SD": (0.99, 1.0, 1.0, 1.0, 0.99, 0.98, 0.07),
}
GATES = [
    Gate(
        name="text-only thoughts lift visual accuracy",
        model="D_T",
        over="base",
        modality="visual",
        steps=(2, 6),
        min_gain=0.4,
    ),
    Gate(
        name="short answers do not",
        model="control",
        over="base",
        modality="visual",
        steps=(2, 6),
        max_gain=0.05,
    ),
    Gate(
        name="self-distillation keeps text accuracy", model="D_SD", over="D_T", modality="text", min_gain=0.0
    ),
]
SLICE = ReportSlice(
    recipe="miniature",
    seed=1,
    profile="laptop",
    arms=("base", "control", "D_T", "D_SD", "D_T+D_SD"),
    headline_repetition_penalty=1.0,
    gates=GATES,
)
EVALUATED = {
    "prompt": {"system": "You are a helpful assistant.", "prefix": "Think."},
    "evaluate": {
        "prompts": {"base": "prefix", "tuned": "prefix"},
        "judge": None,
        "temperature": 0.0,
        "top_p": 1.0,
        "max_tokens": 160,
        "repetition_penalties": [1.0, 1.05],
    },
}
"""What the evaluate tasks ran under."""
TASKS: Mapping[str, tuple[Kind, Mapping[str, str], float, int]] = {
    "student": ("checkpoint", {}, 1.2, 0),
    "text": ("prompts", {}, 3.0, 0),
    "visual": ("prompts", {}, 5.4, 0),
    "held-out": ("prompts", {}, 8.4, 0),
    "distill-d_t": ("rollouts", {"prompts": "text"}, 38.4, 402_113),
    "dataset-d_t": (
        "chat",
        {"prompts": "text", "rollouts": "distill-d_t", "held-out": "held-out"},
        5.2,
        0,
    ),
    "dataset-control": (
        "chat",
        {"prompts": "text", "rollouts": "distill-d_t", "held-out": "held-out"},
        4.9,
        0,
    ),
    "sft-d_t": ("checkpoint", {"student": "student", "chat": "dataset-d_t"}, 104.8, 2_104_000),
    "sft-control": ("checkpoint", {"student": "student", "chat": "dataset-control"}, 71.3, 1_010_000),
    "distill-d_sd": ("rollouts", {"prompts": "visual", "teacher": "sft-d_t"}, 61.7, 288_640),
    "dataset-d_sd": (
        "chat",
        {"prompts": "visual", "rollouts": "distill-d_sd", "held-out": "held-out"},
        4.0,
        0,
    ),
    "sft-d_sd": ("checkpoint", {"student": "student", "chat": "dataset-d_sd"}, 44.0, 611_000),
    "sft-d_t+d_sd": (
        "checkpoint",
        {"student": "student", "chat": "dataset-d_t", "more": "dataset-d_sd"},
        131.9,
        2_700_000,
    ),
    "evaluate-base": (
        "scores",
        {"checkpoint": "student", "held-out": "held-out"},
        41.2,
        9_310,
    ),
    "evaluate-control": (
        "scores",
        {"checkpoint": "sft-control", "held-out": "held-out"},
        40.7,
        9_102,
    ),
    "evaluate-d_t": (
        "scores",
        {"checkpoint": "sft-d_t", "held-out": "held-out"},
        52.4,
        101_420,
    ),
    "evaluate-d_sd": (
        "scores",
        {"checkpoint": "sft-d_sd", "held-out": "held-out"},
        50.9,
        98_022,
    ),
    "evaluate-d_t+d_sd": (
        "scores",
        {"checkpoint": "sft-d_t+d_sd", "held-out": "held-out"},
        51.6,
        100_208,
    ),
}


def make_inputs(root: Path, num: int = 210) -> dict[str, Artifact]:
    """All input artifacts of the report; `num` items per benchmark."""
    held_out = root / "held-out"
    problems = {
        "prompts.jsonl": [
            item
            for place, name in enumerate(("mathverse", "mathvision", "olympiadbench", "mmmu"))
            for item in _items(held_out, name, num, place)
        ],
        "dev.jsonl": _items(held_out, "dev", num // 2, 9),
    }
    for file, items in problems.items():
        write_jsonl(held_out / file, [row for row, _ in items])
    for place, arm in enumerate(TEXT_RATES):
        rows = [row for items in problems.values() for row in _scores(arm, items, place // 2)]
        write_scores(
            root / f"evaluate-{arm.lower()}", rows, [row for both in problems.values() for row, _ in both]
        )
    _training(root)
    _distillation(root)
    return artifacts(root, TASKS)


def write_scores(folder: Path, scores: list[Score], questions: list[PromptRow]) -> None:
    """The two files of a scores artifact."""
    items = [Item(row, folder, row.source) for row in questions]
    summary = summarise(scores[0].arm, items, scores, sorted({row.repetition_penalty for row in scores}))  # type: ignore[arg-type]  # a Score's arm is any text
    write_jsonl(folder / "scores.jsonl", scores)
    _write(folder / "summary.json", json.dumps(summary))


def artifacts(
    root: Path, tasks: Mapping[str, tuple[Kind, Mapping[str, str], float, int]]
) -> dict[str, Artifact]:
    """Give folders manifests; inputs that are no task of their own get a digest by name."""
    made: dict[str, Artifact] = {}
    for name, (kind, inputs, wall_s, tokens) in tasks.items():
        digests = {
            key: made[task].manifest.digest if task in made else sha(task) for key, task in inputs.items()
        }
        started = f"2026-11-21T07:{len(made):02d}:00Z"
        files = sorted(path for path in (root / name).rglob("*") if path.is_file())
        manifest = Manifest(
            kind=kind,
            task=name,
            key=sha(f"key {name}"),
            slice=EVALUATED if kind == "scores" else {"seed": 1},
            inputs=digests,
            code=sha(f"code {name}"),
            seed=1,
            files=tuple(_entry(root / name, path) for path in files),
            metrics={},
            digest=sha("none"),
            execution=Execution(
                started=started,
                wall_s=wall_s,
                cpu_s=wall_s * 1.7,
                tokens=tokens,
                host="laptop",
                version="0.1.0",
            ),
        )
        manifest = manifest.model_copy(update={"digest": manifest.payload_digest()})
        made[name] = Artifact(manifest, "", lambda _, path=root / name: path)
    return made


def workspace(folder: Path) -> Workspace:
    """A workspace whose publishing makes a manifest and leaves the files where they are."""

    def commit(out: Workspace, kind: Kind, metrics: Mapping[str, float | int | str], tokens: int) -> Manifest:
        files = tuple(_entry(out.path, file) for file in sorted(out.path.iterdir()))
        execution = Execution(started="", wall_s=0, cpu_s=0, tokens=tokens, host="", version="")
        return Manifest(
            kind=kind, task="report", key=sha("report"), slice={}, inputs={}, code="", seed=1, files=files,
            metrics=dict(metrics), digest=sha("report"), execution=execution,
        )  # fmt: skip

    (folder / "files").mkdir(parents=True)
    (folder / "scratch").mkdir()
    return Workspace(folder / "files", folder / "scratch", commit)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _entry(root: Path, path: Path) -> FileEntry:
    data = path.read_bytes()
    return FileEntry(
        path=path.relative_to(root).as_posix(), size=len(data), sha256=hashlib.sha256(data).hexdigest()
    )


def _items(folder: Path, name: str, num: int, seed: int) -> list[tuple[PromptRow, world.Problem]]:
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    return [_item(folder, name, place, rng) for place in range(num)]


def _item(folder: Path, name: str, place: int, rng: np.random.Generator) -> tuple[PromptRow, world.Problem]:
    steps = STEPS[place % len(STEPS)]
    modality: world.Modality = "visual"
    if place // len(STEPS) % 2:
        modality = OTHER_MODALITY.get(name, "visual")
    options = 0 if name == "olympiadbench" or place % 4 else 4
    problem = world.sample_problem(rng, steps, num_options=options)
    images: tuple[Image, ...] = ()
    meta: dict[str, str] = {}
    if modality != "text":
        glyphs: pictures.Glyphs = "heldout" if place % 3 == 0 else "train"
        data = pictures.render_png(problem.scene, rng, glyphs)
        path = f"images/{hashlib.sha256(data).hexdigest()}.png"
        (folder / path).write_bytes(data)
        images, meta = (Image(path=path, pixels=sha(path)),), {"glyphs": glyphs}
    if name == "mmmu":
        meta["difficulty"] = "Easy" if steps == 1 else "Medium" if steps <= 4 else "Hard"
    gold = Gold(kind="number", value=problem.gold)
    if options:
        gold = Gold(kind="letter", value=problem.gold, options=tuple(map(str, problem.options)))
    question = problem.prompt(modality).partition("\n")[2]
    row = PromptRow(
        id=f"{name}-{place}", source=name, question=question, images=images, gold=gold, modality=modality,
        num_steps=steps, meta=meta,
    )  # fmt: skip
    return row, problem


def _scores(arm: str, items: list[tuple[PromptRow, world.Problem]], seed: int) -> Iterable[Score]:
    for penalty in (1.0, 1.05):
        rng = np.random.default_rng([seed, round(100 * penalty)])
        for row, problem in items:
            rates = TEXT_RATES if row.modality == "text" else VISUAL_RATES
            correct = bool(rng.random() < rates[arm][STEPS.index(problem.num_steps)] - (penalty > 1) * 0.04)
            thinks = arm not in ("base", "control")
            response = _response(rng, problem, correct, thinks)
            thought = 10 * problem.num_steps + 2 if thinks else 0
            yield Score(
                id=row.id, source=row.source, arm=arm, repetition_penalty=penalty, response=response,
                extracted=response.partition("{")[2][0], correct=correct, finish_reason="stop",
                num_tokens=thought + 4, num_thought_tokens=thought, num_solution_tokens=4,
                num_solution_words=1,
                method="unjudged" if row.source == "mathverse" and not correct else "number",
                official=None if row.source in ("mathverse", "dev") else correct,
                fork=correct if row.source == "olympiadbench" else None,
            )  # fmt: skip


def _response(rng: np.random.Generator, problem: world.Problem, correct: bool, thinks: bool) -> str:
    if thinks:
        at, error = world.sample_slip(rng, problem)
        return world.respond(problem) if correct else world.respond(problem, slip_at=at, slip_error=error)
    if correct:
        return world.short_response(problem)
    wrong = "BCDEA"["ABCDE".index(problem.gold)] if problem.options else str((problem.answer + 3) % 10)
    return f"\\boxed{{{wrong}}}"


def _training(root: Path) -> None:
    rng = np.random.default_rng(5)
    for arm, num, floor in (
        ("d_t", 620, 0.004),
        ("control", 620, 0.9),
        ("d_sd", 230, 0.02),
        ("d_t+d_sd", 780, 0.006),
    ):
        rows: list[dict[str, Any]] = []
        for step in range(1, num + 1):
            loss = (
                floor
                + 1.6 * math.exp(-9 * step / num) * float(rng.uniform(0.7, 1.3))
                + floor * float(rng.uniform(0, 1))
            )
            rows.append({"step": step, "epoch": step * 5 / num, "loss": loss, "lr": 5e-4, "grad_norm": 1.0})
            if step % (num // 5) == 0:
                rows.append(
                    {
                        "step": step,
                        "epoch": step * 5 // num,
                        "val_loss": floor * 1.5 + 1.6 * math.exp(-9 * step / num),
                    }
                )
        _write(root / f"sft-{arm}" / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def _distillation(root: Path) -> None:
    table1 = ("GEOS(MathV360K)", "Geometry3K", "TQA", "FigureQA", "TabMWP", "CLEVR-Math", "UniGeo", "GeoQA+")
    for task, num, k, rates, sources in (
        ("distill-d_t", 900, 2, [0.85] * 8, ("text",)),
        ("distill-d_sd", 400, 5, [0.97, 0.88, 0.94, 0.92, 0.93, 0.91, 0.36, 0.13], table1),
    ):
        rng = np.random.default_rng(num)
        rows = []
        for place in range(num):
            for index in range(k):
                draw = rng.random()
                rate = rates[place % 8]
                verdict = (
                    "correct"
                    if draw < rate
                    else "no_end"
                    if draw > 0.99
                    else "no_box"
                    if draw > 0.98
                    else "wrong"
                )
                rows.append(
                    Rollout(
                        id=f"q{place}",
                        index=index,
                        teacher="thinker" if k == 2 else "sft-d_t",
                        prompt_digest=sha(str(place)),
                        temperature=1.0,
                        top_p=1.0,
                        max_tokens=512,
                        seed=index,
                        response="\\boxed{1}",
                        finish_reason="stop",
                        num_tokens=9,
                        verdict=verdict,
                    )
                )
        write_jsonl(root / task / "rollouts.jsonl", rows)
        right = Counter(row.id for row in rows if row.verdict == "correct")
        content = {
            "overall": right.total() / len(rows),
            "by_num_steps": {str(step + 1): rate for step, rate in enumerate(rates)},
            "by_source": {source: 0.9 - 0.05 * place for place, source in enumerate(sources)},
            "correct_histogram": Counter(right[f"q{place}"] for place in range(num)),
            "verdicts": Counter(row.verdict for row in rows),
        }
        _write(root / task / "pass_rates.json", json.dumps(content))
    for task in ("dataset-d_t", "dataset-control", "dataset-d_sd"):
        card = {
            "num_train": 830,
            "num_val": 60,
            "by_source": {"text": 890},
            "refused": {},
            "duplicates": 3,
            "contaminated": 0,
        }
        _write(root / task / "card.json", json.dumps(card))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    from spica.report.run import run

    folder = Path(sys.argv[1])
    out = workspace(folder / "report")
    run(SLICE, make_inputs(folder / "inputs"), out, None)  # type: ignore[arg-type]  # a report starts nothing
    print(out.path / "report.html")
