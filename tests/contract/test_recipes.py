"""All recipes under all profiles: same keys, same tasks, and the paper's numbers."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from spica.recipe.load import known_recipes, load_recipe, read_recipe, recipes_folder
from spica.recipe.plan import derive, plan
from spica.recipe.schema import ProfileName

FILES = sorted(
    (Path(__file__).parents[2] / "pipelines" / "recipes").glob("*.yaml"), key=lambda path: path.stem
)
NAMES = [path.stem for path in FILES]
SCALED = [name for name in NAMES if name != "miniature-small"]
"""Those that run anywhere; the small miniature is compared with `miniature` instead."""
PAIRS = [(name, profile) for name in NAMES for profile in read_recipe(name).profiles]
SHARED = sorted(set.intersection(*({*read_recipe(name).profiles} for name in SCALED)))


def keys(value: Any, place: str = "") -> set[str]:
    """Every nested key as a dotted path; items of a list and teachers count together; gates are one's own."""
    if place == ".profiles":
        found = {key for name in SHARED for key in keys(value[name], f"{place}.{name}")}
        return {key for key in found if not key.endswith(".store")}
    if place == ".models.teachers":
        return set().union(*(keys(item, f"{place}.*") for item in value.values()))
    if isinstance(value, dict) and place not in (".gates[]", ".evaluate.judge"):
        return {f"{place}.{key}" for key in value}.union(
            *(keys(value[key], f"{place}.{key}") for key in value)
        )
    if isinstance(value, list):
        return set().union(*(keys(item, f"{place}[]") for item in value))
    return set()


def read_text(name: str) -> str:
    return (recipes_folder() / f"{name}.yaml").read_text()


def test_there_are_exactly_these_recipes() -> None:
    assert NAMES == ["miniature", "miniature-small", "virgo-72b", "virgo-7b"]
    assert known_recipes() == NAMES
    assert all(path.parent == recipes_folder() for path in FILES)


def test_the_small_miniature_is_the_miniature_but_for_its_student_and_the_machines_it_runs_on() -> None:
    small, large = (yaml.safe_load(read_text(name)) for name in ("miniature-small", "miniature"))

    assert small["models"]["student"].pop("path") == "miniature://base?size=small&seed=1"
    assert large["models"]["student"].pop("path") == "miniature://base"
    assert {**small, "name": "", "profiles": {}} == {**large, "name": "", "profiles": {}}
    assert small["profiles"] == {"laptop": large["profiles"]["laptop"]}


def test_all_recipes_know_the_laptop_a_machine_and_the_cluster() -> None:
    assert SHARED == ["cluster64", "laptop", "node8"]
    assert {profile for _, profile in PAIRS} == {*get_args(ProfileName)}


@pytest.mark.parametrize(("name", "profile"), PAIRS)
def test_every_recipe_loads_under_every_profile(name: str, profile: str) -> None:
    resolved = load_recipe(name, profile)

    assert resolved.recipe.name == name
    assert resolved.scale.num_nodes * resolved.scale.ranks_per_node >= 2


def test_all_recipes_have_the_same_keys() -> None:
    first, *others = (keys(yaml.safe_load(read_text(name))) for name in SCALED)

    assert ".sources.visual[].uri" in first and ".profiles.laptop.zero_stage" in first
    for other in others:
        assert other == first


@pytest.mark.parametrize("profile", SHARED)
def test_all_recipes_have_the_same_tasks_with_the_same_keys(profile: str) -> None:
    first, *others = (plan(load_recipe(name, profile)) for name in SCALED)

    assert len(first) == 20
    for other in others:
        assert list(other) == list(first)
        assert [type(slice) for slice in other.values()] == [type(slice) for slice in first.values()]


