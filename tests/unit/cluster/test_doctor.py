"""`spica doctor --cluster`, check by check; tests/cluster/test_doctor.py asks a real API server."""

from typing import Any

import pytest

from spica.cluster.access import OWNER, RIGHTS, WORKFLOWS
from spica.cluster.capacity import demands, examine_pool, examine_queue
from spica.cluster.credentials import examine_named, named
from spica.cluster.finding import State
from spica.cluster.operators import (
    examine_init_container,
    examine_kueue,
    examine_operator,
    examine_storage_initializer,
)
from spica.cluster.quotas import examine_quotas
from spica.cluster.steps import Steps, step_checks
from spica.errors import RecipeError
from spica.recipe.keys import KeyVariables
from spica.recipe.load import load_recipe
from spica.recipe.schema import Kubernetes, Secrets

from ...fakes.cluster import FakeCluster, Object

STORAGE = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_S3", "AWS_REGION")
S3_ENDPOINT = "serving.kserve.io/s3-endpoint"
STEPS = Steps("kubeflow", "pipeline-runner")
KEYS, NO_KEYS = KeyVariables("KEY", None, None), KeyVariables(None, None, None)


class Authorising(FakeCluster):
    """Answers access reviews: an account may do what is written down for its namespace."""

    def __init__(self) -> None:
        super().__init__()
        self.allowed: set[tuple[str, str, str, str]] = set()
        """(namespace, account, verb, resource)"""

    def create(self, body: Object) -> Object:
        if body["kind"] != "LocalSubjectAccessReview":
            return super().create(body)
        spec, asked = body["spec"], body["spec"]["resourceAttributes"]
        assert body["metadata"]["namespace"] == asked["namespace"] == self.namespace
        account = spec["user"].removeprefix("system:serviceaccount:")
        resource = "/".join(filter(None, (asked["resource"], asked["subresource"])))
        return {"status": {"allowed": (self.namespace, account, asked["verb"], resource) in self.allowed}}

    def allow(self, namespace: str, account: str, rights: Any) -> None:
        for (_, resource), verbs in rights.items():
            self.allowed |= {(namespace, account, verb, resource) for verb in verbs}


@pytest.fixture
def cluster() -> Any:
    made = Authorising()
    made.add("Namespace", "team", metadata={"labels": {"pod-security.kubernetes.io/enforce": "restricted"}})
    return made


def kubernetes(**secrets: str) -> Kubernetes:
    found = load_recipe("miniature", "cluster2").scale.kubernetes
    assert found
    changed = Secrets.model_validate({**found.secrets.model_dump(), **secrets})
    return found.model_copy(update={"secrets": changed})


def secret(cluster: Any, name: str, namespace: str, *keys: str, **annotations: str) -> None:
    metadata = {"namespace": namespace, "annotations": annotations}
    cluster.add("Secret", name, metadata=metadata, data=dict.fromkeys(keys, "c2VjcmV0"))


def faults(found: Any) -> dict[str, str]:
    return {finding.check: finding.found for finding in found if finding.state is not State.OK}


def of_steps(cluster: Any, kubernetes: Kubernetes, keys: KeyVariables = NO_KEYS) -> dict[str, str]:
    checks = step_checks(cluster, STEPS, kubernetes, keys)
    return faults(finding for _, check in checks for finding in check())


def test_everything_that_the_steps_of_a_standalone_kfp_need_is_asked_for_where_they_run(cluster: Any) -> None:
    cluster.add("ServiceAccount", "pipeline-runner", metadata={"namespace": "kubeflow"})
    pull = {"imagePullSecrets": [{"name": "our-registry"}]}
    cluster.add("ServiceAccount", "spica-train", **pull)
    said = of_steps(cluster, kubernetes(teacher="ours", proxy="way-out", ca_bundle="our-ca"), KEYS)
    assert said.pop("rights of kubeflow:pipeline-runner").startswith("forbidden: create pytorchjobs")
    assert said == {
        "rights of kubeflow:pipeline-runner at home": "forbidden: get pods",
        "reaper's rights": "forbidden: get workflows.argoproj.io",
        "Secret kubeflow/spica-s3": "missing",
        "Secret kubeflow/ours": "missing",
        "Secret kubeflow/way-out": "missing",
        "ConfigMap kubeflow/our-ca": "missing",
        f"registry of {STEPS}": "it names no imagePullSecrets, spica-train names our-registry",
        "nodes of steps": "no node has label spica.dev/pool=cpu",
    }


