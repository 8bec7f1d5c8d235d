from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spica.answers.judging import (
    MAX_TRIES,
    extract_answer,
    extraction_prompt,
    read_judgement,
    same_answer,
)
from spica.answers.published import mathverse
from spica.answers.types import ScoreRow
from spica.artifacts.journal import Journal
from spica.artifacts.rows import read_jsonl
from spica.errors import EndpointError, PrerequisiteError
from spica.evaluate.agreement import GOLDEN, Golden, agreement, cohens_kappa
from spica.evaluate.judge import Judge, Reply
from spica.recipe.schema import Endpoint
from spica.recipe.slices import RequestScale

from .judge_peer import Peer, by_rule, judge_peer

REQUESTS = RequestScale(concurrency=4, request_timeout_s=10.0, max_attempts=1)
QUESTION = "How large is x? ()\nChoices:\nA:40°\nB:60°"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "judgements.jsonl") as opened:
        yield opened


def judge_at(peer: Peer, journal: Journal) -> Judge:
    return Judge(Endpoint(url=peer.url, model="judge"), REQUESTS, journal)


def test_the_answer_is_extracted_from_the_last_thirty_words(journal: Journal) -> None:
    with judge_peer() as peer:
        judge = judge_at(peer, journal)
        assert extract_answer(judge, "word " * 500 + "so it is \\boxed{60}") == "60"
        assert extract_answer(judge, "\\boxed{60} " + "word " * 500) == "null"
    (body, _) = peer.bodies
    assert (body["temperature"], body["max_tokens"]) == (0.0, 256)
    assert str(body["messages"]).count("Extracted answer:") == 7


def test_both_answers_are_compared_by_the_judge(journal: Journal) -> None:
    with judge_peer() as peer:
        judge = judge_at(peer, journal)
        assert same_answer(judge, QUESTION, "B", "60°") is True
        assert same_answer(judge, QUESTION, "B", "40°") is False
    assert judge.num_calls == 2
    assert str(peer.bodies[0]["messages"]).count("Judgement: ") == 6


def test_braces_in_an_answer_are_text(journal: Journal) -> None:
    with judge_peer() as peer:
        assert same_answer(judge_at(peer, journal), "{gold}", "{extraction}", "{extraction}") is True


@pytest.mark.parametrize(
    "reply",
    ["They are consistent.", "", "0 or 1", "Judgement: 1\nJudgement: 0", "10", "1 because they agree", "2"],
)
def test_prose_nothing_and_contradictions_leave_a_row_unjudged_after_bounded_tries(
    journal: Journal, reply: str
) -> None:
    with judge_peer(lambda _: reply) as peer:
        judge = judge_at(peer, journal)
        assert same_answer(judge, QUESTION, "B", "60°") is None
    assert 2 <= len(peer.bodies) <= MAX_TRIES
    assert judge.num_calls == len(peer.bodies)


def test_a_judge_that_comes_to_its_senses_is_heard(journal: Journal) -> None:
    def after_prose(prompt: str) -> str:
        return "1" if "must be 0 or 1" in prompt else "I think so."

    with judge_peer(after_prose) as peer:
        assert same_answer(judge_at(peer, journal), QUESTION, "B", "60°") is True


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("1", True),
        ("0", False),
        (" 1.\n", True),
        ("Judgement: 0", False),
        ("**1**", True),
        ("[Judgement]: 1", True),
    ],
)
def test_a_judgement_may_wear_its_label(reply: str, verdict: bool) -> None:
    assert read_judgement(reply) is verdict


def test_a_judge_that_says_nothing_extracts_nothing(journal: Journal) -> None:
    with judge_peer(lambda _: "") as peer:
        assert extract_answer(judge_at(peer, journal), "so \\boxed{60}") is None


def test_a_repeated_label_is_taken_off_an_extraction(journal: Journal) -> None:
    with judge_peer(lambda _: "Extracted Answer: (3, -5)") as peer:
        assert extract_answer(judge_at(peer, journal), "they meet at (3, -5)") == "(3, -5)"


def test_a_prompt_that_the_endpoint_refuses_leaves_its_row_unjudged(journal: Journal) -> None:
    def refuse(prompt: str) -> str:
        raise ValueError

    with judge_peer(refuse) as peer:
        assert same_answer(judge_at(peer, journal), QUESTION, "B", "60°") is None


