"""What pydantic found wrong in a recipe, in four parts: line, value, what the schema allows, what to type."""

import difflib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydantic_core import ErrorDetails

from spica.recipe.document import Document, Loc, dotted
from spica.recipe.schema import M0, Recipe, Scale

_SECRET = re.compile(r"\b(sk-|hf_|gh[opsu]_|xox[a-z]-|AKIA|Bearer )[\w-]{8}")


def add_schema_faults(document: Document, errors: Sequence[ErrorDetails]) -> None:
    """Note one fault per mistake: a mistyped key is not also a missing one."""
    meant = {_close(error["loc"]) for error in errors if error["type"] == "extra_forbidden"}
    for error in errors:
        if error["loc"] not in meant:
            loc = error["loc"][:-1] if error["loc"][-1] == "[key]" else error["loc"]
            document.fault(loc, *_parts(document, error))


def show(value: Any) -> str:
    """A value as it stands in the file, short, never a secret."""
    if isinstance(value, Mapping):
        return "a section"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, str):
        if _SECRET.search(value):
            return "what looks like a secret (not shown)"
        return f"the text {value if len(value) <= 60 else value[:57] + '...'!r}"
    if value is None:
        return "nothing"
    return str(value).lower()[:60]


def allowed(loc: Loc) -> str:
    """What the schema allows at a place, e.g. `a whole number >= 1 (Samples per optimizer step, ...)`."""
    node = _node(loc)
    text = _describe(node)
    return f"{text} ({node['description'].rstrip('.')})" if "description" in node else text


def _parts(document: Document, error: ErrorDetails) -> tuple[str, str, str]:
    """Found, allowed, next."""
    loc, line = error["loc"], document.line(error["loc"])
    if loc[-1] == "[key]":
        return _unknown_profile(loc[:-1]) if loc[0] == "profiles" else _bad_name(loc[:-1])
    if error["type"] == "extra_forbidden":
        return _unknown_key(loc)
    if error["type"] == "missing":
        return "nothing", allowed(loc), f"add `{loc[-1]}` below line {line}"
    if loc[-1] == "api_key_env":
        return (
            "a value that is no variable name (not shown)",
            "the NAME of an environment variable, such as TEACHER_API_KEY",
            "write the variable's name here, keep the key in the environment; revoke a key that was shared",
        )
    return show(error["input"]), allowed(loc), f"correct line {line}, then `spica check`"


def _unknown_profile(loc: Loc) -> tuple[str, str, str]:
    names = list(_keys(loc[:-1]))
    close = difflib.get_close_matches(str(loc[-1]), names, 1)
    hint = f"write `{close[0]}`" if close else "use one of these names"
    return f"unknown profile `{loc[-1]}`", ", ".join(names), hint


def _bad_name(loc: Loc) -> tuple[str, str, str]:
    (pattern,) = _node(loc[:-1])["patternProperties"]
    if loc[-1] == M0:
        return "the reserved name `M0`", "a name of your own", "M0 is made by the pipeline: delete this entry"
    return f"the name {show(loc[-1])}", f"a name that matches {pattern}", "write it in small letters"


def _unknown_key(loc: Loc) -> tuple[str, str, str]:
    key, home = str(loc[-1]), _homes().get(str(loc[-1]))
    if loc[0] == "profiles" and home is not None:
        return (
            f"`{key}` in a profile; a profile may touch scale only",
            "scale keys: " + ", ".join(Scale.model_fields),
            f"delete it here; `{home}` holds for every profile",
        )
    close = _close(loc)
    if close is not None:
        hint = f"did you mean `{close[-1]}`?"
    else:
        hint = f"move it to `{home}`" if home is not None else "delete it"
    return f"unknown key `{key}`", "keys here: " + ", ".join(_keys(loc[:-1])), hint


def _close(loc: Loc) -> Loc | None:
    """The key of the same section that was probably meant."""
    matches = difflib.get_close_matches(str(loc[-1]), list(_keys(loc[:-1])), 1, 0.75)
    return (*loc[:-1], matches[0]) if matches else None


@cache
def _schema() -> dict[str, Any]:
    return Recipe.model_json_schema()


@cache
def _homes() -> dict[str, str]:
    """Key -> dotted place of every key outside of the profiles; the first place wins."""
    homes: dict[str, str] = {}
    queue: list[Loc] = [()]
    while queue:
        loc = queue.pop(0)
        if "items" in _node(loc):
            queue.append((*loc, 0))
        if "patternProperties" in _node(loc):
            queue.append((*loc, "NAME"))
        for key in _keys(loc):
            if (*loc, key)[0] != "profiles":
                homes.setdefault(key, dotted((*loc, key)).replace("[0]", "[]"))
                queue.append((*loc, key))
    return {key: home for key, home in homes.items() if key not in Scale.model_fields}


def _keys(loc: Loc) -> Sequence[str]:
    node = _node(loc)
    return list(node.get("properties") or node.get("propertyNames", {}).get("enum", ()))


def _node(loc: Loc) -> dict[str, Any]:
    """The part of the JSON schema that describes a place; {} where nothing is known."""
    node = _schema()
    for part in loc:
        if isinstance(part, int):
            choices = node.get("prefixItems", [])
            node = choices[part] if part < len(choices) else node.get("items", {})
        else:
            named = [*node.get("patternProperties", {}).values(), node.get("additionalProperties")]
            node = node.get("properties", {}).get(part) or named[0] or {}
        node = _resolved(node)
    return node


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference and unwrap `X or null`; the field's own description wins over its type's."""
    name = str(node.get("$ref", "")).rpartition("/")[2]
    if name:
        return {**_schema()["$defs"][name], **{key: node[key] for key in ("description",) if key in node}}
    if "anyOf" in node:
        inner = next(choice for choice in node["anyOf"] if choice.get("type") != "null")
        return {
            **_resolved(inner),
            **{key: value for key, value in node.items() if key != "anyOf"},
            "null": True,
        }
    return node


def _describe(node: Mapping[str, Any]) -> str:
    text = _kind(node)
    for key, sign in (
        ("minimum", ">="),
        ("exclusiveMinimum", ">"),
        ("maximum", "<="),
        ("exclusiveMaximum", "<"),
    ):
        if key in node:
            text += f"{' and' if '=' in text or '>' in text else ''} {sign} {_short(node[key])}"
    return text + (" or null" if node.get("null") else "")


def _kind(node: Mapping[str, Any]) -> str:
    if "const" in node:
        return str(node["const"])
    if "enum" in node:
        return "one of " + ", ".join(str(choice) for choice in node["enum"])
    if "prefixItems" in node:
        return "a list of " + " and ".join(_describe(_resolved(item)) for item in node["prefixItems"])
    if node.get("type") == "array":
        at_least = " at least one" if node.get("minItems") else ""
        return f"a list of{at_least}: {_describe(_resolved(node['items']))}"
    if node.get("type") == "object":
        keys = node.get("properties") or node.get("propertyNames", {}).get("enum", ())
        return "a section with the keys " + ", ".join(keys)
    if "pattern" in node:
        longest = f", {node['maxLength']} characters at most" if "maxLength" in node else ""
        return f"text that matches {node['pattern']}{longest}"
    words = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "text"}
    return words.get(str(node.get("type")), "nothing")


def _short(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"
