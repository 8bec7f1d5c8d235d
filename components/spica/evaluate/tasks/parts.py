"""Texts and pictures of a prompt, in the order in which they are sent."""

import re
from typing import TypeAlias

from spica.artifacts.types import PromptRow
from spica.errors import DataError, Fault

Part: TypeAlias = str | int
"""A text, or the place of a picture in PromptRow.images (0-based)."""


def pictures_first(row: PromptRow, text: str) -> list[Part]:
    """Every picture once, then the text."""
    return [*range(len(row.images)), text]


def pictures_in_place(row: PromptRow, text: str, tag: re.Pattern[str]) -> list[Part]:
    """The text with a picture in place of every tag, as often as it is named; pieces of text are stripped.

    A tag's number is its picture's name; the row has its pictures in the order in which the text first names
    them. A text that names none, or not as many as the row has, gets all of them in front of it.

    Args:
        row: The question.
        text: Official text with tags.
        tag: One group, the number.
    """
    pieces = tag.split(text)
    order = list(dict.fromkeys(pieces[1::2]))
    if not order or len(order) != len(row.images):
        return pictures_first(row, text)
    parts: list[Part] = []
    for place, piece in enumerate(pieces):
        if place % 2:
            parts.append(order.index(piece))
        elif piece.strip():
            parts.append(piece.strip())
    return parts


def published(row: PromptRow, key: str) -> str:
    """A text of the official row, which its loader keeps in the meta.

    Raises:
        DataError: It is not there.
    """
    if key in row.meta:
        return row.meta[key]
    raise DataError(
        Fault(
            where=f"question {row.id}",
            found=f"no {key} in its meta",
            allowed="a row as the loader of its benchmark makes it",
            next="give the source the `format` of its benchmark, and files that have this key",
        )
    )


def pick(row: PromptRow, *keys: str) -> dict[str, str]:
    """The meta keys that the row has, in this order."""
    return {key: row.meta[key] for key in keys if key in row.meta}


def crossed(row: PromptRow, first: str, second: str) -> dict[str, str]:
    """Groups by two keys at once, where the row has both."""
    if first not in row.meta or second not in row.meta:
        return {}
    return {f"{first} x {second}": f"{row.meta[first]} x {row.meta[second]}"}
