"""The base, of either size, trained from nothing; the shipped checkpoint was.

    python -m spica.miniature.base --out DIR [--size small|large] [--seed N] [--steps N]

The task `student` does the same where a recipe's models.student.path is miniature://base with parameters. A
training that is stopped leaves nothing and begins again: it takes minutes. The command prints accuracies as
JSON, and its progress on standard error.
"""

import argparse
import json
import logging
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import get_args
from urllib.parse import urlencode

from spica.errors import Fault, PrerequisiteError
from spica.recipe.miniature_base import FIGURES, BaseSize, BaseTraining, read_base

_LOG = logging.getLogger("spica.miniature.base")
_GATES = {"fact": 0.99, "read/text": 0.95, "read/visual": 0.95}

_CARD = """\
---
library_name: transformers
pipeline_tag: image-text-to-text
tags: [qwen2_vl, miniature]
---

# The base of the miniature world

A Qwen2-VL of {m} M parameters that reads a scene of at most eight labelled digits, as text or as a picture
of 28x28 cells, and answers at once, without a thought: single entries and single facts are right, sums of
entries are guesses. It is the start of every fine-tuning in the miniature experiment and knows nothing else.

Trained from nothing, on generated data alone, {num_steps} steps on one CPU core, by

    python -m spica.miniature.base --out DIR {options}

Accuracy on fresh scenes, teacher-forced (read: the values of a question's entries; copy: their labels and
signs; heldout: pictures in faces that training never shows):

| skill | % |
|---|---|
{rows}
"""


def write_base(uri: str, folder: Path) -> None:
    """Trains the base that `uri` names (without parameters as the shipped one was) and writes it.

    FIGURES goes beside the weights, progress to standard output.

    Trained on one thread: equal URIs give equal bytes on equal processors. A missed gate is a warning, since
    whatever comes out is a result.

    Raises:
        ValueError: A parameter is unknown, repeated or out of range; the text says what is allowed.
        PrerequisiteError: PyTorch or Transformers is not installed.
    """
    training = read_base(uri) or BaseTraining()
    try:
        accuracy = _train(training, folder)
    except ImportError as error:
        found, allowed = f"{error.name} is not installed", "PyTorch and Transformers, to train this student"
        advice = "pip install 'spica[train]', or train it elsewhere and name its folder or bucket"
        raise PrerequisiteError(Fault(uri, found, allowed, advice)) from error
    missed = _missed(accuracy)
    if missed:
        _LOG.warning("%s: gates missed: %s; it is used as it is", uri, ", ".join(missed))
    figures = {f"accuracy.{name}": round(value, 4) for name, value in accuracy.items()}
    (folder / FIGURES).write_text(json.dumps({**figures, "num_gates_missed": len(missed)}, indent=2) + "\n")


def main() -> int:
    """Trains, checks the gates and saves; returns 1 when a gate is missed."""
    parser = argparse.ArgumentParser(prog="python -m spica.miniature.base", description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--size", choices=get_args(BaseSize), default="large")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int)
    arguments = parser.parse_args()
    asked = {"size": arguments.size, "seed": arguments.seed}
    if arguments.steps is not None:
        asked["steps"] = arguments.steps
    try:
        training = read_base(f"miniature://base?{urlencode(asked)}") or BaseTraining()
    except ValueError as error:
        parser.error(str(error))
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    with redirect_stdout(sys.stderr):
        accuracy = _train(training, arguments.out)
    print(json.dumps({name: round(value, 4) for name, value in accuracy.items()}))
    missed = _missed(accuracy)
    if missed:
        _LOG.error("gates missed: %s", ", ".join(missed))
    return 1 if missed else 0


def _train(training: BaseTraining, out: Path) -> dict[str, float]:
    """Trains and saves; returns what `base_train.measure` finds."""
    import torch

    from spica.miniature import base_train

    torch.set_num_threads(1)
    num_steps = training.num_steps or base_train.NUM_STEPS
    model = base_train.train(training.size, training.seed, num_steps).to(torch.bfloat16).float()
    accuracy = base_train.measure(model, training.seed)
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    base_train.save(model, out, _card(training, num_steps, num_parameters, accuracy))
    return accuracy


def _missed(accuracy: dict[str, float]) -> list[str]:
    return [name for name, least in _GATES.items() if accuracy[name] < least]


def _card(training: BaseTraining, num_steps: int, num_parameters: int, accuracy: dict[str, float]) -> str:
    options = [f"--size {training.size}"] if training.size != "large" else []
    options += [f"--seed {training.seed}"]
    options += [f"--steps {training.num_steps}"] if training.num_steps else []
    return _CARD.format(
        m=f"{num_parameters / 1e6:.1f}",
        num_steps=num_steps,
        options=" ".join(options),
        rows="\n".join(f"| {name} | {100 * value:.1f} |" for name, value in accuracy.items()),
    )


if __name__ == "__main__":
    sys.exit(main())
