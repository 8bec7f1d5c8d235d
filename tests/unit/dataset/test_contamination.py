"""The rule by which a training row counts as a test row, on pictures drawn here."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

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


def test_a_window_is_moved_to_where_the_part_lies() -> None:
    whole = np.asarray(triangle().convert("L").resize((64, 64)), dtype=np.float32)
    part = np.asarray(triangle().convert("L").resize((64, 64), box=(16, 24, 304, 228)), dtype=np.float32)
    sides, fits, _ = place(
        part[None], whole[None], np.array([[0.07, 0.93, 0.07, 0.93]], dtype=np.float32), 48, 8
    )
    assert sides[0] == pytest.approx([0.05, 0.95, 0.1, 0.95], abs=0.01)
    assert fits[0] > 0.9


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
