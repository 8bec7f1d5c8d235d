"""Every answer is hostile: it is judged in time, in little memory, and wrong."""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from hostile_answers import GOLDS, hostile_answers

from spica.answers.score import score
from spica.answers.types import ScoreRow

sys.path.pop(0)


def test_none_of_five_hundred_hostile_answers_hangs_or_is_accepted() -> None:
    answers = hostile_answers()
    assert len(answers) >= 500
    rows = [
        ScoreRow(id=str(number), response=f"\\boxed{{{answer}}}", gold=GOLDS[number % len(GOLDS)])
        for number, answer in enumerate(answers)
    ]
    started = time.process_time()
    scored = score(rows, "math")
    assert [row.extracted for row in scored if row.correct] == []
    assert time.process_time() - started < 30.0
    assert not os.path.exists("/tmp/pwned")
