"""The miniature's benchmarks go through the same loaders, prompts and scorers as the official files."""

from pathlib import Path

import pytest

from spica.artifacts.resolve import materialize
from spica.evaluate import tasks
from spica.evaluate.items import Item
from spica.evaluate.prompts import messages
from spica.recipe.schema import Prompt, Source
from spica.sources.read import read_source

PROMPT = Prompt(system="s", prefix="Think first.")


@pytest.mark.parametrize("benchmark", ["mathverse", "mathvision", "olympiadbench", "mmmu"])
@pytest.mark.parametrize("choices", [0, 1])
def test_every_row_has_an_official_prompt_and_all_that_scorers_need(
    benchmark: str, choices: int, tmp_path: Path
) -> None:
    uri = f"miniature://{benchmark}?seed=3&num=28&choices={choices}"
    source = Source.model_validate({"name": benchmark, "uri": uri, "format": benchmark, "num_rows": 28})
    reading = read_source(source, materialize(uri, tmp_path / "source"), tmp_path, seed=1)
    assert (len(reading.rows), reading.refused, reading.unparsed) == (28, [], [])
    for row in reading.rows:
        item = Item(row, tmp_path, benchmark)
        official = messages(PROMPT, "prefix+official", item)[-1]["content"]
        text = official if isinstance(official, str) else " ".join(part.get("text", "") for part in official)
        assert "Think first.\n" in text and "=?" in text
        assert official if not row.images else any(part["type"] == "image_url" for part in official)
        scored = tasks.score_row(benchmark, row, "\\boxed{1}")
        assert scored.gold and scored.options == row.gold.options
        assert len(tasks.groups(benchmark, row)) >= 3
