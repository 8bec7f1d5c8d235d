"""The paper's tables as recipes: a table's rows are changes of a recipe, and rows that need one run share it.

A file of pipelines/recipes/tables lists rows. A row takes the recipe of its size, merges its change over it
(mappings are merged, everything else is replaced) and names the arm that answers for it. Rows of all tables
whose recipes come out equal are one run, which compares the arms of them all. A row of the base, which is not
trained, takes any run that asks it the same.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, NamedTuple

from pydantic import Field, ValidationError

from spica.errors import Fault, RecipeError
from spica.recipe.document import parse, write
from spica.recipe.load import find_recipe, parse_recipe, read_text, recipes_folder
from spica.recipe.schema import Arm, Section, compared_arms
from spica.report.paper import TABLES

Size = Literal["72B", "7B"]
Columns = Literal["benchmarks", "difficulty", "steps"]
SUBJECTS: Mapping[str, Mapping[Size, str]] = {
    "miniature": {"72B": "miniature", "7B": "miniature-small"},
    "virgo-7b": {"7B": "virgo-7b"},
    "virgo-72b": {"72B": "virgo-72b"},
}
"""Whose tables are made, by the recipe that stands for each size."""
STUDY = "study"
"""The file in that folder that is no table of the paper."""


class Changes(Section):
    """A change by subject, where numbers differ; a subject that is not named lacks the rows it belongs to."""

    miniature: dict[str, Any] | None = None
    virgo: dict[str, Any] | None = None
    """virgo-7b and virgo-72b."""

    def of(self, subject: str) -> dict[str, Any] | None:
        """The change for a subject; None where it is not named."""
        return self.miniature if subject == "miniature" else self.virgo


NO_CHANGE = Changes(miniature={}, virgo={})


class Row(Section):
    """One line of a table."""

    label: str
    size: Size
    arm: Arm
    """Whose accuracy the line shows."""
    paper: str | None = None
    """Its row in report/paper.py; the arm's when left out."""
    change: Changes = NO_CHANGE
    """What is merged over the size's recipe."""

    @property
    def published(self) -> str:
        """The name of its row in report/paper.py, whether or not there is one."""
        return self.paper or self.arm


class Table(Section):
    """A file of recipes/tables."""

    title: str
    columns: Columns
    note: str = ""
    change: Changes = NO_CHANGE
    """Of all rows, before their own."""
    rows: list[Row] = Field(min_length=1)


class Asked(NamedTuple):
    """A row that a subject has, and what its recipe says but for name, arms and gates."""

    table: str
    row: Row
    value: dict[str, Any]
    where: str
    """FILE:LINE of the row."""


@dataclass
class ComposedRun:
    """One recipe that answers for one or more rows."""

    name: str
    text: str = ""
    """The whole recipe as YAML."""
    arms: tuple[Arm, ...] = ()
    rows: list[Asked] = field(default_factory=list)


def table_names() -> list[str]:
    """The files of recipes/tables by name, sorted."""
    return sorted(path.stem for path in (recipes_folder() / "tables").glob("*.yaml"))


def read_table(name: str) -> tuple[Table, list[int]]:
    """A table and the line of each of its rows.

    Raises:
        RecipeError: there is no such table, or its file has faults (all of them).
    """
    path = recipes_folder() / "tables" / f"{name}.yaml"
    if name not in table_names():
        raise RecipeError(Fault("table", f"unknown table `{name}`", ", ".join(table_names()), "name one"))
    return parse_table(read_text(path), f"tables/{path.name}")


def parse_table(text: str, name: str) -> tuple[Table, list[int]]:
    """The same from a file's text; `name` is how faults call it.

    Raises:
        RecipeError: carries every fault of the text.
    """
    document = parse(text, name)
    try:
        table = Table.model_validate_json(json.dumps(document.value), strict=True)
    except ValidationError as error:
        for found in error.errors(include_url=False, include_input=False):
            loc = found["loc"]
            document.fault(loc, found["msg"], "a key and a value as in tables/table2.yaml", "correct it")
        raise RecipeError(*document.faults) from None
    if document.faults:
        raise RecipeError(*document.faults)
    return table, [document.line(("rows", index)) for index in range(len(table.rows))]


def compose(names: Iterable[str], subject: str) -> list[ComposedRun]:
    """The runs that some tables need of a subject, each recipe once, in the order of the tables.

    Raises:
        RecipeError: an unknown table or subject, or faults of any file or composed recipe (all of them).
    """
    if subject not in SUBJECTS:
        raise RecipeError(
            Fault("--subject", f"unknown subject `{subject}`", ", ".join(SUBJECTS), "choose one of them")
        )
    runs: dict[str, ComposedRun] = {}
    for asked in _asked(names, subject):
        key = json.dumps(asked.value, sort_keys=True)
        if key not in runs:
            runs[key] = ComposedRun(_name(asked, subject, {run.name for run in runs.values()}))
        runs[key].rows.append(asked)
    runs = _without_idle(runs)
    faults: list[Fault] = []
    for run in runs.values():
        try:
            _complete(run, subject)
        except RecipeError as error:
            faults += error.faults
    if faults:
        raise RecipeError(*faults)
    return list(runs.values())


