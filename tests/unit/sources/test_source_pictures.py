import hashlib
import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spica.sources.draft import BadRowError, Record
from spica.sources.pictures import decode, embedded, locate, write_png

from .tiny_png import png

MakeRecord = Callable[..., Record]


@pytest.mark.parametrize("name", ["../secret.png", "/etc/hostname", "a/../../secret.png", "a\\b.png", ""])
def test_a_path_that_climbs_out_of_the_folder_is_refused(record: MakeRecord, name: str) -> None:
    made = record({})
    (made.root.parent / "secret.png").write_bytes(png())
    with pytest.raises(BadRowError, match="picture path refused"):
        locate(made, name)


def test_a_link_that_leads_out_of_the_folder_is_refused(record: MakeRecord) -> None:
    made = record({})
    (made.root.parent / "secret.png").write_bytes(png())
    os.symlink(made.root.parent / "secret.png", made.root / "1.png")
    with pytest.raises(BadRowError, match="leads out of the source's folder"):
        locate(made, "1.png")


def test_a_missing_picture_is_named(record: MakeRecord) -> None:
    with pytest.raises(BadRowError, match=r"picture missing: img/1\.png"):
        locate(record({}), "img/1.png")


def test_embedded_text_that_is_no_base64_is_refused(record: MakeRecord) -> None:
    with pytest.raises(BadRowError, match="no base64"):
        embedded(record({}), {"bytes": "!!", "path": "x.png"})


@pytest.mark.parametrize("data", [b"", b"not a picture", png()[:40], b"GIF89a" + png()])
def test_a_corrupt_picture_is_refused(data: bytes) -> None:
    with pytest.raises(BadRowError, match="picture corrupt or not PNG, JPEG, WEBP"):
        decode(data)


def test_the_reason_for_a_corrupt_picture_is_the_same_in_every_process() -> None:
    with pytest.raises(BadRowError) as caught:
        decode(b"not a picture")
    assert str(caught.value) == "picture corrupt or not PNG, JPEG, WEBP: unknown format"


def test_a_bomb_is_refused_from_its_header() -> None:
    header = struct.pack(">IIBBBBB", 5000, 5000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    bomb += struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    with pytest.raises(BadRowError, match="5000x5000 pixels"):
        decode(bomb)


def test_equal_pixels_in_another_file_have_an_equal_pixel_hash_and_one_file(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("P", (4, 3), 1).save(buffer, "PNG")
    palette = Image.open(io.BytesIO(buffer.getvalue())).convert("RGB").getpixel((0, 0))
    plain = io.BytesIO()
    Image.new("RGB", (4, 3), palette).save(plain, "PNG", compress_level=0)
    first, second = (write_png(decode(data.getvalue()), tmp_path) for data in (buffer, plain))
    assert first == second
    assert [f"images/{path.name}" for path in (tmp_path / "images").iterdir()] == [first.path]


def test_the_pixel_hash_covers_mode_size_and_rgb_bytes(tmp_path: Path) -> None:
    written = write_png(decode(png("red", (2, 1))), tmp_path)
    assert written.pixels == hashlib.sha256(b"RGB 2 1\n" + b"\xff\x00\x00" * 2).hexdigest()
    assert written.path == f"images/{hashlib.sha256((tmp_path / written.path).read_bytes()).hexdigest()}.png"


def saved(picture: Image.Image, form: str = "PNG", **more: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **more)
    return buffer.getvalue()


def test_sixteen_bit_grey_is_scaled_and_not_clipped_to_white() -> None:
    sixteen = Image.fromarray(np.array([[0, 257 * 100, 65535]], dtype=np.uint16))
    assert sixteen.mode == "I;16"
    assert np.asarray(decode(saved(sixteen))).tolist() == [[[0] * 3, [100] * 3, [255] * 3]]


def test_cmyk_becomes_rgb() -> None:
    red = decode(saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95))
    assert red.mode == "RGB"
    r, g, b = red.getpixel((4, 4))
    assert r > 240 and g < 15 and b < 15


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_an_animated_picture_is_refused_with_its_number_of_frames(form: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    with pytest.raises(BadRowError, match="picture with 2 frames"):
        decode(saved(frames[0], form, save_all=True, append_images=frames[1:]))


def test_a_picture_that_lies_on_its_side_is_turned_upright() -> None:
    lying = Image.new("RGB", (30, 10), "white")
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise
    assert decode(saved(lying, "JPEG", exif=exif)).size == (10, 30)


def test_a_picture_30000_pixels_wide_is_kept_or_refused_by_its_shape() -> None:
    assert decode(saved(Image.new("RGB", (30_000, 200)))).size == (30_000, 200)
    with pytest.raises(BadRowError, match="30000x100 pixels, its sides at most 1:200"):
        decode(saved(Image.new("RGB", (30_000, 100))))
    with pytest.raises(BadRowError, match="30000x600 pixels, at most 16000000"):
        decode(saved(Image.new("1", (30_000, 600))))
