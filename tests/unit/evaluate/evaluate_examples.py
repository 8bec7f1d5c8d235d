"""Questions, slices, a workspace and two launchers for the tests of evaluate."""

from pathlib import Path
from typing import Any, Self

import numpy as np

from spica.artifacts.manifest import Artifact, Execution, Manifest
from spica.artifacts.rows import write_jsonl
from spica.artifacts.types import Gold, Image, Kind, PromptRow
from spica.artifacts.workspace import Workspace
from spica.launch.contract import CommandServer, Endpoint, Job, ModelServer, Training
from spica.launch.local import LocalLauncher
from spica.miniature.pictures import render_png
from spica.miniature.world import PREFIX, SYSTEM, sample_problem
from spica.recipe.slices import EvaluateSlice


def artifact(kind: Kind, path: Path) -> Artifact:
    execution = Execution(started="", wall_s=0, cpu_s=0, tokens=0, host="", version="0")
    manifest = Manifest(
        kind=kind,
        task="task",
        key="0" * 64,
        slice={},
        inputs={},
        code="",
        seed=0,
        files=(),
        metrics={},
        digest="3f" * 32,
        execution=execution,
    )
    return Artifact(manifest, "", lambda _: path)


def workspace(folder: Path) -> Workspace:
    for name in ("files", "scratch"):
        (folder / name).mkdir(parents=True, exist_ok=True)

    def commit(out: Workspace, kind: Kind, metrics: Any, tokens: int) -> Manifest:
        published = artifact(kind, out.path).manifest.model_dump() | {"metrics": dict(metrics)}
        published["execution"]["tokens"] = tokens
        return Manifest.model_validate(published)

    return Workspace(folder / "files", folder / "scratch", commit)


def make_slice(**changes: Any) -> EvaluateSlice:
    return EvaluateSlice.model_validate(
        {
            "seed": 7,
            "arm": "D_T",
            "prompt": {"system": SYSTEM, "prefix": PREFIX},
            "evaluate": {
                "prompts": {"base": "prefix", "tuned": "prefix"},
                "temperature": 0.0,
                "max_tokens": 160,
                "repetition_penalties": [1.0, 1.05],
            },
            "requests": {"concurrency": 16, "request_timeout_s": 60.0, "max_attempts": 3},
            "server": {
                "precision": "bf16",
                "threads": 1,
                "tensor_parallel": 1,
                "num_servers": 1,
                "kv_cache_gib": 1,
                "max_model_len": 512,
                "max_images": 1,
            },
        }
        | changes
    )


def write_held_out(folder: Path, dev: list[PromptRow]) -> Artifact:
    """An artifact with 16 questions of MathVision and these of dev; pictures lie beside them."""
    write_jsonl(folder / "prompts.jsonl", make_rows(folder, "mathvision", 16))
    write_jsonl(folder / "dev.jsonl", dev)
    return artifact("prompts", folder)


def make_rows(folder: Path, source: str, num: int, num_steps: int | None = None) -> list[PromptRow]:
    """Text and visual questions in turn, of 1 to 4 steps, and their pictures."""
    rng = np.random.default_rng(len(source))
    rows: list[PromptRow] = []
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for number in range(num):
        problem = sample_problem(rng, num_steps or 1 + number // 2 % 4)
        visual = number % 2 == 1
        images: tuple[Image, ...] = ()
        question = f"{problem.scene.cells}\n{problem.question}"
        if visual:
            name, question = f"images/{source}-{number}.png", problem.question
            (folder / name).write_bytes(render_png(problem.scene, rng))
            images = (Image(path=name, pixels=str(number)),)
        rows.append(
            PromptRow(
                id=f"{source}-{number}",
                source=source,
                question=question,
                images=images,
                gold=Gold(kind="number", value=problem.gold),
                modality="visual" if visual else "text",
                num_steps=problem.num_steps,
                meta={"level": str(1 + number % 5), "question": question, "answer": problem.gold}
                if source == "mathvision"
                else {},
            )
        )
    return rows


def serve_teacher(state: Path, *options: str) -> Endpoint:
    """The miniature's teacher, which has the same API as a served checkpoint and is up in a second."""
    teacher = CommandServer("model", "spica.miniature.teacher", options, state / "teacher.log")
    return LocalLauncher(state).serve(teacher)


class Running:
    """A launcher that hands out an endpoint which runs already and outlives its use."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.url, self.model = endpoint.url, endpoint.model
        self.num_served = 0

    def train(self, job: Training) -> Job:
        raise AssertionError("evaluation trains nothing")

    def serve(self, server: ModelServer | CommandServer) -> Endpoint:
        self.num_served += 1
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def check(self) -> None:
        self._endpoint.check()
