"""What differs between benchmarks: the official keys they are reported by, and the answers they accept."""

from types import ModuleType

from spica.artifacts.types import Gold, PromptRow
from spica.evaluate.tasks import mathverse, mathvision, mmmu, olympiadbench, plain


def groups(source: str, row: PromptRow) -> dict[str, str]:
    """Axis -> group of a question, in the order of the official report."""
    found: dict[str, str] = _module(source).groups(row)
    return found


def golds(source: str, row: PromptRow) -> list[Gold]:
    """Every answer to a question that is right."""
    found: list[Gold] = _module(source).golds(row)
    return found


def _module(source: str) -> ModuleType:
    """The benchmark of that name; dev and any other source count as plain questions."""
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
            return plain
