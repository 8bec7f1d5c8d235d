"""`spica submit`, `status`, `logs` and `cancel` against a server that speaks KFP's protocol."""

import base64
import gzip
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.fakes.kfp_server import NEVER, KfpServer, Refused, serving

from spica.errors import EndpointError, PrerequisiteError, RecipeError, SpicaError
from spica.recipe.load import load_recipe, parse_recipe, read_text, recipes_folder, under_profile
from spica.recipe.slices import Place
from spica.task import RECORD_MARK
from spica_pipelines import cli
from spica_pipelines.doctor import examine_server, steps_of
from spica_pipelines.ending import cancel
from spica_pipelines.in_cluster import objects
from spica_pipelines.remote import RemoteRun, read_run, task_log, task_of
from spica_pipelines.server import Server
from spica_pipelines.step_log import last_lines
from spica_pipelines.submit import Order, Submitted, submit
from spica_pipelines.workflow import Workflow

TEXT = read_text(recipes_folder() / "miniature.yaml")
START, END = "2026-11-21T11:00:10Z", "2026-11-21T11:01:10Z"


@pytest.fixture
def kfp() -> Iterator[KfpServer]:
    with serving(KfpServer()) as server:
        yield server


def order(profile: str = "cluster2", text: str = TEXT, **changes: Any) -> Order:
    given = {"namespace": "spica", "experiment": "miniature", "priority": None, "no_cache": False}
    return Order(load_recipe("miniature", profile), text, **{**given, **changes})


def start(kfp: KfpServer, **changes: Any) -> Submitted:
    return submit(order(**changes), Server(kfp.url))


def parameters(kfp: KfpServer, made: Submitted) -> dict[str, str]:
    found: dict[str, str] = kfp.runs[made.id]["runtime_config"]["parameters"]
    return found


def node(
    name: str, phase: str, kind: str = "Pod", message: str = "", parent: str = "wf.root"
) -> dict[str, Any]:
    """A node of a workflow called `wf`; its id is `wf-` and its name without what is no digit or letter."""
    path = f"{parent}.{name}"
    instants = {"startedAt": START, "finishedAt": None if phase in ("Pending", "Running") else END}
    template = "system-container-impl" if name == "executor" else "other"
    known = {"id": f"wf-{path.removeprefix('wf.root.').replace('.', '')}", "name": path, "type": kind}
    return {
        **known,
        "displayName": name,
        "phase": phase,
        "message": message,
        "templateName": template,
        **instants,
    }


def task(name: str, phase: str, message: str = "") -> list[dict[str, Any]]:
    """Driver, body and pod of a task of the graph."""
    body = "Running" if phase == "Pending" else phase
    return [
        node(f"{name}-driver", "Succeeded"),
        node(name, body, "DAG"),
        node("executor", phase, message=message, parent=f"wf.root.{name}"),
    ]


def report_workflow(
    kfp: KfpServer,
    made: Submitted,
    *nodes: dict[str, Any],
    state: str = "RUNNING",
    spec: dict[str, Any] | None = None,
) -> None:
    """What the persistence agent tells the server."""
    annotations = {"workflows.argoproj.io/pod-name-format": "v1"}
    found = {
        "metadata": {"name": "wf", "namespace": "kubeflow", "annotations": annotations},
        "spec": spec or {},
        "status": {"nodes": {item["id"]: item for item in nodes}},
    }
    kfp.workflows[made.id] = json.dumps(found)
    kfp.runs[made.id]["state"] = state


def read(kfp: KfpServer, made: Submitted) -> RemoteRun:
    return read_run(Server(kfp.url), made.run)


def record(name: str, **values: Any) -> str:
    return f"I1121 launcher\n{name}: started\n{RECORD_MARK}{json.dumps({'task': name, **values})}\nthe end\n"


# Submitting.


