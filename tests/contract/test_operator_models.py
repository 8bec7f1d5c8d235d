"""What is rendered, read by the operators' own Python models: they lose a field that they do not know."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kserve
import kubernetes.client
import pytest
import yaml
from kubeflow import training

GOLDEN = Path(__file__).parent / "golden"


def rendered(kind: str) -> list[Any]:
    paths = sorted(GOLDEN.glob(f"{kind}-*.yaml"))
    assert paths
    return [pytest.param(yaml.safe_load(path.read_text()), id=path.stem) for path in paths]


def read_and_written(api: Any, body: Any, model: str) -> Any:
    return api.sanitize_for_serialization(api.deserialize(SimpleNamespace(data=json.dumps(body)), model))


@pytest.mark.parametrize("body", rendered("pytorchjob"))
def test_a_pytorchjob_has_only_fields_that_the_training_operator_knows(body: Any) -> None:
    assert read_and_written(training.ApiClient(), body, "KubeflowOrgV1PyTorchJob") == body


@pytest.mark.parametrize("body", rendered("inferenceservice"))
def test_an_inferenceservice_has_only_fields_that_kserve_knows(
    body: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its models name those of Kubernetes, one of them in full, and leave it to the caller to bring them.
    theirs = {name: model for name, model in vars(kubernetes.client).items() if name.startswith("V1")}
    theirs["K8sIoApiAppsV1DeploymentStrategy"] = kubernetes.client.V1DeploymentStrategy
    for name in theirs.keys() - vars(kserve.models).keys():
        monkeypatch.setattr(kserve.models, name, theirs[name], raising=False)
    written = read_and_written(kserve.ApiClient(), body, "V1beta1InferenceService")
    assert written["spec"]["predictor"]["model"].pop("name") == ""  # put there by its class
    assert written == body


def test_a_misspelt_field_is_seen() -> None:
    run = {"backoffLimit": 3, "cleanPodPolicies": "Running"}
    assert read_and_written(training.ApiClient(), run, "KubeflowOrgV1RunPolicy") == {"backoffLimit": 3}
