"""Task `sft-ARM`: fine-tune the student on the chat artifacts among the inputs and publish a `checkpoint`."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spica import errors
from spica.artifacts.manifest import Artifact, Manifest
from spica.artifacts.workspace import Workspace
from spica.errors import DataError, Fault, SpicaError, StageError
from spica.launch.contract import Launcher, Training
from spica.recipe.slices import SftSlice

STUDENT = "student"
_ENDINGS = ("result.json", "error.json", "preempted.json")

logger = logging.getLogger(__name__)


def run(slice: SftSlice, inputs: Mapping[str, Artifact], out: Workspace, launcher: Launcher) -> Manifest:
    """Train on `inputs` (`student`: checkpoint; every other one: chat) and publish kind `checkpoint`.

    Resumes from what an earlier, stopped attempt left in `out.scratch`.

    Raises:
        DataError: no usable rows, or a loss that is no number.
        RecipeError: a scale that cannot be trained (batch over ranks, ZeRO stage and precision).
        StageError: the ranks died or were stopped; the next run goes on from the last checkpoint.
    """
    if not set(inputs) - {STUDENT}:
        raise DataError(Fault("sft inputs", "no dataset", "one or more chat artifacts", "give one"))
    for ending in _ENDINGS:
        (out.scratch / ending).unlink(missing_ok=True)
    job = Training(
        name=f"sft-{slice.arm.lower()}",
        module="spica.sft.train",
        slice=slice.model_dump_json(),
        inputs=inputs,
        out=out,
        num_nodes=slice.scale.num_nodes,
        ranks_per_node=slice.scale.ranks_per_node,
        threads_per_rank=slice.scale.threads_per_rank,
        logs=out.scratch / "train.log",
    )
    code = _watch(job, launcher)
    result = _result(out.scratch, code)
    (out.path / "README.md").write_text(model_card(slice, inputs, result))
    metrics = {key: value for key, value in result.items() if value is not None and key != "tokens"}
    return out.publish("checkpoint", metrics, tokens=int(result["tokens"]))


def _watch(job: Training, launcher: Launcher) -> int:
    """Start the job, pass its progress on, return its exit code; stop it when this process is stopped."""
    running = launcher.train(job)
    try:
        for line in running.watch():
            if line.startswith("sft "):
                print(line, flush=True)
        return running.wait()
    except BaseException:
        try:
            running.stop()
        except Exception as error:
            # What ended the watch is what the reader must see.
            logger.warning("job %s may be left behind\n%s", job.name, error)
        raise


def _result(scratch: Path, code: int) -> dict[str, Any]:
    """What the ranks left behind; the exit code alone proves nothing: DeepSpeed may abort a finished run."""
    if (scratch / "result.json").is_file():
        return dict(json.loads((scratch / "result.json").read_bytes()))
    if (scratch / "error.json").is_file():
        error = json.loads((scratch / "error.json").read_bytes())
        kind = getattr(errors, error["type"], StageError)
        kind = kind if issubclass(kind, SpicaError) else StageError
        raise kind(*(Fault(**fault) for fault in error["faults"]))
    if (scratch / "preempted.json").is_file():
        raise StageError(
            Fault("sft", "stopped by SIGTERM, saved", "a run to its end", "run again: it goes on")
        )
    log = scratch / "train.log"
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:]) if log.is_file() else ""
    raise StageError(
        Fault(
            "sft",
            f"the ranks ended with code {code}\n{tail}",
            "a finished training",
            f"read {log}, run again",
        )
    )


def model_card(slice: SftSlice, inputs: Mapping[str, Artifact], result: Mapping[str, Any]) -> str:
    """README.md of the exported checkpoint: from what, by which recipe, with which loss."""
    data = "\n".join(
        f"- `{name}`: `{artifact.manifest.digest}`"
        for name, artifact in sorted(inputs.items())
        if name != STUDENT
    )
    loss = result["best_loss"]
    validation = "no validation rows" if loss is None else f"{loss:.4f} over {result['num_val']} rows"
    recipe = json.dumps(slice.model_dump(mode="json"), indent=2, sort_keys=True)
    return f"""---
library_name: transformers
pipeline_tag: image-text-to-text
---
# {slice.arm}

A Qwen2-VL student fine-tuned by Spica on long thoughts.

- Base: `{inputs[STUDENT].manifest.digest}`
- Rows: {result["num_samples"]} trained, {result["num_refused"]} refused (refused.jsonl says why)
- Steps: {result["step"]}; weights of step {result["best_step"]}, the epoch with the lowest validation loss
- Validation loss: {validation}

Datasets (payload digests):

{data}

Recipe:

```json
{recipe}
```
"""
