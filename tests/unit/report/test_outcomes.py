from pathlib import Path

import pytest

from spica.artifacts.rows import write_jsonl
from spica.artifacts.types import Score
from spica.errors import DataError
from spica.report.outcomes import read_outcomes

from .report_rows import item


def _score(id: str, source: str = "mathverse", penalty: float = 1.0) -> Score:
    return Score(
        id=id,
        source=source,
        arm="base",
        repetition_penalty=penalty,
        response="\\boxed{7}",
        extracted="7",
        correct=True,
        finish_reason="stop",
        num_tokens=4,
        num_thought_tokens=0,
    )


def _folders(root: Path, scores: list[Score]) -> tuple[Path, Path]:
    write_jsonl(root / "held-out" / "prompts.jsonl", [item("a"), item("b")])
    write_jsonl(root / "held-out" / "dev.jsonl", [item("c", "dev")])
    write_jsonl(root / "scores" / "scores.jsonl", scores)
    return root / "held-out", root / "scores"


WHOLE = [_score("b"), _score("a"), _score("c", "dev")]


@pytest.fixture(autouse=True)
def _made(tmp_path: Path) -> None:
    for name in ("held-out", "scores"):
        (tmp_path / name).mkdir()


def _read(root: Path, scores: list[Score]) -> object:
    held_out, folder = _folders(root, scores)
    return read_outcomes(held_out, {"base": folder}, 1.0)


def test_scores_are_joined_by_id_whatever_their_order(tmp_path: Path) -> None:
    held_out, folder = _folders(tmp_path, WHOLE)
    joined = read_outcomes(held_out, {"base": folder}, 1.0)
    assert list(joined.benchmarks) == ["a", "b"]
    assert set(joined.headline("base")) == {"a", "b"}
    assert set(joined.headline_dev("base")) == {"c"}


def test_a_question_without_score_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"evaluate-base: benchmarks.*\n.*no score: 'b'"):
        _read(tmp_path, [_score("a"), _score("c", "dev")])


def test_a_score_without_question_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a score without question: 'z'"):
        _read(tmp_path, [*WHOLE, _score("z")])


def test_a_doubled_score_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="two scores of 'a'"):
        _read(tmp_path, [*WHOLE, _score("a")])


def test_a_headline_penalty_that_was_not_run_is_told_with_those_that_were(tmp_path: Path) -> None:
    scores = [row.model_copy(update={"repetition_penalty": 1.05}) for row in WHOLE]
    with pytest.raises(DataError, match=r"repetition penalties 1\.05\n.*1\.0 among them"):
        _read(tmp_path, scores)


def test_a_malformed_line_is_named_by_file_and_number(tmp_path: Path) -> None:
    held_out, folder = _folders(tmp_path, WHOLE)
    with (folder / "scores.jsonl").open("a") as file:
        file.write('{"id": 3}\n')
    with pytest.raises(DataError, match=r"scores\.jsonl:4"):
        read_outcomes(held_out, {"base": folder}, 1.0)
