"""The base without its training code: the shipped folder, and whom to call for another.

What reads data imports this; were the trainer imported here, each edit of it would bring all data anew.
"""

import importlib
from pathlib import Path

TRAINER = f"{__package__}.base"
"""The module that trains; put together, since spica.artifacts.code follows names that are written in full.

`resolve.fingerprint` has its digest, so that the key of a trained base changes with it.
"""


def base_path() -> Path:
    """The folder of the base that is shipped with the package, as Transformers and vLLM load it."""
    return Path(__file__).parent / "data" / "base"


def train_base(uri: str, folder: Path) -> None:
    """Trains the base that `uri` names into `folder`; minutes.

    Raises:
        ValueError, PrerequisiteError: As `base.write_base`.
    """
    importlib.import_module(TRAINER).write_base(uri, folder)
