from pathlib import Path

import pytest

from spica.cluster.launcher import KubernetesLauncher
from spica.errors import PrerequisiteError

from .served import kubernetes, server


def test_no_cluster_is_asked_before_something_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    launcher = KubernetesLauncher(tmp_path, kubernetes(), "run-1")
    with pytest.raises(PrerequisiteError, match="no usable configuration"):
        launcher.serve(server())
