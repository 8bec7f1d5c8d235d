"""The client of a training, a process that tests kill: STORE NUM_EPOCHS STUDENT_REFERENCE CHAT_REFERENCE."""

import sys
from pathlib import Path

from spica.recipe.load import load_recipe
from spica.recipe.plan import plan
from spica.recipe.slices import Place
from spica.task import run_task


class File:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.metadata: dict[str, object] = {}


def slice_json(profile: str, num_epochs: int) -> str:
    """The miniature's D_T training, small enough to be watched."""
    slice = plan(load_recipe("miniature", profile))["sft-d_t"]
    fields = slice.model_dump(mode="json")
    fields["sft"] |= {"batch_size": 8, "epochs": num_epochs}
    return type(slice).model_validate(fields).model_dump_json()


if __name__ == "__main__":
    store, num_epochs, student, chat, output = sys.argv[1:]
    kubernetes = load_recipe("miniature", "cluster2").scale.kubernetes
    place = Place(store=store, launcher="kubernetes", kubernetes=kubernetes, run=Path(output).stem)
    inputs = {"student": File(Path(student)), "chat": File(Path(chat))}
    run_task(
        "sft-d_t",
        "spica.sft.run",
        slice_json("cluster2", int(num_epochs)),
        place.model_dump_json(),
        inputs,
        File(Path(output)),
    )
