"""Arguments and options that several commands share."""

import re
from typing import Annotated

import typer

from spica.errors import Fault, RecipeError

MAX_EXPERIMENT = 255
"""Column `Name` of KFP's table of experiments."""


def _namespace(name: str) -> str:
    from spica.recipe.scale import MAX_NAME, NAME

    if len(name) <= MAX_NAME and re.fullmatch(NAME, name):
        return name
    found = f"{name[:60]!r}, {len(name)} characters"
    allowed = f"small letters, digits and -, {MAX_NAME} characters at most"
    raise RecipeError(Fault("--namespace", found, allowed, "`kubectl get namespaces` lists them"))


def experiment_name(name: str | None) -> str | None:
    """What KFP takes as the name of an experiment.

    Raises:
        RecipeError: it is too long.
    """
    if name and len(name) > MAX_EXPERIMENT:
        allowed = f"{MAX_EXPERIMENT} characters at most, as KFP keeps it"
        raise RecipeError(Fault("--experiment", f"{len(name)} characters", allowed, "shorten it"))
    return name


RecipeArgument = Annotated[str, typer.Argument(help="Name of a shipped recipe, or path of a YAML file.")]
ProfileOption = Annotated[str, typer.Option(help="laptop, node8, cluster2 or cluster64.")]
RunArgument = Annotated[str, typer.Argument(help="Id of a run, as `spica submit` printed it.")]
EndpointOption = Annotated[
    str, typer.Option(envvar="KFP_ENDPOINT", help="URL of the API server of Kubeflow Pipelines.")
]
NamespaceOption = Annotated[
    str,
    typer.Option(
        callback=_namespace, help="Namespace of the team: the run's jobs and servers are made there."
    ),
]
TokenOption = Annotated[
    str | None, typer.Option(help="NAME of the environment variable that holds the server's bearer token.")
]
