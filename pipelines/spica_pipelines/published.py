"""A run's cells against the paper's: scored as the authors did where known, refused where the suite differs.

Equal prompts, split, sampling and token limit are necessary, not enough: `known_differences` says what is
known to differ all the same.
"""

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spica.answers.modes import JUDGED_BY_MODEL
from spica.errors import DataError, Fault, RecipeError
from spica.report.paper import JUDGE, NOISE, SUITE, TABLES
from spica_pipelines.cells import own_cells
from spica_pipelines.tables import Columns

COMPARABLE: Mapping[str, Columns] = {"table2": "benchmarks", "table3": "difficulty"}
"""Tables whose rows are arms of one run; the others' rows are a run each."""
SIZES = {"virgo-7b": "7B", "virgo-72b": "72B", "tables-7b": "7B", "tables-72b": "72B"}
"""Recipes whose rows are known by their names: the two, and `spica tables`' own names of them unchanged."""
_COMPOSED = re.compile(r"(table\d+|study)-(7b|72b)-")
"""How `spica tables` calls a recipe with a change."""
_MIXED = "mixed"
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class _Part(BaseModel):
    """Of a report.json: what is read here; the rest of it may be as it likes."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class Cell(_Part):
    """Share of right answers."""

    accuracy: Share
    ci95: tuple[Share, Share]
    n: int = Field(ge=1)
    num_unjudged: int = 0


class NotJudged(_Part):
    """A mode in which no response got a verdict."""

    accuracy: None
    num_unjudged: int


class Suite(_Part):
    """How the models were asked; `require_suite` looks at the rest."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)

    judge: str | None
    max_pixels: int | None = None


class Report(_Part):
    """A report.json."""

    recipe: str
    suite: Suite
    modes: dict[str, dict[str, dict[str, Cell | NotJudged | Literal["n/a"]]]]
    """Arm -> benchmark -> mode."""
    table3: dict[str, dict[str, Cell]]


class Compared(NamedTuple):
    """One cell, in percent."""

    arm: str
    column: str
    mode: str
    """How ours was scored; `mixed` for a mean of cells in several modes."""
    ours: Fraction
    ci95: tuple[float, float] | None
    num_unjudged: int
    """Responses left out, because nobody judged them."""
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
        where = f"{self.arm:9} {self.column:13} {self.mode:8}"
        left_out = f"; {self.num_unjudged} unjudged left out" if self.num_unjudged else ""
        return (
            f"{where} ours {float(self.ours):6.2f}  paper {self.published:6.2f}  {self.difference:+6.2f}"
            f"  {self.verdict}{left_out}"
        )


def read_report(path: Path) -> Report:
    """The report.json at a path, or in the folder there.

    Raises:
        DataError: there is none, or it lacks what is compared (all faults).
    """
    file = path / "report.json" if path.is_dir() else path
    allowed, advice = "a report.json of this version", "spica report says where it is"
    try:
        return Report.model_validate_json(file.read_bytes())
    except OSError as error:
        raise DataError(Fault(str(file), error.strerror or str(error), allowed, advice)) from None
    except ValidationError as error:
        found = {
            ".".join(map(str, one["loc"])): one["msg"]
            for one in error.errors(include_url=False, include_input=False, include_context=False)
        }
        raise DataError(
            *(Fault(f"{file} {loc}".rstrip(), msg, allowed, advice) for loc, msg in found.items())
        ) from None


def size_of(recipe: str, table: str, size: str | None) -> str:
    """Whose rows of a table a report's arms are.

    Args:
        recipe: The report's name of its recipe.
        table: The paper's.
        size: What the user says, if anything.

    Raises:
        RecipeError: an unknown table or size; the recipe is another table's, or its size another or unknown.
    """
    if table not in COMPARABLE:
        raise RecipeError(Fault("--paper", table, ", ".join(COMPARABLE), "spica tables makes the others"))
    composed = _COMPOSED.match(recipe)
    if composed and composed[1] != table:
        raise RecipeError(
            Fault(
                f"--paper {table}",
                f"a report of `{recipe}`, which was composed for a row of {composed[1]}",
                f"a recipe whose arms are rows of {table}: {', '.join(SIZES)}",
                "its row stands beside the paper's on the page of spica tables",
            )
        )
    known = composed[2].upper() if composed else SIZES.get(recipe)
    sizes = [name for name in ("72B", "7B") if name in TABLES[table]]
    if size is None and known is None:
        raise RecipeError(
            Fault("--size", f"nothing, and `{recipe}` is not known", " or ".join(sizes), "say whose rows")
        )
    chosen = str(size or known)
    if chosen not in sizes or known not in (None, chosen):
        found = f"{chosen} for {table} and a report of `{recipe}`"
        allowed = ", ".join(name for name in sizes if known in (None, name)) or "no size of that table"
        raise RecipeError(Fault("--size", found, allowed, "name another table, size or report"))
    return chosen


