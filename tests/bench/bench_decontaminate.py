"""Decontamination at full size: `make bench-decontaminate`.

5,000 clean training rows with pictures and 800 planted near-duplicates are looked up among as many rows as
the four benchmarks have (3,940 + 3,040 + 6,728 + 900). The gate: every plant found, no clean row flagged. The
clock runs around `find`: decoding all pictures, printing, looking up, comparing. Rows and pictures are made
by seed (drawn.py) with questions from templates, so that thousands of clean rows share their words, or the
kind of their picture, with test rows. Thresholds were tuned on seeds 0, 1, 4 to 7 and 12; others are a test
of them.

MEASURED on what is drawn here, not on the benchmarks' own files.
"""

import argparse
import io
import json
import math
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from spica.artifacts.types import Gold, PromptRow
from spica.artifacts.types import Image as Picture
from spica.dataset import contamination
from spica.dataset.contamination import Findings, find

from .drawn import KINDS, WORDS, problem, question

ROOT = Path(__file__).parents[2]
MAX_WALL_S = 60.0
NUM_CLEAN = 5000
NUM_PLANTS = 200
"""Of each way of planting."""
WAYS = ("crop", "recompress", "words", "all")
TRAIN_SHARES = {
    "diagram": 0.40, "chart": 0.12, "table": 0.16, "scene": 0.10, "plot": 0.06, "photo": 0.06, "page": 0.05,
    "cells": 0.05,
}  # fmt: skip
"""Kinds of pictures in training rows."""


class Spec(NamedTuple):
    """What a row is made of; equal specs give equal rows."""

    seed: int
    kind: str
    benchmark: str
    num_pictures: int
    wordless: bool = False
    drawn_by: int = -1
    """Seed of the picture, where rows share it."""


def benchmark_specs(seed: int) -> Iterator[Spec]:
    """As many rows and pictures as the four benchmarks have (protocol C1 to C4)."""
    first = seed * 10_000_000
    rng = np.random.default_rng([1, seed])
    for version in range(5):  # three versions share a picture, the last one has no words
        for i in range(788):
            picture = i if version < 3 else version * 10_000 + i
            yield Spec(first + i, "diagram", "mathverse", 1, version == 4, first + picture)
    for i in range(3040):
        yield Spec(first + 100_000 + i, str(rng.choice(list(KINDS))), "mathvision", 1)
    for i in range(6728):
        yield Spec(first + 200_000 + i, "diagram", "olympiadbench", i < 4055)
    for i in range(900):
        num_pictures = int(rng.choice([1, 1, 1, 1, 1, 2, 4, 7]))
        kind = str(rng.choice(["chart", "table", "scene", "plot", "photo", "page"]))
        yield Spec(first + 300_000 + i, kind, "mmmu", num_pictures)


def train_specs(num: int, seed: int) -> Iterator[Spec]:
    """Training rows, each with a picture."""
    rng = np.random.default_rng([2, seed])
    for i in range(num):
        kind = str(rng.choice(list(TRAIN_SHARES), p=list(TRAIN_SHARES.values())))
        yield Spec(seed * 10_000_000 + 1_000_000 + i, kind, "train", 1)


def make(spec: Spec, folder: Path) -> PromptRow:
    """Draws and writes a row's pictures, and words its question."""
    rng = np.random.default_rng([7, spec.seed])
    from_template = spec.benchmark in ("train", "mathverse") or (
        spec.benchmark == "mathvision" and rng.random() < 0.02
    )
    text = question(rng, spec.kind) if from_template else problem(rng)
    drawing = np.random.default_rng([8, spec.seed if spec.drawn_by < 0 else spec.drawn_by])
    pictures = [KINDS[spec.kind](drawing) for _ in range(spec.num_pictures)]
    name = f"{spec.kind}-{spec.benchmark}-{spec.seed}-{max(spec.drawn_by, 0)}"
    shared = f"{spec.kind}-{spec.benchmark}-d{spec.drawn_by}" if spec.drawn_by >= 0 else name
    return row_of(name, spec.benchmark, "" if spec.wordless else text, pictures, shared, folder)


def row_of(
    name: str, source: str, text: str, pictures: Sequence[Image.Image], stem: str, folder: Path
) -> PromptRow:
    """A row as `sources` writes it."""
    images = []
    for i, picture in enumerate(pictures):
        suffix = "jpg" if stem.startswith("photo") else "png"
        path = folder / "images" / f"{stem}-{i}.{suffix}"
        if not path.exists():
            picture.save(path, **({"quality": 90} if suffix == "jpg" else {}))
        images.append(Picture(path=f"images/{path.name}", pixels=f"{stem} {i}"))
    return PromptRow(
        id=name,
        source=source,
        question=text,
        images=tuple(images),
        gold=Gold(kind="number", value="1"),
        modality="visual" if images else "text",
    )


def plants(tests: Sequence[PromptRow], num: int, seed: int) -> Iterator[tuple[PromptRow, str]]:
    """Test rows, `num` for each way; those whose picture alone is changed have one."""
    order = np.random.default_rng([3, seed]).permutation(len(tests))
    rows = iter([tests[place] for place in order])
    for way in WAYS:
        usable = (row for row in rows if row.images or way in ("words", "all"))
        for _ in range(num):
            yield next(usable), way


