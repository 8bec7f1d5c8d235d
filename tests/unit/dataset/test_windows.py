"""Where a picture may lie in another one, before anything is moved."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spica.dataset.prints import Near, near, prints_of
from spica.dataset.windows import windows


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def blots(seed: int, width: int = 400, height: int = 300) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 255, (12, 16), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def saved(picture: Image.Image, path: Path) -> Path:
    picture.save(path)
    return path


def test_a_crop_along_the_grid_is_found_in_its_very_window_first(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    whole = blots(1)
    left, right, top, bottom = 0.04, 0.90, 0.01, 0.93
    part = whole.crop((16, 3, 360, 279))  # 4 and 90 % of 400, 1 and 93 % of 300
    parts, wholes = (
        prints_of([saved(picture, tmp_path / name)], pool)
        for picture, name in ((part, "part.png"), (whole, "whole.png"))
    )
    one = np.zeros(1, dtype=np.intp)
    found = windows(parts, wholes, Near(one, one), pool)
    assert found.sides[0].tolist() == pytest.approx([left, right, top, bottom])


def test_a_picture_of_other_proportions_than_a_crop_can_have_is_not_near(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    wholes = prints_of([saved(blots(1), tmp_path / "whole.png")], pool)
    # 1.33, then 1.43 and 1.58 times as wide as the whole is, then 1.48 and 1.6 times as narrow
    shapes = [(400, 300), (400, 210), (400, 190), (270, 300), (250, 300)]
    paths = [saved(blots(1, *shape), tmp_path / f"{i}.png") for i, shape in enumerate(shapes)]
    asked = [(np.arange(len(shapes)), np.zeros(1, dtype=np.intp))]
    assert near(prints_of(paths, pool), wholes, asked, pool).part.tolist() == [0, 1, 3]
