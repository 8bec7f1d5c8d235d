"""Finding the pictures of a row and writing them in the one form the later stages see: PNG, RGB."""

import base64
import binascii
import hashlib
import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from spica.artifacts.names import relative_name
from spica.artifacts.types import Image
from spica.sources.draft import BadRowError, Record

MAX_PIXELS = 16_000_000
"""Larger pictures are refused from their header, before any pixel is decoded."""
MAX_ASPECT = 200
"""Qwen2-VL's processor refuses thinner ones (smart_resize in transformers), LLaMA-Factory distorts them."""
MAX_BYTES = 64_000_000
FORMATS = ("PNG", "JPEG", "WEBP")


def locate(record: Record, name: str, folders: Sequence[str] = (".", "images")) -> Path:
    """The file that a row calls `name`, looked for in `folders` relative to the row file's own folder.

    Raises:
        BadRowError: The name climbs out of the source's folder, also by a symbolic link, or no such file
            exists.
    """
    try:
        relative_name(name)
    except ValueError as error:
        raise BadRowError(f"picture path refused: {error}") from error
    root = record.root.resolve()
    for folder in folders:
        path = (record.file.parent / folder / name).resolve()
        if path.is_file():
            if not path.is_relative_to(root):
                raise BadRowError(f"picture path refused: {name!r} leads out of the source's folder")
            return path
    raise BadRowError(f"picture missing: {name}")


def embedded(record: Record, value: Any, folders: Sequence[str] = (".", "images")) -> Path | bytes:
    """A picture as the `datasets` library stores it, {"bytes": ..., "path": ...}, or a bare path.

    JSON has no bytes: there they are base64 text, or null with the path of a file beside the rows.

    Raises:
        BadRowError: It is neither.
    """
    if isinstance(value, str):
        return locate(record, value, folders)
    data = value.get("bytes") if isinstance(value, Mapping) else None
    if isinstance(data, bytes):
        return data
    if isinstance(data, str):
        try:
            return base64.b64decode(data, validate=True)
        except binascii.Error as error:
            raise BadRowError("picture corrupt: its bytes are no base64") from error
    if isinstance(value, Mapping) and isinstance(value.get("path"), str):
        return locate(record, value["path"], folders)
    raise BadRowError(f"a picture or its path is needed, found {type(value).__name__}")


def decode(picture: Path | bytes) -> Pillow.Image:
    """The picture as RGB, upright.

    Alpha is dropped, as the authors' script does (`Image.open(path).convert("RGB")`). Unlike there, EXIF's
    orientation is applied, since text that lies on its side is another picture than the one people see, and
    16-bit grey is scaled to 8 bits, of which plain conversion makes white. CMYK becomes RGB.

    Raises:
        BadRowError: Not PNG, JPEG or WEBP, more than 16 megapixels, sides of more than 1:200, several frames,
            or damaged.
    """
    if not isinstance(picture, bytes) and picture.stat().st_size > MAX_BYTES:
        raise BadRowError(f"picture file of {picture.stat().st_size} bytes, at most {MAX_BYTES}")
    data = picture if isinstance(picture, bytes) else picture.read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # Pillow warns of odd palettes and of sizes that are refused below
            opened = Pillow.open(io.BytesIO(data), formats=FORMATS)
            _check_shape(opened)
            return _rgb(ImageOps.exif_transpose(opened))
    except BadRowError:
        raise
    except UnidentifiedImageError as error:  # its message holds a memory address, new in each process
        raise BadRowError(f"picture corrupt or not {', '.join(FORMATS)}: unknown format") from error
    except Exception as error:  # on hostile bytes Pillow's decoders raise whatever they trip over
        raise BadRowError(f"picture corrupt or not {', '.join(FORMATS)}: {error}"[:200]) from error


def _check_shape(opened: Pillow.Image) -> None:
    """Refuses by what the header says, before any pixel is decoded."""
    width, height = opened.size
    if width * height > MAX_PIXELS:
        raise BadRowError(f"picture of {width}x{height} pixels, at most {MAX_PIXELS} in all")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise BadRowError(f"picture of {width}x{height} pixels, its sides at most 1:{MAX_ASPECT}")
    if (num_frames := getattr(opened, "n_frames", 1)) > 1:
        raise BadRowError(f"picture with {num_frames} frames: which one is meant is not known")


def _rgb(picture: Pillow.Image) -> Pillow.Image:
    if picture.mode.startswith("I") or picture.mode == "F":  # 16 bits per pixel, in PNG always grey
        grey = np.clip(np.asarray(picture, dtype=np.float64) / 257, 0, 255)
        return Pillow.fromarray(grey.round().astype(np.uint8), "L").convert("RGB")
    return picture.convert("RGB")


def write_png(rgb: Pillow.Image, out: Path) -> Image:
    """Writes the picture to OUT/images/SHA256.png and returns its reference."""
    buffer = io.BytesIO()
    rgb.save(buffer, "PNG")
    path = f"images/{hashlib.sha256(buffer.getvalue()).hexdigest()}.png"
    (out / "images").mkdir(exist_ok=True)
    (out / path).write_bytes(buffer.getvalue())
    pixels = hashlib.sha256(f"RGB {rgb.width} {rgb.height}\n".encode() + rgb.tobytes()).hexdigest()
    return Image(path=path, pixels=pixels)
