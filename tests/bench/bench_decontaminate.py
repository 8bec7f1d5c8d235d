"""Decontamination at full size: `make bench-decontaminate`.

5,000 clean training rows with pictures and 800 planted near-duplicates are looked up among as many rows as
the four benchmarks have (3,940 + 3,040 + 6,728 + 900). The gate comes first: every plant found, no clean row
flagged; a run that fails it prints no time. The clock runs around `find`: decoding all pictures, hashing,
looking up. Rows and pictures are made here by seed: diagrams, bar charts, tables and scenes with questions
from templates, so that thousands of clean rows share their words, or the kind of their picture, with test
rows.

MEASURED on what is drawn here, not on the benchmarks' own files.
"""

import argparse
import io
import json
import math
import os
import platform
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
from PIL import Image, ImageDraw

from spica.artifacts.types import Gold, PromptRow
from spica.artifacts.types import Image as Picture
from spica.dataset.contamination import Findings, find

ROOT = Path(__file__).parents[2]
MAX_WALL_S = 60.0
NUM_CLEAN = 5000
NUM_PLANTS = 200
"""Of each way of planting."""
WAYS = ("crop", "recompress", "words", "all")
_WORDS = "blue quick paper window river seven marble orange silent garden copper yellow bridge candle".split()
_COLOURS = ((173, 35, 35), (42, 75, 215), (29, 105, 20), (129, 74, 25), (129, 38, 192), (41, 208, 208))

Random = np.random.Generator


class Spec(NamedTuple):
    """What a row is made of; equal specs give equal rows."""

    seed: int
    kind: str
    benchmark: str
    num_pictures: int
    wordless: bool = False
    drawn_by: int = -1
    """Seed of the picture, where rows share it."""


def diagram(rng: Random) -> Image.Image:
    """Points, the segments between them, maybe a circle."""
    size = int(rng.integers(200, 700)), int(rng.integers(150, 500))
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    points = [
        tuple(int(rng.integers(20, side - 20)) for side in size) for _ in range(int(rng.integers(3, 7)))
    ]
    for i, point in enumerate(points):
        for other in points[:i]:
            if rng.random() < 0.7:
                draw.line([point, other], fill="black", width=int(rng.integers(1, 3)))
        draw.text((point[0] + 3, point[1] + 3), "ABCDEFG"[i], fill="black")
    if rng.random() < 0.4:
        (x, y), r = points[0], int(rng.integers(20, 80))
        draw.ellipse([x - r, y - r, x + r, y + r], outline="black")
    return picture


def chart(rng: Random) -> Image.Image:
    """Bars with their values."""
    width, height = int(rng.integers(400, 800)), int(rng.integers(300, 550))
    picture = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(picture)
    num = int(rng.integers(3, 9))
    step = (width - 80) // num
    colour = tuple(int(value) for value in rng.integers(0, 220, 3))
    draw.line([(40, 20), (40, height - 40), (width - 20, height - 40)], fill="black", width=2)
    for i in range(num):
        top, left = height - 40 - int(rng.integers(20, height - 80)), 45 + i * step
        draw.rectangle([left, top, left + step - 15, height - 41], fill=colour)
        draw.text((left, height - 35), str(int(rng.integers(1990, 2024))), fill="black")
        draw.text((left, top - 14), str(height - top), fill="black")
    return picture


def table(rng: Random) -> Image.Image:
    """Words and numbers in a grid whose columns are as wide as they need be."""
    num_rows, widths = int(rng.integers(3, 9)), rng.integers(60, 160, int(rng.integers(2, 5)))
    edges = np.concatenate([[10], 10 + np.cumsum(widths)])
    picture = Image.new("RGB", (int(edges[-1]) + 10, num_rows * 28 + 20), "white")
    draw = ImageDraw.Draw(picture)
    for i in range(num_rows + 1):
        draw.line([(10, 10 + i * 28), (int(edges[-1]), 10 + i * 28)], fill="gray")
    for edge in edges:
        draw.line([(int(edge), 10), (int(edge), 10 + num_rows * 28)], fill="gray")
    for i in range(num_rows):
        for edge in edges[:-1]:
            text = str(rng.choice(_WORDS)) if rng.random() < 0.3 else str(int(rng.integers(0, 9999)))
            draw.text((int(edge) + 6, 17 + i * 28), text, fill="black")
    return picture


