"""The rule by which a training row counts as a test row, on pictures drawn here."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from spica.artifacts.types import Gold, PromptRow
from spica.artifacts.types import Image as Picture
from spica.dataset.contamination import Findings, find
from spica.dataset.likeness import likeness
from spica.dataset.placing import place
from spica.dataset.words import WordIndex, containment, same_content, words_of

LONG = "A train leaves Rome at noon and runs 60 miles an hour; how far is it after 3 hours?"


def triangle(shift: int = 0) -> Image.Image:
    picture = Image.new("RGB", (320, 240), "white")
    draw = ImageDraw.Draw(picture)
    draw.polygon([(30, 200), (150 + shift, 30), (290, 180 - shift)], outline="black", width=3)
    draw.ellipse([120 - shift, 110, 190 - shift, 180], outline="blue", width=3)
    draw.text((145 + shift, 12), "A", fill="black")
    return picture


def chart() -> Image.Image:
    picture = Image.new("RGB", (320, 240), "white")
    draw = ImageDraw.Draw(picture)
    for i, height in enumerate((40, 170, 90, 130)):
        draw.rectangle([30 + i * 70, 220 - height, 75 + i * 70, 220], fill="orange")
    return picture


def table() -> Image.Image:
    picture = Image.new("RGB", (300, 244), "white")
    draw = ImageDraw.Draw(picture)
    for i in range(8):
        for k in range(3):
            draw.rectangle([10 + 90 * k, 10 + 28 * i, 100 + 90 * k, 38 + 28 * i], outline="gray")
            draw.text((16 + 90 * k, 17 + 28 * i), str((11 + 7 * i + 3 * k) ** 3 % 9973), fill="black")
    return picture


def plot(bend: int = 0) -> Image.Image:
    picture = Image.new("RGB", (320, 240), "white")
    draw = ImageDraw.Draw(picture)
    for k in range(1, 8):
        draw.line([(k * 40, 0), (k * 40, 240)], fill=(225, 225, 225))
        draw.line([(0, k * 30), (320, k * 30)], fill=(225, 225, 225))
    draw.line([(0, 120), (320, 120)], fill="black", width=2)
    draw.line([(160, 0), (160, 240)], fill="black", width=2)
    curve = [(x, 152 - 0.2 * x - bend * np.sin(x / 30)) for x in range(0, 321, 4)]
    draw.line(curve, fill=(42, 75, 215))
    return picture


def page() -> Image.Image:
    picture = Image.new("RGB", (482, 288), "white")
    draw = ImageDraw.Draw(picture)
    for i in range(12):
        words = " ".join(str((17 + 5 * i + 3 * k) ** 3 % 99_991) for k in range(11))
        draw.text((12, 12 + 22 * i), words, fill="black", font=ImageFont.load_default(14))
    return picture


def bars() -> Image.Image:
    picture = Image.new("RGB", (550, 416), "white")
    draw = ImageDraw.Draw(picture)
    draw.line([(40, 20), (40, 376), (530, 376)], fill="black", width=2)
    for i, height in enumerate((330, 325, 153, 266, 216, 151, 101)):
        draw.rectangle([45 + i * 67, 376 - height, 97 + i * 67, 375], fill=(183, 190, 196))
        draw.text((45 + i * 67, 362 - height), str(height), fill="black")
        draw.text((45 + i * 67, 381), str(2003 + 7 * i), fill="black")
    return picture


def hair_lines() -> Image.Image:
    picture = Image.new("RGB", (270, 366), "white")
    draw = ImageDraw.Draw(picture)
    for line in (
        (86, 27, 185, 82),
        (86, 27, 94, 310),
        (133, 46, 94, 310),
        (121, 64, 185, 82),
        (185, 82, 94, 310),
    ):
        draw.line(line, fill="black")
    draw.text((130, 50), "B", fill="black")
    return picture


def compressed(picture: Image.Image, quality: int = 30) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


class World:
    """Training rows and test rows with their pictures."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[PromptRow] = []
        self.tests: list[PromptRow] = []

    def train(self, question: str, *pictures: Image.Image) -> None:
        self.rows.append(self._row("train", f"q{len(self.rows)}", question, pictures))

    def test(self, question: str, *pictures: Image.Image) -> None:
        self.tests.append(self._row("test", f"m{len(self.tests)}", question, pictures))

    def find(self) -> Findings:
        return find(self.rows, self.folder / "train", self.tests, self.folder / "test")

    def _row(self, side: str, id: str, question: str, pictures: tuple[Image.Image, ...]) -> PromptRow:
        images = []
        for i, picture in enumerate(pictures):
            path = self.folder / side / "images" / f"{id}-{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path)
            pixels = f"{picture.size} {hash(picture.tobytes())}"
            images.append(Picture(path=f"images/{path.name}", pixels=pixels))
        return PromptRow(
            id=id,
            source="mathverse" if side == "test" else "geos",
            question=question,
            images=tuple(images),
            gold=Gold(kind="number", value="3"),
            modality="visual" if pictures else "text",
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def hits(findings: Findings) -> list[tuple[str, str, str]]:
    return [(hit.id, hit.other, hit.by) for hit in findings.hits]


def near_hits(findings: Findings) -> list[tuple[str, str, str]]:
    return [(hit.id, hit.other, hit.by) for hit in findings.near_hits]


def test_words_are_normalised() -> None:
    assert words_of("What is  $x^2$?\n(A) \uff34\uff37\uff2f") == ("what", "is", "x^2", "a", "two")
    assert words_of("求面积。") == ("求", "面", "积")
    assert words_of("e+j+c=?") == ("e+j+c",)


def test_trigrams_of_the_shorter_text_are_looked_for_in_the_longer() -> None:
    assert containment(tuple("abcd"), tuple("xxabcdxx")) == 1.0
    assert containment(tuple("abcd"), tuple("abcxd")) == 0.5
    assert containment(tuple("ab"), tuple("ab")) == 0.0


def test_the_overlap_counts_repeated_words_and_is_a_share_of_the_longer_of_short_texts() -> None:
    index = WordIndex([words_of("find x"), words_of("find find x now y")])
    found = {one.place: one.overlap for one in index.like(words_of("find find x"), 0.1, 0.1)}
    assert found == {0: pytest.approx(2 / 3), 1: pytest.approx(3 / 5)}


def test_a_question_with_other_formulas_is_another_question() -> None:
    one = words_of("Find all functions f such that $f(x+y)=f(x)+f(y)$ holds for all reals")
    other = words_of("Find all functions f such that $f(xy)=f(x)f(y)$ holds for all reals")
    assert same_content(one, one)
    assert not same_content(one, other)


def test_a_cropped_and_compressed_picture_with_a_changed_word_is_a_hit(world: World) -> None:
    question = "In triangle ABC the circle touches side BC; find the length of AB in cm"
    world.test(question, triangle())
    world.train(question.replace("length", "measure"), compressed(triangle().crop((20, 14, 305, 230))))
    assert hits(world.find()) == [("q0", "mathverse/m0", "words and picture")]


def test_a_training_picture_that_shows_more_than_the_test_picture_is_a_hit(world: World) -> None:
    world.test("Find x.", triangle().crop((20, 14, 305, 230)))
    world.train("Find x.", compressed(triangle()))
    assert hits(world.find()) == [("q0", "mathverse/m0", "words and picture")]


def test_a_cropped_table_is_found_though_its_rows_repeat(world: World) -> None:
    world.test("What is the mean?", table())
    world.train("What is the mean?", compressed(table().crop((28, 6, 284, 222))))
    assert hits(world.find()) == [("q0", "mathverse/m0", "words and picture")]


def test_a_page_whose_first_line_is_cut_is_not_taken_for_one_that_lies_a_line_lower(world: World) -> None:
    world.test("What is the mean?", page())
    world.train("What is the mean?", page().crop((5, 24, 466, 262)))
    assert hits(world.find()) == [("q0", "mathverse/m0", "words and picture")]


def test_hair_lines_are_found(world: World) -> None:
    world.test("Find x.", hair_lines())
    world.train("Find x.", compressed(hair_lines().crop((16, 29, 257, 339)), quality=50))
    assert hits(world.find()) == [("q0", "mathverse/m0", "words and picture")]


def test_hair_lines_lie_upon_each_other_though_one_picture_is_scaled_up_more(tmp_path: Path) -> None:
    hair_lines().save(tmp_path / "whole.png")
    compressed(hair_lines().crop((16, 29, 257, 339)), quality=50).save(tmp_path / "part.png")
    sides = np.array([[16 / 270, 257 / 270, 29 / 366, 339 / 366]], dtype=np.float32)
    assert likeness(tmp_path / "part.png", tmp_path / "whole.png", sides).block_correlation > 0.97


@pytest.mark.parametrize(
    ("box", "size", "found"),
    [
        ((0, 0, 320, 240), (160, 120), True),
        ((20, 14, 305, 230), (143, 108), True),
        ((0, 0, 320, 240), (240, 240), True),
        ((20, 14, 305, 230), (216, 216), False),
    ],
    ids=["half of the size", "cropped, half of the size", "stretched", "cropped and stretched"],
)
def test_a_crop_keeps_its_proportions_and_all_of_a_picture_may_be_stretched(
    world: World, box: tuple[int, int, int, int], size: tuple[int, int], found: bool
) -> None:
    world.test("Find x.", triangle())
    world.train("Find x.", triangle().crop(box).resize(size))
    assert bool(world.find().hits) == found


def test_a_window_is_moved_to_where_the_part_lies() -> None:
    whole = np.asarray(triangle().convert("L").resize((64, 64)), dtype=np.float32)
    part = np.asarray(triangle().convert("L").resize((64, 64), box=(16, 24, 304, 228)), dtype=np.float32)
    start = np.array([[0.07, 0.93, 0.07, 0.93]], dtype=np.float32)
    sides, fits = place(part[None], whole[None], start, 48, 8)
    assert sides[0] == pytest.approx([0.05, 0.95, 0.1, 0.95], abs=0.01)
    assert fits[0] > 0.9


@pytest.mark.parametrize("off", [(0, 0, 0, 0), (0, 0, 0.004, -0.008), (-0.01, 0.008, 0.008, -0.01)])
@pytest.mark.parametrize(
    "box", [(11, 23, 538, 382), (39, 17, 543, 397)], ids=["axes inside", "an axis at the rim"]
)
def test_bars_with_thin_axes_are_met_from_a_percent_away(
    box: tuple[int, int, int, int], off: tuple[float, ...]
) -> None:
    whole, part = (
        np.asarray(picture.convert("L").resize((128, 128), Image.Resampling.BILINEAR), dtype=np.float32)
        for picture in (bars(), compressed(bars().crop(box), quality=60))
    )
    place_of_it = np.array([box[0] / 550, box[2] / 550, box[1] / 416, box[3] / 416], dtype=np.float32)
    start = place_of_it + np.array(off, dtype=np.float32)
    sides, _ = place(part[None], whole[None], start[None], 96, 8)
    assert sides[0] == pytest.approx(place_of_it, abs=0.0015)


def test_where_a_part_lies_does_not_depend_on_what_is_placed_beside_it() -> None:
    whole, other = (
        np.asarray(each().convert("L").resize((64, 64)), dtype=np.float32) for each in (triangle, chart)
    )
    part = np.asarray(triangle().convert("L").resize((64, 64), box=(16, 24, 304, 228)), dtype=np.float32)
    start = np.array([[0.07, 0.93, 0.07, 0.93]], dtype=np.float32)
    alone = place(part[None], whole[None], start, 48, 8)
    beside = place(np.stack([other, part]), np.stack([other, whole]), np.repeat(start, 2, axis=0), 48, 8)
    assert beside.sides[1] == pytest.approx(alone.sides[0], abs=1e-6)
    assert beside.fits[1] == pytest.approx(alone.fits[0], abs=1e-6)


@pytest.mark.parametrize(("bend", "same"), [(0, True), (3, False)])
def test_plots_with_one_pair_of_axes_are_one_picture_only_with_one_curve(
    tmp_path: Path, bend: int, same: bool
) -> None:
    plot().save(tmp_path / "one.png")
    compressed(plot(bend)).save(tmp_path / "other.png")
    assert likeness(tmp_path / "one.png", tmp_path / "other.png").same == same


def test_equal_words_about_another_picture_are_no_hit(world: World) -> None:
    world.test("Find x.", triangle())
    world.train("Find x.", triangle(shift=40))
    world.train("Find x.", chart())
    findings = world.find()
    assert (hits(findings), near_hits(findings)) == ([], [])


def test_a_long_question_about_another_picture_is_a_near_hit(world: World) -> None:
    world.test(LONG, triangle())
    world.train(LONG, chart())
    findings = world.find()
    assert hits(findings) == []
    assert near_hits(findings) == [("q0", "mathverse/m0", "words")]


def test_the_same_picture_with_another_question_is_a_near_hit(world: World) -> None:
    world.test("What is the largest bar?", chart())
    world.train("How many colours are used here?", compressed(chart()))
    findings = world.find()
    assert hits(findings) == []
    assert near_hits(findings) == [("q0", "mathverse/m0", "picture")]


def test_a_test_question_that_stands_in_its_picture_is_found_by_the_picture(world: World) -> None:
    world.test("", triangle())
    world.train("How long is AB?", compressed(triangle()))
    world.train("How long is AB?", chart())
    assert hits(world.find()) == [("q0", "mathverse/m0", "picture")]


def test_a_text_with_a_tenth_of_its_words_changed_is_a_hit(world: World) -> None:
    world.test(LONG)
    world.train(LONG.replace("noon", "dawn").replace("far", "late"))
    assert hits(world.find()) == [("q0", "mathverse/m0", "words")]


def test_a_text_with_other_numbers_is_a_near_hit(world: World) -> None:
    world.test(LONG)
    world.train(LONG.replace("60", "75").replace("3", "8"))
    findings = world.find()
    assert hits(findings) == []
    assert near_hits(findings) == [("q0", "mathverse/m0", "words")]


def test_short_texts_must_be_the_same(world: World) -> None:
    world.test("C1E1D4\ne+j=?")
    world.train("C1E1D4 e+j=?")
    world.train("C1E1D4\ne+c=?")
    assert hits(world.find()) == [("q0", "mathverse/m0", "same")]


def test_a_text_question_and_one_with_a_picture_must_share_nine_words_of_ten(world: World) -> None:
    world.test(LONG, triangle())
    world.train(LONG)
    world.train(LONG.replace("noon", "dawn").replace("far", "late").replace("Rome", "Pisa"))
    findings = world.find()
    assert hits(findings) == [("q0", "mathverse/m0", "words")]
    assert near_hits(findings) == [("q1", "mathverse/m0", "words")]


def test_one_of_several_pictures_is_enough(world: World) -> None:
    world.test("Find the sum of all bars.", triangle(), chart())
    world.train("Find the sum of all bars.", compressed(chart()))
    assert hits(world.find()) == [("q0", "mathverse/m0", "words and picture")]


def test_pictures_without_content_are_told_apart_by_colour(tmp_path: Path) -> None:
    for name in ("red", "blue"):
        Image.new("RGB", (40, 30), name).save(tmp_path / f"{name}.png")
    compressed(Image.new("RGB", (40, 30), "red")).save(tmp_path / "again.png")
    assert likeness(tmp_path / "again.png", tmp_path / "red.png").same
    assert not likeness(tmp_path / "blue.png", tmp_path / "red.png").same


def test_nothing_is_looked_up_where_there_is_nothing(world: World) -> None:
    world.train("Find x.", chart())
    assert world.find().report()["num_hits"] == 0
