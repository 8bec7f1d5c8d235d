"""Whether a picture can be trained on: a PNG or JPEG file of sane size that decodes to the end."""

import struct
import warnings
from functools import lru_cache
from pathlib import Path

MAX_PIXELS = 16_000_000
"""Width times height, read from the header before anything is decoded."""

_UNDECODABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, MemoryError, OverflowError)


@lru_cache(maxsize=100_000)
def picture_fault(root: Path, name: str) -> str | None:
    """Why the picture `name` below `root` cannot be used; None when it can."""
    from PIL import Image, UnidentifiedImageError

    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()):
        return f"picture {name} lies outside the artifact"
    if not path.is_file():
        return f"picture {name} is missing"
    try:
        # Pillow warns of its own, larger limit before it hands out the size.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(path, formats=("PNG", "JPEG"))
        with picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                return f"picture {name} has {width} x {height} pixels, more than {MAX_PIXELS}"
            picture.load()
    except UnidentifiedImageError:
        return f"picture {name} is no PNG or JPEG file"
    except (*_UNDECODABLE, Image.DecompressionBombError) as error:
        return f"picture {name} does not decode ({type(error).__name__})"
    return None
