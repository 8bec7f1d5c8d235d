from pathlib import Path

from spica.report.lineage import draw, label, trace

from .report_example import artifacts, sha

CHAIN = artifacts(
    Path("nowhere"),
    {
        "held-out": ("prompts", {}, 1.0, 0),
        "distill-d_t": ("rollouts", {"prompts": "text"}, 1.0, 0),
        "sft-d_t": ("checkpoint", {"student": "student", "chat": "distill-d_t"}, 1.0, 0),
        "evaluate-d_t": ("scores", {"checkpoint": "sft-d_t", "held-out": "held-out"}, 1.0, 0),
    },
)
ORIGINS = trace({task: artifact.manifest for task, artifact in CHAIN.items()})


def test_inputs_are_named_after_the_task_whose_digest_they_carry() -> None:
    assert {origin.task: origin.inputs for origin in ORIGINS}["evaluate-d_t"] == (
        ("checkpoint", "sft-d_t"),
        ("held-out", "held-out"),
    )


def test_an_input_that_nobody_handed_over_is_known_by_its_digest() -> None:
    student = next(origin for origin in ORIGINS if origin.task == "student")
    assert (student.key, student.digest) == ("", sha("student"))


def test_what_is_made_comes_after_what_it_is_made_from() -> None:
    order = [origin.task for origin in ORIGINS]
    assert (
        order.index("prompts")
        < order.index("distill-d_t")
        < order.index("sft-d_t")
        < order.index("evaluate-d_t")
    )


def test_the_drawing_goes_from_left_to_right() -> None:
    at = {node.task: node for node in draw(ORIGINS).nodes}
    assert [
        round((at[task].x - 4) / 138) for task in ("prompts", "distill-d_t", "sft-d_t", "evaluate-d_t")
    ] == [
        0,
        1,
        2,
        3,
    ]


def test_no_two_boxes_lie_on_one_another() -> None:
    nodes = draw(ORIGINS).nodes
    assert len({(node.x, node.y) for node in nodes}) == len(nodes) == 6


def test_a_task_name_takes_two_lines() -> None:
    assert (label("sft-d_t+d_sd"), label("visual")) == (("sft", "d_t+d_sd"), ("visual", ""))
