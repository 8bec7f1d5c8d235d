from pathlib import Path

import pytest

from spica.errors import Fault, RecipeError
from spica.recipe.load import load_recipe, parse_recipe


def fault_of(path_or_name: str, profile: str = "laptop") -> Fault:
    with pytest.raises(RecipeError) as caught:
        load_recipe(path_or_name, profile)
    (fault,) = caught.value.faults
    return fault


def test_a_valid_recipe_is_read_whole(recipe_text: str) -> None:
    recipe = parse_recipe(recipe_text, "r.yaml")

    assert recipe.sft.learning_rate == 7e-6
    assert recipe.sft.betas == (0.9, 0.999)
    assert recipe.gates[0].steps == (2, 6)
    assert [source.name for source in recipe.sources.text] == ["t", "u"]


def test_a_path_gives_the_recipe_under_its_profile(
    tmp_path: Path, recipe_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r.yaml").write_text(recipe_text)

    resolved = load_recipe("r.yaml", "laptop")

    assert (resolved.recipe.name, resolved.profile, resolved.path) == ("tiny", "laptop", "r.yaml")
    assert resolved.scale.threads_per_rank == 3


def test_a_file_below_the_working_folder_is_called_by_its_relative_path(
    tmp_path: Path, recipe_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "r.yaml"
    path.write_text(recipe_text.replace("seed: 7", "seed: x"))

    assert fault_of(str(path)).where == "r.yaml:3 seed"


def test_an_unknown_name_lists_the_known_recipes() -> None:
    assert fault_of("virgo") == Fault(
        "recipe",
        "unknown recipe `virgo`",
        "miniature, miniature-small, virgo-72b, virgo-7b, or the path of a YAML file",
        "choose one of these",
    )


def test_a_path_without_a_file_is_named() -> None:
    assert fault_of("no/such.yaml").found == "no file no/such.yaml"


def test_an_unknown_profile_lists_the_profiles_of_the_recipe(tmp_path: Path, recipe_text: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(recipe_text)

    assert fault_of(str(path), "node8") == Fault(
        f"{path} profiles", "no profile `node8`", "laptop", "choose one: --profile laptop"
    )


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_bytes(b"name: \xff\n")

    assert fault_of(str(path)).found == "byte 6 is not UTF-8"


def test_a_file_too_large_for_a_recipe_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_bytes(b"#" * (1 << 20) + b"\n")

    assert fault_of(str(path)).found == "more than 1 MiB"
