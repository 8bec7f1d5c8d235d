"""Each loader on one row of the official schema, typed by hand."""

import base64
import json
from collections.abc import Callable

import pytest

from spica.artifacts.types import Gold
from spica.sources import llava_onevision, mathverse, mathvision, mmmu, olympiadbench, questions
from spica.sources.draft import BadRowError, Record

from .tiny_png import png

MakeRecord = Callable[..., Record]

GEOS = {
    "id": "identity_17",
    "image": "GEOS/17.png",
    "conversations": [
        {
            "from": "human",
            "value": "<image>\nHint: Please answer the question and provide the correct option letter, "
            "e.g., A, B, C, D, at the end.\nQuestion: In circle O, find x.\nChoices:\n(A) 40°\n(B) 60°",
        },
        {"from": "gpt", "value": "The answer is B"},
    ],
    "data_source": "GEOS(MathV360K)",
}
CHARTQA = {
    "id": "3",
    "image": {"bytes": base64.b64encode(png()).decode(), "path": "3.png"},
    "conversations": [
        {"from": "human", "value": "<image>\nWhat is the peak?\nGive a very brief answer."},
        {"from": "gpt", "value": "1,200."},
        {"from": "human", "value": "Does it rise?\nAnswer the question using a single word or phrase."},
        {"from": "gpt", "value": "Yes."},
    ],
    "data_source": "chartqa(cauldron,llava_format)",
}


def test_a_llava_row_of_mathv360k(record: MakeRecord) -> None:
    made = record(GEOS, ("GEOS/17.png",))
    (draft,) = llava_onevision.parse(made)
    assert draft.question == "In circle O, find x.\nChoices:\n(A) 40°\n(B) 60°"
    assert draft.gold == Gold(kind="letter", value="B", options=("40°", "60°"))
    assert draft.pictures == ((made.root / "GEOS/17.png").resolve(),)
    assert (draft.id, draft.modality, draft.num_steps) == ("identity_17", "visual", None)


def test_a_cauldron_row_with_two_questions_is_split_and_both_keep_the_picture(record: MakeRecord) -> None:
    first, second = llava_onevision.parse(record(CHARTQA))
    assert (first.id, first.question, first.gold) == (
        "3-0",
        "What is the peak?",
        Gold(kind="number", value="1200"),
    )
    assert (second.id, second.question, second.gold) == (
        "3-1",
        "Does it rise?",
        Gold(kind="yes_no", value="yes"),
    )
    assert first.pictures == second.pictures == (png(),)


def test_a_llava_row_with_two_tags_and_one_picture_is_refused(record: MakeRecord) -> None:
    turns = [{"from": "human", "value": "<image><image>\nc=?"}, {"from": "gpt", "value": "7"}]
    with pytest.raises(BadRowError, match="2 <image> tags for 1 pictures"):
        llava_onevision.parse(record({**GEOS, "conversations": turns}, ("GEOS/17.png",)))


@pytest.mark.parametrize(
    "turns",
    [None, [], [{"from": "human", "value": "c=?"}], [{"from": "gpt", "value": "7"}] * 2, ["c=?", "7"]],
)
def test_a_llava_row_without_pairs_of_turns_is_refused(record: MakeRecord, turns: object) -> None:
    with pytest.raises(BadRowError, match="conversations"):
        llava_onevision.parse(record({**GEOS, "conversations": turns}))


def test_a_question_row(record: MakeRecord) -> None:
    row = {"id": 5, "question": "What is $3^2$?", "answer": "9", "domain": "math"}
    (draft,) = questions.parse(record(row))
    assert (draft.id, draft.question, draft.gold) == ("5", "What is $3^2$?", Gold(kind="number", value="9"))
    assert (draft.modality, draft.meta) == ("text", {"domain": "math"})


def test_a_question_row_of_the_long_thought_set_has_its_answer_in_the_box(record: MakeRecord) -> None:
    text = (
        "<|begin_of_thought|>\n\n\\boxed{1}?\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\n\\boxed{3}\n\n"
    )
    row = {
        "question": "Units digit of $3^{2005}$?",
        "combined_text": f"{text}<|end_of_solution|>",
        "domain": "math",
    }
    (draft,) = questions.parse(record(row))
    assert (draft.id, draft.gold) == ("1", Gold(kind="number", value="3"))


MATHVERSE = {
    "sample_index": "5",
    "problem_index": "1",
    "problem_version": "Text Dominant",
    "question": "DE is parallel to BC, then angle CED is ()\nChoices:\nA:40°\nB:60°\nC:120°\nD:140°",
    "image": "images_version_1-4/image_1.png",
    "answer": "C",
    "question_type": "multi-choice",
    "metadata": {"split": "testmini", "source": "GeoQA", "subject": "Plane Geometry", "subfield": "Angle"},
    "query_wo": "Please directly answer ...",
    "query_cot": "Please first conduct reasoning ...",
    "question_for_eval": "DE is parallel to BC, then angle CED is ()\nChoices:\nA:40°\nB:60°\nC:120°\nD:140°",
}


