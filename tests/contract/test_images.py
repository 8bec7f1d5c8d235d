"""What the Containerfiles promise, as far as their text can show it."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
NAMES = ("control", "train", "serve")
CONTAINERFILES = sorted((ROOT / "images").glob("*/Containerfile"))
IMAGE = re.compile(r"\b[\w.-]+(?::\d+)?/spica/(?:control|train|serve)\S*[:@]\S+")
"""A reference of one of our images: host, repository, tag or digest."""


def instructions(path: Path) -> list[tuple[str, str]]:
    """(instruction, arguments) of each step, continued lines joined."""
    text = path.read_text().replace("\\\n", " ")
    steps = [line.partition(" ") for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, arguments) for name, _, arguments in steps]


def test_there_is_one_containerfile_for_the_base_and_one_per_reference() -> None:
    refs = yaml.safe_load((ROOT / "images/refs.yaml").read_text())
    assert set(refs) == set(NAMES)
    assert {path.parent.name for path in CONTAINERFILES} == {"base", *NAMES}


@pytest.mark.parametrize("path", CONTAINERFILES, ids=lambda path: path.parent.name)
def test_what_an_image_is_built_on_is_an_argument(path: Path) -> None:
    sources = [arguments for name, arguments in instructions(path) if name == "FROM"]
    assert sources == ["${PYTHON}" if path.parent.name == "base" else "${BASE}"]


@pytest.mark.parametrize("path", CONTAINERFILES, ids=lambda path: path.parent.name)
def test_an_image_fetches_nothing_by_url_and_names_no_moving_tag(path: Path) -> None:
    assert "ADD" not in {name for name, _ in instructions(path)}
    assert not re.search(r"https?://|curl |wget |:latest", path.read_text())


@pytest.mark.parametrize("path", CONTAINERFILES, ids=lambda path: path.parent.name)
def test_an_image_ends_as_a_numeric_user_so_that_a_kubelet_can_tell_it_is_not_root(path: Path) -> None:
    users = [arguments for name, arguments in instructions(path) if name == "USER"]
    assert users[-1] == "10001:10001"


def test_every_debian_package_has_a_version() -> None:
    text = (ROOT / "images/base/Containerfile").read_text()
    [packages] = re.findall(r'^ARG PACKAGES="(.*)"$', text, re.MULTILINE)
    assert all("=" in package for package in packages.split())


def test_a_reference_is_a_version_or_a_digest() -> None:
    for ref in yaml.safe_load((ROOT / "images/refs.yaml").read_text()).values():
        assert re.search(r":\d+\.\d+\.\d+$|@sha256:[0-9a-f]{64}$", ref)


def test_python_and_shell_name_no_image_but_through_refs_yaml() -> None:
    sources = [
        path
        for folder in ("components", "pipelines", "images", ".ci")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in ("", ".py", ".sh") and path.is_file()
    ]
    named = [path for path in sources if IMAGE.search(path.read_text(errors="ignore"))]
    assert named == []


def test_manifests_name_what_make_images_makes_and_overlay_gpu_what_was_pushed() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    made = {name: f"localhost/spica/{name}:{version}" for name in NAMES}
    named = {
        image.rstrip("\"'")
        for path in (ROOT / "manifests").rglob("*.yaml")
        for image in re.findall(r"^\s*(?:- )?image: (\S*spica/\S+)", path.read_text(), re.MULTILINE)
    }
    assert named == set(made.values())
    overlay = yaml.safe_load((ROOT / "manifests/overlays/gpu/kustomization.yaml").read_text())
    replaced = {entry["name"].rpartition("/")[2]: entry for entry in overlay["images"]}
    assert {entry["name"] for entry in overlay["images"]} == {f"localhost/spica/{name}" for name in NAMES}
    for name, ref in yaml.safe_load((ROOT / "images/refs.yaml").read_text()).items():
        pushed = f"{replaced[name]['newName']}@{replaced[name].get('digest')}"
        assert ref in (made[name], pushed)


def test_the_context_of_a_build_is_what_was_staged_for_it() -> None:
    lines = (ROOT / ".containerignore").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["*", "!dist", "!images"]


@pytest.mark.parametrize("script", ["build", "install", "prove", "push", "base/prepare", "base/nslookup"])
def test_a_script_of_the_images_can_be_run(script: str) -> None:
    path = ROOT / "images" / script
    assert os.access(path, os.X_OK)
    shell = path.read_text().splitlines()[0].removeprefix("#!/usr/bin/env ").removeprefix("#!/bin/")
    assert subprocess.run([shell, "-n", path], capture_output=True).returncode == 0


def test_a_push_writes_digests_and_builds_control_when_it_knows_the_other_two(tmp_path: Path) -> None:
    overlay = Path("manifests/overlays/gpu/kustomization.yaml")
    for path in (Path("images/push"), Path("images/refs.yaml"), overlay):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    stub(
        tmp_path / "images/build",
        'cp images/refs.yaml "seen-$2"; echo "images: local/$2:0.1.0-complete id-$2"',
    )
    # buildah push -q --digestfile FILE ID DESTINATION
    stub(tmp_path / "bin/buildah", 'echo -n "sha256:of-$5" > "$4"; echo "$6" >> pushed')
    search = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    subprocess.run([tmp_path / "images/push", "docker://example.com/spica"], check=True, env=search)
    written = yaml.safe_load((tmp_path / "images/refs.yaml").read_text())
    assert written == {name: f"example.com/spica/{name}@sha256:of-id-{name}" for name in NAMES}
    seen = yaml.safe_load((tmp_path / "seen-control").read_text())
    assert {name: seen[name] for name in ("train", "serve")} == {
        name: written[name] for name in ("train", "serve")
    }
    replaced = yaml.safe_load((tmp_path / overlay).read_text())["images"]
    assert {f"{entry['newName']}@{entry['digest']}" for entry in replaced} == set(written.values())
    assert (tmp_path / "pushed").read_text().splitlines() == [
        f"docker://example.com/spica/{name}:0.1.0" for name in ("train", "serve", "control")
    ]


def stub(path: Path, body: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
