"""Scenes as pictures, and a solver that reads them back from pixels alone.

A picture is a grid of 28x28 cells, two rows from three entries on, so that one cell is one merged vision
token of Qwen2-VL (patch 14, merge 2). The label lies inside the cell's top-left patch, the value towards the
bottom right: glyphs that cross patch borders are slow to learn. Faces come with matplotlib, so that pictures
do not depend on the system's fonts.
"""

import io
import math
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from spica.miniature.world import LABELS, STYLES, Entry, Scene, Style

Glyphs = Literal["train", "heldout"]
Colour = tuple[int, int, int]

CELL = 28
PATCH = 14
TRAIN_FONTS = (
    "DejaVuSans-Bold",
    "DejaVuSansMono-Bold",
    "STIXGeneralBol",
    "STIXGeneralBolIta",
    "cmb10",
)
HELDOUT_FONTS = ("DejaVuSerif-Bold", "DejaVuSans-BoldOblique")

_PIPS = {
    0: (), 1: (4,), 2: (0, 8), 3: (0, 4, 8), 4: (0, 2, 6, 8), 5: (0, 2, 4, 6, 8),
    6: (0, 3, 6, 2, 5, 8), 7: (0, 3, 6, 2, 5, 8, 4), 8: (0, 1, 2, 3, 5, 6, 7, 8), 9: tuple(range(9)),
}  # fmt: skip
_JITTER = tuple((dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1))
_BORDER: Colour = (190, 190, 190)
_MAX_GLYPH = 11
_MIN_CONTRAST = 100.0


class Look(NamedTuple):
    """How one cell is drawn: face, colours, and the shifts of label and value in pixels (-1, 0, 1)."""

    font: str
    background: Colour
    label_colour: Colour
    value_colour: Colour
    label_shift: tuple[int, int]
    value_shift: tuple[int, int]


def grid(num_entries: int) -> tuple[int, int]:
    """Rows and columns of cells for 1 to 8 entries; the last cell of an odd number stays blank."""
    return (1, num_entries) if num_entries <= 2 else (2, math.ceil(num_entries / 2))


def fonts(glyphs: Glyphs) -> tuple[str, ...]:
    """The faces that training pictures use, or those held out of training."""
    return TRAIN_FONTS if glyphs == "train" else HELDOUT_FONTS


def sample_look(rng: np.random.Generator, font: str) -> Look:
    """Draws light background, dark ink and jitter for one cell."""
    light, ink, dot = (
        tuple(int(c) for c in rng.integers(low, high, 3)) for low, high in ((235, 256), (0, 80), (0, 80))
    )
    shifts = [_JITTER[int(i)] for i in rng.integers(0, len(_JITTER), 2)]
    return Look(font, _colour(light), _colour(ink), _colour(dot), shifts[0], shifts[1])


