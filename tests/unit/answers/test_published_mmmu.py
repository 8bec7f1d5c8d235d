"""MMMU's published program, its random fallback included."""

import json
import time
from pathlib import Path

import pytest

from spica.answers.published import mmmu
from spica.answers.types import ScoreRow

CORPUS = Path(__file__).parents[2] / "data" / "verdicts" / "mmmu.jsonl"


def pairs() -> list[dict[str, object]]:
    return [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]


def rows(made: list[dict[str, object]]) -> list[ScoreRow]:
    return [
        ScoreRow.model_validate({key: pair[key] for key in ScoreRow.model_fields if key in pair})
        for pair in made
    ]


def choice(response: str, gold: str = "B") -> ScoreRow:
    return ScoreRow(id="1", response=response, gold=gold, options=("lead white", "azurite", "umber", "ochre"))


def is_right(response: str, *golds: str) -> bool:
    return mmmu.official([ScoreRow(id="1", response=response, gold=golds)])[0].correct


def test_official_gives_the_verdict_of_the_published_program_on_every_pair() -> None:
    made = pairs()
    differing = [
        pair["id"]
        for pair, scored in zip(made, mmmu.official(rows(made)), strict=True)
        if scored.correct != pair["official"]
        or (scored.method == "random") != pair["drawn"]
        or pair["parsed"] not in (None, scored.extracted)
    ]
    assert len(made) >= 1200
    assert differing == []


def test_what_is_drawn_depends_on_the_rows_before() -> None:
    vague, clear = choice("B. azurite"), choice("(C)")
    drawn = [scored.extracted for scored in mmmu.official([vague, clear, vague, vague, vague])]
    assert drawn == ["A", "C", "A", "C", "B"]  # Random(42) draws A, A, C, B of four.


def test_every_call_begins_with_the_seed() -> None:
    assert mmmu.official(rows(pairs())) == mmmu.official(rows(pairs()))


def test_a_bracketed_letter_counts_before_one_between_spaces() -> None:
    assert mmmu.official([choice("A is near, but it is (B)")])[0].correct


def test_the_last_letter_named_counts_even_if_it_is_named_as_wrong() -> None:
    assert mmmu.official([choice("(B) is right; (A) is wrong")])[0].extracted == "A"


def test_a_letter_with_a_full_stop_is_not_found_and_one_is_drawn() -> None:
    scored = mmmu.official([choice("B. azurite")])[0]
    assert (scored.method, scored.extracted) == ("random", "A")  # Random(42) draws index 0 of four.


def test_five_words_are_too_few_to_look_for_the_text_of_an_option() -> None:
    assert mmmu.official([choice("it must be the azurite")])[0].method == "random"
    assert mmmu.official([choice("it must be the azurite then")])[0].extracted == "B"


def test_any_number_after_a_key_word_is_enough() -> None:
    assert is_right("It is between 10 and 20", "20")


def test_both_sides_are_rounded_to_two_decimals() -> None:
    assert is_right("0.29", "0.286")


def test_a_fraction_is_not_its_decimal() -> None:
    assert not is_right("The answer is 0.015625", "1/64")


def test_the_leading_point_of_a_response_is_lost() -> None:
    assert not is_right(".1", "0.1")


@pytest.mark.parametrize(
    "hostile", ["1" * 1_000_000, "1," * 200_000, "1e" * 200_000, "is " * 300_000, "(" * 1_000_000]
)
def test_a_response_of_a_million_characters_does_not_hang(hostile: str) -> None:
    started = time.process_time()
    mmmu.official([ScoreRow(id="1", response=hostile, gold="7"), choice(hostile)])
    assert time.process_time() - started < 30
