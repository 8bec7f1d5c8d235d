"""The miniature's student by URI: what a recipe may ask for, one place for its checks and for who makes it.

miniature://base                     the shipped checkpoint
miniature://base?size=small&seed=1   a base of this size and seed, trained from nothing by the task `student`
"""

from typing import Literal, NamedTuple, cast, get_args
from urllib.parse import parse_qs

BaseSize = Literal["small", "large"]

FIGURES = "figures.json"
"""In the folder of a base that was trained: what was measured, name -> number."""

_SHIPPED = "miniature://base"
_SIZES = get_args(BaseSize)
_ALLOWED = (
    f"{_SHIPPED}, or with parameters, once each: size={'|'.join(_SIZES)}, seed=0..999999999, steps=1..999999"
)


class BaseTraining(NamedTuple):
    """A base that is to be trained.

    Attributes:
        size: `large` has the architecture of the shipped one.
        seed: Decides weights, data and their order.
        num_steps: Optimizer steps; None takes those of the schedule as it was tried.
    """

    size: BaseSize = "large"
    seed: int = 0
    num_steps: int | None = None


def read_base(uri: str) -> BaseTraining | None:
    """The training that the URI of a miniature's student asks for; None for the shipped checkpoint.

    Raises:
        ValueError: Another name, or a parameter that is unknown, repeated or out of range; the text says
            what is allowed.
    """
    if uri == _SHIPPED:
        return None
    name, _, query = uri.partition("?")
    given = parse_qs(query, keep_blank_values=True)
    if name != _SHIPPED or not given:
        raise ValueError(f"no such student; allowed is {_ALLOWED}")
    for parameter, values in given.items():
        if len(values) > 1 or not _is_valid(parameter, values[0]):
            raise ValueError(f"parameter {parameter}={','.join(values)!r}; allowed is {_ALLOWED}")
    size, seed, steps = (given.get(parameter, [""])[0] for parameter in ("size", "seed", "steps"))
    return BaseTraining(cast(BaseSize, size or "large"), int(seed or "0"), int(steps) if steps else None)


def _is_valid(parameter: str, value: str) -> bool:
    if parameter == "size":
        return value in _SIZES
    is_number = value.isascii() and value.isdigit() and len(value) <= 9
    return is_number and (parameter == "seed" or (parameter == "steps" and 1 <= int(value) <= 999_999))
