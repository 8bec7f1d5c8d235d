"""What the wheel holds: an image that installs it needs nothing of the checkout."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_holds_code_base_templates_recipes_lock_and_image_references(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [wheel] = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    data = f"{wheel.name.removesuffix('-py3-none-any.whl')}.data/data/share/spica"
    assert names >= {
        "spica/errors.py",
        "spica/miniature/data/base/model.safetensors",
        "spica/report/templates/report.html.j2",
        "spica_pipelines/post_training.py",
        "spica_pipelines/templates/tables.html.j2",
        f"{data}/recipes/miniature.yaml",
        f"{data}/recipes/miniature-small.yaml",
        f"{data}/recipes/virgo-7b.yaml",
        f"{data}/recipes/virgo-72b.yaml",
        f"{data}/recipes/tables/table2.yaml",
        f"{data}/requirements.lock",
        f"{data}/refs.yaml",
    }
    assert not [name for name in names if "tests/" in name or "__pycache__" in name]