def test_a_mathverse_row(record: MakeRecord) -> None:
    (draft,) = mathverse.parse(record(MATHVERSE, ("images/images_version_1-4/image_1.png",), "testmini.json"))
    assert draft.question == (
        "DE is parallel to BC, then angle CED is ()\nChoices:\n(A) 40°\n(B) 60°\n(C) 120°\n(D) 140°"
    )
    assert draft.gold == Gold(kind="letter", value="C", options=("40°", "60°", "120°", "140°"))
    assert draft.modality == "both"
    assert draft.meta == {
        "version": "Text Dominant",
        "problem": "1",
        "question_type": "multi-choice",
        "subject": "Plane Geometry",
        "subfield": "Angle",
        "query_cot": "Please first conduct reasoning ...",
        "question_for_eval": MATHVERSE["question_for_eval"],
        "answer": "C",
    }


def test_mathverse_vision_only_has_no_question_but_option_values(record: MakeRecord) -> None:
    row = {**MATHVERSE, "problem_version": "Vision Only", "question": ""}
    (draft,) = mathverse.parse(record(row, ("images/images_version_1-4/image_1.png",), "testmini.json"))
    assert (draft.question, draft.modality) == ("", "visual")
    assert draft.gold.options == ("40°", "60°", "120°", "140°")


def test_mathverse_vision_only_with_a_question_of_nothing_at_all(record: MakeRecord) -> None:
    row = {**MATHVERSE, "problem_version": "Vision Only", "question": None}
    (draft,) = mathverse.parse(record(row, ("images/images_version_1-4/image_1.png",), "testmini.json"))
    assert draft.question == ""


def test_a_mathverse_row_with_two_right_letters_is_kept_as_gold_unparsed(record: MakeRecord) -> None:
    row = {**MATHVERSE, "answer": "C\nD"}
    (draft,) = mathverse.parse(record(row, ("images/images_version_1-4/image_1.png",), "testmini.json"))
    assert (draft.gold.kind, draft.gold.value) == ("text", "C\nD")
    assert "names none of the options" in draft.meta["gold_unparsed"]


def test_a_free_form_mathverse_answer_keeps_its_latex(record: MakeRecord) -> None:
    row = {**MATHVERSE, "question": "Area?", "question_type": "free-form", "answer": "Area $=9 \\pi$"}
    (draft,) = mathverse.parse(record(row, ("images/images_version_1-4/image_1.png",), "testmini.json"))
    assert draft.gold == Gold(kind="math", value="Area $=9 \\pi$")


def test_a_mathverse_row_of_another_split_is_refused(record: MakeRecord) -> None:
    row = {**MATHVERSE, "metadata": {"split": "test"}}
    with pytest.raises(BadRowError, match="split 'test', testmini is needed"):
        mathverse.parse(record(row))


def test_mathverse_text_only_is_refused(record: MakeRecord) -> None:
    with pytest.raises(BadRowError, match="found 'Text Only'"):
        mathverse.parse(record({**MATHVERSE, "problem_version": "Text Only"}))


MATHVISION = {
    "id": "34",
    "question": "Max has cut a rectangle. One piece looks so:\n<image1>\nAnd the other?\n<image2>",
    "options": ["A", "B", "C", "D", "E"],
    "answer": "E",
    "solution": None,
    "level": 1,
    "subject": "combinatorial geometry",
    "image": "images/34.jpg",
}


def test_a_mathvision_row_with_letter_only_options_and_two_tags_sends_one_picture(record: MakeRecord) -> None:
    (draft,) = mathvision.parse(record(MATHVISION, ("images/34.jpg",), "data/test.jsonl"))
    assert draft.question == "Max has cut a rectangle. One piece looks so:\nAnd the other?"
    assert draft.gold == Gold(kind="letter", value="E", options=("A", "B", "C", "D", "E"))
    assert len(draft.pictures) == 1
    assert draft.meta == {
        "level": "1",
        "subject": "combinatorial geometry",
        "question_type": "multi-choice",
        "question": MATHVISION["question"],
        "answer": "E",
    }


@pytest.mark.parametrize("options", ["['red', 'blue']", ["red", "blue"], ("red", "blue")])
def test_mathvision_options_may_be_a_list_or_the_text_of_one(record: MakeRecord, options: object) -> None:
    row = {**MATHVISION, "options": options, "answer": "B"}
    (draft,) = mathvision.parse(record(row, ("images/34.jpg",), "data/test.jsonl"))
    assert draft.gold == Gold(kind="letter", value="B", options=("red", "blue"))


