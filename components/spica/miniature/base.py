"""The shipped base checkpoint, and the command that trains it again from nothing.

python -m spica.miniature.base --out DIR [--seed N]
"""

import argparse
import json
import logging
import sys
from pathlib import Path

_GATES = {"fact": 0.99, "read/text": 0.95, "read/visual": 0.95}

_CARD = """\
---
library_name: transformers
pipeline_tag: image-text-to-text
tags: [qwen2_vl, miniature]
---

# The base of the miniature world

A Qwen2-VL of 1.1 M parameters that reads a scene of at most eight labelled digits, as text or as a picture
of 28x28 cells, and answers at once, without a thought: single entries and single facts are right, sums of
entries are guesses. It is the start of every fine-tuning in the miniature experiment and knows nothing else.

Trained from nothing, on generated data alone, {num_steps} steps on one CPU core, by

    python -m spica.miniature.base --out DIR --seed {seed}

Accuracy on fresh scenes, teacher-forced (read: the values of a question's entries; copy: their labels and
signs; heldout: pictures in faces that training never shows):

| skill | % |
|---|---|
{rows}
"""


def base_path() -> Path:
    """The folder of the base that is shipped with the package, as Transformers and vLLM load it."""
    return Path(__file__).parent / "data" / "base"


def main() -> int:
    """Trains, checks the gates and saves; returns 1 when a gate is missed."""
    parser = argparse.ArgumentParser(prog="python -m spica.miniature.base", description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)

    import torch

    from spica.miniature import base_train

    torch.set_num_threads(1)
    num_steps = arguments.steps or base_train.NUM_STEPS
    model = base_train.train(arguments.seed, num_steps).to(torch.bfloat16).float()
    accuracy = base_train.measure(model, arguments.seed)
    base_train.save(model, arguments.out, _card(arguments.seed, num_steps, accuracy))
    print(json.dumps({name: round(value, 4) for name, value in accuracy.items()}))
    missed = [name for name, least in _GATES.items() if accuracy[name] < least]
    if missed:
        logging.getLogger("spica.miniature.base").error("gates missed: %s", ", ".join(missed))
    return 1 if missed else 0


def _card(seed: int, num_steps: int, accuracy: dict[str, float]) -> str:
    rows = "\n".join(f"| {name} | {100 * value:.1f} |" for name, value in accuracy.items())
    return _CARD.format(seed=seed, num_steps=num_steps, rows=rows)


if __name__ == "__main__":
    sys.exit(main())
