"""Responses that came with the questions: a distilled set that somebody has published (D_T).

They lie in `responses.jsonl` beside `prompts.jsonl`; distillation takes them as they are and asks nobody.
"""

from pathlib import Path

from spica.artifacts.rows import read_jsonl
from spica.artifacts.types import Row

NAME = "responses.jsonl"


class Response(Row):
    """What a teacher once answered to one question."""

    id: str
    """PromptRow.id"""
    teacher: str
    """As the recipe's source names it; the source's own name where it says nothing."""
    response: str
    """Thought and solution in their markers, without white space around."""


def read_responses(prompts: Path) -> dict[str, Response]:
    """By question; empty where the prompts came without any.

    Args:
        prompts: A prompts artifact's folder.

    Raises:
        DataError: A line of the file is no such row.
    """
    path = prompts / NAME
    return {row.id: row for row in read_jsonl(path, Response)} if path.is_file() else {}