def test_a_run_carries_the_recipe_the_profile_and_spicas_own_id(kfp: KfpServer) -> None:
    made = start(kfp)

    assert parameters(kfp, made) == {"recipe": TEXT, "profile": "cluster2", "run": made.run}
    assert kfp.runs[made.id]["display_name"] == made.run
    assert made.store == "s3://spica/miniature"


def test_an_equal_package_is_uploaded_once(kfp: KfpServer) -> None:
    first, second = start(kfp), start(kfp)

    assert first.version == second.version
    assert [version["display_name"] for version in kfp.versions.values()] == [first.version]
    assert (len(kfp.pipelines), len(kfp.experiments), len(kfp.runs)) == (1, 1, 2)


def test_what_was_uploaded_is_the_fitted_package(kfp: KfpServer) -> None:
    start(kfp)

    (version,) = kfp.versions.values()
    executors = version["pipeline_spec"]["platform_spec"]["platforms"]["kubernetes"]["deploymentSpec"][
        "executors"
    ]
    assert {field for config in executors.values() for field in config} == {"nodeSelector", "secretAsEnv"}


def test_no_cache_gives_the_run_a_store_of_its_own(kfp: KfpServer) -> None:
    made = start(kfp, no_cache=True)

    assert made.store == f"s3://spica/miniature/runs/{made.run}"
    profiles = yaml.safe_load(parameters(kfp, made)["recipe"])["profiles"]
    assert profiles["cluster2"]["store"] == made.store
    assert profiles["cluster64"]["store"] == "s3://spica/miniature"


def test_a_priority_is_that_of_the_runs_jobs_and_servers(kfp: KfpServer) -> None:
    made = start(kfp, priority="urgent")

    pods = yaml.safe_load(parameters(kfp, made)["recipe"])["profiles"]["cluster2"]["kubernetes"]
    assert (pods["training"]["priority"], pods["serving"]["priority"]) == ("urgent", "urgent")


def test_a_name_that_is_no_priority_class_is_a_fault_of_the_recipe(kfp: KfpServer) -> None:
    with pytest.raises(RecipeError, match="priority"):
        start(kfp, priority="Not A Name")

    assert kfp.runs == {}


def test_a_server_of_several_teams_is_asked_in_the_teams_namespace(kfp: KfpServer) -> None:
    kfp.health["multi_user"], kfp.namespaces = True, {"spica"}
    made = start(kfp)

    assert [item["namespace"] for item in (*kfp.pipelines.values(), *kfp.experiments.values())] == [
        "spica"
    ] * 2
    assert read_run(Server(kfp.url), made.run, "spica").id == made.id


def test_a_moment_without_an_answer_is_waited_for(kfp: KfpServer) -> None:
    kfp.busy = 2

    assert start(kfp).id in kfp.runs


@pytest.mark.parametrize("mark", ["$$", "$(HOME)", "{{x}}"])
def test_a_text_that_would_change_on_the_way_is_refused(kfp: KfpServer, mark: str) -> None:
    text = TEXT.replace("You are a helpful assistant.", f"You are {mark}.")
    with pytest.raises(RecipeError, match="replaces on the way"):
        start(kfp, text=text)


# Servers that are not what they should be.


def refusal(kfp: KfpServer, **changes: Any) -> SpicaError:
    with pytest.raises(SpicaError) as refused:
        start(kfp, **changes)
    return refused.value


def test_nobody_at_the_endpoint() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        server = Server(f"http://127.0.0.1:{held.getsockname()[1]}")
        with pytest.raises(PrerequisiteError, match="Connection refused"):
            submit(order(), server)


@pytest.mark.parametrize("page", ["<html>Sign in</html>", '{"status": "ok"}', "[]"])
def test_somebody_else_at_the_endpoint(kfp: KfpServer, page: str) -> None:
    kfp.page = page

    error = refusal(kfp)
    assert isinstance(error, PrerequisiteError) and "none of KFP's" in error.faults[0].found


def test_a_server_of_kfp_1(kfp: KfpServer) -> None:
    kfp.health["tag_name"] = "1.8.5"

    assert "KFP 1.8" in str(refusal(kfp))


