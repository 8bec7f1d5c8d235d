"""KFP faces of sft: always the original base, trained on one dataset or on the union of two."""

from kfp import dsl

from spica.images import image


@dsl.component(base_image=image("control"), install_kfp_package=False)
def sft(
    task: str,
    slice: str,
    place: str,
    student: dsl.Input[dsl.Model],
    chat: dsl.Input[dsl.Dataset],
    checkpoint: dsl.Output[dsl.Model],
) -> None:
    """Train the student on one dataset."""
    from spica.task import run_task

    run_task(task, "spica.sft.run", slice, place, {"student": student, "chat": chat}, checkpoint)


@dsl.component(base_image=image("control"), install_kfp_package=False)
def sft_union(
    task: str,
    slice: str,
    place: str,
    student: dsl.Input[dsl.Model],
    chat: dsl.Input[dsl.Dataset],
    more: dsl.Input[dsl.Dataset],
    checkpoint: dsl.Output[dsl.Model],
) -> None:
    """Train the student on two datasets, concatenated and shuffled."""
    from spica.task import run_task

    run_task(
        task, "spica.sft.run", slice, place, {"student": student, "chat": chat, "more": more}, checkpoint
    )
