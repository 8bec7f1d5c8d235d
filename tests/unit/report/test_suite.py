"""What report.json says of how its models were asked."""

import json
from pathlib import Path

from spica.report.run import run

from .report_example import SLICE, make_inputs, workspace


def test_a_report_states_prompts_split_sampling_limit_and_judge(tmp_path: Path) -> None:
    out = workspace(tmp_path / "report")
    inputs = make_inputs(tmp_path / "inputs", 28)
    slice = {"student": {"path": "sha256:0", "min_pixels": 3136, "max_pixels": 200704}}
    inputs["student"].manifest = inputs["student"].manifest.model_copy(update={"slice": slice})
    run(SLICE, inputs, out, None)  # type: ignore[arg-type]  # a report starts nothing

    assert json.loads((out.path / "report.json").read_text())["suite"] == {
        "system": "You are a helpful assistant.",
        "prefix": "Think.",
        "prompts": {"base": "prefix", "tuned": "prefix"},
        "temperature": 0.0,
        "top_p": 1.0,
        "repetition_penalty": 1.0,
        "max_tokens": 160,
        "max_pixels": 200704,
        "num_rows": {"mathverse": 28, "mathvision": 28, "olympiadbench": 28, "mmmu": 28},
        "judge": None,
    }
