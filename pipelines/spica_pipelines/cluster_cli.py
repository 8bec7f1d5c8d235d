"""The commands of `spica` that speak to a Kubeflow Pipelines server."""

import json
from typing import Annotated

import typer

from spica_pipelines.options import (
    EndpointOption,
    NamespaceOption,
    ProfileOption,
    RecipeArgument,
    RunArgument,
    TokenOption,
    experiment_name,
)

app = typer.Typer()


@app.command()
def submit(
    recipe: RecipeArgument,
    endpoint: EndpointOption,
    profile: ProfileOption = "cluster64",
    namespace: NamespaceOption = "spica",
    token_env: TokenOption = None,
    experiment: Annotated[
        str | None,
        typer.Option(
            callback=experiment_name,
            help="Where the server lists the run; the recipe's name when left out.",
        ),
    ] = None,
    priority: Annotated[
        str | None, typer.Option(help="WorkloadPriorityClass of the run's jobs, in place of the profile's.")
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Make every artifact anew, below STORE/runs/RUN.")
    ] = False,
) -> None:
    """Start a run of a recipe on Kubeflow Pipelines 2.x."""
    from spica.recipe.load import find_recipe, load_recipe, read_text
    from spica_pipelines.server import Server
    from spica_pipelines.show_remote import print_submitted
    from spica_pipelines.submit import Order
    from spica_pipelines.submit import submit as start

    resolved = load_recipe(recipe, profile)
    text = read_text(find_recipe(recipe))
    order = Order(resolved, text, namespace, experiment or resolved.recipe.name, priority, no_cache)
    server = Server(endpoint, token_env)
    print_submitted(start(order, server), order, server)


@app.command()
def status(
    run: RunArgument,
    endpoint: EndpointOption,
    namespace: NamespaceOption = "spica",
    token_env: TokenOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Show every task of a submitted run, and why one failed; exit code 1 when the run has failed."""
    from spica_pipelines.remote import read_run
    from spica_pipelines.server import Server
    from spica_pipelines.show_remote import as_values, print_status

    server = Server(endpoint, token_env)
    found = read_run(server, run, namespace)
    if as_json:
        print(json.dumps(as_values(found), indent=2))
    else:
        print_status(found, server, namespace)
    if found.verdict in ("failed", "canceled"):
        raise typer.Exit(1)


@app.command()
def logs(
    run: RunArgument,
    endpoint: EndpointOption,
    task: Annotated[
        str | None, typer.Argument(help="A task; the failed or running ones when left out.")
    ] = None,
    namespace: NamespaceOption = "spica",
    token_env: TokenOption = None,
) -> None:
    """Print what the steps of a submitted run have printed."""
    from spica.errors import Fault, PrerequisiteError
    from spica_pipelines.remote import chosen_tasks, read_run, task_log
    from spica_pipelines.server import Server

    server = Server(endpoint, token_env)
    found = read_run(server, run, namespace)
    missing: list[Fault] = []
    for item in chosen_tasks(found, task):
        try:
            text = task_log(server, found, item)
        except PrerequisiteError as error:
            missing += error.faults
        else:
            print(f"==> {item.name} ({item.state}) <==")
            print(text)
    if missing:
        raise PrerequisiteError(*missing)


@app.command()
def cancel(
    run: RunArgument,
    endpoint: EndpointOption,
    namespace: NamespaceOption = "spica",
    token_env: TokenOption = None,
) -> None:
    """End a submitted run and wait until it has ended; the reaper then ends what it started elsewhere."""
    from spica_pipelines.ending import cancel as end
    from spica_pipelines.server import Server
    from spica_pipelines.show_remote import print_ended

    server = Server(endpoint, token_env)
    print_ended(run, end(server, run, namespace), server, namespace)
