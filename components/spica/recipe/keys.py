"""Which variables hold the keys of the endpoints that a recipe asks."""

from typing import NamedTuple

from spica.recipe.schema import Distill, Evaluate, Models


class KeyVariables(NamedTuple):
    """Name of the variable that each kind of step needs; None where none is needed."""

    distill: str | None
    self_distill: str | None
    """None with M0, which Spica serves itself."""
    evaluate: str | None

    @property
    def teachers(self) -> tuple[str, ...]:
        """Those of the teachers in use, each once."""
        return tuple(dict.fromkeys(name for name in self[:2] if name))


def key_variables(models: Models, distill: Distill, evaluate: Evaluate) -> KeyVariables:
    """Teachers that nobody asks need no key."""
    text, visual = (models.teachers.get(section.teacher) for section in (distill.text, distill.visual))
    asked = (endpoint.api_key_env if endpoint else None for endpoint in (text, visual, evaluate.judge))
    return KeyVariables(*asked)
