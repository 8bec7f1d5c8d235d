import hashlib
import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

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
