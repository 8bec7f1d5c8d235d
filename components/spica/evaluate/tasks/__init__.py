"""What differs between benchmarks: official prompt, what a scorer is told, groups of the official report."""

from types import ModuleType

from spica.answers.types import ScoreRow
from spica.artifacts.types import PromptRow
from spica.evaluate.tasks import mathverse, mathvision, mmmu, olympiadbench
from spica.evaluate.tasks.parts import Part, pick

__all__ = ["Part", "groups", "is_benchmark", "official", "score_row"]


def is_benchmark(source: str) -> bool:
    """False for the dev split and for any other set of plain questions."""
    return _module(source) is not None


def groups(source: str, row: PromptRow) -> dict[str, str]:
    """Axis -> group of a question, in the order of the official report; fonts where the row knows them."""
    module = _module(source)
    found: dict[str, str] = module.groups(row) if module else {}
    return found | pick(row, "glyphs")


def official(source: str, row: PromptRow) -> list[Part] | None:
    """The official prompt in parts; None where there is none.

    Raises:
        DataError: The row lacks what its loader keeps.
    """
    module = _module(source)
    found: list[Part] | None = module.official(row) if module else None
    return found


def score_row(source: str, row: PromptRow, response: str) -> ScoreRow:
    """What the scorers of a benchmark are told of a question.

    Raises:
        KeyError: `source` is no benchmark.
        DataError: The row lacks what its loader keeps.
    """
    module = _module(source)
    if module is None:
        raise KeyError(source)
    found: ScoreRow = module.score_row(row, response)
    return found


def _module(source: str) -> ModuleType | None:
    match source:
        case "mathverse":
            return mathverse
        case "mathvision":
            return mathvision
        case "olympiadbench":
            return olympiadbench
        case "mmmu":
            return mmmu
        case _:
            return None