@pytest.mark.parametrize("options", [None, "", "[]", []])
def test_mathvision_without_options_is_free_form(record: MakeRecord, options: object) -> None:
    row = {**MATHVISION, "options": options, "answer": "$2\\sqrt{3}$"}
    (draft,) = mathvision.parse(record(row, ("images/34.jpg",), "data/test.jsonl"))
    assert draft.gold == Gold(kind="math", value="2\\sqrt{3}")
    assert draft.meta["question_type"] == "free-form"


def test_a_mathvision_row_with_option_values(record: MakeRecord) -> None:
    options = ["red", "blue", "green", "Yellow", "Not certain."]
    row = {**MATHVISION, "question": "Which colour?\n<image1>", "options": options, "answer": "A"}
    (draft,) = mathvision.parse(record(row, ("images/34.jpg",), "data/test.jsonl"))
    assert draft.question == (
        "Which colour?\nChoices:\n(A) red\n(B) blue\n(C) green\n(D) Yellow\n(E) Not certain."
    )


def test_a_free_form_mathvision_row(record: MakeRecord) -> None:
    row = {**MATHVISION, "question": "How many?\n<image1>", "options": [], "answer": "61"}
    (draft,) = mathvision.parse(record(row, ("images/34.jpg",), "data/test.jsonl"))
    assert (draft.question, draft.gold) == ("How many?", Gold(kind="number", value="61"))


OLYMPIAD = {
    "id": 1148,
    "subfield": "Mechanics",
    "context": "A solid, uniform cylinder rests on a plank.\n<img_4082>",
    "question": "What is the period $T$?",
    "solution": ["..."],
    "final_answer": ["$1.25$"],
    "is_multiple_answer": False,
    "unit": "s",
    "answer_type": "Numerical",
    "error": "5e-2",
}


def test_an_olympiadbench_row_with_context_tolerance_and_unit(record: MakeRecord) -> None:
    made = record(OLYMPIAD, ("images/img_4082.jpg",), "data/OE_MM_physics_en_COMP.json")
    (draft,) = olympiadbench.parse(made)
    assert draft.id == "OE_MM_physics_en_COMP-1148"
    assert draft.question == "A solid, uniform cylinder rests on a plank.\nWhat is the period $T$?"
    assert draft.gold == Gold(kind="number", value="1.25", unit="s", tolerance="5e-2")
    assert draft.pictures == ((made.root / "images/img_4082.jpg").resolve(),)
    assert draft.meta == {
        "subset": "OE_MM_physics_en_COMP",
        "subfield": "Mechanics",
        "answer_type": "Numerical",
        "unit": "s",
        "error": "5e-2",
        "context": OLYMPIAD["context"],
        "question": OLYMPIAD["question"],
        "is_multiple_answer": "false",
        "final_answer": '["$1.25$"]',
    }


def test_several_olympiadbench_answers_are_joined_and_listed(record: MakeRecord) -> None:
    row = {**OLYMPIAD, "context": None, "final_answer": ["$2$", "$-\\sqrt{3}$"], "is_multiple_answer": True}
    (draft,) = olympiadbench.parse(record(row, (), "data/OE_TO_maths_en_COMP.json"))
    assert draft.gold == Gold(kind="math", value="2, -\\sqrt{3}", unit="s", tolerance="5e-2")
    assert json.loads(draft.meta["final_answer"]) == ["$2$", "$-\\sqrt{3}$"]
    assert draft.meta["is_multiple_answer"] == "true"


def test_a_chinese_olympiadbench_row_keeps_its_text(record: MakeRecord) -> None:
    row = {**OLYMPIAD, "context": None, "question": "求函数 $f(x)$ 的最小值.", "unit": None, "error": None}
    (draft,) = olympiadbench.parse(record(row, (), "data/OE_TO_maths_zh_CEE.json"))
    assert (draft.question, draft.modality) == ("求函数 $f(x)$ 的最小值.", "text")
    assert draft.meta["question"] == "求函数 $f(x)$ 的最小值."


def test_a_theorem_proof_is_passed_over(record: MakeRecord) -> None:
    assert olympiadbench.parse(record(OLYMPIAD, (), "data/TP_TO_maths_en_COMP.json")) == []


def test_an_olympiadbench_file_of_no_known_subset_is_refused(record: MakeRecord) -> None:
    with pytest.raises(BadRowError, match="found 'OE_extra'"):
        olympiadbench.parse(record(OLYMPIAD, (), "data/OE_extra.json"))


def test_an_olympiadbench_row_with_more_tags_than_embedded_pictures_is_refused(record: MakeRecord) -> None:
    row = {**OLYMPIAD, "question": "See <img_1> and <img_2>.", "image_1": {"bytes": png(), "path": "1.jpg"}}
    with pytest.raises(BadRowError, match="3 different picture tags for 1 pictures"):
        olympiadbench.parse(record(row, (), "OE_MM_maths_en_COMP.json"))


