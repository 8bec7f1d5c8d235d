"""Image references, read from images/refs.yaml, the only place that names them."""

import sysconfig
from functools import cache
from pathlib import Path

import yaml


@cache
def image(name: str) -> str:
    """Reference of the image `control`, `train` or `serve`."""
    checkout = Path(__file__).parents[2] / "images" / "refs.yaml"
    installed = Path(sysconfig.get_path("data")) / "share" / "spica" / "refs.yaml"
    refs = yaml.safe_load((checkout if checkout.exists() else installed).read_text())
    return str(refs[name])
