"""The commands `spica tables` and `spica diff`: the paper's tables made, and a run held against them."""

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spica_pipelines.options import ProfileOption

if TYPE_CHECKING:
    from spica_pipelines.cells import Result
    from spica_pipelines.tables import ComposedRun

app = typer.Typer()
_STOPPED = 130
DIFFERS = 4
"""Exit code of `spica diff` where a cell differs by more than the paper's noise and our interval."""


@app.command()
def tables(
    names: Annotated[
        list[str] | None, typer.Argument(help="table2 .. table6, study; the paper's five when left out.")
    ] = None,
    subject: Annotated[str, typer.Option(help="miniature, virgo-7b or virgo-72b.")] = "miniature",
    profile: ProfileOption = "laptop",
    out: Annotated[
        Path | None, typer.Option(help="Folder of tables.html and tables.json; .spica/tables when left out.")
    ] = None,
    recipes: Annotated[
        Path | None, typer.Option(help="Only write the composed recipes to this folder; run nothing.")
    ] = None,
) -> None:
    """Run the recipes of the paper's tables, equal ones once, and set its numbers beside ours."""
    from spica.artifacts.disk import atomic_file, disk_faults
    from spica.artifacts.workspace import state_folder
    from spica.errors import Fault, RecipeError
    from spica_pipelines.cells import as_json, document
    from spica_pipelines.tables import STUDY, compose, read_table, table_names
    from spica_pipelines.tables_page import render

    chosen = [*dict.fromkeys(names or [name for name in table_names() if name != STUDY])]
    runs = compose(chosen, subject)
    if not runs:
        found = f"no row of {', '.join(chosen)}"
        raise RecipeError(Fault(f"--subject {subject}", found, "tables with its rows", "name others"))
    folder = recipes or out or state_folder() / "tables"
    with disk_faults(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if recipes is not None:
            _write_recipes(runs, folder)
            return
    page = folder / "tables.html"
    chosen_tables = {name: read_table(name)[0] for name in chosen}
    made_by = _sources()

    def write(results: Sequence["Result"]) -> None:
        content = document(chosen_tables, results, subject, profile, made_by)
        for path, text in ((folder / "tables.json", as_json(content)), (page, render(content))):
            with atomic_file(path) as file:
                file.write(text.encode())

    try:
        exit_code = _run_all(runs, profile, write)
    except KeyboardInterrupt as stop:
        command = shlex.join(["spica", *sys.argv[1:]])
        kept = str(stop) or "what was finished is kept"
        print(f"spica: stopped; {kept}, and this goes on from there: {command}", file=sys.stderr)
        sys.exit(_STOPPED)
    print(page)
    if exit_code:
        raise typer.Exit(exit_code)


def _run_all(runs: Sequence["ComposedRun"], profile: str, write: Callable[[Sequence["Result"]], None]) -> int:
    """Run one after another and write after each; returns the exit code of the first that failed, or 0.

    What no run can do without (the lock, room on the disk) ends it all; after other failures it goes on.
    """
    from spica.errors import PrerequisiteError, SpicaError
    from spica_pipelines.cells import Result

    results = {run.name: Result(run, unfinished="has not run yet") for run in runs}
    exit_code = 0
    for number, run in enumerate(runs, 1):
        print(f"run {number} of {len(runs)}: {run.name} ({', '.join(run.arms)})", flush=True)
        try:
            results[run.name] = _run_one(run, profile)
        except SpicaError as error:
            words = "; ".join(f"{fault.where}: {fault.found}" for fault in error.faults)
            results[run.name] = Result(run, unfinished=f"failed: {words}")
            exit_code = exit_code or error.exit_code
            print("\n\n".join(map(str, error.faults)), file=sys.stderr, flush=True)
            if isinstance(error, PrerequisiteError):
                write([*results.values()])
                break
        write([*results.values()])
    num_finished = sum(not one.unfinished for one in results.values())
    print(f"{num_finished} of {len(runs)} runs finished")
    return exit_code


def _run_one(run: "ComposedRun", profile: str) -> "Result":
    from spica.artifacts.runs import list_runs
    from spica.artifacts.workspace import state_folder
    from spica.recipe.load import parse_recipe, under_profile
    from spica_pipelines.cells import result
    from spica_pipelines.local import run_locally

    resolved = under_profile(parse_recipe(run.text, run.name), profile, run.name)
    made = run_locally(resolved, run.text)
    record = next(one for one in list_runs(state_folder()) if one.recipe == run.name)
    report = json.loads((made["report"].path / "report.json").read_text(encoding="utf-8"))
    return result(run, record, report)


def _write_recipes(runs: Sequence["ComposedRun"], folder: Path) -> None:
    for run in runs:
        path = folder / f"{run.name}.yaml"
        path.write_text(run.text, encoding="utf-8")
        print(f"{path}: {', '.join(run.arms)}; {len(run.rows)} rows")


def _sources() -> str:
    """The commit of the sources that run, where git tracks them; else Spica's version."""
    from importlib.metadata import version

    file = Path(__file__).resolve()
    track = ["git", "ls-files", "--error-unmatch", file.name]
    describe = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    with suppress(OSError, subprocess.CalledProcessError):
        for command in (track, describe):
            said = subprocess.run(command, cwd=file.parent, check=True, capture_output=True, text=True).stdout
        return f"commit {said.strip()}"
    return f"version {version('spica')}"


@app.command()
def diff(
    report: Annotated[Path, typer.Argument(help="A report.json, or the folder with it.")],
    paper: Annotated[str, typer.Option(help="table2 or table3.")] = "table2",
    size: Annotated[
        str | None,
        typer.Option(help="72B or 7B: whose rows of the paper; left out: by the recipe's name, if known."),
    ] = None,
) -> None:
    """Compare a run's cells with the paper's: 0 when each is within +-0.6 or our interval, else 4.

    Scored as the authors' code does where it was published. A report whose prompts, split, sampling or token
    limit are not the paper's, or that lacks a judge, is refused (exit code 1); what is known to differ all
    the same is printed.
    """
    from spica.report.paper import NOISE
    from spica_pipelines.published import compare, known_differences, read_report, require_suite, size_of

    content = read_report(report)
    size = size_of(content.recipe, paper, size)
    require_suite(content, str(report))
    compared = compare(content, paper, size, str(report))
    print(f"{report}: {content.recipe}, {paper}, {size}")
    for line in (*compared, *known_differences(content, compared)):
        print(line)
    differing = sum(cell.differs for cell in compared)
    print(f"{len(compared)} cells, {differing} differ; +-{NOISE} is a convention, not a measured noise")
    if differing:
        raise typer.Exit(DIFFERS)