def test_an_olympiadbench_tag_may_name_a_column_of_the_row(record: MakeRecord) -> None:
    images = {"image_1": {"bytes": png(), "path": None}, "image_2": {"bytes": png("blue"), "path": None}}
    row = {**OLYMPIAD, **images, "context": None, "question": "Compare <image_2> with <image_1>."}
    (draft,) = olympiadbench.parse(record(row, (), "OE_MM_maths_en_COMP.parquet"))
    assert draft.pictures == (png("blue"), png())


MMMU = {
    "id": "validation_Art_Theory_7",
    "question": "Compare <image 2> with <image 1>. Which came after <image 2>?",
    "options": "['<image 1>', \"Monet's garden\", 'Neither', '$\\\\alpha$']",
    "explanation": "",
    "image_1": {"bytes": png("red"), "path": "validation_Art_Theory_7_1.png"},
    "image_2": {"bytes": png("blue"), "path": "validation_Art_Theory_7_2.png"},
    **{f"image_{i}": None for i in range(3, 8)},
    "img_type": "['Paintings']",
    "answer": "B",
    "topic_difficulty": "Hard",
    "question_type": "multiple-choice",
    "subfield": "Art Theory",
}


def test_an_mmmu_row_with_two_pictures_sends_them_in_the_order_of_their_tags(record: MakeRecord) -> None:
    (draft,) = mmmu.parse(record(MMMU))
    assert draft.pictures == (png("blue"), png("red"))
    assert draft.question == (
        "Compare image 1 with image 2. Which came after image 1?\nChoices:\n(A) image 2\n"
        "(B) Monet's garden\n(C) Neither\n(D) $\\alpha$"
    )
    assert draft.gold.value == "B"
    assert draft.meta == {
        "difficulty": "Hard",
        "question_type": "multiple-choice",
        "subfield": "Art Theory",
        "subject": "Art_Theory",
        "discipline": "Art and Design",
        "question": MMMU["question"],
        "options": '["<image 1>", "Monet\'s garden", "Neither", "$\\\\alpha$"]',
        "answers": '["B"]',
    }


def test_an_open_mmmu_row_keeps_all_accepted_answers(record: MakeRecord) -> None:
    row = {
        **MMMU,
        "question": "<image 1> <image 2> How many?",
        "options": "[]",
        "answer": "['24/7', '3.429']",
    }
    (draft,) = mmmu.parse(record({**row, "question_type": "open"}))
    assert draft.gold == Gold(kind="number", value="24/7", accepted=("3.429",))
    assert draft.meta["answers"] == '["24/7", "3.429"]'


def test_an_mmmu_picture_that_only_the_explanation_names_is_not_sent(record: MakeRecord) -> None:
    (draft,) = mmmu.parse(record({**MMMU, "question": "<image 1>", "options": "['a', 'b']"}))
    assert draft.pictures == (png("red"),)


def test_an_mmmu_row_whose_tag_has_no_picture_is_refused(record: MakeRecord) -> None:
    with pytest.raises(BadRowError, match="tags name picture 3, the row holds 1, 2"):
        mmmu.parse(record({**MMMU, "question": "<image 1> and <image 3>"}))


def test_seven_mmmu_pictures_named_in_reverse_order(record: MakeRecord) -> None:
    colours = ("red", "blue", "green", "black", "white", "yellow", "purple")
    images = {f"image_{i}": {"bytes": png(colour), "path": None} for i, colour in enumerate(colours, start=1)}
    question = " ".join(f"<image {i}>" for i in (7, 6, 5, 4, 3, 2, 1, 7))
    (draft,) = mmmu.parse(record({**MMMU, **images, "question": question, "options": "['a', 'b']"}))
    assert draft.pictures == tuple(png(colour) for colour in reversed(colours))
    assert draft.question.startswith("image 1 image 2 image 3 image 4 image 5 image 6 image 7 image 1\n")


@pytest.mark.parametrize("split", ["dev", "test"])
def test_an_mmmu_row_of_another_split_is_refused(record: MakeRecord, split: str) -> None:
    with pytest.raises(BadRowError, match=f"a row of split {split}, validation is needed"):
        mmmu.parse(record({**MMMU, "id": f"{split}_Art_Theory_7"}))


@pytest.mark.parametrize(
    "options", ["__import__('os').system('true')", "['a', b]", "[" * 9000, "{'a': 1}", "['a'"]
)
def test_mmmu_options_that_are_no_list_of_texts_are_refused_and_never_run(
    record: MakeRecord, options: str
) -> None:
    with pytest.raises(BadRowError, match="options"):
        mmmu.parse(record({**MMMU, "options": options}))
