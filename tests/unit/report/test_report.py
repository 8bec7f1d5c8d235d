"""The whole stage on the inputs of a made-up miniature run."""

import base64
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from spica.artifacts.manifest import Artifact, Manifest
from spica.artifacts.rows import read_jsonl, write_jsonl
from spica.artifacts.types import PromptRow, Score
from spica.report.run import run

from .report_example import SLICE, make_inputs, workspace

HOSTILE = "</pre><script>alert(1)</script><img src=http://evil.example/x onerror=alert(1)> {{ 7*7 }}"


def _run(inputs: dict[str, Artifact], folder: Path, **keys: Any) -> tuple[Manifest, dict[str, Any], str]:
    out = workspace(folder)
    manifest = run(SLICE.model_copy(update=keys), inputs, out, None)  # type: ignore[arg-type]  # starts nothing
    return (
        manifest,
        json.loads((out.path / "report.json").read_text()),
        (out.path / "report.html").read_text(),
    )


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    return make_inputs(tmp_path_factory.mktemp("inputs"), num=28)


@pytest.fixture(scope="module")
def made(
    inputs: dict[str, Artifact], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Manifest, dict[str, Any], str]:
    return _run(inputs, tmp_path_factory.mktemp("report"))


class _Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_report_json_holds_what_its_contract_says(made: tuple[Manifest, dict[str, Any], str]) -> None:
    content = made[1]
    arms = ["base", "control", "D_T", "D_SD", "D_T+D_SD"]
    assert content["schema_version"] == 1
    assert list(content["table2"]) == list(content["by_steps"]) == arms
    assert list(content["table2"]["D_T"]) == ["mathverse", "mathvision", "olympiadbench", "mmmu", "mean"]
    assert set(content["table2"]["D_T"]["mmmu"]) == {"accuracy", "ci95", "n"}
    assert content["table2"]["D_T"]["mmmu"]["n"] == 28
    assert list(content["by_steps"]["base"]) == ["text", "visual"]
    assert list(content["by_steps"]["base"]["visual"]) == ["1", "2", "3", "4", "5", "6", "8"]
    assert content["stages"]["sft-d_t"] == {"wall_s": 104.8, "cpu_s": 104.8 * 1.7, "tokens": 2_104_000}
    assert set(content["gates"][0]) == {"name", "passed", "gain", "ci95", "n", "reason"}
    assert content["best_model"] in arms


def test_a_failed_gate_is_shown_and_told_but_does_not_fail_the_stage(
    made: tuple[Manifest, dict[str, Any], str],
) -> None:
    manifest, content, page = made
    assert [gate["passed"] for gate in content["gates"]] == [True, True, False]
    assert manifest.metrics["num_gates_failed"] == 1
    assert '<li class="fail">' in page


def test_equal_inputs_give_equal_bytes(
    inputs: dict[str, Artifact], made: tuple[Manifest, dict[str, Any], str], tmp_path: Path
) -> None:
    again, _, _ = _run(inputs, tmp_path)
    assert again.files == made[0].files