def plant(index: int, row: PromptRow, way: str, seed: int, tests: Path, folder: Path) -> PromptRow:
    """A test row cropped by up to 10 % a side, compressed with quality 30 to 80, a tenth of its words new."""
    rng = np.random.default_rng([9, seed, index])
    pictures = []
    for image in row.images:
        with Image.open(tests / image.path) as opened:
            picture = opened.convert("RGB")
        if way in ("crop", "all"):
            width, height = picture.size
            left, right, top, bottom = rng.uniform(0.01, 0.10, 4)
            box = left * width, top * height, (1 - right) * width, (1 - bottom) * height
            picture = picture.crop(tuple(round(side) for side in box))
        if way in ("recompress", "all"):
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", quality=int(rng.integers(30, 80)))
            picture = Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")
        pictures.append(picture)
    words = row.question.split()
    if way in ("words", "all") and len(words) >= 5:
        for place in rng.choice(len(words), math.ceil(len(words) / 10), replace=False):
            words[place] = f"{rng.choice(WORDS)}ish"
    name = f"plant-{way}-{kind_of(row)}-{index}"
    return row_of(name, "plant", " ".join(words), pictures, name, folder)


def kind_of(row: PromptRow) -> str:
    """Of a drawn row's pictures; text where it has none."""
    return row.id.split("-")[0] if row.images else "text"


def judge(findings: Findings, planted: dict[str, PromptRow]) -> dict[str, Any]:
    """The gate: what was missed, what was taken for another row, what was flagged though clean."""
    hits = {hit.id: hit.other for hit in findings.hits}
    missed = [row_id for row_id in planted if row_id not in hits]

    def counts(field: int) -> dict[str, str]:
        num = Counter(row_id.split("-")[field] for row_id in planted)
        lost = Counter(row_id.split("-")[field] for row_id in missed)
        return {name: f"{num[name] - lost[name]}/{num[name]}" for name in sorted(num)}

    return {
        "found_by_way": counts(1),
        "found_by_kind": counts(2),
        "num_found_as_their_own": sum(
            hits[row_id].endswith(f"/{row.id}") for row_id, row in planted.items() if row_id in hits
        ),
        "missed": missed,
        "clean_flagged": sorted(
            f"{row_id} as {other}" for row_id, other in hits.items() if row_id not in planted
        ),
        "num_near_hits": len(findings.near_hits),
    }


def clocked(stages: Sequence[str], seconds: dict[str, tuple[float, float]]) -> None:
    """Lets the named functions of the rule's module tell the wall and CPU seconds they take."""
    for stage in stages:
        function: Callable[..., Any] = getattr(contamination, stage)

        def timed(*args: Any, stage: str = stage, function: Callable[..., Any] = function) -> Any:
            wall, cpu = time.perf_counter(), time.process_time()
            result = function(*args)
            before = seconds.get(stage, (0.0, 0.0))
            spent = time.perf_counter() - wall, time.process_time() - cpu
            seconds[stage] = round(before[0] + spent[0], 1), round(before[1] + spent[1], 1)
            return result

        setattr(contamination, stage, timed)


def main() -> int:
    """Plants, looks, judges, tells the time; 1 when the gate or the limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clean", type=int, default=NUM_CLEAN)
    parser.add_argument("--plants", type=int, default=NUM_PLANTS)
    parser.add_argument("--part", type=int, default=1, help="every n-th benchmark row only")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        train, test = Path(name, "train"), Path(name, "test")
        for folder in (train, test):
            (folder / "images").mkdir(parents=True)
        with ProcessPoolExecutor() as pool:
            specs = list(benchmark_specs(given.seed))[:: given.part]
            tests = list(pool.map(partial(make, folder=test), specs, chunksize=64))
            specs = list(train_specs(given.clean, given.seed))
            rows = list(pool.map(partial(make, folder=train), specs, chunksize=64))
        planted = {}
        for i, (row, way) in enumerate(plants(tests, given.plants, given.seed)):
            rows.append(plant(i, row, way, given.seed, test, train))
            planted[rows[-1].id] = row
        seconds: dict[str, tuple[float, float]] = {}
        clocked(("_Texts", "read", "same"), seconds)
        start, cpu = time.perf_counter(), time.process_time()
        findings = find(rows, train, tests, test)
        wall_s, cpu_s = time.perf_counter() - start, time.process_time() - cpu
    gate = judge(findings, planted)
    passed = not gate["missed"] and not gate["clean_flagged"]
    result = {
        "what": "decontamination, MEASURED on drawn rows",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": f"{platform.processor() or platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "load": os.getloadavg()[0],
        "seed": given.seed,
        "num_training_rows": len(rows),
        "num_test_rows": len(tests),
        "num_test_pictures": len({image.path for row in tests for image in row.images}),
        "gate": {"passed": passed, **gate},
        "wall_s": round(wall_s, 1),
        "cpu_s": round(cpu_s, 1),
        "max_wall_s": MAX_WALL_S,
        "wall_and_cpu_s_of_stages": seconds,
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    print(json.dumps(result, indent=1))
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if passed and wall_s <= MAX_WALL_S else 1


def _commit() -> str:
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return told.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
