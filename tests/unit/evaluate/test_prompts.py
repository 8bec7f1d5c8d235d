"""What is said to a model; the wordings are those of the published programs, byte for byte."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from spica.artifacts.types import Gold, Image, PromptRow
from spica.errors import DataError
from spica.evaluate import tasks
from spica.evaluate.items import Item
from spica.evaluate.prompts import Style, messages, style_of
from spica.recipe.schema import Prompt

from .evaluate_examples import make_slice

PROMPT = Prompt(system="You are a helpful assistant.", prefix="Think first.")
PNG = b"\x89PNG\r\n\x1a\n"


def make_item(folder: Path, source: str, num_images: int, meta: dict[str, str], **changes: Any) -> Item:
    images = tuple(Image(path=f"{i}.png", pixels=str(i)) for i in range(num_images))
    for i, image in enumerate(images):
        (folder / image.path).write_bytes(PNG + bytes([i]))
    gold = changes.pop("gold", Gold(kind="number", value="1"))
    row = PromptRow(
        id="a", source=source, question="How many?", images=images, gold=gold, modality="both", meta=meta
    )
    return Item(row, folder, source)


def said(style: Style, item: Item) -> Any:
    system, user = messages(PROMPT, style, item)
    assert system == {"role": "system", "content": PROMPT.system}
    return user["content"]


def shape(content: Any) -> list[str | int]:
    """Texts as they are, pictures as their number, which is their last byte."""
    return [
        part["text"]
        if part["type"] == "text"
        else base64.b64decode(part["image_url"]["url"].removeprefix("data:image/png;base64,"))[-1]
        for part in content
    ]


def test_the_prefix_stands_between_the_pictures_and_the_question(tmp_path: Path) -> None:
    content = said("prefix", make_item(tmp_path, "mathverse", 2, {"query_cot": "Reason."}))
    assert shape(content) == [0, 1, "Think first.\nHow many?"]


def test_mathverse_is_asked_with_its_own_query(tmp_path: Path) -> None:
    item = make_item(tmp_path, "mathverse", 1, {"query_cot": "Please first conduct reasoning.\nQuestion: x?"})
    assert shape(said("official", item)) == [0, "Please first conduct reasoning.\nQuestion: x?"]
    _, text = shape(said("prefix+official", item))
    assert text == "Think first.\nPlease first conduct reasoning.\nQuestion: x?"


VISION = (
    'Please solve the problem step by step and put your answer in one "\\boxed{}". '
    'If it is a multiple choice question, only one letter is allowed in the "\\boxed{}".\n'
)


def test_mathvision_prints_tags_and_options_and_sends_one_picture(tmp_path: Path) -> None:
    gold = Gold(kind="letter", value="B", options=("2", "3", "4", "5", "6"))
    item = make_item(tmp_path, "mathvision", 1, {"question": "Which?\n<image1> <image2>"}, gold=gold)
    lines = "(A) 2\n(B) 3\n(C) 4\n(D) 5\n(E) 6\n"
    assert shape(said("official", item)) == [0, f"{VISION}Which?\n<image1> <image2>\n{lines}"]


def test_mathvision_leaves_out_options_that_are_just_letters(tmp_path: Path) -> None:
    gold = Gold(kind="letter", value="B", options=("A", "B", "C", "D", "E"))
    item = make_item(tmp_path, "mathvision", 1, {"question": "Which?"}, gold=gold)
    assert shape(said("official", item)) == [0, f"{VISION}Which?\n"]


def olympiad(
    subset: str, answer_type: str = "Numerical", multiple: bool = False, **meta: str
) -> dict[str, str]:
    keys = {"subset": subset, "answer_type": answer_type, "is_multiple_answer": str(multiple).lower()}
    return {**keys, "question": "Find $x$.", "final_answer": '["1"]', **meta}


def test_an_english_maths_problem_of_olympiadbench(tmp_path: Path) -> None:
    content = said("official", make_item(tmp_path, "olympiadbench", 0, olympiad("OE_TO_maths_en_COMP")))
    assert content == (
        "The following is an open-ended problem from an International Math competition. "
        "The answer of The problem should be a numerical value. "
        "Please calculate the answer according to the given requirements and the information provided. "
        "Please use LaTeX format to represent the variables and formulas used in the solution process and "
        'results. Please end your solution with "So the final answer is \\boxed{answer}." and give the '
        "result explicitly.\nFind $x$."
    )


def test_a_chinese_physics_problem_of_olympiadbench_with_unit_context_and_pictures(tmp_path: Path) -> None:
    meta = olympiad(
        "OE_MM_physics_zh_CEE", "Numerical,Expression", multiple=True, unit="m", context="如图<img_7>所示."
    )
    meta["question"] = "求 $v$ <img_3> 与 <img_7>."
    content = shape(said("prefix+official", make_item(tmp_path, "olympiadbench", 2, meta)))
    comma = "\N{FULLWIDTH COMMA}"
    instruction = (
        f"以下是中国物理竞赛中的解答题{comma}题目有多个答案{comma}答案类型分别为数值、表达式。"
        "请根据题目的要求和所提供的信息计算得出答案。解答过程和结果中使用的变量和公式请使用LaTeX格式表示。"
        "请在最后以“所以最终答案是\\boxed{用英文逗号连接的多个答案}(单位)。”显式给出结果"
        f"{comma}注意答案的单位不要放在\\boxed{{}}中。"
    )
    assert content == [
        f"Think first.\n{instruction}\n如图",
        0,
        "所示.\n求 $v$",
        1,
        "与",
        0,
        ".",
    ]


@pytest.mark.parametrize(
    ("answer_type", "multiple", "sentence"),
    [
        ("Tuple", False, ""),
        (
            "Expression,Expression",
            True,
            "The problem has multiple answers, each of them should be an expression. ",
        ),
        ("Equation", True, "The problem has multiple answers, each of them should be an equation. "),
        (
            "Interval,Numerical",
            True,
            "The problem has multiple answers, with the answers in order being an interval, a numerical "
            "value. ",
        ),
    ],
)
def test_olympiadbench_says_the_types_of_its_answers(
    tmp_path: Path, answer_type: str, multiple: bool, sentence: str
) -> None:
    item = make_item(tmp_path, "olympiadbench", 0, olympiad("OE_TO_maths_en_COMP", answer_type, multiple))
    assert f"competition. {sentence}Please calculate" in said("official", item)


def test_mmmu_puts_every_picture_in_the_place_of_its_tag_as_often_as_it_is_named(tmp_path: Path) -> None:
    meta = {"question": "Compare <image 2> with <image 1>.", "options": json.dumps(["<image 1>", "neither"])}
    content = shape(said("official", make_item(tmp_path, "mmmu", 2, meta)))
    assert content == [
        "Compare",
        0,
        "with",
        1,
        ".\n(A)",
        1,
        "(B) neither\n\nAnswer with the option's letter from the given choices directly.",
    ]


def test_an_open_mmmu_question(tmp_path: Path) -> None:
    content = shape(said("official", make_item(tmp_path, "mmmu", 1, {"question": "<image 1> How many?"})))
    assert content == [0, "How many?\nAnswer the question using a single word or phrase."]


def test_a_row_without_its_official_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"question a\n.*no query_cot in its meta"):
        said("official", make_item(tmp_path, "mathverse", 1, {}))


def test_dev_questions_have_no_official_prompt_and_are_asked_with_the_prefix(tmp_path: Path) -> None:
    item = make_item(tmp_path, "dev", 0, {})
    assert said("official", item) == said("prefix", item) == "Think first.\nHow many?"


def test_the_base_has_a_prompt_of_its_own() -> None:
    given = make_slice().evaluate.model_dump() | {"prompts": {"base": "official", "tuned": "prefix+official"}}
    assert style_of(make_slice(arm="base", evaluate=given)) == "official"
    assert style_of(make_slice(arm="control", evaluate=given)) == "prefix+official"


def test_groups_cross_version_and_level_with_the_subject() -> None:
    gold = Gold(kind="number", value="1")
    meta = {"version": "Text Lite", "level": "3", "subject": "Functions"}
    row = PromptRow(id="a", source="x", question="", gold=gold, modality="visual", meta=meta)
    assert tasks.groups("mathverse", row)["version x subject"] == "Text Lite x Functions"
    assert tasks.groups("mathvision", row)["level x subject"] == "3 x Functions"
