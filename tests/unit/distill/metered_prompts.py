"""Questions for the metered teacher, and that teacher in a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spica.artifacts.rows import write_jsonl
from spica.artifacts.types import Gold, PromptRow

TEACHER = Path(__file__).parents[2] / "fakes" / "metered_teacher.py"


def metered_prompts(folder: Path, num: int) -> Path:
    rows = [
        PromptRow(
            id=f"q{number}",
            source="metered",
            question=f"Question {number}, gold {100 + number}",
            gold=Gold(kind="number", value=str(100 + number)),
            modality="text",
        )
        for number in range(num)
    ]
    folder.mkdir(parents=True)
    write_jsonl(folder / "prompts.jsonl", rows)
    return folder


@contextmanager
def metered_teacher(**manner: Any) -> Iterator[str]:
    """Yields its base URL."""
    options = [f"--{name.replace('_', '-')}={value}" for name, value in manner.items()]
    command = [sys.executable, str(TEACHER), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.kill()
