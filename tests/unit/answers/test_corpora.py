"""`repaired` against the truth of the verdict corpora (tests/data/verdicts)."""

import json
from pathlib import Path

import pytest

from spica.answers.score import score
from spica.answers.types import Judged, ScoreRow

VERDICTS = Path(__file__).parents[2] / "data" / "verdicts"


@pytest.mark.parametrize("benchmark", ["mathvision", "mmmu", "olympiadbench"])
def test_repaired_is_right_where_the_official_verdict_is_and_where_it_is_not(benchmark: Judged) -> None:
    rows = [json.loads(line) for line in (VERDICTS / f"{benchmark}.jsonl").read_text().splitlines()]
    known = ScoreRow.model_fields
    scored = score(
        [ScoreRow.model_validate({k: v for k, v in row.items() if k in known}) for row in rows], benchmark
    )
    right = [found.correct == row["truth"] for row, found in zip(rows, scored, strict=True)]
    official = [row["official"] == row["truth"] for row in rows]
    good = [one for one, kept in zip(right, official, strict=True) if kept]
    bad = [one for one, kept in zip(right, official, strict=True) if not kept]
    false = [found.correct for row, found in zip(rows, scored, strict=True) if not row["truth"]]
    assert len(good) > 500 and len(bad) > 500 and len(false) > 400
    assert sum(good) / len(good) >= 0.995
    assert sum(bad) / len(bad) >= 0.95
    assert sum(false) / len(false) <= 0.005
