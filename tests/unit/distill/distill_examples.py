"""Questions, slices and a real teacher for the tests of distill."""

import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from spica.artifacts.manifest import Artifact, Execution, Manifest
from spica.artifacts.rows import read_jsonl, write_jsonl
from spica.artifacts.types import Gold, Image, Kind, PromptRow
from spica.artifacts.workspace import Workspace
from spica.launch.local import _free_port
from spica.miniature.pictures import render_png
from spica.miniature.world import PREFIX, SYSTEM, sample_problem
from spica.recipe.slices import DistillSlice

KEY = "sk-canary-0cc175b9c0f1b6a8"


def manifest(kind: Kind = "prompts", task: str = "text") -> Manifest:
    execution = Execution(started="", wall_s=0, cpu_s=0, tokens=0, host="", version="0")
    return Manifest(
        kind=kind,
        task=task,
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


def workspace(folder: Path) -> Workspace:
    for name in ("files", "scratch"):
        (folder / name).mkdir(parents=True, exist_ok=True)

    def commit(out: Workspace, kind: Kind, metrics: Any, tokens: int) -> Manifest:
        published = manifest(kind, "distill-d_t").model_dump() | {"metrics": dict(metrics)}
        published["execution"]["tokens"] = tokens
        return Manifest.model_validate(published)

    return Workspace(folder / "files", folder / "scratch", commit)


def prompts(folder: Path, num: int) -> Artifact:
    """Text, visual and choice questions of the miniature world."""
    rng = np.random.default_rng(3)
    rows: list[PromptRow] = []
    (folder / "images").mkdir(parents=True)
    for number in range(num):
        visual, choice = number % 3 == 1, number % 3 == 2
        problem = sample_problem(rng, 1 + number % 5, num_options=4 if choice else 0)
        images: tuple[Image, ...] = ()
        question = f"{problem.scene.cells}\n{problem.question}"
        if visual:
            name, question = f"images/{number}.png", problem.question
            (folder / name).write_bytes(render_png(problem.scene, rng))
            images = (Image(path=name, pixels=str(number)),)
        options = tuple(map(str, problem.options))
        rows.append(
            PromptRow(
                id=f"q{number}",
                source="visual" if visual else "text",
                question=question,
                images=images,
                gold=Gold(kind="letter" if choice else "number", value=problem.gold, options=options),
                modality="visual" if visual else "text",
                num_steps=problem.num_steps,
            )
        )
    write_jsonl(folder / "prompts.jsonl", rows)
    return Artifact(manifest(), "", lambda _: folder)


def make_slice(url: str | None, **changes: Any) -> DistillSlice:
    teacher = None if url is None else {"url": url, "model": "miniature-teacher"} | changes.pop("teacher", {})
    requests = {"concurrency": 8, "request_timeout_s": 5.0, "max_attempts": 12} | changes.pop("requests", {})
    rollouts = {
        "teacher": "ours" if url else "M0",
        "num_rollouts": 3,
        "temperature": 0.7,
        "top_p": 1.0,
        "max_tokens": 200,
    }
    return DistillSlice.model_validate(
        {
            "seed": 7,
            "prompt": {"system": SYSTEM, "prefix": PREFIX},
            "teacher": teacher,
            "base_prompt": changes.pop("base_prompt", None),
            "rollouts": rollouts | changes.pop("rollouts", {}),
            "requests": requests,
            "server": {
                "precision": "bf16",
                "threads": 1,
                "tensor_parallel": 1,
                "num_servers": 2,
                "kv_cache_gib": 1,
                "max_model_len": 512,
                "max_images": 1,
            },
        }
    )


def question_of(prompts: Artifact, id: str) -> str:
    return next(row.question for row in read_jsonl(prompts.path / "prompts.jsonl", PromptRow) if row.id == id)


@contextmanager
def scripted_teacher(
    status: Callable[[str, int], int], said: Callable[[str], str] = lambda text: "\\boxed{no answer}"
) -> Iterator[str]:
    """A teacher for what the real one never does; `status` gets question and seed, `said` the question."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            content = body["messages"][-1]["content"]
            text = content if isinstance(content, str) else content[-1]["text"]
            question = text.removeprefix(f"{PREFIX}\n")
            code = status(question, body["seed"])
            if code == 200:
                choice = {"delta": {"content": said(question)}, "finish_reason": "stop"}
                answer = f"data: {json.dumps({'choices': [choice]})}\n\ndata: [DONE]\n\n"
            else:
                answer = json.dumps({"error": {"type": "BadRequestError"}})
            self.send_response(code)
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def teacher_process(*options: str) -> Iterator[str]:
    """The real teacher in a process of its own; yields its base URL."""
    port = _free_port()
    command = [sys.executable, "-m", "spica.miniature.teacher", "--port", str(port), *options]
    with subprocess.Popen(command) as process:
        try:
            _wait_for(f"http://127.0.0.1:{port}/health", process)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None
        try:
            with opener.open(url, timeout=1):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    raise TimeoutError(url)
