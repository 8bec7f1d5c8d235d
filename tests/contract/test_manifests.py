"""The manifests as files: no cluster is asked. tests/cluster/test_manifests.py applies them."""

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.utils.quantity import parse_quantity

from spica.cluster.access import LEASES, RIGHTS
from spica.cluster.capacity import POOL, demands
from spica.cluster.inferenceservice import MODEL_FORMAT, RUNTIME
from spica.cluster.launcher import TEMPLATE
from spica.recipe.load import Resolved, known_recipes, read_recipe, under_profile

MANIFESTS = Path(__file__).parents[2] / "manifests"
README = (MANIFESTS / "README.md").read_text()
FILES = sorted(MANIFESTS.rglob("*.yaml"))
APART = {"overlays/dev/volume.yaml", "secrets.example.yaml"} | {
    f"operators/{name}.yaml"
    for name in ("training-operator", "training-operator.patch", "storage-initializer.patch")
}
"""Files that the README's commands name one by one."""
Object = dict[str, Any]


@cache
def objects(folder: str = "") -> list[Object]:
    """Every object of a folder's files, kustomizations and patches left out."""
    found = []
    for path in sorted((MANIFESTS / folder).rglob("*.yaml")):
        found += [
            document
            for document in yaml.safe_load_all(path.read_text())
            if document.get("kind") not in (None, "Kustomization", "Component")
        ]
    return found


def of_kind(kind: str, folder: str = "base") -> dict[str, Object]:
    return {item["metadata"]["name"]: item for item in objects(folder) if item["kind"] == kind}


def pod_specs() -> Iterator[tuple[str, Object]]:
    for item in objects():
        name = f"{item['kind']} {item['metadata']['name']}"
        if item["kind"] == "Deployment":
            yield name, item["spec"]["template"]["spec"]
        if item["kind"] == "PodTemplate":
            yield name, item["template"]["spec"]
        if item["kind"] == "ServingRuntime":
            yield name, item["spec"]


def on_kubernetes() -> list[Resolved]:
    return [
        under_profile(recipe, profile, name)
        for name, recipe in ((name, read_recipe(name)) for name in known_recipes())
        for profile, scale in recipe.profiles.items()
        if scale.kubernetes
    ]


def test_every_file_is_named_by_a_kustomization_or_by_a_command_of_the_guide() -> None:
    named = set()
    for path in FILES:
        if path.name == "kustomization.yaml":
            listed = yaml.safe_load(path.read_text()).get("resources", [])
            named |= {(path.parent / entry).resolve() for entry in listed}
    assert all(path.exists() for path in named)
    files = {path for path in FILES if path.name != "kustomization.yaml"}
    unnamed = {path.relative_to(MANIFESTS).as_posix() for path in files if path.resolve() not in named}
    assert unnamed == APART
    assert [name for name in APART if f"manifests/{name}" not in README] == []