def scene(rng: Random) -> Image.Image:
    """Coloured bodies on a grey floor."""
    height, width = 320, 480
    floor = np.linspace(150, 110, height)[:, None, None] * np.ones((1, width, 3))
    picture = Image.fromarray(floor.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(3, 9))):
        r, x, y = int(rng.integers(15, 45)), int(rng.integers(40, 440)), int(rng.integers(80, 280))
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape([x - r, y - r, x + r, y + r], fill=_COLOURS[int(rng.integers(len(_COLOURS)))])
    return picture


KINDS: dict[str, Callable[[Random], Image.Image]] = {
    "diagram": diagram, "chart": chart, "table": table, "scene": scene,
}  # fmt: skip


def question(rng: Random, kind: str) -> str:
    """A question from a template; the short ones are alike on thousands of rows."""
    n, m, k = (int(value) for value in rng.integers(2, 99, 3))
    a, b, c, d = rng.permutation(list("ABCDEFGH"))[:4]
    word, other = rng.choice(_WORDS, 2, replace=False)
    templates = {
        "diagram": (
            "Find x.",
            f"Find the length of {a}{b}.",
            f"In triangle {a}{b}{c}, angle {a} is {n} degrees and angle {b} is {m} degrees."
            f" What is angle {c}?",
            f"As shown in the figure, {a}{b} is parallel to {c}{d}, {a}{b} = {n} and {c}{d} = {m}."
            f" If the area of the trapezoid is {k * 10}, then its height is ()",
        ),
        "chart": (
            "What is the largest value?",
            f"What is the difference between the {word} bar and the {other} bar?",
            f"How many {word} items were sold in {1990 + n % 30} according to the chart,"
            f" if each bar counts {m} items?",
        ),
        "table": (
            f"How much do {n} {word} items cost?",
            f"The {word} shop kept a list of its sales of {other} paint over {n} days."
            f" What was the mean of the numbers, rounded to {m % 5} places?",
        ),
        "scene": (
            "How many objects are there?",
            "How many things have the same shape as the large ball?",
            f"Subtract all {word} cubes. Subtract {n} {other} balls. How many objects are left?",
        ),
    }
    return str(rng.choice(templates[kind]))


