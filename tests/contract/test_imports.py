"""What an import costs: the command line must answer at once."""

import subprocess
import sys

import pytest

HEAVY = {"torch", "transformers", "vllm", "deepspeed", "kfp", "matplotlib", "boto3", "aiohttp"}


@pytest.mark.parametrize(
    "module",
    [
        "spica_pipelines.cli",
        "spica.recipe.plan",
        "spica.artifacts.memo",
        "spica.launch.local",
        "spica.errors",
    ],
)
def test_a_module_of_the_control_plane_imports_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert HEAVY & set(found.split()) == set()