@pytest.mark.parametrize(
    ("name", "spec"), list(pod_specs()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_pod_is_what_pod_security_restricted_asks_for(name: str, spec: Object) -> None:
    pod = spec.get("securityContext", {})
    for container in spec["containers"]:
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["readOnlyRootFilesystem"] is True
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert {**pod, **own}["runAsNonRoot"] is True
        assert {**pod, **own}["runAsUser"] == 10001
        assert {**pod, **own}["seccompProfile"] == {"type": "RuntimeDefault"}
    allowed = {"name", "configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
    assert all(volume.keys() <= allowed for volume in spec.get("volumes", ()))


def test_the_namespace_enforces_restricted_in_a_pinned_version() -> None:
    labels = of_kind("Namespace")["spica"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert re.fullmatch(r"v1\.\d+", labels["pod-security.kubernetes.io/enforce-version"])


def test_no_file_holds_a_value_of_a_secret() -> None:
    secrets = [item for item in objects() if item["kind"] == "Secret"]
    names = {item["metadata"]["name"] for item in secrets}
    assert names == {"spica-s3", "spica-teacher", "spica-judge", "spica-proxy"}
    assert all("data" not in item for item in secrets)
    assert {value for item in secrets for value in item["stringData"].values()} == {""}


def test_no_role_has_a_wildcard_or_reads_secrets() -> None:
    roles = [item for item in objects() if item["kind"] in ("Role", "ClusterRole")]
    rules = [rule for role in roles for rule in role["rules"]]
    assert rules
    for rule in rules:
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
        assert "secrets" not in rule["resources"]


def test_nothing_is_bound_in_the_whole_cluster() -> None:
    assert not [item for item in objects() if item["kind"] == "ClusterRoleBinding"]


def rights(role: str) -> dict[tuple[str, str], tuple[str, ...]]:
    return {
        (group, resource): tuple(rule["verbs"])
        for rule in of_kind("Role", "base/team")[role]["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def test_a_step_and_a_person_may_do_what_doctor_asks_for_and_a_step_nothing_else() -> None:
    assert rights("spica-pipeline") == dict(RIGHTS)
    person = rights("spica-user")
    wanted = [(what, verb) for what, verbs in {**RIGHTS, **LEASES}.items() for verb in verbs]
    assert [(what, verb) for what, verb in wanted if verb not in person[what]] == []


def test_trainings_and_servers_have_no_rights_and_no_token() -> None:
    subjects = {
        subject["name"] for item in objects() if item["kind"] == "RoleBinding" for subject in item["subjects"]
    }
    assert subjects == {"spica-reaper", "pipeline-runner"}
    accounts = of_kind("ServiceAccount")
    for name in ("spica-train", "spica-serve", "spica-submit", "spica-reaper"):
        assert accounts[name]["automountServiceAccountToken"] is False


def test_network_policies_deny_by_default_and_never_allow_the_metadata_address() -> None:
    policies = of_kind("NetworkPolicy", "")
    assert policies["default-deny"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    blocks = [
        peer["ipBlock"]
        for policy in policies.values()
        for rule in policy["spec"].get("egress", ())
        for peer in rule["to"]
        if "ipBlock" in peer
    ]
    assert blocks
    for block in blocks:
        if block["cidr"] == "0.0.0.0/0":
            assert "169.254.0.0/16" in block["except"]
        else:
            assert block == {"cidr": "::/0", "except": ["fe80::/10", "fd00:ec2::254/128"]}


@pytest.mark.parametrize("resolved", on_kubernetes(), ids=lambda r: f"{r.recipe.name}-{r.profile}")
def test_the_manifests_hold_what_a_recipe_asks_for(resolved: Resolved) -> None:
    kubernetes = resolved.scale.kubernetes
    assert kubernetes is not None
    names = kubernetes.secrets
    assert {names.storage, names.teacher, names.judge} <= {"spica-s3", "spica-teacher", "spica-judge", None}
    flavours = of_kind("ResourceFlavor")
    (queue,) = of_kind("ClusterQueue").values()
    (group,) = queue["spec"]["resourceGroups"]
    for demand in demands(resolved.scale, kubernetes):
        assert of_kind("LocalQueue")[demand.pods.queue]["spec"] == {"clusterQueue": "spica"}
        assert demand.pods.priority in of_kind("WorkloadPriorityClass")
        quotas = {
            row["name"]: parse_quantity(row["nominalQuota"])
            for flavour in group["flavors"]
            if flavours[flavour["name"]]["spec"]["nodeLabels"] == {POOL: demand.pods.node_pool}
            for row in flavour["resources"]
        }
        for name, each in demand.resources.items():
            assert quotas[name] >= each * demand.num_pods, (demand.what, name)
        assert demand.num_pods <= int(of_kind("ResourceQuota")["spica"]["spec"]["hard"]["pods"])


def test_each_flavour_lists_every_resource_that_the_queue_covers() -> None:
    (group,) = of_kind("ClusterQueue")["spica"]["spec"]["resourceGroups"]
    for flavour in group["flavors"]:
        assert [row["name"] for row in flavour["resources"]] == group["coveredResources"]


def test_dev_has_room_for_one_training_and_one_server_but_not_for_two_trainings() -> None:
    overlay = yaml.safe_load((MANIFESTS / "overlays/dev/cluster/kustomization.yaml").read_text())
    cpus, memory = (
        parse_quantity(row["value"])
        for row in yaml.safe_load(overlay["patches"][0]["patch"])
        if row["op"] == "replace"
    )
    scale = read_recipe("miniature").profiles["cluster2"]
    assert scale.kubernetes
    training, serving = (
        {name: each * demand.num_pods for name, each in demand.resources.items()}
        for demand in demands(scale, scale.kubernetes)
    )
    assert training["cpu"] + serving["cpu"] <= cpus < 2 * training["cpu"]
    assert training["memory"] + serving["memory"] <= memory


def test_a_server_preempts_an_evaluation_and_that_a_training() -> None:
    values = {name: item["value"] for name, item in of_kind("WorkloadPriorityClass").items()}
    order = [f"spica-{kind}" for kind in ("training", "evaluation", "serving")]
    assert sorted(values, key=lambda name: values[name]) == order


def test_what_a_cluster_has_once_is_called_after_spica() -> None:
    kinds = {"ResourceFlavor", "ClusterQueue", "WorkloadPriorityClass", "ClusterRole", "PersistentVolume"}
    kinds |= {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    names = {item["metadata"]["name"] for item in objects() if item["kind"] in kinds}
    assert len(names) >= 8
    assert [name for name in names if name.partition("-")[0] != "spica"] == []


def test_what_cannot_change_in_an_upgrade_has_not_changed() -> None:
    """Changing one of these needs a note in the guide: old objects must be deleted first."""
    reaper = of_kind("Deployment")["spica-reaper"]["spec"]["selector"]
    assert reaper == {"matchLabels": {"app.kubernetes.io/component": "reaper"}}
    claim = of_kind("PersistentVolumeClaim", "overlays/dev")["spica-environment"]["spec"]
    assert claim == {
        "storageClassName": "spica-environment",
        "accessModes": ["ReadOnlyMany"],
        "resources": {"requests": {"storage": "1Gi"}},
    }
    bindings = [item for item in objects() if item["kind"] == "RoleBinding"]
    roles = {item["metadata"]["name"]: item["roleRef"]["name"] for item in bindings}
    assert roles == {
        "spica-reaper": "spica-reaper",
        "spica-pipeline-runner": "spica-pipeline",
        "spica-steps": "spica-steps",
        "spica-reaper-spica": "spica-reaper",
    }
    assert {item["spec"]["clusterQueue"] for item in of_kind("LocalQueue").values()} == {"spica"}


def test_code_and_manifests_use_the_same_names() -> None:
    assert TEMPLATE in of_kind("PodTemplate")
    runtime = of_kind("ServingRuntime")[RUNTIME]["spec"]
    assert runtime["supportedModelFormats"] == [{"name": MODEL_FORMAT}]
    assert runtime["containers"][0]["command"] == ["python", "-m", "spica.cluster.model_pod"]
    # KServe runs Go templates over the container.
    assert "{{" not in yaml.safe_dump(runtime)


def test_the_commands_of_the_guide_are_shell() -> None:
    blocks = re.findall(r"```(?:bash|console)\n(.*?)```", README, re.DOTALL)
    assert len(blocks) >= 8
    for block in blocks:
        subprocess.run(["bash", "-n"], input=block, text=True, check=True)
