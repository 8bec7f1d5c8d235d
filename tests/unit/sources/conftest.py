"""Records typed by hand, as the loaders receive them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from spica.sources.draft import Record

from .tiny_png import png


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., Record]:
    """Makes the record of line 1 of a file in a fresh source folder, with the named pictures below it."""

    def make(row: Mapping[str, Any], pictures: tuple[str, ...] = (), file: str = "rows.jsonl") -> Record:
        root = tmp_path / "source"
        for name in pictures:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(png())
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        return Record(root / file, 1, row, root)

    return make
