"""The trainer: `torchrun -m spica.sft.train --slice F --input NAME=DIR ... --out DIR --scratch DIR`.

Every rank runs this. What it leaves:

    out/       the exported checkpoint, metrics.jsonl, batches.jsonl, refused.jsonl, tensorboard/
    scratch/   checkpoints and logs to resume from; at the end one of result.json (done),
               error.json (a fault for the reader), preempted.json (SIGTERM: saved, run again)
"""

import argparse
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from spica.errors import SpicaError
from spica.sft.preemption import PREEMPTED, Preempted, leave_on_sigterm, write_last


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one rank and leave without Python's exit (DeepSpeed's threads may abort it: stack of 0.19.8)."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slice", type=Path, required=True, help="SftSlice as JSON")
    parser.add_argument(
        "--input",
        action="append",
        required=True,
        metavar="NAME=FOLDER",
        help="`student`: checkpoint; every other one: chat",
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, required=True)
    args = parser.parse_args(argv)
    leave_on_sigterm()
    code = 0
    try:
        _train(args)
    except Preempted:
        code = PREEMPTED
        write_last(args.scratch / "preempted.json", {"code": code})
    except SpicaError as error:
        # torchrun ends the other ranks as soon as one has left, so each writes, and the last one stands.
        code = error.exit_code
        faults = [fault._asdict() for fault in error.faults]
        write_last(args.scratch / "error.json", {"type": type(error).__name__, "faults": faults})
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _train(args: argparse.Namespace) -> None:
    # Ten seconds and more, in which SIGTERM may come.
    from spica.artifacts.disk import disk_faults
    from spica.recipe.slices import SftSlice
    from spica.sft.checkpoint import system_errors
    from spica.sft.trainer import train

    recipe = SftSlice.model_validate_json(args.slice.read_bytes())
    data = dict(item.split("=", 1) for item in args.input)
    student = Path(data.pop("student"))
    with disk_faults(args.scratch), system_errors():
        train(recipe, student, [Path(data[name]) for name in sorted(data)], args.out, args.scratch)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", module=r"deepspeed\.|torch\.distributed")
    main()
