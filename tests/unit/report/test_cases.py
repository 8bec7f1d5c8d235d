import io
import struct
import zlib
from pathlib import Path

from PIL import Image

from spica.report.cases import MAX_CASES, choose, cut, read_picture

from .report_rows import item, outcomes


def test_a_long_text_keeps_its_two_ends_and_says_what_is_missing() -> None:
    assert cut("a" * 10 + "b" * 10, 6) == "aaa\n[... 14 characters left out ...]\nbbb"


def test_a_short_text_is_left_alone() -> None:
    assert cut("abcdef", 6) == "abcdef"


def test_every_benchmark_step_count_and_outcome_is_shown() -> None:
    items = [
        item(f"{source}-{place}", source, num_steps=place % 5 + 1)
        for source in ("mathverse", "mathvision", "olympiadbench", "mmmu")
        for place in range(300)
    ]
    marks = {"base": "10" * 600, "D_T": "1100" * 300}
    scored = outcomes(items, marks)
    chosen = [scored.benchmarks[id] for id in choose(scored)]
    shown = {
        (
            row.source,
            row.num_steps,
            scored.headline("base")[row.id].correct,
            scored.headline("D_T")[row.id].correct,
        )
        for row in chosen
    }
    assert (len(chosen), len(shown)) == (MAX_CASES, 4 * 5 * 4)


def test_every_benchmark_has_its_share_even_when_groups_are_many() -> None:
    sources = ("mathverse", "mathvision", "olympiadbench", "mmmu")
    items = [item(f"{source}-{place}", source, num_steps=place) for source in sources for place in range(100)]
    chosen = [id.partition("-")[0] for id in choose(outcomes(items, {}))]
    assert {source: chosen.count(source) for source in sources} == dict.fromkeys(sources, MAX_CASES // 4)


def test_the_choice_does_not_hang_on_the_order_of_the_items() -> None:
    items = [item(f"q{place}", num_steps=place % 3) for place in range(200)]
    assert choose(outcomes(items, {})) == choose(outcomes(items[::-1], {}))


def test_a_small_picture_is_shown_pixel_by_pixel(tmp_path: Path) -> None:
    Image.new("RGB", (112, 56), "white").save(tmp_path / "p.png")
    found = read_picture(tmp_path / "p.png")
    assert (found.width, found.height, found.src[:22]) == (112, 56, "data:image/png;base64,")


def test_a_large_photo_is_made_small(tmp_path: Path) -> None:
    Image.effect_noise((1000, 500), 90).convert("RGB").save(tmp_path / "p.png")
    found = read_picture(tmp_path / "p.png")
    assert (found.width, found.height) == (420, 210)
    assert len(found.src) < 120_000


def test_bytes_that_are_no_picture_give_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(b"<svg onload=alert(1)>")
    assert read_picture(tmp_path / "p.png").src == ""


def test_a_truncated_picture_gives_an_empty_one(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(buffer, "PNG")
    (tmp_path / "p.png").write_bytes(buffer.getvalue()[:900])
    assert read_picture(tmp_path / "p.png").src == ""


def test_a_picture_that_claims_a_huge_size_is_not_decoded(tmp_path: Path) -> None:
    small = io.BytesIO()
    Image.new("L", (8, 8)).save(small, "PNG")
    header = b"IHDR" + struct.pack(">II", 10_000, 8_000) + small.getvalue()[24:29]
    checked = header + struct.pack(">I", zlib.crc32(header))
    (tmp_path / "p.png").write_bytes(small.getvalue()[:12] + checked + small.getvalue()[33:])
    assert read_picture(tmp_path / "p.png") == ("", 10_000, 8_000)
