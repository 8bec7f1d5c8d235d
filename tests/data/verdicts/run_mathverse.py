"""Adds the published programs' verdicts: `python run_mathverse.py OFFICIAL FORK < rows.jsonl`.

OFFICIAL is the folder `evaluation` of ZrrSkywalker/MathVerse at 937b090, FORK the folder
`evaluation/MathVerse/evaluation` of RUCAIBox/Virgo at 2f0c9ae. Each script runs whole, once per row; the
client of the judge gives the row's replies one after the other and keeps what it was asked. Needs tqdm.
"""

import contextlib
import io
import json
import multiprocessing
import runpy
import sys
import tempfile
import types
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

NUM_WORDS = "30"
"""--trunk_response of the published command."""
OFFICIAL = ("extract_answer_s1.py", "score_answer_s2.py")
FORK = ("extract_answer_s1_mp.py", "score_answer_s2_mp.py")


class SilentError(BaseException):
    """The program asks on when all replies are given; nothing there catches it."""


class Judge:
    """In the place of `openai.ChatCompletion`."""

    def __init__(self, replies: Iterable[str]) -> None:
        self.replies, self.prompts = list(replies), list[str]()

    def create(self, messages: list[dict[str, str]], **_: Any) -> dict[str, Any]:
        if not self.replies:
            raise SilentError
        self.prompts.append(messages[0]["content"])
        return {"choices": [{"message": {"content": self.replies.pop(0)}}]}


class InProcess:
    """In the place of `multiprocessing.Pool`."""

    def __init__(self, processes: int) -> None:
        pass

    def __enter__(self) -> "InProcess":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def imap(self, call: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[Any]:
        return map(call, tasks)


def run(folder: Path, script: str, row: dict[str, Any], judge: Judge, *more: str) -> dict[str, Any] | None:
    """What the script saves of one row; None if it asks on."""
    openai = types.ModuleType("openai")
    openai.ChatCompletion, openai.OpenAI = judge, None  # type: ignore[attr-defined]  # a module made up
    for name in ("utils", "prompts"):
        sys.modules.pop(name, None)
    sys.modules["openai"] = openai
    with tempfile.TemporaryDirectory() as place:
        given, saved = Path(place) / "given.json", Path(place) / "out" / "saved.json"
        content = json.dumps(row if script == FORK[0] else [row])
        given.write_text(content + "\n", encoding="utf-8")
        option = "--answer_extraction_file" if "score" in script else "--model_output_file"
        sys.argv = [script, option, str(given), "--save_file", str(saved), "--api_key", "none", *more]
        sys.path[0] = str(folder)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            try:
                runpy.run_path(str(folder / script), run_name="__main__")
            except SilentError:
                return None
        found: list[dict[str, Any]] = json.loads(saved.read_text(encoding="utf-8"))
        return found[0]


def shown(folder: Path, script: str, response: str) -> str:
    """What the judge is shown of a response."""
    judge = Judge(["x"])
    row = {"model_answer": response, "response": response}
    run(folder, script, row, judge, "--trunk_response", NUM_WORDS)
    head = runpy.run_path(str(folder / "prompts.py"))["demo_prompt_extract"].strip() + "\n\nModel response: '"
    return judge.prompts[0].removeprefix(head).removesuffix("'\nExtracted Answer: ")


def verdict(folder: Path, scripts: tuple[str, str], row: dict[str, Any]) -> tuple[object, int]:
    """Extracted answer or verdict, and how many calls it took."""
    judge = Judge(row["replies"])
    if row["kind"] == "extraction":
        saved, key = run(folder, scripts[0], {"model_answer": "x", "response": "x"}, judge), "extraction"
    else:
        asked = {"question": row["question"], "answer": row["gold"], "extraction": row["extraction"]}
        group = {"category": {"subject": "s", "subfield": "f"}, "problem_version": "v"}
        saved, key = run(folder, scripts[1], asked | group, judge), "judgement"
    found = None if saved is None else saved[key]
    return (bool(found) if isinstance(found, int) else found), len(judge.prompts)


def main() -> None:
    """Rows in, rows out, in order."""
    official, fork = Path(sys.argv[1]), Path(sys.argv[2])
    for line in sys.stdin:
        row = json.loads(line)
        if row["kind"] == "input":
            row["official"] = shown(official, OFFICIAL[0], row["response"])
            row["fork"] = shown(fork, FORK[0], row["response"])
        else:
            row["official"], num_calls = verdict(official, OFFICIAL, row)
            row["fork"], row["num_calls"] = verdict(fork, FORK, row)
            assert num_calls == row["num_calls"], row["id"]
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    multiprocessing.Pool = InProcess  # type: ignore[assignment,misc]  # so that it meets the same judge
    main()
