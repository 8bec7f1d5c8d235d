"""The launcher for Kubernetes: PyTorchJobs and InferenceServices behind the contract that stages know."""

from functools import cached_property
from pathlib import Path

from spica.artifacts.code import module_digest
from spica.artifacts.workspace import Work
from spica.cluster.api import Cluster
from spica.cluster.job import KubernetesJob, submit
from spica.cluster.order import Order
from spica.cluster.owner import owner_of_this_process
from spica.cluster.pool import require_pool
from spica.cluster.pytorchjob import pytorchjob
from spica.errors import Fault, StageError
from spica.images import image
from spica.launch.contract import CommandServer, Endpoint, Job, ModelServer, Training
from spica.launch.local import LocalLauncher
from spica.recipe.schema import Kubernetes

TEMPLATE = "spica-train"
"""PodTemplate of the namespace: what the platform team adds to every training pod."""


class KubernetesLauncher:
    """Starts heavy things as objects of one namespace; small servers stay beside the caller."""

    def __init__(self, state: Path, kubernetes: Kubernetes, run: str) -> None:
        """Connects when something is first started: what lies in the store needs no cluster.

        Args:
            state: folder for processes that run here.
            kubernetes: pods, queues and secrets of the profile.
            run: run id, a label of everything made.
        """
        self._kubernetes = kubernetes
        self._run = run
        self._local = LocalLauncher(state)

    @cached_property
    def _cluster(self) -> Cluster:
        return Cluster.connect()

    @cached_property
    def _owner(self) -> str:
        return owner_of_this_process(self._cluster, self._run)

    def train(self, job: Training) -> Job:
        """Submit a PyTorchJob, or take up the one of an earlier attempt.

        Raises:
            ConflictError: another job runs under its name.
            PrerequisiteError: no cluster, none with the operator, or none that lets this account do it.
        """
        work = _work(job)
        order = Order(
            task=work.task,
            key=work.key,
            store=work.store,
            module=job.module,
            code=module_digest(job.module),
            slice=job.slice,
            inputs={name: artifact.reference for name, artifact in sorted(job.inputs.items())},
            num_nodes=job.num_nodes,
            ranks_per_node=job.ranks_per_node,
            threads_per_rank=job.threads_per_rank,
            max_crashes=self._kubernetes.training.max_crashes,
        )
        template = (self._cluster.get("PodTemplate", TEMPLATE) or {}).get("template", {})
        body = pytorchjob(order, self._kubernetes, image("train"), self._run, self._owner, template)
        require_pool(self._cluster, self._kubernetes.training)
        name = body["metadata"]["name"]
        how = submit(self._cluster, body, work)
        print(f"job {name}: {how} in {self._cluster.namespace}", flush=True)
        storage = self._kubernetes.secrets.storage
        return KubernetesJob(self._cluster, name, job, work, self._owner, storage)

    def serve(self, server: ModelServer | CommandServer) -> Endpoint:
        """Start an InferenceService over a checkpoint and wait until it answered one request.

        Raises:
            EndpointError: it was not ready in time; carries the pod's reason.
            PrerequisiteError: no cluster, none with KServe, or none that lets this account do it.
        """
        if isinstance(server, CommandServer):
            return self._local.serve(server)
        from spica.cluster.endpoint import KubernetesEndpoint

        return KubernetesEndpoint.start(self._cluster, server, self._kubernetes, self._run, self._owner)


def _work(job: Training) -> Work:
    if job.out.work is None:
        where, advice = f"job {job.name}", "open the workspace with `open_workspace`"
        raise StageError(Fault(where, "a workspace of no artifact", "one with task, key and store", advice))
    return job.out.work
