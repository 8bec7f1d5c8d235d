"""Judges a response, and measures its thought with the checkpoint's own tokenizer."""

from pathlib import Path
from typing import Any

from spica.answers import extract, judge
from spica.answers.parts import thought_span
from spica.artifacts.types import Score
from spica.errors import DataError, Fault
from spica.evaluate import tasks
from spica.evaluate.answers import Answer
from spica.evaluate.items import Item
from spica.recipe.schema import Arm


def load_tokenizer(checkpoint: Path) -> Any:
    """The `tokenizers.Tokenizer` of a checkpoint folder (data only: no code of the checkpoint runs).

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


def num_thought_tokens(response: str, tokenizer: Any) -> int:
    """Tokens of the thought (`thought_span`), a cut one to its end; 0 without a thought.

    The whole response is tokenized and the tokens that start inside the thought are counted: were it cut out
    first, its ends might merge otherwise. Special tokens that the tokenizer would add are not counted.
    """
    begin, end = thought_span(response)
    offsets = tokenizer.encode(response, add_special_tokens=False).offsets
    return sum(begin <= start < end for start, _ in offsets)


def score(item: Item, answer: Answer, arm: Arm, tokenizer: Any) -> Score:
    """Judges one answer against every answer that its benchmark accepts."""
    golds = tasks.golds(item.source, item.row)
    verdicts = [judge(answer.response, answer.finish_reason, gold) for gold in golds]
    return Score(
        id=item.row.id,
        source=item.source,
        arm=arm,
        repetition_penalty=answer.repetition_penalty,
        response=answer.response,
        extracted=extract(answer.response),
        correct="correct" in verdicts,
        finish_reason=answer.finish_reason,
        num_tokens=answer.num_tokens,
        num_thought_tokens=num_thought_tokens(answer.response, tokenizer),
    )