def problem(rng: Random) -> str:
    """A long question in words, formulas and numbers, as of a competition."""
    words = [str(word) for word in rng.choice(_WORDS, int(rng.integers(20, 60)))]
    for place in rng.choice(len(words), len(words) // 5, replace=False):
        words[place] = f"${rng.choice(list('xyzuvw'))}_{int(rng.integers(1, 9))}={int(rng.integers(2, 999))}$"
    return "Let " + " ".join(words) + ". Determine all possible values."


def benchmark_specs() -> Iterator[Spec]:
    """As many rows and pictures as the four benchmarks have (protocol C1 to C4)."""
    for version in range(5):  # three versions share a picture, the last one has no words
        for i in range(788):
            picture = i if version < 3 else version * 10_000 + i
            yield Spec(i, "diagram", "mathverse", 1, version == 4, picture)
    rng = np.random.default_rng(1)
    for i in range(3040):
        yield Spec(100_000 + i, str(rng.choice(list(KINDS))), "mathvision", 1)
    for i in range(6728):
        yield Spec(200_000 + i, "diagram", "olympiadbench", i < 4055)
    for i in range(900):
        num_pictures = int(rng.choice([1, 1, 1, 1, 1, 2, 4, 7]))
        yield Spec(300_000 + i, str(rng.choice(["chart", "table", "scene"])), "mmmu", num_pictures)


def train_specs(num: int) -> Iterator[Spec]:
    """Training rows in the shares of table 1."""
    rng = np.random.default_rng(2)
    for i in range(num):
        kind = str(rng.choice(list(KINDS), p=[0.47, 0.18, 0.22, 0.13]))
        yield Spec(1_000_000 + i, kind, "train", 1)


def make(spec: Spec, folder: Path) -> PromptRow:
    """Draws and writes a row's pictures, and words its question."""
    rng = np.random.default_rng([7, spec.seed])
    from_template = spec.benchmark in ("train", "mathverse") or (
        spec.benchmark == "mathvision" and rng.random() < 0.02
    )
    text = question(rng, spec.kind) if from_template else problem(rng)
    drawing = np.random.default_rng([8, spec.seed if spec.drawn_by < 0 else spec.drawn_by])
    pictures = [KINDS[spec.kind](drawing) for _ in range(spec.num_pictures)]
    name = f"{spec.benchmark}-{spec.seed}-{max(spec.drawn_by, 0)}"
    shared = f"{spec.benchmark}-d{spec.drawn_by}" if spec.drawn_by >= 0 else name
    return row_of(name, spec.benchmark, "" if spec.wordless else text, pictures, shared, folder)


def row_of(
    name: str, source: str, text: str, pictures: Sequence[Image.Image], stem: str, folder: Path
) -> PromptRow:
    """A row as `sources` writes it."""
    images = []
    for i, picture in enumerate(pictures):
        path = folder / "images" / f"{stem}-{i}.png"
        if not path.exists():
            picture.save(path, compress_level=6)
        images.append(Picture(path=f"images/{path.name}", pixels=f"{stem} {i}"))
    return PromptRow(
        id=name,
        source=source,
        question=text,
        images=tuple(images),
        gold=Gold(kind="number", value="1"),
        modality="visual" if images else "text",
    )


def plant(index: int, row: PromptRow, way: str, tests: Path, folder: Path) -> PromptRow:
    """A test row cropped by up to 10 % a side, compressed with quality 30 to 80, a tenth of its words new."""
    rng = np.random.default_rng([9, index])
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
            words[place] = f"{rng.choice(_WORDS)}ish"
    name = f"plant-{way}-{index}"
    return row_of(name, "plant", " ".join(words), pictures, name, folder)


def judge(findings: Findings, planted: dict[str, PromptRow]) -> dict[str, Any]:
    """The gate: what was missed, what was taken for another row, what was flagged though clean."""
    hits = {hit.id: hit.other for hit in findings.hits}
    missed = [row_id for row_id in planted if row_id not in hits]
    return {
        "num_planted": Counter(row_id.split("-")[1] for row_id in planted),
        "missed": missed,
        "clean_flagged": sorted(row_id for row_id in hits if row_id not in planted),
        "num_found_as_their_own": sum(
            hits[row_id].endswith(f"/{row.id}") for row_id, row in planted.items() if row_id in hits
        ),
        "num_with_pictures": sum(bool(row.images) for row in planted.values()),
        "num_near_hits": len(findings.near_hits),
    }


def main() -> int:
    """Plants, looks, judges, tells the time; 1 when the gate or the limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
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
            specs = list(benchmark_specs())[:: given.part]
            tests = list(pool.map(partial(make, folder=test), specs, chunksize=64))
            clean = list(pool.map(partial(make, folder=train), train_specs(given.clean), chunksize=64))
        originals = np.random.default_rng(3).permutation(len(tests))[: len(WAYS) * given.plants]
        planted = {}
        for i, place in enumerate(originals):
            row = plant(i, tests[place], WAYS[i % len(WAYS)], test, train)
            clean.append(row)
            planted[row.id] = tests[place]
        start, cpu = time.perf_counter(), time.process_time()
        findings = find(clean, train, tests, test)
        wall_s, cpu_s = time.perf_counter() - start, time.process_time() - cpu
    gate = judge(findings, planted)
    passed = not gate["missed"] and not gate["clean_flagged"]
    result = {
        "what": "decontamination, MEASURED on drawn rows",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": f"{platform.processor() or platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "load": os.getloadavg()[0],
        "num_training_rows": len(clean),
        "num_test_rows": len(tests),
        "num_test_pictures": len({image.path for row in tests for image in row.images}),
        "gate": {"passed": passed, **gate},
    }
    if passed:
        result |= {"wall_s": round(wall_s, 1), "cpu_s": round(cpu_s, 1), "max_wall_s": MAX_WALL_S}
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
