"""Data of the miniature world by URI: every folder looks like a download of the official data set.

    miniature://text?seed=1&num=5000    text problems for D_T (format `questions`)
    miniature://dev?seed=1&num=280      text and visual problems that choose the best model (`questions`)
    miniature://vqa/GEOS(MathV360K)?seed=1&num=279
                                        one of the sources of table 1 (`llava_onevision`)
    miniature://mathverse?seed=1&num=210
                                        likewise mathvision, olympiadbench, mmmu (formats of these names)
    miniature://base?size=small&seed=1  a student trained from nothing (spica.miniature.base; minutes)

With choices=0 every question is open. Equal URIs give equal bytes. The name is a part of the random stream,
so that two names never share a problem or a picture by having the same seed.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from spica.miniature.pictures import Glyphs, render_png
from spica.miniature.world import Scene


class DataFolder:
    """The folder of one data set that is being written, with the random stream that fills it."""

    def __init__(self, path: Path, name: str, seed: int, choices: bool = True) -> None:
        """Starts the folder at `path`; without `choices` no question offers options."""
        self.path = path
        self.choices = choices
        self.rng = np.random.default_rng([seed, *name.encode()])

    def write_picture(self, name: str, scene: Scene, glyphs: Glyphs) -> str:
        """Draws the scene into `name` (relative posix path) with fresh jitter and colours; returns `name`."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(render_png(scene, self.rng, glyphs))
        return name

    def write_jsonl(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """One JSON object on one line each."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))

    def write_json(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """One JSON array, as the official files that are no JSONL."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(list(rows), ensure_ascii=False, indent=1) + "\n")


def write_folder(uri: str, folder: Path) -> None:
    """Writes the data set that `uri` names, or the base that it asks to train, into `folder`.

    Raises:
        ValueError: The world has no such data, or a parameter is unknown or out of range; the text says what
            is.
        PrerequisiteError: A base is to be trained where PyTorch is not installed.
    """
    from spica.miniature import base_path, benchmarks, questions, vqa

    writers = {
        "text": (questions.write_text, 5000),
        "dev": (questions.write_dev, 280),
        "mathverse": (benchmarks.write_mathverse, 210),
        "mathvision": (benchmarks.write_mathvision, 210),
        "olympiadbench": (benchmarks.write_olympiadbench, 210),
        "mmmu": (benchmarks.write_mmmu, 210),
    }
    parts = urlsplit(uri)
    name, config = parts.netloc, unquote(parts.path.strip("/"))
    if name == "base":
        base_path.train_base(uri, folder)
    elif name == "vqa" and config in vqa.CONFIGS:
        seed, num, choices = _parameters(parts.query, vqa.CONFIGS[config].num)
        vqa.write_vqa(DataFolder(folder, config, seed, choices), config, num)
    elif name in writers and not config:
        write, default = writers[name]
        seed, num, choices = _parameters(parts.query, default)
        write(DataFolder(folder, name, seed, choices), num)
    else:
        known = [*writers, "base", *(f"vqa/{config}" for config in vqa.CONFIGS)]
        raise ValueError(
            f"no data named {'/'.join(filter(None, (name, config)))!r}; there are {', '.join(known)}"
        )


def _parameters(query: str, default_num: int) -> tuple[int, int, bool]:
    """Seed, number of rows, and whether some questions offer choices.

    Raises:
        ValueError: Another parameter, a repeated one, or a value that is no number in range.
    """
    numbers = {"seed": 0, "num": default_num, "choices": 1}
    for name, given in parse_qs(query, keep_blank_values=True).items():
        if name not in numbers or len(given) > 1 or not (given[0].isascii() and given[0].isdigit()):
            raise ValueError(
                f"parameter {name}={','.join(given)!r}; allowed are seed=0.., num=1..1000000 and choices=0|1,"
                " once each"
            )
        numbers[name] = int(given[0])
    if not 1 <= numbers["num"] <= 1_000_000:
        raise ValueError(f"num={numbers['num']}; allowed is 1..1000000")
    if numbers["choices"] > 1:
        raise ValueError(f"choices={numbers['choices']}; allowed is 0 or 1")
    return numbers["seed"], numbers["num"], numbers["choices"] == 1
