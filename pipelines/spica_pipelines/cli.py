"""The command `spica`. Every command imports what it needs itself, so that `spica --help` answers at once."""

import json
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spica_pipelines import cluster_cli, data_cli, score_cli, tables_cli
from spica_pipelines.options import (
    NamespaceOption,
    ProfileOption,
    RecipeArgument,
    TokenOption,
)

if TYPE_CHECKING:
    from spica.errors import SpicaError

app = typer.Typer(
    help="Post-train vision-language models into slow thinkers: one recipe, from two CPU cores to 64 GPUs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich's help would take two thirds of the time of `spica --help`
)
app.add_typer(cluster_cli.app)
app.add_typer(score_cli.app)
app.add_typer(data_cli.app)
app.add_typer(tables_cli.app)
_STOPPED = 130


@app.command()
def check(
    recipes: Annotated[
        list[str] | None, typer.Argument(help="Names or paths; every shipped recipe when left out.")
    ] = None,
) -> None:
    """List every fault of recipes under all of their profiles."""
    from spica.errors import Fault, RecipeError
    from spica.recipe.load import known_recipes, load_recipe, read_recipe
    from spica.recipe.plan import plan

    faults: list[Fault] = []
    for name in recipes or known_recipes():
        try:
            profiles = list(read_recipe(name).profiles)
            num_tasks = {len(plan(load_recipe(name, profile))) for profile in profiles}
        except RecipeError as error:
            faults += error.faults
        else:
            print(f"{name}: no fault; {', '.join(profiles)}; {max(num_tasks)} tasks")
    if not recipes:
        from spica_pipelines.tables import check_tables

        faults += check_tables()
    if faults:
        raise RecipeError(*faults)