def test_replies_are_paid_for_once_also_after_a_restart(tmp_path: Path) -> None:
    with judge_peer() as peer:
        for _ in range(2):
            with Journal(tmp_path / "judgements.jsonl") as journal:
                judge = judge_at(peer, journal)
                assert same_answer(judge, QUESTION, "B", "60°") is True
                assert judge.num_calls == 1
    assert len(peer.bodies) == 1


def test_another_model_or_endpoint_is_asked_itself(tmp_path: Path) -> None:
    with Journal(tmp_path / "judgements.jsonl") as journal, judge_peer() as peer, judge_peer() as other:
        for url, model in [(peer.url, "judge"), (peer.url, "better"), (other.url, "judge")]:
            judge = Judge(Endpoint(url=url, model=model), REQUESTS, journal)
            assert same_answer(judge, QUESTION, "B", "60°") is True
            assert judge.num_calls == 1
    assert (len(peer.bodies), len(other.bodies)) == (2, 1)


def test_an_empty_reply_is_asked_for_anew_and_not_kept(tmp_path: Path) -> None:
    replies = ["", "so x is 60", "", "1"]
    with judge_peer(lambda _: replies.pop(0)) as peer, Journal(tmp_path / "judgements.jsonl") as journal:
        row = ScoreRow(id="1", response="60", gold="60")
        scored = mathverse.official([row], judge_at(peer, journal))[0]
        assert (scored.correct, scored.extracted, len(peer.bodies)) == (True, "so x is 60", 4)
        assert [row.reply for row in journal.rows(Reply)] == ["so x is 60", "1"]


def test_each_worked_example_ends_in_a_line_of_its_own() -> None:
    lines = extraction_prompt("x").splitlines()
    assert sum(line.startswith("Response: '") and line.endswith("'") for line in lines) == 7
    assert sum(line.startswith("Extracted answer:") for line in lines) == 7


def test_a_judge_that_is_not_there_is_an_endpoint_error(journal: Journal) -> None:
    with judge_peer() as peer:
        judge = judge_at(peer, journal)
    with pytest.raises(EndpointError):
        same_answer(judge, QUESTION, "B", "60°")


def test_a_key_that_is_not_set_is_told_by_its_name(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUDGE_API_KEY", raising=False)
    with pytest.raises(PrerequisiteError, match="JUDGE_API_KEY"):
        Judge(Endpoint(url="http://localhost/v1", model="m", api_key_env="JUDGE_API_KEY"), REQUESTS, journal)


def test_the_golden_set_is_large_balanced_and_without_repeats() -> None:
    golden = read_jsonl(GOLDEN, Golden)
    assert len(golden) >= 60
    assert 0.4 < sum(row.agree for row in golden) / len(golden) < 0.6
    assert len({(row.question, row.gold, row.extraction) for row in golden}) == len(golden)


@pytest.mark.parametrize(
    ("reply", "kappa"),
    [(lambda prompt: "1", 0.0), (lambda prompt: "as you like", None)],
    ids=["a yes-man", "no verdict"],
)
def test_a_judge_without_judgement_has_no_kappa_worth_the_name(
    journal: Journal, reply: Callable[[str], str], kappa: float | None
) -> None:
    with judge_peer(reply) as peer:
        found = agreement(judge_at(peer, journal), concurrency=4)
    assert found.kappa == kappa
    assert found.num_unjudged == (found.num if kappa is None else 0)


def test_a_judge_that_compares_texts_agrees_more_than_chance_would(journal: Journal) -> None:
    with judge_peer(by_rule) as peer:
        found = agreement(judge_at(peer, journal), concurrency=4)
    assert found.kappa is not None and 0.2 < found.kappa < 1


def test_cohens_kappa_of_a_published_table() -> None:
    # J. Cohen (1960) as in J. L. Fleiss: 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no give 0.4.
    pairs = [(True, True)] * 20 + [(True, False)] * 5 + [(False, True)] * 10 + [(False, False)] * 15
    assert cohens_kappa(pairs) == pytest.approx(0.4)


def test_kappa_of_nothing_is_not_defined() -> None:
    assert cohens_kappa([]) is None
    assert cohens_kappa([(True, True)]) is None
