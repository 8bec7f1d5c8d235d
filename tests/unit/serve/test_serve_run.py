import json
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spica.artifacts.manifest import Artifact, Execution, Manifest
from spica.artifacts.rows import write_jsonl
from spica.artifacts.types import Gold, Image, Kind, PromptRow
from spica.artifacts.workspace import Workspace
from spica.errors import DataError, EndpointError
from spica.launch.contract import CommandServer, Endpoint, Job, ModelServer, Training
from spica.launch.local import LocalLauncher
from spica.miniature.pictures import render_png
from spica.miniature.world import PREFIX, SYSTEM, sample_problem
from spica.recipe.slices import ServeSlice
from spica.serve.ask import ask
from spica.serve.run import choose, run

SLICE = ServeSlice.model_validate(
    {
        "prompt": {"system": SYSTEM, "prefix": PREFIX},
        "serve": {"max_model_len": 512, "max_tokens": 160, "max_images": 1},
        "requests": {"concurrency": 1, "request_timeout_s": 10.0, "max_attempts": 2},
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
)


class TeacherLauncher:
    """Serves the miniature's teacher where a checkpoint is asked for: the same API, up in a second."""

    def __init__(self, state: Path) -> None:
        self._local = LocalLauncher(state)

    def train(self, job: Training) -> Job:
        return self._local.train(job)

    def serve(self, server: ModelServer | CommandServer) -> Endpoint:
        teacher = CommandServer("model", "spica.miniature.teacher", (f"--model={server.name}",), server.logs)
        return self._local.serve(teacher)


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
    (folder / "files").mkdir()
    (folder / "scratch").mkdir()

    def commit(out: Workspace, kind: Kind, metrics: Any, tokens: int) -> Manifest:
        return artifact(kind, out.path).manifest.model_copy(update={"metrics": dict(metrics)})

    return Workspace(folder / "files", folder / "scratch", commit)


def question(number: int, num_steps: int | None, visual: bool = True) -> PromptRow:
    images = (Image(path=f"images/{number}.png", pixels="0"),) if visual else ()
    gold = Gold(kind="number", value="1")
    return PromptRow(
        id=str(number),
        source="dev",
        question="a=?",
        images=images,
        gold=gold,
        modality="visual" if visual else "text",
        num_steps=num_steps,
    )


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Artifact]:
    held_out, report = tmp_path / "held-out", tmp_path / "report"
    (held_out / "images").mkdir(parents=True)
    report.mkdir()
    rng = np.random.default_rng(0)
    problem = sample_problem(rng, 3)
    (held_out / "images/1.png").write_bytes(render_png(problem.scene, rng))
    gold = Gold(kind="number", value=problem.gold)
    row = question(1, 3).model_copy(update={"question": problem.question, "gold": gold})
    write_jsonl(held_out / "dev.jsonl", [row, question(2, 8)])
    (report / "report.json").write_text(json.dumps({"best_model": "D_T+D_SD"}))
    return {
        "report": artifact("report", report),
        "held-out": artifact("prompts", held_out),
        "checkpoint-D_T+D_SD": artifact("checkpoint", tmp_path),
    }


def test_the_best_model_answers_a_visual_question(tmp_path: Path, inputs: dict[str, Artifact]) -> None:
    out = workspace(tmp_path)
    manifest = run(SLICE, inputs, out, TeacherLauncher(tmp_path / "state"))
    answer = json.loads((out.path / "answer.json").read_text())
    assert answer["correct"] and answer["answer"] == answer["gold"]
    assert answer["model"] == "D_T+D_SD"
    assert answer["thought"] and "<|" not in answer["thought"] + answer["solution"]
    assert (out.path / answer["image"]).read_bytes().startswith(b"\x89PNG")
    assert manifest.metrics == {"model": "D_T+D_SD", "correct": 1}


def test_a_best_model_without_checkpoint_is_a_data_error(tmp_path: Path, inputs: dict[str, Artifact]) -> None:
    (inputs["report"].path / "report.json").write_text(json.dumps({"best_model": "D_X"}))
    with pytest.raises(DataError, match=r"D_X(.|\n)*checkpoint-D_T\+D_SD"):
        run(SLICE, inputs, workspace(tmp_path), TeacherLauncher(tmp_path / "state"))


def test_the_visual_question_nearest_to_three_steps_is_asked() -> None:
    rows = [question(0, 3, visual=False), question(1, 8), question(2, 2), question(3, 4), question(4, None)]
    assert choose(rows).id == "2"


def test_without_visual_questions_a_text_one_is_asked() -> None:
    assert choose([question(0, 1, visual=False), question(1, 4, visual=False)]).id == "1"


def test_a_question_may_be_asked_about_any_picture_file(tmp_path: Path) -> None:
    from PIL import Image as Picture

    rng = np.random.default_rng(1)
    problem = sample_problem(rng, 2)
    (tmp_path / "scene.png").write_bytes(render_png(problem.scene, rng))
    with Picture.open(tmp_path / "scene.png") as picture:
        picture.save(tmp_path / "scene.webp", lossless=True)
    server = CommandServer("model", "spica.miniature.teacher", ("--model=spica",), tmp_path / "log")
    with LocalLauncher(tmp_path / "state").serve(server) as endpoint:
        reply = ask(SLICE, endpoint.url, problem.question, tmp_path / "scene.webp")
    assert f"\\boxed{{{problem.gold}}}" in reply.solution and reply.thought


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        ask(SLICE, "http://127.0.0.1:9/v1", "a=?", tmp_path / "none.png")


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("no picture")
    with pytest.raises(DataError, match="cannot be decoded"):
        ask(SLICE, "http://127.0.0.1:9/v1", "a=?", tmp_path / "notes.png")


def test_a_truncated_picture_is_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    data = render_png(sample_problem(rng, 2).scene, rng)
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="cannot be decoded"):
        ask(SLICE, "http://127.0.0.1:9/v1", "a=?", tmp_path / "cut.png")


def test_an_endpoint_that_is_down_is_named() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(EndpointError, match="refused"):
            ask(SLICE, f"http://127.0.0.1:{unused.getsockname()[1]}/v1", "a=?")


FOREVER = """
    import sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[2])
    from test_serve_run import SLICE, TeacherLauncher
    from spica.serve.server import serve_forever

    folder = Path(sys.argv[1])
    launcher = TeacherLauncher(folder / "state")
    serve_forever(SLICE, folder, launcher, folder / "log", None, lambda end: print(end.url, flush=True))
"""


def test_serving_ends_with_ctrl_c_and_leaves_no_server(tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(FOREVER), str(tmp_path), str(Path(__file__).parent)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout
        url = server.stdout.readline().strip()
        assert ask(SLICE, url, "A1\na=?").solution
        server.send_signal(signal.SIGINT)
    with pytest.raises(EndpointError):
        ask(SLICE, url, "A1\na=?")
    assert list((tmp_path / "state/processes").iterdir()) == []
