import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from spica.miniature.pictures import HELDOUT_FONTS, TRAIN_FONTS, Glyphs, read_picture, render, render_png
from spica.miniature.world import STYLES, Scene, sample_problem


def _png(picture: Image.Image) -> bytes:
    return _encode(picture, "PNG")


def _encode(picture: Image.Image, file_format: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **options)
    return buffer.getvalue()


ENCODINGS: dict[str, Callable[[Image.Image], bytes]] = {
    "png": _png,
    "jpeg": lambda picture: _encode(picture, "JPEG", quality=90),
    "palette": lambda picture: _png(picture.quantize(64)),
    "grey": lambda picture: _png(picture.convert("L")),
    "alpha": lambda picture: _png(picture.convert("RGBA")),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_picture_is_read_back_after_re_encoding(encoding: str) -> None:
    rng = np.random.default_rng(0)
    faces: tuple[Glyphs, Glyphs] = ("train", "heldout")
    for i in range(120):
        scene = sample_problem(rng, 1, 1 + i % 8, STYLES[i % 3]).scene
        assert read_picture(ENCODINGS[encoding](render(scene, rng, faces[i % 2]))) == scene.entries


def test_eight_entries_make_two_rows_of_four_cells() -> None:
    scene = sample_problem(np.random.default_rng(0), 1, 8).scene
    assert render(scene, np.random.default_rng(0)).size == (112, 56)


def test_the_same_generator_draws_the_same_bytes() -> None:
    scene = sample_problem(np.random.default_rng(0), 1, 8).scene
    assert render_png(scene, np.random.default_rng(5)) == render_png(scene, np.random.default_rng(5))


def test_empty_dots_and_empty_bars_are_told_apart() -> None:
    for style in ("dots", "bar"):
        scene = Scene((("a", 0), ("b", 0)), style)
        assert read_picture(render_png(scene, np.random.default_rng(0))) == scene.entries


def test_heldout_faces_are_not_trained_on() -> None:
    assert not set(TRAIN_FONTS) & set(HELDOUT_FONTS)


def test_a_picture_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 28"):
        read_picture(_png(Image.new("RGB", (50, 50))))


def test_a_blank_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="labels of a scene"):
        read_picture(_png(Image.new("RGB", (56, 28), "white")))