def test_steps_that_have_all_are_told_so(cluster: Any) -> None:
    cluster.add("ServiceAccount", "pipeline-runner", metadata={"namespace": "kubeflow"})
    cluster.allow("team", "kubeflow:pipeline-runner", RIGHTS)
    cluster.allow("kubeflow", "kubeflow:pipeline-runner", OWNER)
    cluster.allow("kubeflow", "team:spica-reaper", WORKFLOWS)
    secret(cluster, "spica-s3", "kubeflow", *STORAGE)
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    cluster.add("Node", "a", metadata={"labels": {"spica.dev/pool": "cpu"}}, spec={}, status=ready)
    assert of_steps(cluster, kubernetes()) == {}


def test_the_pool_of_the_steps_is_the_profiles_and_must_have_a_ready_node(cluster: Any) -> None:
    down = {"conditions": [{"type": "Ready", "status": "False"}]}
    cluster.add("Node", "a", metadata={"labels": {"spica.dev/pool": "small"}}, spec={}, status=down)
    [finding] = examine_pool(cluster, "nodes of steps", "small")
    assert (finding.state, finding.found) == (State.FAULT, "pool small: 0 of 1 nodes ready")


def test_a_queue_that_does_not_select_the_namespace_is_told_with_the_label_that_lacks(cluster: Any) -> None:
    demand = demands(load_recipe("miniature", "cluster2").scale, kubernetes())[0]
    cluster.add("LocalQueue", demand.pods.queue, spec={"clusterQueue": "all"})
    cluster.add("ClusterQueue", "all", spec={"namespaceSelector": {"matchLabels": {"team": "vision"}}})
    [finding] = examine_queue(cluster, demand)
    assert finding.found == "ClusterQueue all admits nothing of namespace team: no label team=vision"
    assert finding.next == "kubectl label namespace team team=vision"


@pytest.mark.parametrize(
    ("label", "value"),
    [("pod-security.kubernetes.io/enforce", "restricted"), ("spica.dev/rdma", "allowed")],
)
def test_what_restricted_refuses_is_told_under_the_exception_for_rdma_too(label: str, value: str) -> None:
    made: Any = FakeCluster()
    made.add("Namespace", "team", metadata={"labels": {label: value}})
    made.add("ClusterStorageContainer", "default", spec={"container": {}})
    [found] = faults(examine_storage_initializer(made, None)).values()
    assert "has no securityContext" in found


@pytest.mark.parametrize("text", ["kubeflow", ":runner", "kubeflow:", "a:b:c"])
def test_steps_are_written_as_namespace_and_account(text: str) -> None:
    with pytest.raises(RecipeError, match="NAMESPACE:ACCOUNT"):
        Steps.parse(text)


def test_a_storage_secret_must_tell_kserve_of_the_certificates_that_the_profile_names(cluster: Any) -> None:
    storage = next(named(kubernetes(ca_bundle="our-ca"), NO_KEYS))
    annotations = {S3_ENDPOINT: "minio:9000", "serving.kserve.io/s3-cabundle-configmap": "another"}
    secret(cluster, "spica-s3", "team", *STORAGE, **annotations)
    said = faults(examine_named(cluster, storage))
    missing = "serving.kserve.io/s3-cabundle-configmap, serving.kserve.io/s3-cabundle"
    assert said == {"Secret spica-s3": f"without annotation {missing}"}


def test_an_empty_value_counts_as_missing_and_none_is_shown(cluster: Any) -> None:
    cluster.add("Secret", "spica-s3", data={**dict.fromkeys(STORAGE, "aHVzaA=="), "AWS_REGION": ""})
    [finding] = examine_named(cluster, next(named(kubernetes(), NO_KEYS)))
    assert finding.found == "without AWS_REGION"


def test_a_storage_initializer_with_variables_of_its_own_is_told(cluster: Any) -> None:
    # KServe 0.17 mixes them with the storage's keys by place, and the pod is refused.
    container = {"securityContext": {"runAsNonRoot": True}, "env": [{"name": "HTTPS_PROXY", "value": "x"}]}
    cluster.add("ClusterStorageContainer", "default", spec={"container": container})
    [found] = faults(examine_storage_initializer(cluster, None)).values()
    assert "has `env`, which KServe mixes with the storage's keys" in found


