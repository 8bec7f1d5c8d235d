"""One question, with or without a picture, to a served model."""

import asyncio
import hashlib
import tempfile
from pathlib import Path

from spica.answers import Parts, split_response
from spica.artifacts.types import Gold, Image, PromptRow
from spica.chat import ChatRequest, ChatResult, ask_all, build_messages
from spica.errors import DataError, Fault
from spica.recipe.slices import ServeSlice

MODEL = "spica"
"""Name under which `serve` offers its model."""

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
"""Decoded inside Pillow; others may start programs of the system (EPS: Ghostscript)."""
MAX_PIXELS = 16_000_000
"""A larger picture is refused before it is decoded."""


def ask(slice: ServeSlice, url: str, question: str, image: Path | None = None, model: str = MODEL) -> Parts:
    """Ask a question in the recipe's prompt.

    Args:
        slice: Prompt, token limit, patience.
        url: Base URL of an OpenAI API, ending in /v1.
        question: What follows the prompt's prefix.
        image: A picture file of any common format.
        model: Name under which the model is served.

    Raises:
        DataError: The picture is missing or cannot be decoded.
        EndpointError: Nothing listens at `url`, or it refuses.
    """
    with tempfile.TemporaryDirectory() as folder:
        images = () if image is None else (_as_png(image, Path(folder)),)
        row = PromptRow(
            id="question",
            source="asked",
            question=question,
            images=images,
            gold=Gold(kind="text", value=""),
            modality="visual" if images else "text",
        )
        result = ask_row(slice, url, row, Path(folder), model)
    return split_response(result.text)


def ask_row(slice: ServeSlice, url: str, row: PromptRow, images_root: Path, model: str) -> ChatResult:
    """Ask one question of a prompts artifact, greedily.

    Raises:
        DataError: A picture is missing.
        EndpointError: Nothing listens at `url`, or it refuses.
    """
    results: list[ChatResult] = []
    request = ChatRequest(
        id=row.id,
        messages=build_messages(slice.prompt, row, images_root),
        model=model,
        temperature=0.0,
        top_p=1.0,
        max_tokens=slice.serve.max_tokens,
        seed=0,
    )
    asking = ask_all(
        url,
        [request],
        concurrency=1,
        request_timeout_s=slice.requests.request_timeout_s,
        max_attempts=slice.requests.max_attempts,
        api_key=None,
        on_result=lambda _, result: results.append(result),
    )
    asyncio.run(asking)
    return results[0]


def _as_png(path: Path, folder: Path) -> Image:
    """Decode the picture and save it as RGB PNG: what reaches the server is a picture and nothing else."""
    from PIL import Image as Picture

    try:
        with Picture.open(path, formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise ValueError(f"{picture.width} x {picture.height} pixels")
            rgb = picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, Picture.DecompressionBombError) as error:
        missing = isinstance(error, FileNotFoundError | IsADirectoryError)
        raise DataError(
            Fault(
                where=f"picture {path}",
                found="no such file" if missing else f"it cannot be decoded: {error}",
                allowed=f"a PNG, JPEG, WebP, GIF ... of at most {MAX_PIXELS // 1_000_000} million pixels",
                next="check the path given to --image",
            )
        ) from error
    rgb.save(folder / "picture.png")
    pixels = hashlib.sha256(f"{rgb.mode}{rgb.size}".encode() + rgb.tobytes()).hexdigest()
    return Image(path="picture.png", pixels=pixels)
