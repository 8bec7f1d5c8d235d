"""The tokenizer of a checkpoint folder: data only, no code of the checkpoint runs."""

from pathlib import Path
from typing import Any

from spica.errors import DataError, Fault


def load_tokenizer(checkpoint: Path) -> Any:
    """The `tokenizers.Tokenizer` of a checkpoint's tokenizer.json.

    Raises:
        DataError: tokenizer.json is missing or unreadable.
    """
    from tokenizers import Tokenizer

    path = checkpoint / "tokenizer.json"
    try:
        return Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # tokenizers raises bare Exception on a malformed file
        raise DataError(
            Fault(
                where=str(path),
                found=str(error),
                allowed="a tokenizer.json as transformers saves it",
                next="save the tokenizer into the checkpoint again (save_pretrained of a fast tokenizer)",
            )
        ) from error
