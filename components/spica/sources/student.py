"""The task `student`: the base checkpoint into the store, checked before anything is loaded from it."""

import json
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spica.artifacts.manifest import Artifact, Manifest
from spica.artifacts.resolve import materialize
from spica.artifacts.workspace import Workspace
from spica.errors import DataError, Fault, PrerequisiteError
from spica.launch.contract import Launcher
from spica.recipe.miniature_base import FIGURES
from spica.recipe.slices import StudentSlice

log = logging.getLogger("spica.sources.student")

MODEL = {"architectures": ["Qwen2VLForConditionalGeneration"], "model_type": "qwen2_vl"}
"""What config.json says: Transformers takes the class from the one, vLLM its configuration from the other."""
REQUIRED = ("config.json", "tokenizer_config.json", "preprocessor_config.json|processor_config.json")
KEPT = ("*.json", "*.safetensors", "*.jinja", "merges.txt", "vocab.txt", "README.md", "LICENSE*", "NOTICE*")
"""What a Hugging Face folder of this architecture is made of; nothing else comes into the store."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")

_ADVICE = "name a Qwen2-VL folder or Hub id with safetensors in models.student.path"


def run(slice: StudentSlice, inputs: Mapping[str, Artifact], out: Workspace, launcher: Launcher) -> Manifest:
    """Brings the student's checkpoint to hand, checks it and publishes it.

    A base of the miniature that is asked for by size or seed is trained here, in this process, in minutes; a
    run that was killed begins it again. Metrics: num_files, num_bytes; of such a base also
    accuracy.SKILL and num_gates_missed.

    Raises:
        RecipeError, PrerequisiteError: A path that cannot be read.
        DataError: Pickled weights, code in the checkpoint, another architecture, missing or truncated files.
    """
    download = out.scratch / "download"
    folder = materialize(slice.student.path, download)
    check_checkpoint(folder, slice.student.path)
    names = sorted({path.name for pattern in KEPT for path in folder.glob(pattern) if path.is_file()})
    for name in names:
        # Downloads are ours and may be linked; a user's own folder must never share bytes with the store.
        place = os.link if folder.is_relative_to(download) else shutil.copyfile
        place((folder / name).resolve(), out.path / name)
    set_pixel_budget(out.path, slice.student.min_pixels, slice.student.max_pixels)
    num_bytes = sum((out.path / name).stat().st_size for name in names)
    log.info("%s: %d files, %d bytes", slice.student.path, len(names), num_bytes)
    metrics = {"num_files": len(names), "num_bytes": num_bytes}
    if slice.student.path.startswith("miniature://base?"):
        metrics |= json.loads((folder / FIGURES).read_bytes())
    return out.publish("checkpoint", metrics)


def set_pixel_budget(folder: Path, min_pixels: int, max_pixels: int) -> None:
    """Writes the recipe's picture sizes into the processor's files: training and serving see equal pictures.

    Transformers 5 reads `size`; min_pixels and max_pixels are its older names, in published checkpoints.
    """
    for name, section in (("preprocessor_config.json", None), ("processor_config.json", "image_processor")):
        path = folder / name
        if not path.exists():
            continue
        config = json.loads(path.read_bytes())
        processor = config.get(section, {}) if section else config
        processor["size"] = {"longest_edge": max_pixels, "shortest_edge": min_pixels}
        if "min_pixels" in processor or "max_pixels" in processor:
            processor |= {"min_pixels": min_pixels, "max_pixels": max_pixels}
        if section:
            config[section] = processor
        path.unlink()  # It may be a link to a download.
        path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def check_checkpoint(folder: Path, name: str) -> None:
    """Refuses what Spica cannot train or must not run.

    Args:
        folder: Where its files are.
        name: What the recipe calls it; a download's place tells a user nothing.

    Raises:
        DataError: All faults of the folder at once, another model first.
    """
    if not folder.is_dir():
        raise DataError(Fault(name, "a file", "a checkpoint folder", _ADVICE))
    faults = [
        fault
        for path in sorted(folder.glob("*.json"), key=lambda path: (path.name != "config.json", path.name))
        for fault in _json_faults(path, f"{name}/{path.name}")
    ]
    faults += [
        Fault(
            f"{name}/{path.name}",
            "pickled weights, which can run code when loaded",
            "safetensors",
            _ADVICE,
        )
        for path in sorted(folder.iterdir())
        if path.suffix in PICKLES
    ]
    faults += [
        Fault(name, f"no {' or '.join(names.split('|'))}", "a whole Qwen2-VL checkpoint", _ADVICE)
        for names in REQUIRED
        if not any((folder / each).is_file() for each in names.split("|"))
    ]
    faults += _weight_faults(folder, name)
    if faults:
        raise DataError(*faults)


def _json_faults(path: Path, where: str) -> list[Fault]:
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        return [Fault(where, f"no JSON: {error}", "a JSON file", "fetch the file again")]
    if not isinstance(content, dict):
        content = {}
    faults = []
    if "auto_map" in content or "trust_remote_code" in content:
        faults.append(
            Fault(where, "auto_map: code that comes with the checkpoint", "no remote code", _ADVICE)
        )
    if path.name == "config.json":
        faults += [
            Fault(where, f"{key}: {content.get(key)!r:.200}", repr(allowed), _ADVICE)
            for key, allowed in MODEL.items()
            if content.get(key) != allowed
        ]
    return faults


def _weight_faults(folder: Path, where: str) -> list[Fault]:
    """Every shard that is there or that the index names must be a whole safetensors file."""
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        found, advice = "safetensors is not installed", "pip install 'spica[train]'"
        raise PrerequisiteError(Fault("student", found, "safetensors", advice)) from error
    shards = {path.name for path in folder.glob("*.safetensors")} | _indexed_shards(folder, where)
    if not shards:
        return [Fault(where, "no *.safetensors", "weights as safetensors", _ADVICE)]
    faults = []
    for name in sorted(shards):
        try:
            with safe_open(folder / name, framework="np"):
                pass
        except (SafetensorError, OSError) as error:
            faults.append(
                Fault(f"{where}/{name}", str(error), "a whole safetensors file", "fetch the file again")
            )
    return faults


def _indexed_shards(folder: Path, where: str) -> set[str]:
    path = folder / "model.safetensors.index.json"
    if not path.is_file():
        return set()
    try:
        shards: Any = set(json.loads(path.read_bytes())["weight_map"].values())
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        shards = {None}
    if not all(isinstance(name, str) and Path(name).name == name for name in shards):
        raise DataError(
            Fault(
                f"{where}/{path.name}",
                "no weight_map of plain file names",
                "an index of shards",
                "fetch it again",
            )
        )
    return set(shards)