def require_suite(report: Report, where: str) -> None:
    """Refuse what was asked in another way than the paper's models.

    Raises:
        DataError: one fault for each difference in prompt, split, sampling or token limit.
    """
    found = dict(_flat(report.suite.model_dump(), ""))
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


def compare(report: Report, table: str, size: str, where: str) -> list[Compared]:
    """Every cell that the report and the paper both have; table and size as of `size_of`.

    Raises:
        DataError: nothing can be compared, or a cell that needs a judge has none.
    """
    rows = TABLES[table][size]
    compared: list[Compared] = []
    faults: list[Fault] = []
    for arm, published in rows.items():
        ours, missing = _scored(report, arm, table)
        faults += [_unjudged(f"{where} modes.{arm}.{name}.fork", report) for name in missing]
        columns = COMPARABLE[table]
        dumped = {name: cell.model_dump() for name, (_, cell) in ours.items()}
        cells = own_cells({table: {arm: dumped}}, arm, columns)
        modes = {name: mode for name, (mode, _) in ours.items()}
        for column, value in published.items():
            if column not in cells or (column == "mean" and len(ours) < len(published) - 1):
                continue
            unjudged = ours[column][1].num_unjudged if column in ours else 0
            mode = modes.get(column, _MIXED if len({*modes.values()}) > 1 else next(iter(modes.values())))
            compared.append(Compared(arm, column, mode, *_percent(cells[column]), unjudged, value))
    if faults:
        raise DataError(*faults)
    if not compared:
        raise DataError(Fault(f"--paper {table}", "no arm of this report", "some arm of it", "name another"))
    return compared


def known_differences(report: Report, compared: list[Compared]) -> Iterator[str]:
    """Sentences on what differs from the authors' measurement although the suite is theirs."""
    modes = {(cell.column, cell.mode) for cell in compared}
    if any(mode == "fork" for _, mode in modes):
        yield "fork: scored as the authors' published code does, which on OlympiadBench refuses 1/2 for 0.5"
    if any(mode == "repaired" for _, mode in modes):
        yield "repaired: our own scoring; the authors' of MMMU was not published"
    if any(cell.arm == "base" for cell in compared):
        yield "base: the paper's are at least partly Qwen's own published numbers (protocol C0)"
    size = report.suite.max_pixels
    pixels = f"at most {size} pixels" if size else "at most what the report does not state"
    yield f"pictures: {pixels}; the authors' inference did not cap them"
    if any(name in JUDGED_BY_MODEL["fork"] for name, _ in modes) and report.suite.judge != JUDGE:
        yield f"judged by {report.suite.judge}; the default of the authors' scripts is {JUDGE}"


def _scored(report: Report, arm: str, table: str) -> tuple[dict[str, tuple[str, Cell]], list[str]]:
    """One arm's (mode, cell) by column, scored as the authors did where known; columns that lack a judge."""
    if table == "table3":
        return {name: ("repaired", cell) for name, cell in report.table3.get(arm, {}).items()}, []
    found: dict[str, tuple[str, Cell]] = {}
    missing: list[str] = []
    for name, by_mode in report.modes.get(arm, {}).items():
        mode = "fork" if by_mode.get("fork", "n/a") != "n/a" else "repaired"
        cell = by_mode.get(mode)
        if name in JUDGED_BY_MODEL["fork"] and (report.suite.judge is None or not isinstance(cell, Cell)):
            missing.append(name)
        elif isinstance(cell, Cell):
            found[name] = mode, cell
    return found, missing


def _unjudged(where: str, report: Report) -> Fault:
    return Fault(
        where,
        "suite.judge is null" if report.suite.judge is None else "no response was judged",
        f"a judge: the authors' scorer asks a language model (by default {JUDGE})",
        "evaluate again with evaluate.judge, as the virgo recipes do",
    )


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