def render(scene: Scene, rng: np.random.Generator, glyphs: Glyphs = "train") -> Image.Image:
    """Draws the scene as RGB, 28 pixels a cell (112x56 for eight entries); one face, and colours per cell."""
    rows, columns = grid(len(scene.entries))
    faces = fonts(glyphs)
    font = faces[int(rng.integers(len(faces)))]
    picture = Image.new("RGB", (columns * CELL, rows * CELL))
    for i in range(rows * columns):
        entry = scene.entries[i] if i < len(scene.entries) else None
        cell = draw_cell(entry, scene.style, sample_look(rng, font))
        picture.paste(cell, (i % columns * CELL, i // columns * CELL))
    return picture


def render_png(scene: Scene, rng: np.random.Generator, glyphs: Glyphs = "train") -> bytes:
    """`render` as the bytes of a PNG file."""
    buffer = io.BytesIO()
    render(scene, rng, glyphs).save(buffer, "PNG")
    return buffer.getvalue()


def draw_cell(entry: Entry | None, style: Style, look: Look) -> Image.Image:
    """Draws one 28x28 cell; without an entry it is blank."""
    cell = Image.new("RGB", (CELL, CELL), look.background)
    pen = ImageDraw.Draw(cell)
    if style == "table":
        pen.rectangle((0, 0, CELL - 1, CELL - 1), outline=_BORDER)
    if entry is None:
        return cell
    label, value = entry
    _draw_glyph(
        pen, label.upper(), look.font, (7 + look.label_shift[0], 7 + look.label_shift[1]), look.label_colour
    )
    dx, dy = look.value_shift
    if style == "table":
        _draw_glyph(pen, str(value), look.font, (20 + dx, 20 + dy), look.value_colour)
    elif style == "bar":
        base, height = 25 + min(dy, 0), round(value * 2.4)
        pen.line((14, base, 26, base), fill=look.value_colour)
        if height:
            pen.rectangle((17 + dx, base - height, 23 + dx, base), fill=look.value_colour)
    else:
        for pip in _PIPS[value]:
            x, y = 15 + pip % 3 * 4 + max(dx, 0), 15 + pip // 3 * 4 + max(dy, 0)
            pen.rectangle((x, y, x + 2, y + 2), fill=look.value_colour)
    return cell


def read_picture(data: bytes) -> tuple[Entry, ...]:
    """Reads the entries of a picture from its bytes, whatever its face, colours, jitter and encoding.

    Every cell is compared with all that can be drawn, up to a linear change of brightness; one style explains
    the whole picture.

    Raises:
        ValueError: The picture is not a grid of cells, or a label occurs twice.
        OSError: The bytes are no picture that can be opened.
    """
    grey = np.asarray(Image.open(io.BytesIO(data)).convert("L"), np.float32)
    if not grey.size or grey.shape[0] % CELL or grey.shape[1] % CELL:
        raise ValueError(
            f"a picture of this world has sides that are multiples of {CELL}, found {grey.shape}"
        )
    rows, columns = grey.shape[0] // CELL, grey.shape[1] // CELL
    cells = [
        grey[CELL * r : CELL * (r + 1), CELL * c : CELL * (c + 1)]
        for r in range(rows)
        for c in range(columns)
    ]
    labelled = [cell for cell in cells if np.ptp(_label_region(cell)) >= _MIN_CONTRAST]
    labels = [LABELS[_fit(_label_region(cell), _label_templates())[0]] for cell in labelled]
    if not labels or len(set(labels)) < len(labels):
        raise ValueError(f"labels of a scene are distinct, read {labels}")
    by_style = [[_fit(_value_region(cell), _value_templates(style)) for cell in labelled] for style in STYLES]
    best = min(by_style, key=lambda fits: sum(residual for _, residual in fits))
    return tuple(zip(labels, (value for value, _ in best), strict=True))


class _Templates(NamedTuple):
    """All that can be drawn in a region: centred ink [N, pixels], its squared norm and its meaning [N]."""

    ink: NDArray[np.float32]
    power: NDArray[np.float32]
    meaning: NDArray[np.int64]


def _fit(region: NDArray[np.float32], templates: _Templates) -> tuple[int, float]:
    """The meaning of the template that explains `region` best as paper + contrast x ink, and its residual."""
    centre = region.ravel() - region.mean()
    match = templates.ink @ centre
    slope = np.minimum(match / np.maximum(templates.power, 1e-6), -_MIN_CONTRAST)
    residual = (centre @ centre) - 2 * slope * match + slope**2 * templates.power
    best = int(residual.argmin())
    return int(templates.meaning[best]), float(residual[best])


@cache
def _label_templates() -> _Templates:
    return _templates(
        (_label_region(_ink(label, 0, "dots", font, shift)), i)
        for font in TRAIN_FONTS + HELDOUT_FONTS
        for shift in _JITTER
        for i, label in enumerate(LABELS)
    )


@cache
def _value_templates(style: Style) -> _Templates:
    faces = TRAIN_FONTS + HELDOUT_FONTS if style == "table" else TRAIN_FONTS[:1]
    return _templates(
        (_value_region(_ink("a", value, style, font, shift)), value)
        for font in faces
        for shift in _JITTER
        for value in range(10)
    )


def _templates(drawn: Iterable[tuple[NDArray[np.float32], int]]) -> _Templates:
    regions, meaning = zip(*drawn, strict=True)
    ink = np.stack([region.ravel() - region.mean() for region in regions])
    return _Templates(ink, (ink**2).sum(1), np.array(meaning))


def _ink(label: str, value: int, style: Style, font: str, shift: tuple[int, int]) -> NDArray[np.float32]:
    """One cell as ink coverage, 0 paper to 1 ink."""
    white, black = (255, 255, 255), (0, 0, 0)
    cell = draw_cell((label, value), style, Look(font, white, black, black, shift, shift))
    return np.float32(1) - np.asarray(cell.convert("L"), np.float32) / np.float32(255)


def _label_region(cell: NDArray[np.float32]) -> NDArray[np.float32]:
    return cell[1:PATCH, 1:PATCH]


def _value_region(cell: NDArray[np.float32]) -> NDArray[np.float32]:
    return cell[1 : CELL - 1, PATCH : CELL - 1]


def _draw_glyph(
    pen: ImageDraw.ImageDraw, text: str, font: str, centre: tuple[int, int], fill: Colour
) -> None:
    """Centres the glyph's ink box, on whole pixels, at `centre`."""
    face = _face(font)
    left, top, right, bottom = face.getbbox(text)
    x, y = centre[0] - (left + right) / 2, centre[1] - (top + bottom) / 2
    pen.text((math.ceil(x), math.ceil(y)), text, font=face, fill=fill)


@cache
def _face(font: str) -> ImageFont.FreeTypeFont:
    """The face at the largest size at which every label and digit fits its box."""
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{font}.ttf"
    return max(_fitting(path), key=lambda face: face.size)


def _fitting(path: Path) -> Iterator[ImageFont.FreeTypeFont]:
    for size in range(8, 20):
        face = ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
        boxes = [face.getbbox(glyph) for glyph in LABELS.upper() + "0123456789"]
        if all(
            right - left <= _MAX_GLYPH and bottom - top <= _MAX_GLYPH for left, top, right, bottom in boxes
        ):
            yield face


def _colour(channels: tuple[int, ...]) -> Colour:
    red, green, blue = channels
    return red, green, blue
