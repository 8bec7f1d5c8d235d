"""Stage `report`: what was found, in figures (report.json) and as a page (report.html)."""

import json
import logging
from collections.abc import Mapping

from spica.artifacts.manifest import Artifact, Manifest
from spica.artifacts.workspace import Workspace
from spica.launch.contract import Launcher
from spica.recipe.schema import ARM_TASKS
from spica.recipe.slices import ReportSlice
from spica.report.cases import build_cases
from spica.report.document import compute, document
from spica.report.outcomes import read_outcomes
from spica.report.page import render

_log = logging.getLogger("spica.report")


def run(slice: ReportSlice, inputs: Mapping[str, Artifact], out: Workspace, launcher: Launcher) -> Manifest:
    """Write report.json and report.html.

    Args:
        slice: recipe name, gates, headline repetition penalty.
        inputs: artifacts by task; `held-out` and `evaluate-ARM` of all arms must be there, of the
            others whatever is there is reported.
        out: receives the two files.
        launcher: unused, nothing heavy runs here.

    Raises:
        DataError: scores and questions do not match.
    """
    held_out = inputs["held-out"].path
    scores = {arm: inputs[f"evaluate-{ARM_TASKS[arm]}"].path for arm in slice.arms}
    outcomes = read_outcomes(held_out, scores, slice.headline_repetition_penalty)
    manifests = {task: artifact.manifest for task, artifact in inputs.items()}
    figures = compute(slice, outcomes, inputs)
    cases = build_cases(outcomes, held_out, scores)
    content = json.dumps(document(slice, figures, manifests), indent=1, ensure_ascii=False, allow_nan=False)
    (out.path / "report.json").write_text(content + "\n", encoding="utf-8")
    page = render(slice, figures, cases, manifests)
    (out.path / "report.html").write_text(page, encoding="utf-8")
    print(f"report: {figures.headline.text}", flush=True)
    failed = [result for result in figures.gates if not result.passed]
    for result in failed:
        _log.warning("gate %s failed: %s", result.gate.name, result.reason)
    return out.publish(
        "report",
        {
            "best_model": figures.best_model,
            "num_gates": len(figures.gates),
            "num_gates_failed": len(failed),
            "num_cases": len(cases),
        },
    )
