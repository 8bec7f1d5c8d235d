"""Rules of the profiles: what must hold between a scale and what is trained and served at it."""

from collections.abc import Mapping

from spica.recipe.document import Loc, Problem, Problems
from spica.recipe.faults import show
from spica.recipe.keys import key_variables
from spica.recipe.schema import Distill, Evaluate, Models, ProfileName, Scale, Sft

Profiles = Mapping[ProfileName, Scale]


def ranks(sft: Sft, profiles: Profiles) -> Problems:
    """Ranks share each step evenly, and ZeRO's stage suits what trains and in which precision."""
    for name, scale in profiles.items():
        num_ranks = scale.num_nodes * scale.ranks_per_node
        if sft.batch_size % num_ranks:
            yield Problem(
                ("profiles", name, "ranks_per_node"),
                f"{scale.num_nodes} x {scale.ranks_per_node} = {num_ranks} ranks",
                f"a divisor of sft.batch_size ({sft.batch_size}): ranks share each step evenly",
                "use another number of ranks in this profile",
            )
        if scale.zero_stage == 3 and sft.freeze != "llm_only":
            yield Problem(
                ("profiles", name, "zero_stage"),
                f"3 with sft.freeze: {sft.freeze} (ranks without a picture would not join its gathers)",
                "3 with llm_only; 0, 1 or 2 with every freeze mode",
                "set zero_stage: 2 or sft.freeze: llm_only",
            )
        if scale.zero_stage == 0 and scale.precision == "bf16":
            yield Problem(
                ("profiles", name, "zero_stage"),
                "0 with precision bf16 (no fp32 master weights to save)",
                "1, 2 or 3 with bf16; 0 with fp32",
                "set zero_stage: 1",
            )


def servers(profiles: Profiles) -> Problems:
    """Model servers fit on the nodes."""
    for name, scale in profiles.items():
        loc: Loc = ("profiles", name)
        if scale.launcher == "local" and scale.num_nodes > 1:
            yield Problem(
                (*loc, "num_nodes"),
                f"{scale.num_nodes} nodes with launcher local",
                "1 node (local is this machine)",
                "set num_nodes: 1 or launcher: kubernetes",
            )
        if scale.ranks_per_node % scale.tensor_parallel:
            yield Problem(
                (*loc, "tensor_parallel"),
                str(scale.tensor_parallel),
                f"a divisor of ranks_per_node ({scale.ranks_per_node}): a server stays on one node",
                "choose such a divisor",
            )
        elif scale.num_servers > scale.num_nodes * scale.ranks_per_node // scale.tensor_parallel:
            yield Problem(
                (*loc, "num_servers"),
                f"{scale.num_servers} servers x {scale.tensor_parallel}",
                f"<= {scale.num_nodes * scale.ranks_per_node} in all (num_nodes x ranks_per_node)",
                "lower num_servers or tensor_parallel",
            )


def clusters(profiles: Profiles, store: str) -> Problems:
    """A profile for Kubernetes has a store that pods share, and GPUs for its ranks."""
    for name, scale in profiles.items():
        loc: Loc = ("profiles", name)
        if scale.launcher == "local":
            continue
        if not (scale.store or store).startswith("s3://"):
            yield Problem(
                (*loc, "store") if scale.store else ("store",),
                f"{show(scale.store or store)} with launcher kubernetes (profile {name})",
                "s3://bucket/prefix: pods on several nodes share no folder",
                f"set `store` in the profile {name}",
            )
        if scale.kubernetes is None:
            yield Problem(
                (*loc, "kubernetes"), "nothing", "queues, pods and secrets", "copy the section of virgo-72b"
            )
            continue
        training, serving = scale.kubernetes.training, scale.kubernetes.serving
        if training.gpus not in (0, scale.ranks_per_node):
            yield Problem(
                (*loc, "kubernetes", "training", "gpus"),
                f"{training.gpus} GPUs for {scale.ranks_per_node} ranks in a pod",
                f"{scale.ranks_per_node} (one per rank), or 0",
                "set gpus to ranks_per_node",
            )
        if serving.gpus not in (0, scale.tensor_parallel):
            yield Problem(
                (*loc, "kubernetes", "serving", "gpus"),
                f"{serving.gpus} GPUs for tensor_parallel {scale.tensor_parallel}",
                f"{scale.tensor_parallel}, or 0",
                "set gpus to tensor_parallel",
            )


def secrets(profiles: Profiles, models: Models, distill: Distill, evaluate: Evaluate) -> Problems:
    """A profile for Kubernetes names the secrets with the keys of the endpoints that are asked."""
    keys = key_variables(models, distill, evaluate)
    for name, scale in profiles.items():
        if scale.launcher == "local" or scale.kubernetes is None:
            continue
        loc: Loc = ("profiles", name, "kubernetes", "secrets")
        if keys.teachers and not scale.kubernetes.secrets.teacher:
            yield _unnamed((*loc, "teacher"), ", ".join(keys.teachers))
        if keys.evaluate and not scale.kubernetes.secrets.judge:
            yield _unnamed((*loc, "judge"), keys.evaluate)


def _unnamed(loc: Loc, variables: str) -> Problem:
    return Problem(
        loc,
        "nothing",
        f"the name of a Secret with {variables}",
        "name it: manifests/README.md shows how to make one",
    )