def test_a_server_without_a_version_is_taken_for_the_oldest(
    kfp: KfpServer, caplog: pytest.LogCaptureFixture
) -> None:
    kfp.health["tag_name"] = "unknown"
    start(kfp)

    assert "does not say its version and is taken for KFP 2.0" in caplog.text


def test_a_token_is_sent_and_its_lack_is_named(kfp: KfpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    kfp.token = "abc123"
    error = refusal(kfp)
    monkeypatch.setenv("KFP_TOKEN", "abc123")
    made = submit(order(), Server(kfp.url, "KFP_TOKEN"))

    assert error.faults[0].found.startswith("401: Unauthenticated")
    assert "--token-env" in error.faults[0].next
    assert made.id in kfp.runs


def test_a_token_in_the_place_of_its_name_is_not_shown(kfp: KfpServer) -> None:
    with pytest.raises(RecipeError) as refused:
        Server(kfp.url, "eyJhbGciOi.secret")

    assert "eyJ" not in str(refused.value)


def test_a_namespace_that_is_not_ones_own_is_named(kfp: KfpServer) -> None:
    kfp.health["multi_user"], kfp.namespaces = True, {"another"}

    fault = refusal(kfp).faults[0]
    assert "namespace spica" in fault.where and fault.found.startswith("403") and "--namespace" in fault.next


def test_a_profile_of_one_machine_is_refused_with_those_of_a_cluster(kfp: KfpServer) -> None:
    fault = refusal(kfp, profile="laptop").faults[0]

    assert (fault.where.rpartition(" ")[2], fault.allowed) == ("profiles.laptop", "cluster2, cluster64")


# Reading a run.


def test_a_run_that_the_engine_has_not_reported_waits(kfp: KfpServer) -> None:
    run = read(kfp, start(kfp))

    assert (run.state, run.has_ended, {task.state for task in run.tasks}) == ("unknown", False, {"waiting"})
    assert [task.name for task in run.tasks][:3] == ["plan", "student", "text"]


def test_tasks_are_called_as_in_the_recipes_plan(kfp: KfpServer) -> None:
    made = start(kfp)
    report_workflow(kfp, made, *task("sources-2", "Running"))

    assert task_of(read(kfp, made), "visual").state == "running"


def test_how_spica_ended_in_a_step_is_read_from_its_log(kfp: KfpServer) -> None:
    made = start(kfp)
    report_workflow(kfp, made, *task("student", "Succeeded"))
    kfp.logs["wf-studentexecutor"] = record("student", digest="d" * 64, cached=True, uri="s3://spica/student")

    found = task_of(read(kfp, made), "student")
    assert found.record and (found.record.cached, found.record.uri) == (True, "s3://spica/student")
    assert (found.wall_s, found.error) == (60.0, "")


def test_a_green_run_with_a_failed_task_has_failed(kfp: KfpServer) -> None:
    made = start(kfp)
    report_workflow(kfp, made, *task("student", "Failed", "Error (exit code 1)"), state="SUCCEEDED")

    run = read(kfp, made)
    assert (run.state, run.verdict) == ("succeeded", "failed")


def test_the_fault_of_a_failed_task_comes_whole_from_its_record(kfp: KfpServer) -> None:
    made = start(kfp)
    report_workflow(kfp, made, *task("student", "Failed", "Error (exit code 3)"), state="FAILED")
    faults = [["hf://x", "no network", "a repository", "check HF_ENDPOINT"]]
    kfp.logs["wf-studentexecutor"] = record("student", faults=faults, exit_code=3)

    error = task_of(read(kfp, made), "student").error
    assert error == "hf://x\n  found:   no network\n  allowed: a repository\n  next:    check HF_ENDPOINT"


def test_a_record_is_found_in_a_torn_log(kfp: KfpServer) -> None:
    made = start(kfp)
    report_workflow(kfp, made, *task("student", "Succeeded"))
    line = RECORD_MARK + json.dumps({"task": "student", "digest": "d" * 64})
    kfp.logs["wf-studentexecutor"] = f"student: started{line}{line}\n\n{RECORD_MARK}no json\n"

    found = task_of(read(kfp, made), "student").record
    assert found and found.digest == "d" * 64


def test_a_task_that_was_killed_shows_the_engines_remark_and_its_last_lines(kfp: KfpServer) -> None:
    made = start(kfp)
    report_workflow(kfp, made, *task("student", "Failed", "OOMKilled (exit code 137)"), state="FAILED")
    noise = "I1121 12:11:54.423536 23 launcher.go:90] hello\n"
    kfp.logs["wf-studentexecutor"] = "".join(f"line {number}\n" * 2 for number in range(9)) + noise

    error = task_of(read(kfp, made), "student").error
    assert error.splitlines() == ["OOMKilled (exit code 137)", *(f"line {number}" for number in range(4, 9))]


def test_an_image_that_cannot_be_pulled_is_named_while_the_task_waits_for_it(kfp: KfpServer) -> None:
    made = start(kfp)
    report_workflow(kfp, made, *task("student", "Pending", 'ImagePullBackOff: image "control" not found'))

    found = task_of(read(kfp, made), "student")
    assert (found.state, found.error) == ("pending", 'ImagePullBackOff: image "control" not found')


def test_a_driver_that_failed_is_the_tasks_failure(kfp: KfpServer) -> None:
    made = start(kfp)
    report_workflow(
        kfp, made, node("student-driver", "Failed", message="Error (exit code 1)"), state="FAILED"
    )
    kfp.logs["wf-student-driver"] = 'unknown field "tolerations"\n'

    found = task_of(read(kfp, made), "student")
    assert found.state == "failed"
    assert found.error == 'Error (exit code 1)\nunknown field "tolerations"'


def test_the_record_of_another_task_does_not_count(kfp: KfpServer) -> None:
    made = start(kfp)
    report_workflow(kfp, made, *task("student", "Succeeded"))
    kfp.logs["wf-studentexecutor"] = record("report", digest="d" * 64)

    assert task_of(read(kfp, made), "student").record is None


def test_without_a_workflow_the_servers_rows_are_read(kfp: KfpServer) -> None:
    made = start(kfp)
    rows = [
        {"display_name": "student-driver", "state": "SUCCEEDED", "start_time": START, "end_time": END},
        {
            "display_name": "student",
            "state": "RUNNING",
            "start_time": START,
            "end_time": NEVER,
            "child_tasks": [{"pod_name": "the-pod"}],
        },
    ]
    kfp.runs[made.id].update(state="RUNNING", run_details={"task_details": rows})

    found = task_of(read(kfp, made), "student")
    assert (found.state, found.pods) == ("running", ("the-pod",))


def test_the_packed_nodes_of_a_large_workflow_are_unpacked() -> None:
    nodes = {item["id"]: item for item in task("student", "Running")}
    packed = base64.b64encode(gzip.compress(json.dumps(nodes).encode())).decode()

    assert Workflow({"status": {"compressedNodes": packed}}).progress("student").state == "running"


def test_pods_are_named_as_argo_names_them() -> None:
    nodes = {item["id"]: item for item in task("student", "Running")}
    nodes["wf-studentexecutor"]["id"] = "wf-1234"

    pods = Workflow({"metadata": {"name": "wf"}, "status": {"nodes": nodes}}).progress("student").pods
    assert pods[:2] == ("wf-system-container-impl-1234", "wf-1234")


@pytest.mark.parametrize("answer", [{}, {"wf-studentexecutor": "", "wf-student-driver": ""}])
def test_a_log_that_nobody_kept_is_a_fault_that_names_the_pod(kfp: KfpServer, answer: dict[str, str]) -> None:
    kfp.logs.update(answer)
    made = start(kfp)
    report_workflow(kfp, made, *task("student", "Running"))
    run = read(kfp, made)
    with pytest.raises(PrerequisiteError, match="no log of wf-studentexecutor"):
        task_log(Server(kfp.url), run, task_of(run, "student"))


def test_the_drivers_log_is_never_taken_for_that_of_the_task(kfp: KfpServer) -> None:
    made = start(kfp)
    report_workflow(kfp, made, *task("student", "Running"))
    # KFP 2.0.5 answers an empty 200 for a pod that runs.
    kfp.logs.update({"wf-studentexecutor": "", "wf-student-driver": "the whole recipe\n"})
    run = read(kfp, made)
    with pytest.raises(PrerequisiteError) as refused:
        task_log(Server(kfp.url), run, task_of(run, "student"))

    (fault,) = refused.value.faults
    assert fault.found == "running: the server has no log of wf-studentexecutor"
    assert fault.next.endswith("kubectl logs -n kubeflow wf-studentexecutor -c main")


def test_a_task_whose_driver_runs_has_no_log_yet(kfp: KfpServer) -> None:
    made = start(kfp)
    report_workflow(kfp, made, node("student-driver", "Running"))
    kfp.logs["wf-student-driver"] = "the whole recipe\n"
    run = read(kfp, made)
    with pytest.raises(PrerequisiteError, match="pending: no pod of it"):
        task_log(Server(kfp.url), run, task_of(run, "student"))


def test_status_names_the_pod_of_what_runs(
    kfp: KfpServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = start(kfp)
    report_workflow(kfp, made, *task("student", "Running"))
    call(monkeypatch, "status", made.run, "--endpoint", kfp.url)

    assert "student: kubectl logs -n kubeflow wf-studentexecutor -c main\n" in capsys.readouterr().out


def test_a_step_that_waited_when_its_run_was_cancelled_is_canceled_not_failed(kfp: KfpServer) -> None:
    made = start(kfp)
    nodes = task("student", "Failed", "Step exceeded its deadline")
    report_workflow(kfp, made, *nodes, state="FAILED", spec={"activeDeadlineSeconds": 0})
    kfp.logs["wf-student-driver"] = '          "outputFile": "/tmp/kfp/outputs/text"\n'

    run = read(kfp, made)
    found = task_of(run, "student")
    assert (run.verdict, found.state, found.error) == ("canceled", "canceled", "it had printed nothing")


def test_a_canceled_step_shows_what_it_said_last(kfp: KfpServer) -> None:
    made = start(kfp)
    nodes = task("student", "Failed", "Step exceeded its deadline")
    report_workflow(kfp, made, *nodes, state="FAILED", spec={"activeDeadlineSeconds": 0})
    kfp.logs["wf-studentexecutor"] = "student: queued: waits for Kueue\n"

    assert task_of(read(kfp, made), "student").error == "student: queued: waits for Kueue"


def test_a_step_that_failed_before_its_run_was_cancelled_stays_failed(kfp: KfpServer) -> None:
    made = start(kfp)
    nodes = task("student", "Failed", "OOMKilled (exit code 137)")
    report_workflow(kfp, made, *nodes, state="FAILED", spec={"activeDeadlineSeconds": 0})

    run = read(kfp, made)
    assert (run.verdict, task_of(run, "student").state) == ("failed", "failed")


def test_what_the_launcher_prints_over_many_lines_says_nothing_of_a_failure() -> None:
    printed = 'I1122 02:01:43.101581 23 launcher_v2.go:90] input:{\n  "a": {\n    "b": 1\n  }\n}\n'

    assert last_lines(f"{printed}{printed}no such file\n") == ["no such file"]


def test_a_run_that_the_engine_lost_is_told_with_what_to_do(
    kfp: KfpServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = start(kfp)
    call(monkeypatch, "status", made.run, "--endpoint", kfp.url)

    printed = capsys.readouterr().out
    assert "the engine has reported nothing of this run for " in printed
    assert f"kubectl get workflows -A -l pipeline/runid={made.id}\n" in printed
    assert "submit again" in printed


def test_a_run_that_has_just_started_is_not_called_lost(kfp: KfpServer) -> None:
    made = start(kfp)
    kfp.runs[made.id]["created_at"] = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"

    assert not read(kfp, made).is_lost


@pytest.mark.parametrize("run", ["20261121-110000-miniature-0000", "00000000-0000-0000-0000-000000000000"])
def test_an_unknown_run_is_a_fault(kfp: KfpServer, run: str) -> None:
    with pytest.raises(PrerequisiteError, match=run):
        read_run(Server(kfp.url), run)


def test_a_run_of_somebody_elses_pipeline_is_a_fault(kfp: KfpServer) -> None:
    made = start(kfp)
    kfp.runs[made.id]["runtime_config"] = {"parameters": {"text": "hello"}}
    with pytest.raises(PrerequisiteError, match="a run of another pipeline"):
        read(kfp, made)


# Ending a run.


def test_cancel_waits_until_the_run_has_ended(kfp: KfpServer) -> None:
    made = start(kfp)
    report_workflow(kfp, made, *task("student", "Running"))

    assert cancel(Server(kfp.url), made.run)
    assert kfp.runs[made.id]["state"] == "FAILED"


def test_cancel_ends_a_run_of_which_nothing_can_be_read(kfp: KfpServer) -> None:
    made = start(kfp)
    kfp.versions.clear()

    assert cancel(Server(kfp.url), made.run)
    assert kfp.runs[made.id]["state"] == "FAILED"


def test_a_run_that_does_not_end_is_told(kfp: KfpServer) -> None:
    made = start(kfp)
    kfp.polls_until_ended = 100
    with pytest.raises(EndpointError, match="CANCELING 1 s after"):
        cancel(Server(kfp.url), made.run, timeout_s=1.0)


def test_a_run_that_has_ended_is_left_alone(kfp: KfpServer) -> None:
    made = start(kfp)
    kfp.runs[made.id]["state"] = "SUCCEEDED"

    assert not cancel(Server(kfp.url), made.run)
    assert kfp.runs[made.id]["state"] == "SUCCEEDED"


def test_a_run_without_a_workflow_cannot_be_ended_and_that_is_said(
    kfp: KfpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = start(kfp)

    def terminate(run: str, **_: Any) -> Any:
        kfp.runs[run]["state"] = "CANCELING"
        raise Refused(500, 'Failed to terminate workflow wf: workflows.argoproj.io "wf" not found')

    monkeypatch.setattr(kfp, "terminate_run", terminate)
    with pytest.raises(PrerequisiteError, match="the engine has no workflow of it"):
        cancel(Server(kfp.url), made.run)
    with pytest.raises(PrerequisiteError, match="never reported a workflow of it"):
        cancel(Server(kfp.url), made.run)


# The commands.


def call(monkeypatch: pytest.MonkeyPatch, *args: str) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["spica", *args])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return stopped.value.code


@pytest.mark.parametrize("name", ["n" * 64, "Team", "-a", "a.b", ""])
def test_a_namespace_that_kubernetes_cannot_have_starts_nothing(
    kfp: KfpServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    arguments = ("miniature", "--profile", "cluster2", "--endpoint", kfp.url, f"--namespace={name}")
    code = call(monkeypatch, "submit", *arguments)

    assert code == 2 and kfp.runs == {}
    assert "63 characters at most" in capsys.readouterr().err


def test_an_experiments_name_that_kfp_cannot_keep_starts_nothing(
    kfp: KfpServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("miniature", "--profile", "cluster2", "--endpoint", kfp.url, "--experiment")
    codes = [call(monkeypatch, "submit", *arguments, "e" * length) for length in (256, 255)]

    assert codes == [2, 0] and len(kfp.runs) == 1
    assert "256 characters" in capsys.readouterr().err


def test_submit_prints_where_to_look_and_what_to_type(
    kfp: KfpServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KFP_ENDPOINT", kfp.url)
    code = call(monkeypatch, "submit", "miniature", "--profile", "cluster2")

    (run,) = (item["display_name"] for item in kfp.runs.values())
    printed = capsys.readouterr().out
    assert code == 0
    assert f"spica status {run}\n" in printed and f"spica cancel {run}\n" in printed
    assert f"no page at {kfp.url}; there the run is " in printed


def test_a_page_is_named_only_where_a_server_has_one(kfp: KfpServer) -> None:
    server = Server(kfp.url)
    before = server.page_of("id-1")
    kfp.page = "<!doctype html><title>Kubeflow Pipelines</title>"

    assert (before, server.page_of("id-1")) == (None, f"{kfp.url}/#/runs/details/id-1")


def test_status_ends_with_1_for_a_failed_run_and_names_the_next_command(
    kfp: KfpServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = start(kfp)
    report_workflow(kfp, made, *task("sft", "Failed", "Error (exit code 1)"), state="FAILED")
    code = call(monkeypatch, "status", made.run, "--endpoint", kfp.url)

    printed = capsys.readouterr().out
    assert code == 1
    assert f"next: spica logs {made.run} sft-d_t --endpoint {kfp.url}" in printed


def test_status_says_where_the_report_lies(
    kfp: KfpServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = start(kfp)
    report_workflow(kfp, made, *task("report", "Succeeded"), state="SUCCEEDED")
    kfp.logs["wf-reportexecutor"] = record("report", digest="d" * 64, uri="s3://spica/miniature/report/x")
    code = call(monkeypatch, "status", made.run, "--endpoint", kfp.url)

    printed = capsys.readouterr().out
    assert code == 0
    assert "report: s3://spica/miniature/report/x/report.html" in printed
    assert f"next: spica report --run {made.run}" in printed


def test_logs_without_a_task_are_those_of_what_failed(
    kfp: KfpServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = start(kfp)
    report_workflow(kfp, made, *task("student", "Succeeded"), *task("sft", "Failed"), state="FAILED")
    kfp.logs["wf-sftexecutor"] = "rank 1: loss is NaN\n"
    call(monkeypatch, "logs", made.run, "--endpoint", kfp.url)

    assert capsys.readouterr().out == "==> sft-d_t (failed) <==\nrank 1: loss is NaN\n\n"


def test_a_log_that_is_missing_hides_none_of_the_others(
    kfp: KfpServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = start(kfp)
    report_workflow(kfp, made, *task("student", "Running"), *task("sft", "Running"))
    kfp.logs["wf-sftexecutor"] = "step 3\n"
    code = call(monkeypatch, "logs", made.run, "--endpoint", kfp.url)

    printed = capsys.readouterr()
    assert (code, printed.out) == (3, "==> sft-d_t (running) <==\nstep 3\n\n")
    assert "no log of wf-studentexecutor" in printed.err


# What a step prints, and what kubectl applies.


def test_a_step_of_a_cluster_prints_its_record(tmp_path: Path) -> None:
    place = Place(store=f"file://{tmp_path}/store", launcher="local", run="r1").model_dump_json()
    slice = '{"student": {"path": "nowhere/at/all/x", "min_pixels": 784, "max_pixels": 6272}}'
    code = (
        "import sys; from spica.task import run_task\n"
        "class Out: path = sys.argv[3]; metadata = {}\n"
        "run_task('student', 'spica.sources.student', sys.argv[1], sys.argv[2], {}, Out)"
    )
    command = [sys.executable, "-c", code, slice, place, str(tmp_path / "reference")]
    environment = {**os.environ, "SPICA_STATE": str(tmp_path / "state")}
    step = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    (line,) = (line for line in step.stdout.splitlines() if line.startswith(RECORD_MARK))
    found = json.loads(line.removeprefix(RECORD_MARK))
    assert (found["task"], found["exit_code"], step.returncode) == ("student", 3, 3)
    assert found["faults"][0][1].startswith("nothing at ")


def test_kubectl_is_given_the_recipe_and_a_job_that_submits_it() -> None:
    config, job = yaml.safe_load_all(objects(order(), "http://ml-pipeline.kubeflow:8888"))

    assert config["data"] == {"recipe.yaml": TEXT}
    assert config["metadata"] == job["metadata"]
    pod = job["spec"]["template"]["spec"]
    assert pod["volumes"][0]["configMap"]["name"] == config["metadata"]["name"]
    assert pod["containers"][0]["command"][4:7] == ["spica", "submit", "/etc/spica/recipe/recipe.yaml"]
    assert pod["automountServiceAccountToken"] is False


def test_the_job_trusts_and_goes_through_what_the_profile_names() -> None:
    text = TEXT.replace("ca_bundle: null, proxy: null", "ca_bundle: our-ca, proxy: our-proxy")
    named = order(text=text)
    resolved = under_profile(parse_recipe(text, "changed"), "cluster2", "changed")
    _, job = yaml.safe_load_all(objects(named._replace(resolved=resolved), "https://kfp.example.com"))

    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    env = {item["name"]: item for item in container["env"]}
    assert env["SSL_CERT_FILE"]["value"] == "/etc/spica/ca/ca.crt"
    assert env["HTTPS_PROXY"]["valueFrom"] == {"secretKeyRef": {"name": "our-proxy", "key": "HTTPS_PROXY"}}
    assert {"name": "ca", "configMap": {"name": "our-ca"}} in pod["volumes"]
    assert {"name": "ca", "mountPath": "/etc/spica/ca", "readOnly": True} in container["volumeMounts"]


def test_objects_for_kubectl_are_refused_for_a_profile_of_one_machine() -> None:
    with pytest.raises(RecipeError, match="runs on one machine"):
        objects(order(profile="laptop"), "http://x")


def test_a_proxy_is_asked_but_for_the_hosts_that_it_is_not_for(
    kfp: KfpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", kfp.url)
    monkeypatch.setenv("no_proxy", ".svc")
    asked = Server("http://ml-pipeline.nowhere:8888").health.version
    monkeypatch.setenv("no_proxy", ".svc,.nowhere")

    assert asked == (2, 0)
    with pytest.raises(PrerequisiteError):
        _ = Server("http://ml-pipeline.nowhere:8888").health


def test_another_recipe_is_another_job_because_jobs_cannot_change() -> None:
    names = {
        yaml.safe_load_all(objects(changed, "http://x")).__next__()["metadata"]["name"]
        for changed in (order(), order(), order(text=TEXT + "# more\n"), order(priority="urgent"))
    }

    assert len(names) == 3


# What `spica doctor --endpoint` asks.


def asked(kfp: KfpServer, text: str = TEXT) -> dict[str, str]:
    resolved = under_profile(parse_recipe(text, "asked"), "cluster2", "asked")
    found = examine_server(Server(kfp.url), resolved, "spica")
    return {finding.check: str(finding) for finding in found}


def test_doctor_tells_the_version_and_where_steps_run(kfp: KfpServer) -> None:
    said = asked(kfp)

    assert said["KFP"] == "ok     KFP: version 2.0; steps of all teams run in its own namespace"
    assert steps_of(Server(kfp.url), "spica") == ("kubeflow", "pipeline-runner")
    kfp.health["multi_user"] = True
    assert steps_of(Server(kfp.url), "spica") == ("spica", "default-editor")


def test_doctor_tells_what_this_server_would_not_run(kfp: KfpServer) -> None:
    said = asked(kfp, TEXT.replace("ca_bundle: null", "ca_bundle: our-ca"))

    assert said["package"].startswith("fault  package: exec-dataset.configMapAsVolume: KFP 2.0: ")


def test_doctor_tells_a_token_that_is_not_accepted(kfp: KfpServer) -> None:
    kfp.token = "abc123"

    assert asked(kfp)["KFP"].startswith("fault  KFP: 401: ")
