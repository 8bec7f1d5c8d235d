"""The commands `spica tables` and `spica diff`: the paper's tables made, and a run held against them."""

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
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
    from spica.artifacts.disk import disk_faults
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
    try:
        results = _run_all(runs, profile)
    except KeyboardInterrupt as stop:
        command = shlex.join(["spica", *sys.argv[1:]])
        kept = str(stop) or "what was finished is kept"
        print(f"spica: stopped; {kept}, and this goes on from there: {command}", file=sys.stderr)
        sys.exit(_STOPPED)
    content = document({name: read_table(name)[0] for name in chosen}, results, subject, profile, _commit())
    with disk_faults(folder):
        (folder / "tables.json").write_text(as_json(content), encoding="utf-8")
        (folder / "tables.html").write_text(render(content), encoding="utf-8")
    print(
        f"{len(results)} runs: {content['num_tasks']} tasks are {content['num_artifacts']} artifacts, "
        f"each made once; {folder / 'tables.html'}"
    )


def _run_all(runs: Sequence["ComposedRun"], profile: str) -> list["Result"]:
    from spica.artifacts.runs import list_runs
    from spica.artifacts.workspace import state_folder
    from spica.recipe.load import parse_recipe, under_profile
    from spica_pipelines.cells import result
    from spica_pipelines.local import run_locally

    results = []
    for number, run in enumerate(runs, 1):
        print(f"run {number} of {len(runs)}: {run.name} ({', '.join(run.arms)})", flush=True)
        resolved = under_profile(parse_recipe(run.text, run.name), profile, run.name)
        made = run_locally(resolved, run.text)
        record = next(one for one in list_runs(state_folder()) if one.recipe == run.name)
        report = json.loads((made["report"].path / "report.json").read_text(encoding="utf-8"))
        results.append(result(run, record, report))
    return results


def _write_recipes(runs: Sequence["ComposedRun"], folder: Path) -> None:
    for run in runs:
        path = folder / f"{run.name}.yaml"
        path.write_text(run.text, encoding="utf-8")
        print(f"{path}: {', '.join(run.arms)}; {len(run.rows)} rows")


def _commit() -> str:
    """What git calls the sources that run; the version where they lie in no checkout."""
    from importlib.metadata import version

    with suppress(OSError, subprocess.CalledProcessError):
        command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
        here = Path(__file__).parent
        return subprocess.run(command, cwd=here, check=True, capture_output=True, text=True).stdout.strip()
    return f"version {version('spica')}"


@app.command()
def diff(
    report: Annotated[Path, typer.Argument(help="A report.json, or the folder with it.")],
    paper: Annotated[str, typer.Option(help="table2 or table3.")] = "table2",
    size: Annotated[
        str | None,
        typer.Option(help="72B or 7B: whose rows of the paper; by the recipe's name when left out."),
    ] = None,
) -> None:
    """Compare a run's cells with the paper's: 0 when each is within +-0.6 or our interval, else 4.

    A report whose prompts, split, sampling or token limit are not the paper's is refused (exit code 1).
    """
    from spica_pipelines.published import compare, read_report, require_suite

    content = read_report(report)
    require_suite(content, str(report))
    size = size or ("7B" if "7b" in content["recipe"] else "72B")
    compared = compare(content, paper, size)
    print(f"{report}: {paper}, {size}, judged by {content['suite']['judge'] or 'rules alone'}")
    for cell in compared:
        print(cell)
    differing = sum(cell.differs for cell in compared)
    print(f"{len(compared)} cells, {differing} differ; the paper's own noise is +-0.6")
    if differing:
        raise typer.Exit(DIFFERS)
