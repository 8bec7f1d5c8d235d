"""Arguments and options that several commands share."""

from typing import Annotated

import typer

RecipeArgument = Annotated[str, typer.Argument(help="Name of a shipped recipe, or path of a YAML file.")]
ProfileOption = Annotated[str, typer.Option(help="laptop, node8, cluster2 or cluster64.")]
RunArgument = Annotated[str, typer.Argument(help="Id of a run, as `spica submit` printed it.")]
EndpointOption = Annotated[
    str, typer.Option(envvar="KFP_ENDPOINT", help="URL of the API server of Kubeflow Pipelines.")
]
NamespaceOption = Annotated[
    str, typer.Option(help="Namespace of the team: the run's jobs and servers are made there.")
]
TokenOption = Annotated[
    str | None, typer.Option(help="NAME of the environment variable that holds the server's bearer token.")
]