def test_a_storage_initializer_goes_around_the_proxy_and_that_is_told(cluster: Any) -> None:
    container = {"securityContext": {"runAsNonRoot": True}}
    cluster.add("ClusterStorageContainer", "default", spec={"container": container})
    [finding] = examine_storage_initializer(cluster, "way-out")
    assert (finding.state, "around the proxy" in finding.found) == (State.UNSEEN, True)


def operator(cluster: Any, args: list[str], volumes: list[Object]) -> None:
    pod = {"containers": [{"args": args}], "volumes": volumes}
    spec = {"template": {"spec": pod}}
    cluster.add("Deployment", "training-operator", metadata={"namespace": "kubeflow"}, spec=spec)


def test_an_operator_whose_init_container_would_be_refused_is_told(cluster: Any) -> None:
    operator(cluster, [], [])
    [found] = faults(examine_init_container(cluster)).values()
    assert found == "the operator does not mount ConfigMap spica-pytorch-init: restricted refuses its own"


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ([], "alpine:3.10, pulled when it is needed"),
        (["--pytorch-init-container-image=localhost/python:3.11"], "localhost/python:3.11 is on no node"),
    ],
)
def test_the_image_of_the_init_container_is_told(cluster: Any, args: list[str], told: str) -> None:
    operator(cluster, args, [{"name": "init", "configMap": {"name": "spica-pytorch-init"}}])
    [finding] = examine_init_container(cluster)
    assert finding.found == told


def test_a_queue_that_waits_for_no_pods_is_left_to_a_person(cluster: Any) -> None:
    text = "integrations: {frameworks: [pod, deployment]}"
    config = {"controller_manager_config.yaml": text}
    where = {"namespace": "kueue-system"}
    cluster.add("ConfigMap", "kueue-manager-config", metadata=where, data=config)
    [finding] = examine_kueue(cluster)
    assert (finding.state, finding.found.partition(":")[0]) == (State.UNSEEN, "waitForPodsReady is off")


def test_a_resource_that_is_served_in_no_version_is_told_so(cluster: Any) -> None:
    versions = [{"name": "v1", "served": False}]
    cluster.add("CustomResourceDefinition", "pytorchjobs.kubeflow.org", spec={"versions": versions})
    [finding] = examine_operator(cluster, "PyTorchJob")
    assert finding.found == "served as no version, needed as v1"


def quota(cluster: Any, hard: Object, used: Object, **more: Any) -> Any:
    cluster.add("ResourceQuota", "team-quota", spec={"hard": hard, **more}, status={"used": used})
    [finding] = examine_quotas(cluster, demands(load_recipe("miniature", "cluster2").scale, kubernetes()))
    return finding


@pytest.mark.parametrize(
    ("hard", "used", "told"),
    [
        ({"pods": "0"}, {"pods": "0"}, "pods: 0 of 0 left, 2 needed by training"),
        ({"pods": "1k"}, {"pods": "999"}, "pods: 1 of 1000 left, 2 needed by training"),
        ({"count/pods": "1"}, {}, "count/pods: 1 of 1 left, 2 needed by training"),
        (
            {"count/pytorchjobs.kubeflow.org": "2"},
            {"count/pytorchjobs.kubeflow.org": "2"},
            "count/pytorchjobs.kubeflow.org: 0 of 2 left, 1 needed by training",
        ),
        (
            {"count/inferenceservices.serving.kserve.io": "0"},
            {},
            "count/inferenceservices.serving.kserve.io: 0 of 0 left, 1 needed by serving",
        ),
        ({"requests.memory": "5Gi"}, {}, "requests.memory: 5 GiB of 5 GiB left, 6 GiB needed by training"),
    ],
)
def test_a_quota_that_leaves_too_little_is_a_fault_with_its_name(
    cluster: Any, hard: Object, used: Object, told: str
) -> None:
    finding = quota(cluster, hard, used)
    assert (finding.state, finding.check) == (State.FAULT, "ResourceQuota team-quota")
    assert finding.found.startswith(told)
    assert "kubectl describe resourcequota team-quota -n team" in finding.next


def test_a_quota_with_room_and_no_quota_are_no_fault(cluster: Any) -> None:
    assert faults(examine_quotas(cluster, ())) == {}
    assert quota(cluster, {"pods": "1k", "services.nodeports": "0"}, {"pods": "998"}).state is State.OK


def test_a_quota_for_some_pods_only_is_left_to_a_person(cluster: Any) -> None:
    assert quota(cluster, {"pods": "0"}, {}, scopes=["BestEffort"]).state is State.UNSEEN