@app.command()
def show(
    recipe: RecipeArgument,
    profile: ProfileOption = "laptop",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Show a recipe under a profile and the numbers that follow from it."""
    from spica.recipe.load import load_recipe
    from spica_pipelines.show import as_tables, as_values

    resolved = load_recipe(recipe, profile)
    if as_json:
        print(json.dumps(as_values(resolved), indent=2))
    else:
        as_tables(resolved)


@app.command()
def run(recipe: RecipeArgument, profile: ProfileOption = "laptop") -> None:
    """Run a recipe to its report and one served answer; goes on where an earlier run stopped."""
    from spica.recipe.load import find_recipe, load_recipe, read_text
    from spica_pipelines.local import run_locally
    from spica_pipelines.show import print_end

    resolved = load_recipe(recipe, profile)
    try:
        made = run_locally(resolved, read_text(find_recipe(recipe)))
    except KeyboardInterrupt as stop:
        command = shlex.join(["spica", *sys.argv[1:]])
        kept = str(stop) or "what was finished is kept"
        print(f"spica: stopped; {kept}, and this goes on from there: {command}", file=sys.stderr)
        sys.exit(_STOPPED)
    print_end(made)


@app.command(name="compile")
def compile_pipeline(
    recipe: RecipeArgument,
    profile: ProfileOption = "cluster64",
    output: Annotated[Path, typer.Option(help="File to write.")] = Path("post_training.yaml"),
    kubernetes: Annotated[
        bool, typer.Option("--kubernetes", help="Objects for kubectl that submit the recipe, no KFP package.")
    ] = False,
    endpoint: Annotated[
        str, typer.Option(help="With --kubernetes: the API server, as pods reach it.")
    ] = "http://ml-pipeline.kubeflow:8888",
    namespace: NamespaceOption = "spica",
) -> None:
    """Write the KFP package (the graph and what the profile adds), or objects that need no KFP client."""
    from spica.recipe.load import find_recipe, load_recipe, read_text

    resolved = load_recipe(recipe, profile)
    if kubernetes:
        from spica_pipelines.in_cluster import objects
        from spica_pipelines.submit import Order

        text = read_text(find_recipe(recipe))
        order = Order(resolved, text, namespace, resolved.recipe.name, priority=None, no_cache=False)
        output.write_text(objects(order, endpoint))
        print(f"{output}: start the run with `kubectl apply -f {output}`")
        return
    from spica_pipelines.compile import package

    output.write_text(package(resolved, namespace).text)
    print(f"{output}: parameters are recipe (the YAML text), profile and run")


@app.command()
def report(
    run: Annotated[
        str | None, typer.Option(help="A submitted run; the latest of this folder when left out.")
    ] = None,
    endpoint: Annotated[
        str, typer.Option(envvar="KFP_ENDPOINT", help="With --run: the API server where it ran.")
    ] = "",
    namespace: NamespaceOption = "spica",
    token_env: TokenOption = None,
) -> None:
    """Say what a report found and where it lies."""
    from spica_pipelines.latest import latest
    from spica_pipelines.show import print_end

    if run is None:
        print_end(latest("report", "serve"))
        return
    from spica_pipelines.remote import artifacts, read_run
    from spica_pipelines.server import Server

    print_end(artifacts(read_run(Server(endpoint, token_env), run, namespace), "report", "serve"))


@app.command()
def doctor(
    recipe: RecipeArgument = "miniature",
    profile: Annotated[
        str | None, typer.Option(help="The recipe's first profile on Kubernetes when left out.")
    ] = None,
    cluster: Annotated[bool, typer.Option("--cluster", help="Look at the cluster, too.")] = False,
    endpoint: Annotated[
        str, typer.Option(envvar="KFP_ENDPOINT", help="With --cluster: URL of KFP, to look at that, too.")
    ] = "",
    steps: Annotated[
        str, typer.Option(help="NAMESPACE:ACCOUNT of the steps of pipelines; found out when left out.")
    ] = "",
    token_env: TokenOption = None,
) -> None:
    """Look at all that a profile needs of its store and its cluster; says per line what to do."""
    from spica.cluster.finding import State
    from spica.recipe.load import load_recipe, read_recipe
    from spica_pipelines.doctor import findings

    on_cluster = [name for name, scale in read_recipe(recipe).profiles.items() if scale.kubernetes]
    resolved = load_recipe(recipe, profile or next(iter(on_cluster), "cluster64"))
    faults = 0
    for finding in findings(resolved, cluster, endpoint, steps, token_env):
        print(finding, flush=True)
        faults += finding.state is State.FAULT
    if faults:
        raise typer.Exit(3)


@app.command()
def serve(
    port: Annotated[
        int, typer.Option(help="Port of the OpenAI API on this machine; 0: any free one.")
    ] = 8000,
) -> None:
    """Put the best model of the latest run behind vLLM's OpenAI API, until Ctrl-C."""
    from spica.artifacts.workspace import state_folder
    from spica.launch.local import LocalLauncher
    from spica.recipe.slices import ServeSlice
    from spica.serve.server import serve_forever
    from spica_pipelines.latest import best_checkpoint, latest

    made = latest("serve")["serve"]
    arm, checkpoint = best_checkpoint()
    slice = ServeSlice.model_validate(made.manifest.slice)
    serve_forever(
        slice,
        checkpoint,
        LocalLauncher(state_folder()),
        state_folder() / "serve.log",
        port or None,
        lambda endpoint: print(
            f"{arm} answers at {endpoint.url} as `{endpoint.model}`; Ctrl-C ends it", flush=True
        ),
    )


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help='What follows the prompt prefix, such as "c+h=?".')],
    image: Annotated[Path | None, typer.Option(help="A picture that the question is about.")] = None,
    url: Annotated[str, typer.Option(help="OpenAI API of a served model.")] = "http://127.0.0.1:8000/v1",
) -> None:
    """Ask a served model one question; its thought and its solution are printed apart."""
    from spica.recipe.slices import ServeSlice
    from spica.serve.ask import ask as ask_model
    from spica_pipelines.latest import latest
    from spica_pipelines.show import print_reply

    slice = ServeSlice.model_validate(latest("serve")["serve"].manifest.slice)
    print_reply(ask_model(slice, url, question, image))


@app.command()
def runs(
    as_json: Annotated[bool, typer.Option("--json", help="JSON Lines instead of a table.")] = False,
) -> None:
    """List the runs of this folder's state, the newest first."""
    from spica.artifacts.runs import list_runs
    from spica.artifacts.workspace import state_folder
    from spica_pipelines.show import runs_table

    found = list_runs(state_folder())
    if as_json:
        for run in found:
            print(run.model_dump_json())
    elif found:
        runs_table(found)
    else:
        print(f"no runs in {state_folder()}; start one: spica run miniature")


def main() -> None:
    """Run the command line.

    Faults are printed without a traceback; exit codes are those of `spica.errors`, 130 on Ctrl-C or SIGTERM.
    """
    from spica.errors import SpicaError

    for number in (signal.SIGINT, signal.SIGTERM):  # a script's background jobs begin with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    try:
        app()
    except SpicaError as error:
        sys.exit(report_faults(error))
    except KeyboardInterrupt:  # before or after typer, which itself makes 130 of it
        sys.exit(_STOPPED)


def report_faults(error: "SpicaError") -> int:
    """Print faults in four parts to stderr; returns the exit code."""
    print("\n\n".join(str(fault) for fault in error.faults), file=sys.stderr)
    num_faults = len(error.faults)
    print(f"\nspica: {num_faults} fault{'s' if num_faults > 1 else ''}", file=sys.stderr)
    return error.exit_code


if __name__ == "__main__":
    main()
