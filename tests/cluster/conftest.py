"""What tests on the cluster share: namespaces, the store, and the table of what was measured."""

import os
import sys
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from bed import images
from bed.layout import CACHE, KUBECONFIG
from bed.objects import apply, kubectl
from bed.objects import namespace as namespace_manifest
from spica.images import image

from .figures import Figures, Measure
from .storage import KEYS, OUTSIDE, storage_secret

if TYPE_CHECKING:
    from spica.artifacts.manifest import Manifest

    from .training_world import World

ROOT = Path(__file__).parents[2]
OVERLAY = ROOT / "manifests" / "overlays" / "dev"
FIGURES = pytest.StashKey[Figures]()
IS_CAMPAIGN = pytest.StashKey[bool]()
HAS_PASSED = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = Figures()


def pytest_collection_finish(session: pytest.Session) -> None:
    session.config.stash[IS_CAMPAIGN] = any(item.get_closest_marker("full") for item in session.items)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table; the campaign also writes it down."""
    figures = config.stash[FIGURES]
    if not figures:
        return
    terminalreporter.section("measured")
    terminalreporter.write_line(figures.table())
    if config.stash[IS_CAMPAIGN]:
        ended = {how: terminalreporter.getreports(how) for how in ("passed", "failed", "error")}
        bad = [report.nodeid.rpartition("/")[2] for how in ("failed", "error") for report in ended[how]]
        session = f"{len(ended['passed'])} passed" + (f", failed: {', '.join(bad)}" if bad else "")
        terminalreporter.write_line(f"written to {figures.write(session)}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[HAS_PASSED] = report.passed
    return report


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Iterator[Measure]:
    """Puts a row into the table: what, what it must reach, what was measured. A failed test's says so."""
    rows: list[tuple[str, str, str]] = []
    yield lambda what, asked, measured: rows.append((what, asked, measured))
    for what, asked, measured in rows:
        ending = "" if request.node.stash.get(HAS_PASSED, False) else " (the test FAILED)"
        request.config.stash[FIGURES].add(what, asked, measured + ending)


@pytest.fixture
def namespace() -> Iterator[str]:
    """A new namespace, deleted with all it holds after the test."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    apply(namespace_manifest(name))
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def storage() -> Iterator[dict[str, str]]:
    """The environment of a client of the cluster's store, set for the session."""
    environment = KEYS | {"AWS_ENDPOINT_URL_S3": OUTSIDE, "AWS_DEFAULT_REGION": "us-east-1"}
    with pytest.MonkeyPatch.context() as patch:
        for key, value in environment.items():
            patch.setenv(key, value)
        yield environment


@pytest.fixture(scope="session")
def team(storage: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A team's namespace by manifests/overlays/dev, as the guide makes a second one; and Spica's images."""
    name = f"test-team-{uuid.uuid4().hex[:6]}"
    for each in ("control", "train", "serve"):
        images.load(CACHE / "images" / f"{each}-{image(each).rsplit(':', 1)[1]}.tar")
    folder = tmp_path_factory.mktemp("overlay")
    base = os.path.relpath(OVERLAY / "team", folder.resolve())
    (folder / "kustomization.yaml").write_text(yaml.safe_dump({"namespace": name, "resources": [base]}))
    key = ("secret", "spica-s3", "-n", "kubeflow", "--ignore-not-found")
    was_there = kubectl("get", *key, "-o", "name")
    made = [("namespace", name, "--timeout=180s"), ("persistentvolume", f"spica-environment-{name}")]
    made += [
        (kind, f"{role}-{name}", "-n", "kubeflow")
        for role in ("spica-reaper", "spica-steps")
        for kind in ("rolebinding", "role")
    ]
    try:
        apply(kubectl("kustomize", OVERLAY / "cluster"))
        volume = (OVERLAY / "volume.yaml").read_text()
        apply(volume.replace("NAMESPACE", name).replace("ENVIRONMENT", str(Path(sys.prefix).resolve())))
        apply(kubectl("kustomize", folder))
        for where in (name, "kubeflow"):
            kubectl("apply", "-n", where, "-f", "-", stdin=storage_secret("spica-s3"))
        _let_pipelines_in(name)
        yield name
    finally:
        if not was_there:
            kubectl("delete", *key)
        for item in made:
            kubectl("delete", *item, "--ignore-not-found")


def _let_pipelines_in(team: str) -> None:
    """What the guide gives a second team beside a standalone KFP; the roles are the team's own, too."""
    runner = ("--role=spica-pipeline", "--serviceaccount=kubeflow:pipeline-runner")
    kubectl("create", "rolebinding", "spica-pipeline-runner", "-n", team, *runner)
    reads = {
        ("spica-reaper", f"{team}:spica-reaper"): "workflows.argoproj.io",
        ("spica-steps", "kubeflow:pipeline-runner"): "pods",
    }
    for (role, account), resource in reads.items():
        name = f"{role}-{team}"
        kubectl("create", "role", name, "-n", "kubeflow", "--verb=get", f"--resource={resource}")
        bound = (f"--role={name}", f"--serviceaccount={account}")
        kubectl("create", "rolebinding", name, "-n", "kubeflow", *bound)


@pytest.fixture(scope="session")
def world(team: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator["World"]:
    """Where trainings are started by processes of this machine, in the team's namespace."""
    from .training_world import World  # torch is not for those who only look at objects

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", os.environ.get("KUBECONFIG") or str(KUBECONFIG))
        patch.setenv("SPICA_NAMESPACE", team)
        patch.setenv("SPICA_STATE", str(tmp_path_factory.mktemp("cache")))
        made = World(team, tmp_path_factory.mktemp("world"))
        yield made
        made.close()


@pytest.fixture(scope="session")
def undisturbed(world: "World") -> "Manifest":
    """The training that all others are compared with."""
    return world.start("undisturbed").finish()
