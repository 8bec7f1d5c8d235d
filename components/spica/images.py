"""Image references, read from images/refs.yaml, the only place that names them."""

import os
import sysconfig
from functools import cache
from pathlib import Path

import yaml


@cache
def image(name: str) -> str:
    """Reference of the image `control`, `train` or `serve`.

    SPICA_IMAGE_CONTROL and the like come first: an image cannot hold its own digest, so a pod is told.
    """
    if told := os.environ.get(f"SPICA_IMAGE_{name.upper()}"):
        return told
    checkout = Path(__file__).parents[2] / "images" / "refs.yaml"
    installed = Path(sysconfig.get_path("data")) / "share" / "spica" / "refs.yaml"
    refs = yaml.safe_load((checkout if checkout.exists() else installed).read_text())
    return str(refs[name])
