"""What a template gives: a gold answer and answers that are right or wrong by construction."""

from dataclasses import dataclass
from math import gcd
from random import Random

Answers = list[tuple[str, bool]]


@dataclass(frozen=True)
class Case:
    gold: str | list[str]
    telling: Answers
    plain: Answers
    type: str = "Numerical"
    error: str = ""
    unit: str = ""
    language: str = ""
    framed: bool = True
    """False: the answers are whole responses."""


def yes(*answers: str) -> Answers:
    return [(answer, True) for answer in answers]


def no(*answers: str) -> Answers:
    return [(answer, False) for answer in answers]


def ratio(r: Random, denominators: tuple[int, ...] = (2, 4, 5, 8)) -> tuple[int, int]:
    q = r.choice(denominators)
    p = r.choice([n for n in range(1, 4 * q) if gcd(n, q) == 1])
    return p, q


def tex(p: int, q: int) -> str:
    return rf"\frac{{{p}}}{{{q}}}"


def letter(r: Random, of: str = "xyznmkatv") -> str:
    return r.choice(of)


def distinct(r: Random, count: int, low: int = 1, high: int = 30) -> list[int]:
    return r.sample(range(low, high), count)
