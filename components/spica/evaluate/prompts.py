"""What is said to a model: prefix, official prompt, or both, around one question (protocol C0 to C4)."""

from typing import Literal

from spica.chat import build_messages, picture_part
from spica.chat.types import Message
from spica.evaluate import tasks
from spica.evaluate.items import Item
from spica.evaluate.tasks import Part
from spica.recipe.schema import Prompt
from spica.recipe.slices import EvaluateSlice

Style = Literal["prefix", "official", "prefix+official"]


def style_of(slice: EvaluateSlice) -> Style:
    """The base model has a prompt of its own; every tuned model has the other."""
    prompts = slice.evaluate.prompts
    return prompts.base if slice.arm == "base" else prompts.tuned


def messages(prompt: Prompt, style: Style, item: Item) -> list[Message]:
    """System message and user message of one question.

    prefix: pictures first, then prefix, newline, question (the authors' quick start). official: as the
    benchmark's own run writes it. prefix+official: the same with prefix and newline before its first text.
    Questions without official prompt, such as those of dev, are asked with the prefix under every style.

    Raises:
        DataError: A picture is missing, lies outside of the artifact, or is neither PNG nor JPEG.
    """
    row = item.row
    parts = tasks.official(item.source, row) if style != "prefix" else None
    if parts is None:
        return build_messages(prompt, row, item.images_root)
    if style == "prefix+official":
        parts = _with_prefix(prompt.prefix, parts)
    user = {"role": "user", "content": _content(parts, item)}
    return [{"role": "system", "content": prompt.system}, user] if prompt.system else [user]


def _content(parts: list[Part], item: Item) -> list[Message] | str:
    """Parts as the endpoint takes them; texts alone as a plain string, which every endpoint accepts."""
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) == len(parts):
        return "".join(texts)
    pictures = [picture_part(item.row.id, item.images_root, image.path) for image in item.row.images]
    return [{"type": "text", "text": part} if isinstance(part, str) else pictures[part] for part in parts]


def _with_prefix(prefix: str, parts: list[Part]) -> list[Part]:
    first = next(place for place, part in enumerate(parts) if isinstance(part, str))
    return [*parts[:first], f"{prefix}\n{parts[first]}", *parts[first + 1 :]]
