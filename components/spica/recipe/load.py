"""Find, read and check a recipe: every fault of a file at once, each with its line."""

import json
import sysconfig
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from spica.errors import Fault, RecipeError
from spica.recipe.checks import add_rule_faults
from spica.recipe.document import parse
from spica.recipe.faults import add_schema_faults
from spica.recipe.schema import ProfileName, Recipe, Scale

MAX_BYTES = 1 << 20


class Resolved(NamedTuple):
    """A recipe under one of its profiles."""

    recipe: Recipe
    profile: ProfileName
    scale: Scale
    path: str

    @property
    def store(self) -> str:
        """Where artifacts live under this profile."""
        return self.scale.store or self.recipe.store


def recipes_folder() -> Path:
    """Where the shipped recipes lie: pipelines/recipes of a checkout, share/spica/recipes of a wheel."""
    checkout = Path(__file__).parents[3] / "pipelines" / "recipes"
    return checkout if checkout.is_dir() else Path(sysconfig.get_path("data")) / "share" / "spica" / "recipes"


def known_recipes() -> list[str]:
    """Names of the shipped recipes, sorted."""
    return sorted(path.stem for path in recipes_folder().glob("*.yaml"))


def find_recipe(path_or_name: str) -> Path:
    """The file of a shipped recipe's name, or of a path (anything with a slash or a .yaml ending).

    Raises:
        RecipeError: there is no such recipe.
    """
    is_path = "/" in path_or_name or path_or_name.endswith((".yaml", ".yml"))
    path = Path(path_or_name) if is_path else recipes_folder() / f"{path_or_name}.yaml"
    if path.is_file():
        return path
    names = ", ".join(known_recipes())
    found = f"no file {path_or_name}" if is_path else f"unknown recipe `{path_or_name}`"
    raise RecipeError(Fault("recipe", found, f"{names}, or the path of a YAML file", "choose one of these"))


def read_text(path: Path) -> str:
    """The text of a recipe file.

    Raises:
        RecipeError: not readable, not UTF-8, or larger than a recipe can be (1 MiB).
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise RecipeError(
                Fault(str(path), "more than 1 MiB", "a recipe of a few KiB", "name another file")
            )
        return data.decode()
    except OSError as error:
        found = error.strerror or "an unreadable file"
    except UnicodeDecodeError as error:
        found = f"byte {error.start} is not UTF-8"
    raise RecipeError(Fault(str(path), found, "a readable UTF-8 text file", "correct or replace the file"))


def parse_recipe(text: str, name: str) -> Recipe:
    """Read and check the text of a recipe.

    Args:
        text: YAML.
        name: how the file is called in faults.

    Raises:
        RecipeError: carries every fault of the text.
    """
    document = parse(text, name)
    recipe: Recipe | None = None
    try:
        recipe = Recipe.model_validate_json(json.dumps(document.value), strict=True)
        add_rule_faults(document, dict(recipe))
    except ValidationError as error:
        add_schema_faults(document, error.errors(include_url=False))
        add_rule_faults(document, _valid_sections(document.value))
    if recipe is None or document.faults:
        raise RecipeError(*document.faults)
    return recipe


def read_recipe(path_or_name: str) -> Recipe:
    """Read a recipe with all of its profiles.

    Raises:
        RecipeError: no such recipe, or one with faults (all of them).
    """
    path = find_recipe(path_or_name)
    return parse_recipe(read_text(path), _short(path))


def load_recipe(path_or_name: str, profile: str) -> Resolved:
    """Read a recipe under a profile.

    Raises:
        RecipeError: no such recipe or profile, or a recipe with faults (all of them).
    """
    recipe = read_recipe(path_or_name)
    return under_profile(recipe, profile, _short(find_recipe(path_or_name)))


def under_profile(recipe: Recipe, profile: str, path: str) -> Resolved:
    """Choose one profile of a recipe.

    Raises:
        RecipeError: the recipe has no such profile.
    """
    if profile not in recipe.profiles:
        names = ", ".join(recipe.profiles)
        raise RecipeError(
            Fault(
                f"{path} profiles",
                f"no profile `{profile}`",
                names,
                f"choose one: --profile {names.split(',')[0]}",
            )
        )
    return Resolved(recipe, profile, recipe.profiles[profile], path)


def _valid_sections(value: dict[str, Any]) -> dict[str, Any]:
    """The sections that are valid by themselves, so that rules about them can speak as well."""
    valid = {}
    for name, field in Recipe.model_fields.items():
        if name not in value and not field.is_required():
            valid[name] = field.default
            continue
        try:
            adapter = TypeAdapter[Any](field.rebuild_annotation())
            valid[name] = adapter.validate_json(json.dumps(value[name]), strict=True)
        except (KeyError, ValidationError):
            continue
    return valid


def _short(path: Path) -> str:
    """Relative to the working folder where it lies below it."""
    absolute = path.absolute()
    return str(absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else path)
