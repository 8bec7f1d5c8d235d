"""What a recipe compares (table 2), and which tasks that takes."""

from collections.abc import Collection
from typing import Literal

M0 = "M0"
"""Reserved name of a teacher: the student tuned on D_T."""
Arm = Literal["base", "control", "D_T", "D_SD", "D_T+D_SD", "D_QVQ", "D_T+D_QVQ"]
"""What is compared (table 2). The visual arms are called D_SD where M0 wrote their thoughts, else D_QVQ."""
ARM_TASKS: dict[Arm, str] = {
    "base": "base",
    "control": "control",
    "D_T": "d_t",
    "D_SD": "d_sd",
    "D_T+D_SD": "d_t+d_sd",
    "D_QVQ": "d_sd",
    "D_T+D_QVQ": "d_t+d_sd",
}
"""How the tasks of an arm are called: the pipeline is one and the same whoever is the visual teacher."""


def compared_arms(visual_teacher: str) -> tuple[Arm, ...]:
    """What a recipe can compare, in the order of table 2."""
    if visual_teacher == M0:
        return "base", "control", "D_T", "D_SD", "D_T+D_SD"
    return "base", "control", "D_T", "D_QVQ", "D_T+D_QVQ"


def comparison(arms: Collection[Arm]) -> str:
    """What a pipeline compares, in one line: whoever the visual teacher is, and in whatever order."""
    return " ".join(dict.fromkeys(ARM_TASKS[arm] for arm in ARM_TASKS if arm in arms))


def checkpoint_task(arm: Arm) -> str:
    """The task that makes an arm's checkpoint."""
    return "student" if arm == "base" else f"sft-{ARM_TASKS[arm]}"


def needed_tasks(arms: Collection[Arm]) -> tuple[str, ...]:
    """The tasks that a comparison takes, in the order in which data flows.

    The visual rollouts wait for M0 whoever writes them: one graph for D_SD and D_QVQ.
    """
    asked = {ARM_TASKS[arm] for arm in arms}
    visual = asked & {"d_sd", "d_t+d_sd"}
    tuned = asked & {"d_t", "d_sd", "d_t+d_sd"}
    needed = {
        "student": True,
        "text": asked != {"base"},
        "visual": visual,
        "held-out": True,
        "distill-d_t": asked != {"base"},
        "dataset-d_t": tuned,
        "dataset-control": "control" in asked,
        "sft-d_t": tuned,
        "sft-control": "control" in asked,
        "distill-d_sd": visual,
        "dataset-d_sd": visual,
        "sft-d_sd": "d_sd" in asked,
        "sft-d_t+d_sd": "d_t+d_sd" in asked,
        **{f"evaluate-{name}": name in asked for name in dict.fromkeys(ARM_TASKS.values())},
        "report": True,
        "serve": True,
    }
    return tuple(task for task, is_needed in needed.items() if is_needed)
