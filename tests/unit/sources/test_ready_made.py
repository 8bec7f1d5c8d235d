"""Sets whose responses are there already: LLaMA-Factory's sharegpt layout and long_form_thought_data_5k."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spica.artifacts.responses import read_responses
from spica.artifacts.types import Gold, Quarantined
from spica.recipe.schema import Source
from spica.sources import long_form_thought, sharegpt
from spica.sources.draft import BadRowError, Record
from spica.sources.read import read_source
from spica.sources.wording import PREFIX

MakeRecord = Callable[..., Record]

THOUGHT = (
    "<|begin_of_thought|>\n\n9?\n\n<|end_of_thought|>\n\n"
    "<|begin_of_solution|>\n\n\\boxed{9}\n\n<|end_of_solution|>"
)


def chat(question: str, response: str = THOUGHT, **more: object) -> dict[str, Any]:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": response}]
    return {"id": "12", "messages": turns, **more}


def test_a_sharegpt_row_keeps_its_response_and_loses_the_prefix(record: MakeRecord) -> None:
    (draft,) = sharegpt.parse(record(chat(f"{PREFIX}\nWhat is $3^2$?", domain="math", teacher="r1-lite")))
    assert (draft.id, draft.question, draft.gold) == (
        "12",
        "What is $3^2$?",
        Gold(kind="number", value="9"),
    )
    assert (draft.response, draft.teacher, draft.meta) == (THOUGHT, "r1-lite", {"domain": "math"})


def test_a_system_message_and_the_other_names_of_turns_are_read(record: MakeRecord) -> None:
    turns = [
        {"from": "system", "value": "You are a helpful assistant."},
        {"from": "human", "value": "What is $3^2$?"},
        {"from": "gpt", "value": THOUGHT},
    ]
    (draft,) = sharegpt.parse(record({"conversations": turns}))
    assert (draft.id, draft.question) == ("1", "What is $3^2$?")


def test_the_words_of_the_question_stay_as_they_were_when_it_was_answered(record: MakeRecord) -> None:
    question = "Which?\nA. nine\nB. ten"
    (draft,) = sharegpt.parse(record(chat(question, THOUGHT.replace("boxed{9}", "boxed{A}"))))
    assert draft.question == question
    assert draft.gold == Gold(kind="letter", value="A", options=("nine", "ten"))


def test_a_sharegpt_row_with_a_picture(record: MakeRecord) -> None:
    made = record(chat(f"<image>{PREFIX}\nHow many?", images=["images/1.png"]), ("images/1.png",))
    (draft,) = sharegpt.parse(made)
    assert (draft.question, draft.modality) == ("How many?", "visual")
    assert draft.pictures == ((made.root / "images/1.png").resolve(),)
    with pytest.raises(BadRowError, match="1 picture tags for 0 pictures"):
        sharegpt.parse(record(chat("<image>How many?")))


@pytest.mark.parametrize(
    "messages",
    [
        None,
        [],
        ["text"],
        [{"role": "user", "content": "c=?"}],
        [{"role": "tool", "content": "c=?"}],
        [{"role": "user", "content": "c=?"}, {"role": "assistant", "content": "7"}] * 2,
    ],
)
def test_other_turns_than_one_question_and_one_response_are_refused(
    record: MakeRecord, messages: object
) -> None:
    with pytest.raises(BadRowError, match="messages"):
        sharegpt.parse(record({"messages": messages}))


def test_an_empty_question_or_response_is_refused(record: MakeRecord) -> None:
    for row in (chat(PREFIX), chat("c=?", " ")):
        with pytest.raises(BadRowError, match="it is empty"):
            sharegpt.parse(record(row))


def test_a_row_of_the_long_thought_set(record: MakeRecord) -> None:
    row = {"question": "What is $3^2$?", "combined_text": THOUGHT, "domain": "math"}
    (draft,) = long_form_thought.parse(record(row))
    assert (draft.id, draft.question, draft.response) == ("1", "What is $3^2$?", THOUGHT)
    assert (draft.gold, draft.meta) == (Gold(kind="number", value="9"), {"domain": "math"})


def test_a_row_without_a_box_is_kept_and_listed(tmp_path: Path) -> None:
    code = THOUGHT.replace("\\boxed{9}", "print(9)")
    rows = [
        {"question": f"What is {i}?", "combined_text": text, "domain": domain}
        for i, (text, domain) in enumerate([(THOUGHT, "math"), (code, "code")])
    ]
    (tmp_path / "in").mkdir()
    (tmp_path / "in/train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = Source.model_validate(
        {"name": "dt", "uri": str(tmp_path / "in"), "format": "long_form_thought", "teacher": "r1-lite"}
    )
    read = read_source(source, tmp_path / "in", tmp_path, seed=0)
    assert [row.id for row in read.rows] == ["dt-1", "dt-2"]
    assert [(one.id, one.teacher) for one in read.responses] == [("dt-1", "r1-lite"), ("dt-2", "r1-lite")]
    assert read.unparsed == [
        Quarantined(
            file="dt/train.jsonl", line=2, reason="dt-2: no answer in the row, no box in its response"
        )
    ]
    assert read.rows[0].origin == "RUC-AIBOX/long_form_thought_data_5k"
    assert read.rows[0].license == "Apache-2.0"


def test_prompts_without_responses_have_none(tmp_path: Path) -> None:
    assert read_responses(tmp_path) == {}