def test_the_page_refers_to_nothing_outside_itself(made: tuple[Manifest, dict[str, Any], str]) -> None:
    for tag, attributes in _Tags(made[2]).tags:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        for name in ("src", "href", "xlink:href", "action", "data"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/"))
    assert not re.search(r"url\((?!#)|@import|https?://", made[2])


def test_the_only_script_is_the_one_the_security_policy_names(
    made: tuple[Manifest, dict[str, Any], str],
) -> None:
    scripts = re.findall(r"<script>(.*?)</script>", made[2], re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert len(scripts) == 1
    assert f"script-src 'sha256-{digest}'" in made[2]


def test_ids_are_unique(made: tuple[Manifest, dict[str, Any], str]) -> None:
    ids = [attributes["id"] for _, attributes in _Tags(made[2]).tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_plots_keep_text_as_text_and_the_colours_of_the_page(
    made: tuple[Manifest, dict[str, Any], str],
) -> None:
    assert ">steps</text>" in made[2]
    assert "stroke: var(--arm-d_t)" in made[2]
    assert "#0102" not in made[2]


def test_every_arm_answers_side_by_side_in_every_case(made: tuple[Manifest, dict[str, Any], str]) -> None:
    tags = _Tags(made[2]).tags
    num_cases = sum(tag == "article" for tag, _ in tags)
    assert num_cases == made[0].metrics["num_cases"]
    assert num_cases == 4 * 28
    assert sum("data-arm" in attributes for _, attributes in tags) == 5 * num_cases


def _changed(inputs: dict[str, Artifact], root: Path, name: str, rows: list[Any]) -> dict[str, Artifact]:
    """`inputs` with the row file of one artifact replaced; pictures stay behind."""
    file = "scores.jsonl" if name.startswith("evaluate") else "prompts.jsonl"
    (root / name).mkdir()
    for other in inputs[name].path.glob("*.json*"):
        shutil.copy(other, root / name)
    write_jsonl(root / name / file, rows)
    return {**inputs, name: Artifact(inputs[name].manifest, "", lambda _: root / name)}


def test_markup_of_models_and_data_is_text_on_the_page(inputs: dict[str, Artifact], tmp_path: Path) -> None:
    scores = read_jsonl(inputs["evaluate-d_t"].path / "scores.jsonl", Score)
    hostile = {"response": HOSTILE, "extracted": HOSTILE, "finish_reason": HOSTILE}
    changed = _changed(inputs, tmp_path, "evaluate-d_t", [row.model_copy(update=hostile) for row in scores])
    items = read_jsonl(inputs["held-out"].path / "prompts.jsonl", PromptRow)
    hostile_item = {"question": HOSTILE, "meta": {HOSTILE: HOSTILE}}
    changed = _changed(changed, tmp_path, "held-out", [row.model_copy(update=hostile_item) for row in items])
    page = _run(changed, tmp_path / "out")[2]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{ 7*7 }}" in page
    tags = _Tags(page).tags
    assert sum(tag == "script" for tag, _ in tags) == 1
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)


def test_endless_responses_leave_the_page_small(inputs: dict[str, Artifact], tmp_path: Path) -> None:
    changed = inputs
    for arm in ("base", "control", "d_t", "d_sd", "d_t+d_sd"):
        scores = read_jsonl(inputs[f"evaluate-{arm}"].path / "scores.jsonl", Score)
        endless = {"response": "<|begin_of_thought|>" + "&" * 30_000, "finish_reason": "length"}
        changed = _changed(
            changed, tmp_path, f"evaluate-{arm}", [row.model_copy(update=endless) for row in scores]
        )
    page = _run(changed, tmp_path / "out")[2]
    assert len(page.encode()) < 3_000_000
    assert "characters left out" in page


def test_another_visual_teacher_gives_other_arms_from_the_same_tasks(
    inputs: dict[str, Artifact], tmp_path: Path
) -> None:
    arms = ("base", "control", "D_T", "D_QVQ", "D_T+D_QVQ")
    _, content, page = _run(inputs, tmp_path, arms=arms, gates=SLICE.gates[:2])
    assert list(content["table2"]) == list(content["modes"]) == list(arms)
    assert "visual thoughts of another teacher" in page
    assert "40.73" in page


def test_a_comparison_of_two_arms_is_reported_without_the_others(
    inputs: dict[str, Artifact], tmp_path: Path
) -> None:
    made = {
        task: inputs[task]
        for task in ("student", "held-out", "evaluate-base", "evaluate-d_t+d_sd", "sft-d_t+d_sd")
    }
    _, content, page = _run(made, tmp_path, arms=("base", "D_T+D_SD"), gates=[])
    assert list(content["table2"]) == ["base", "D_T+D_SD"]
    assert content["headline"].startswith("Text-only and self-distilled thoughts together lifted")
    assert content["best_model"] == "D_T+D_SD"
    assert 'data-thinker="D_T+D_SD"' in page


def test_cancelled_rollouts_are_reported_without_rates(inputs: dict[str, Artifact], tmp_path: Path) -> None:
    shutil.copytree(inputs["distill-d_sd"].path, tmp_path / "distill-d_sd")
    rates = {"overall": None, "verdicts": {"correct": 300, "wrong": 20, "cancelled": 80}}
    (tmp_path / "distill-d_sd" / "pass_rates.json").write_text(json.dumps(rates))
    cancelled = Artifact(inputs["distill-d_sd"].manifest, "", lambda _: tmp_path / "distill-d_sd")
    _, content, page = _run({**inputs, "distill-d_sd": cancelled}, tmp_path / "out")
    assert content["pass_rates"]["distill-d_sd"]["overall"] is None
    assert "longer ones cancelled" in page


def test_the_page_shows_three_modes_paired_tests_and_official_groups(
    made: tuple[Manifest, dict[str, Any], str],
) -> None:
    _, content, page = made
    assert content["modes"]["D_T"]["mmmu"]["fork"] == "n/a"
    assert content["modes"]["D_T"]["olympiadbench"]["fork"]["n"] == 28
    assert content["modes"]["base"]["mathverse"]["official"]["num_unjudged"] == 28
    assert "28 unjudged" in page and ">n/a</td>" in page
    over_base = content["paired"]["D_T"]["base"]
    assert list(over_base) == ["mathverse", "mathvision", "olympiadbench", "mmmu", "all"]
    assert 0 <= over_base["all"]["p"] <= 1
    assert {group["axis"] for group in content["groups"] if group["benchmark"] == "mmmu"} >= {"difficulty"}
    assert set(content["responses"]["D_T"]["mmmu"]) >= {"thought_words", "truncated", "no_answer"}


def test_benchmarks_that_know_no_steps_are_reported_without_them(
    inputs: dict[str, Artifact], tmp_path: Path
) -> None:
    items = read_jsonl(inputs["held-out"].path / "prompts.jsonl", PromptRow)
    bare = [row.model_copy(update={"num_steps": None, "meta": {}}) for row in items]
    changed = _changed(inputs, tmp_path, "held-out", bare)
    _, content, page = _run(changed, tmp_path / "out", gates=[])
    assert content["by_steps"]["base"] == {"text": {}, "visual": {}}
    assert "Text-only thoughts lifted visual accuracy" in page
