import pytest

from spica.sources.wording import (
    PREFIX,
    split_choices,
    strip_instructions,
    strip_prefix,
    take_tags,
    with_choices,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<image>\nc+h=?", ("c+h=?", [""])),
        ("How many?\n<image1>", ("How many?", ["1"])),
        ("<image 1> Baxter Company has", ("Baxter Company has", ["1"])),
        ("the ant <image1> walks <image2> on", ("the ant walks on", ["1", "2"])),
        ("see <img_4082>.\n\nThen", ("see .\n\nThen", ["4082"])),
        ("a < b > c <b>", ("a < b > c <b>", [])),
    ],
)
def test_picture_tags_are_taken_out(text: str, expected: tuple[str, list[str]]) -> None:
    assert take_tags(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Hint: Please answer the question and provide the final answer at the end.\nQuestion: How many?",
        "First perform reasoning, then finally select the question from the choices in the following format: "
        "Answer: xxx.\nQuestion: How many?",
        "Please solve the mathemtical problem and select the corret answer.\nQuestion:How many?",
        "Question: How many?",
        "Hint: Look closely.\nHow many?",
        "How many?\nAnswer the question using a single word or phrase.",
        "How many?\nGive a very brief answer.",
        "How many?\nProvide a short and direct response.",
        "How many?\nConcise answer only.",
        "How many?\nYour answer should be very brief.",
        "How many?\nAnswer briefly.",
        "How many?\nKeep it short and to the point.",
        "How many?\nYour answer should be compact.",
        "How many?\nAnswer with the option's letter from the given choices directly.",
        "First perform reasoning, then finally answer the question requiring an integer answer and "
        "provide the final value, e.g., 1, 2, 3, at the end in the following format: Answer: xxx.\n"
        "Question: How many?",
        "Hint: Please answer the question requiring an integer answer and provide the final value, e.g., "
        "1, 2, 3, at the end.\nQuestion: How many?",
        "Based on the image, directly select the correct answer for the following question:\nHow many?",
        "How many?",
    ],
)
def test_hints_lead_ins_and_suffixes_are_taken_off(text: str) -> None:
    assert strip_instructions(text) == "How many?"


@pytest.mark.parametrize(
    "text",
    [
        "Give the shortest path.",
        "A train leaves.\nWhich word is written on it?",
        "The sign reads\nQuestion: nothing",
        "F4G9\nc+h=?",
        "According to the figure, what is x?\nRound it.",
    ],
)
def test_questions_that_only_look_like_instructions_stay_whole(text: str) -> None:
    assert strip_instructions(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Angle CED?\nChoices:\n(A) 40°\n(B) 60°\n(C) 120°",
        "Angle CED?\nChoices:\nA:40°\nB:60°\nC:120°",
        "Angle CED?\nChoices:\nA. 40°\nB. 60°\nC. 120°",
        "Angle CED?\nChoices: (A) 40° (B) 60° (C) 120°",
        "Angle CED?\nChoice:\n(A) 40°\n(B) 60°\n(C)\n120°\n",
        "Angle CED?\n(A) 40°\n(B) 60°\n(C) 120°",
    ],
)
def test_every_way_of_writing_options_is_split(text: str) -> None:
    assert split_choices(text) == ("Angle CED?", ("40°", "60°", "120°"))


def test_an_option_that_names_another_letter_is_not_cut_there() -> None:
    text = "Which?\nChoices:\n(A) angle (C)\n(B) the side of (A) and (B)"
    assert split_choices(text) == ("Which?", ("angle (C)", "the side of (A) and (B)"))


@pytest.mark.parametrize("text", ["Points\nB. and C. lie", "Is (A) right?", "Steps\nA. only one"])
def test_letters_that_do_not_run_from_a_are_no_options(text: str) -> None:
    assert split_choices(text) == (text, ())


def test_options_are_written_in_the_one_form() -> None:
    assert with_choices("c+h=?", ("3", "7")) == "c+h=?\nChoices:\n(A) 3\n(B) 7"


def test_options_that_are_just_their_letters_add_no_lines() -> None:
    assert with_choices("Which picture?", ("A", "B", "C", "D", "E")) == "Which picture?"


def test_letters_in_the_middle_of_a_sentence_are_no_options() -> None:
    text = "Let (A) be x and (B) be y. Find c+h."
    assert split_choices(text) == (text, ())


def test_the_authors_prefix_is_taken_off_and_a_question_about_thinking_is_not() -> None:
    assert strip_prefix(f"{PREFIX}\nc+h=?") == "c+h=?"
    assert strip_prefix("Please first think deeply.\nc+h=?") == "Please first think deeply.\nc+h=?"