def test_a_profile_changes_no_science() -> None:
    for name in NAMES:
        science = {
            load_recipe(name, profile).recipe.model_dump_json(exclude={"profiles"})
            for profile in read_recipe(name).profiles
        }
        assert len(science) == 1


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_every_recipe_begins_with_its_hardware_and_its_command(path: Path) -> None:
    lines = path.read_text().splitlines()
    comment = lines[: next(index for index, line in enumerate(lines) if not line.startswith("#"))]

    assert any(line.startswith("# For: ") for line in comment)
    assert any(line.startswith(f"# Run: spica run {path.stem} --profile ") for line in comment)


def test_virgo_72b_on_64_gpus_has_the_papers_numbers() -> None:
    resolved = load_recipe("virgo-72b", "cluster64")
    derived = derive(resolved, 4900)

    assert (resolved.scale.num_nodes, resolved.scale.ranks_per_node, derived.num_ranks) == (8, 8, 64)
    assert (derived.batch_size, derived.samples_per_rank) == (128, 2.0)
    assert (derived.steps_per_epoch, derived.total_steps, derived.warmup_steps) == (38, 380, 38)
    assert derived.epoch_end_steps[4] == 190
    assert derived.model_state_gib == 16.9


def test_show_virgo_72b_as_json_keeps_the_papers_numbers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from spica_pipelines.cli import main

    monkeypatch.setattr("sys.argv", ["spica", "show", "virgo-72b", "--profile", "cluster64", "--json"])
    with pytest.raises(SystemExit):
        main()
    shown = json.loads(capsys.readouterr().out)

    assert shown["derived"]["D_T"] == {
        "num_ranks": 64,
        "batch_size": 128,
        "samples_per_rank": 2.0,
        "max_tokens_per_step": 4194304,
        "num_rows": 4895,
        "steps_per_epoch": 38,
        "rows_left_out": 31,
        "total_steps": 380,
        "warmup_steps": 38,
        "epoch_end_steps": [38, 76, 114, 152, 190, 228, 266, 304, 342, 380],
        "model_state_gib": 16.9,
    }
    assert shown["recipe"]["sft"] == {
        "freeze": "llm_only",
        "epochs": 10,
        "batch_size": 128,
        "cutoff_len": 32768,
        "learning_rate": 7e-06,
        "schedule": "cosine",
        "min_lr_ratio": 0.0,
        "warmup_ratio": 0.1,
        "betas": [0.9, 0.999],
        "eps": 1e-08,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
    }
    assert shown["recipe"]["distill"]["visual"] == {
        "teacher": "M0",
        "num_rollouts": 5,
        "temperature": 1.0,
        "top_p": 1.0,
        "max_tokens": 8192,
        "num_kept": 1,
        "difficulty": "medium",
        "cancel_longer": False,
    }
    assert shown["recipe"]["distill"]["text"]["teacher"] == "r1-lite"
    assert set(shown["recipe"]["models"]["teachers"]) == {"r1-lite", "qwq", "qvq"}
    assert shown["recipe"]["evaluate"] == {
        "prompts": {"base": "official", "tuned": "prefix"},
        "judge": {
            "url": "https://judge.example/v1",
            "model": "gpt-3.5-turbo",
            "api_key_env": "JUDGE_API_KEY",
        },
        "temperature": 0.0,
        "top_p": 1.0,
        "max_tokens": 8192,
        "repetition_penalties": [1.05],
    }


@pytest.mark.parametrize("name", ["virgo-7b", "virgo-72b"])
def test_the_virgo_recipes_draw_what_table_1_counts(name: str) -> None:
    sources = load_recipe(name, "cluster64").recipe.sources

    assert {source.name: source.num_rows for source in sources.visual} == {
        "Geos": 279,
        "GeoQA+": 563,
        "Geometry3K": 551,
        "UniGeo": 555,
        "TabMWP": 568,
        "FigureQA": 589,
        "ChartQA": 509,
        "CLEVR": 548,
    }
    assert {source.name: source.num_rows for source in sources.text} == {
        "math": 3700,
        "science": 900,
        "code": 200,
        "puzzle": 100,
    }
