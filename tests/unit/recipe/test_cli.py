import json
import subprocess
import sys
from pathlib import Path

import pytest

from spica.artifacts.runs import start_run
from spica.errors import Fault, PrerequisiteError
from spica_pipelines import cli


def spica(*args: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from spica_pipelines.cli import main; main()", *args],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def call(monkeypatch: pytest.MonkeyPatch, *args: str) -> int | str | None:
    """Exit code of `spica ARGS`, run in this process."""
    monkeypatch.setattr(sys, "argv", ["spica", *args])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return stopped.value.code


def test_every_shipped_recipe_is_checked_when_none_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "check") == 0
    assert capsys.readouterr().out == (
        "miniature: no fault; laptop, node8, cluster2, cluster64; 20 tasks\n"
        "miniature-small: no fault; laptop; 20 tasks\n"
        "virgo-72b: no fault; laptop, node8, cluster64; 20 tasks\n"
        "virgo-7b: no fault; laptop, node8, cluster64; 20 tasks\n"
    )


def test_check_lists_the_faults_of_all_recipes_without_a_traceback(tmp_path: Path, recipe_text: str) -> None:
    (tmp_path / "a.yaml").write_text(recipe_text.replace("seed: 7", "seed: x"))
    (tmp_path / "b.yaml").write_text(recipe_text.replace("file://store", "ftp://store"))

    ended = spica("check", "a.yaml", "b.yaml", folder=tmp_path)

    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr == (
        "a.yaml:3 seed\n"
        "  found:   the text 'x'\n"
        "  allowed: a whole number >= 0 and <= 4294967295\n"
        "  next:    correct line 3, then `spica check`\n"
        "\n"
        "b.yaml:4 store\n"
        "  found:   the text 'ftp://store'\n"
        "  allowed: file://... or s3://...\n"
        "  next:    write a URI with one of these schemes\n"
        "\n"
        "spica: 2 faults\n"
    )


def test_show_prints_the_numbers_of_the_profile(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "show", "virgo-72b", "--profile", "cluster64") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]

    assert ["ranks", "64", "64", "64", "64"] in lines
    assert ["steps", "380", "380", "320", "700"] in lines
    assert ["sft.learning_rate", "7e-06"] in lines


def test_show_as_json_is_one_object(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, recipe_text: str
) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(recipe_text)

    assert call(monkeypatch, "show", str(path), "--json") == 0
    shown = json.loads(capsys.readouterr().out)

    assert shown["derived"]["D_SD"] == {
        "num_ranks": 2,
        "batch_size": 10,
        "samples_per_rank": 5.0,
        "max_tokens_per_step": 5120,
        "num_rows": 36,
        "steps_per_epoch": 3,
        "rows_left_out": 6,
        "total_steps": 9,
        "warmup_steps": 1,
        "epoch_end_steps": [3, 6, 9],
        "model_state_gib": None,
    }
    assert (shown["profile"], shown["scale"]["ranks_per_node"], len(shown["tasks"])) == ("laptop", 2, 20)


def test_text_in_brackets_is_shown_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, recipe_text: str
) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(recipe_text.replace("{system: s,", "{system: '[red]hello[/nothing]',"))

    assert call(monkeypatch, "show", str(path)) == 0
    assert "[red]hello[/nothing]" in capsys.readouterr().out


def test_a_folder_without_runs_says_how_to_start_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("SPICA_STATE", str(tmp_path))

    assert call(monkeypatch, "runs") == 0
    assert capsys.readouterr().out == f"no runs in {tmp_path}; start one: spica run miniature\n"


def test_runs_are_listed_with_their_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("SPICA_STATE", str(tmp_path))
    with start_run(tmp_path, "miniature", "laptop", needed_bytes=1) as run:
        pass

    assert call(monkeypatch, "runs") == 0
    (line,) = (line.split() for line in capsys.readouterr().out.splitlines() if run.id in line)
    assert line == [run.id, "laptop", "succeeded", "0", "0", "0"]


def test_a_mistyped_command_is_a_usage_error() -> None:
    ended = spica("chekc")

    assert ended.returncode == 2
    assert "No such command 'chekc'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_each_error_has_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.report_faults(PrerequisiteError(Fault("port 8000", "in use", "a free port", "stop it"))) == 3
    assert capsys.readouterr().err == (
        "port 8000\n  found:   in use\n  allowed: a free port\n  next:    stop it\n\nspica: 1 fault\n"
    )


def test_ctrl_c_ends_a_command_with_130_and_no_traceback() -> None:
    code = (
        "import os, signal, sys; from spica_pipelines import cli; sys.argv = ['spica', 'work']\n"
        "@cli.app.command()\n"
        "def work() -> None:\n"
        "    os.kill(os.getpid(), signal.SIGINT); signal.pause()\n"
        "cli.main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )

    assert (ended.returncode, ended.stderr) == (130, "")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from spica_pipelines import cli; sys.argv = ['spica', '--help']\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'kfp', 'vllm', 'pydantic', 'boto3'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert ended.stdout.splitlines()[-1] == "[]"
