"""A real run's cells against the paper's, where both were measured in the same way."""

import json
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from spica.errors import DataError, Fault, RecipeError
from spica.report.paper import NOISE, SUITE, TABLES
from spica_pipelines.cells import own_cells
from spica_pipelines.tables import Columns

COMPARABLE: Mapping[str, Columns] = {"table2": "benchmarks", "table3": "difficulty"}
"""Tables whose rows are arms of one run; the others' rows are a run each."""


class Compared(NamedTuple):
    """One cell, in percent."""

    arm: str
    column: str
    ours: Fraction
    ci95: tuple[float, float] | None
    published: float

    @property
    def difference(self) -> float:
        """Ours minus the paper's, points."""
        return float(self.ours - _exact(self.published))

    @property
    def verdict(self) -> str:
        """Whether the difference is more than noise."""
        if abs(self.ours - _exact(self.published)) <= _exact(NOISE):
            return f"within +-{NOISE}"
        if self.ci95 and self.ci95[0] <= self.published <= self.ci95[1]:
            return "within the 95 % interval"
        return "differs"

    @property
    def differs(self) -> bool:
        """True where neither the paper's noise nor our interval explains it."""
        return self.verdict == "differs"

    def __str__(self) -> str:
        where = f"{self.arm:9} {self.column:13}"
        return (
            f"{where} ours {float(self.ours):6.2f}  paper {self.published:6.2f}  {self.difference:+6.2f}"
            f"  {self.verdict}"
        )


def read_report(path: Path) -> dict[str, Any]:
    """The content of a report.json, or of the one in a folder.

    Raises:
        DataError: there is none, or it states no suite.
    """
    file = path / "report.json" if path.is_dir() else path
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(content, dict) and isinstance(content.get("suite"), dict):
            return content
        found = "no report with a section `suite`"
    except (OSError, ValueError) as error:
        found = getattr(error, "strerror", None) or "no JSON"
    raise DataError(Fault(str(file), found, "a report.json of this version", "spica report says where it is"))


def require_suite(content: Mapping[str, Any], where: str) -> None:
    """Refuse what was not measured as the paper's tables were.

    Raises:
        DataError: one fault for each difference in prompt, split, sampling or token limit.
    """
    found = dict(_flat(content["suite"], ""))
    faults = [
        Fault(
            f"{where} suite.{key}",
            repr(found.get(key, "nothing")),
            f"{wanted!r}, as the paper's tables were measured",
            "evaluate under it, as the virgo recipes do; other numbers are not comparable",
        )
        for key, wanted in _flat(SUITE, "")
        if found.get(key) != wanted
    ]
    if faults:
        raise DataError(*faults)


def compare(content: Mapping[str, Any], table: str, size: str) -> list[Compared]:
    """Every cell that the report and the paper both have.

    Raises:
        RecipeError: an unknown table or size.
        DataError: nothing can be compared.
    """
    if table not in COMPARABLE:
        raise RecipeError(Fault("--paper", table, ", ".join(COMPARABLE), "spica tables makes the others"))
    sizes = [name for name in ("72B", "7B") if name in TABLES[table]]
    if size not in sizes:
        raise RecipeError(Fault("--size", f"{size} in {table}", ", ".join(sizes), "name one of them"))
    compared = [
        Compared(arm, column, *_percent(cells[column]), published)
        for arm, row in TABLES[table][size].items()
        if (cells := own_cells(content, arm, COMPARABLE[table]))
        for column, published in row.items()
        if column in cells
    ]
    if not compared:
        raise DataError(Fault(f"--paper {table}", "no arm of this report", "some arm of it", "name another"))
    return compared


def _percent(cell: Mapping[str, Any]) -> tuple[Fraction, tuple[float, float] | None]:
    exact = Fraction(cell["percent"])
    return exact, (100 * cell["ci95"][0], 100 * cell["ci95"][1]) if cell["ci95"] else None


def _exact(value: float) -> Fraction:
    """What a decimal number says, not the float beside it: 48.4 + 0.6 is 49."""
    return Fraction(str(value))


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