def check_tables() -> list[Fault]:
    """Compose every table for every subject and print how many runs that is; returns all faults."""
    faults: list[Fault] = []
    for subject in SUBJECTS:
        try:
            runs = compose(table_names(), subject)
        except RecipeError as error:
            faults += error.faults
        else:
            print(
                f"tables of {subject}: no fault; {len(runs)} recipes of {sum(len(r.rows) for r in runs)} rows"
            )
    return faults


def merged(value: Any, change: Any) -> Any:
    """`change` over `value`: mappings are merged key by key, everything else is replaced."""
    if isinstance(value, dict) and isinstance(change, dict):
        return {**value, **{key: merged(value.get(key), new) for key, new in change.items()}}
    return change


def _asked(names: Iterable[str], subject: str) -> Iterator[Asked]:
    for name in names:
        table, lines = read_table(name)
        common = table.change.of(subject)
        for row, line in zip(table.rows, lines, strict=True):
            own, recipe = row.change.of(subject), SUBJECTS[subject].get(row.size)
            if common is None or own is None or recipe is None:
                continue
            value = merged(merged(_without_claims(recipe), common), own)
            yield Asked(name, row, value, f"tables/{name}.yaml:{line}")


def _without_idle(runs: dict[str, ComposedRun]) -> dict[str, ComposedRun]:
    """Give rows of the base alone to the first run that trains and asks the base the same."""
    trains = {key: run for key, run in runs.items() if any(asked.row.arm != "base" for asked in run.rows)}
    by_base = {_of_base(run.rows[0].value): run for run in reversed(trains.values())}
    for key, run in runs.items():
        if key not in trains and (other := by_base.get(_of_base(run.rows[0].value))):
            other.rows += run.rows
        else:
            trains[key] = run
    return {key: trains[key] for key in runs if key in trains}


def _of_base(value: Mapping[str, Any]) -> str:
    """What the base's answers hang on: all of a recipe but who teaches what, and how it is trained on."""
    parts = {key: part for key, part in value.items() if key not in ("distill", "dataset", "sft")}
    if isinstance(models := parts.get("models"), dict):
        parts["models"] = {key: part for key, part in models.items() if key != "teachers"}
    if isinstance(sources := parts.get("sources"), dict):
        parts["sources"] = {key: part for key, part in sources.items() if key not in ("text", "visual")}
    return json.dumps(parts, sort_keys=True)


@cache
def _without_claims(recipe: str) -> dict[str, Any]:
    """A recipe's value but for its name, its arms and its gates, which a composed one has of its own."""
    value = parse(read_text(find_recipe(recipe)), recipe).value
    return {key: part for key, part in value.items() if key not in ("name", "arms", "gates")}


def _name(asked: Asked, subject: str, taken: set[str]) -> str:
    """`tables-72b` for the recipe as it is, else the first row that needs the run, as `table5-7b-1k`."""
    row = asked.row
    label = row.published if asked.table in TABLES else row.label
    if asked.value == _without_claims(SUBJECTS[subject][row.size]):
        return f"tables-{row.size.lower()}"
    name = re.sub(r"[^a-z0-9]+", "-", f"{asked.table} {row.size} {label}".lower()).strip("-")[:37]
    return next(one for one in (name, *(f"{name}-{n}" for n in range(2, 100))) if one not in taken)


def _complete(run: ComposedRun, subject: str) -> None:
    """Join the rows' arms and write the recipe, faultless.

    Raises:
        RecipeError: the recipe has faults; each says whose row brought it.
    """
    first = run.rows[0]
    asked: set[Arm] = {"base", *(one.row.arm for one in run.rows)}
    if asked == {"base"}:
        asked.add("D_T")  # a recipe compares at least two
    known = [arm for arm in compared_arms(_visual_teacher(first.value)) if arm in asked]
    run.arms = tuple(known + sorted(asked - {*known}))
    head = {"schema_version": first.value.get("schema_version"), "name": run.name, "arms": list(run.arms)}
    rows = "; ".join(f"{one.table} {one.row.size} {one.row.label}" for one in run.rows)
    run.text = f"# {SUBJECTS[subject][first.row.size]}, changed for: {rows}\n" + write(
        {**head, **first.value, "gates": []}
    )
    try:
        parse_recipe(run.text, run.name)
    except RecipeError as error:
        places = ", ".join(one.where for one in run.rows)
        raise RecipeError(
            *(
                fault._replace(where=f"{places} ({run.name} {fault.where.partition(' ')[2]})")
                for fault in error.faults
            )
        ) from None


def _visual_teacher(value: Mapping[str, Any]) -> str:
    try:
        return str(value["distill"]["visual"]["teacher"])
    except (KeyError, TypeError):
        return ""
