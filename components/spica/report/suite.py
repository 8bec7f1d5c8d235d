"""How a run's models were asked, as report.json states it beside the answers."""

from collections.abc import Mapping
from typing import Any

from spica.answers.proportion import Proportion
from spica.artifacts.manifest import Manifest
from spica.recipe.schema import ARM_TASKS
from spica.recipe.slices import ReportSlice


def suite(
    slice: ReportSlice, base: Mapping[str, Proportion], manifests: Mapping[str, Manifest]
) -> dict[str, Any]:
    """Prompts, split, sampling and limit of the evaluation, out of the slice that its tasks ran under.

    Args:
        slice: names the arms, which share one evaluation, and the headline's repetition penalty.
        base: the base's accuracy by benchmark, whose items all arms answered.
        manifests: of the evaluate tasks, and of the student, who states the size of pictures for all arms.
    """
    ran = manifests[f"evaluate-{ARM_TASKS[slice.arms[0]]}"].slice
    prompt, evaluate = ran["prompt"], ran["evaluate"]
    student = manifests["student"].slice.get("student", {}) if "student" in manifests else {}
    return {
        "system": prompt["system"],
        "prefix": prompt["prefix"],
        "prompts": evaluate["prompts"],
        "temperature": evaluate["temperature"],
        "top_p": evaluate["top_p"],
        "repetition_penalty": slice.headline_repetition_penalty,
        "max_tokens": evaluate["max_tokens"],
        "max_pixels": student.get("max_pixels"),
        "num_rows": {name: cell.n for name, cell in base.items()},
        "judge": evaluate["judge"] and evaluate["judge"]["model"],
    }
