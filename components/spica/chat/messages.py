"""What is said to a model: the paper's prompt around one question (protocol A3)."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from spica.artifacts.manifest import canonical_json
from spica.artifacts.types import PromptRow
from spica.chat.types import Message
from spica.errors import DataError, Fault
from spica.recipe.schema import Prompt

_SIGNATURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}


def build_messages(prompt: Prompt, row: PromptRow, images_root: Path) -> list[Message]:
    """The system message, then the user's: pictures first, then prefix (if there is one), newline, question.

    A question without pictures is sent as a plain string, which every endpoint accepts.

    Args:
        prompt: System text (no system message when empty) and prefix.
        row: The question.
        images_root: Folder to which the row's picture paths are relative.

    Raises:
        DataError: A picture is missing, lies outside `images_root`, or is neither PNG nor JPEG.
    """
    text = f"{prompt.prefix}\n{row.question}" if prompt.prefix else row.question
    pictures = [picture_part(row.id, images_root, image.path) for image in row.images]
    user = {"role": "user", "content": [*pictures, {"type": "text", "text": text}] if pictures else text}
    return [{"role": "system", "content": prompt.system}, user] if prompt.system else [user]


def prompt_digest(messages: list[Message]) -> str:
    """SHA-256 of what is said, text and pictures, as hex."""
    return hashlib.sha256(canonical_json(messages)).hexdigest()


def picture_part(row_id: str, images_root: Path, path: str) -> dict[str, Any]:
    """A picture as a part of a message's content.

    Args:
        row_id: Names the question in errors.
        images_root: Folder to which `path` is relative.
        path: Of the picture.

    Raises:
        DataError: The picture is missing, lies outside `images_root`, or is neither PNG nor JPEG.
    """
    return {"type": "image_url", "image_url": {"url": _data_url(row_id, images_root, path)}}


def _data_url(row_id: str, root: Path, path: str) -> str:
    file = (root / path).resolve()
    if not file.is_relative_to(root.resolve()):
        raise _bad_picture(row_id, path, "a path that leads outside the artifact")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise _bad_picture(row_id, path, error.strerror or "unreadable") from None
    for signature, mime in _SIGNATURES.items():
        if data.startswith(signature):
            return f"data:{mime};base64,{base64.b64encode(data).decode()}"
    raise _bad_picture(row_id, path, "bytes that are no PNG or JPEG picture")


def _bad_picture(row_id: str, path: str, found: str) -> DataError:
    return DataError(
        Fault(
            where=f"question {row_id}, picture {path}",
            found=found,
            allowed="a PNG or JPEG file inside the artifact's folder",
            next="run the stage that made these prompts again",
        )
    )
