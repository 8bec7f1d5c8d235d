"""The key of an endpoint, out of the variable that the recipe names."""

import os

from spica.errors import Fault, PrerequisiteError
from spica.recipe.schema import Endpoint


def read_key(endpoint: Endpoint, next: str) -> str | None:
    """None where the endpoint needs no key.

    Args:
        endpoint: Names the variable.
        next: What may be done besides setting it.

    Raises:
        PrerequisiteError: The variable is not set, or empty.
    """
    name = endpoint.api_key_env
    if name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key:
        raise PrerequisiteError(
            Fault(
                where=f"api_key_env of {endpoint.url}",
                found=f"${name} is not set",
                allowed=f"a variable that holds the key for {endpoint.model}",
                next=f"export {name}=...{next}",
            )
        )
    return key
