"""A valid recipe as text, and a way to change some of its lines."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from spica.errors import Fault, RecipeError
from spica.recipe.load import parse_recipe

RECIPE = Path(__file__).with_name("recipe.yaml").read_text()

FaultsOf = Callable[..., Sequence[Fault]]


@pytest.fixture
def recipe_text() -> str:
    return RECIPE


@pytest.fixture
def faults_of() -> FaultsOf:
    """The faults of the valid recipe after each (old, new) replacement; old must occur exactly once."""

    def faults(*changes: tuple[str, str]) -> Sequence[Fault]:
        text = RECIPE
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        with pytest.raises(RecipeError) as caught:
            parse_recipe(text, "r.yaml")
        return caught.value.faults

    return faults
