"""Recipe files as values with line numbers: plain YAML 1.2 data, without anchors, tags or duplicate keys."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from spica.errors import Fault, RecipeError

Loc = tuple[str | int, ...]
"""Path of a value inside a recipe, e.g. ("sft", "betas", 0)."""


class Problem(NamedTuple):
    """A fault whose place is still a path."""

    loc: Loc
    found: str
    allowed: str
    next: str


Problems = Iterator[Problem]


@dataclass
class Document:
    """A file that is being checked: its value, the line of every key and item, and its faults so far."""

    name: str
    value: Any = None
    lines: dict[Loc, int] = field(default_factory=lambda: {(): 1})
    _found: list[tuple[int, Fault]] = field(default_factory=list)

    def line(self, loc: Loc) -> int:
        """The line of a key; of the nearest enclosing one where the key itself is absent."""
        known = next(loc[:end] for end in range(len(loc), -1, -1) if loc[:end] in self.lines)
        return self.lines[known]

    def fault(self, loc: Loc, found: str, allowed: str, next: str, line: int | None = None) -> None:
        """Note a fault at a key (or at a line of its own); its place reads `FILE:LINE a.b[0].c`."""
        at = line or self.line(loc)
        where = f"{self.name}:{at} {dotted(loc)}".rstrip()
        self._found.append((at, Fault(where, found, allowed, next)))

    @property
    def faults(self) -> list[Fault]:
        """All faults in the order of their lines."""
        return [fault for _, fault in sorted(self._found, key=lambda item: item[0])]


def dotted(loc: Loc) -> str:
    """Write a path as people do: ("sources", "text", 0, "uri") is sources.text[0].uri."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).removeprefix(".")


_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core scalars only: `7e-6` is a number, `yes` and `2026-01-01` are text."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("null", r"~|null|Null|NULL|", [*"~nN", ""]),
    ("int", r"[-+]?[0-9]+", [*"-+0123456789"]),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", [*"-+.0123456789"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


class _Dumper(yaml.SafeDumper):
    """Quotes what `_Loader` would not read as text again, and nothing else."""


_Dumper.yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers

_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "str", "null", "bool", "int", "float")}


def parse(text: str, name: str) -> Document:
    """Read YAML text; `name` is how the file is called in faults.

    Raises:
        RecipeError: the text is no YAML, or no mapping; such a file has nothing else to check.
    """
    try:
        root = _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise _unreadable(place, error.problem or "not YAML") from None
    except (yaml.YAMLError, RecursionError, ValueError):
        raise _unreadable(name, "characters or nesting that YAML does not allow") from None
    if not isinstance(root, yaml.MappingNode):
        raise _unreadable(name, "nothing" if root is None else "no mapping at the top")
    document = Document(name)
    document.value = _Reader(document).read(root, ())
    return document


def write(value: Mapping[str, Any]) -> str:
    """YAML text from which `parse` reads the same value: block style, keys in their order."""
    return yaml.dump(dict(value), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def _unreadable(place: str, found: str) -> RecipeError:
    return RecipeError(
        Fault(
            place,
            found,
            "a YAML mapping of `key: value` lines",
            "correct the file there; compare a shipped recipe",
        )
    )


class _Reader:
    """Turns nodes into values and notes lines and faults of form in the document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.seen: set[int] = set()

    def read(self, node: yaml.Node, loc: Loc) -> Any:
        self.document.lines.setdefault(loc, node.start_mark.line + 1)
        if id(node) in self.seen:
            self.document.fault(
                loc, "an alias (*name)", "each value written out", "write the value here instead of the alias"
            )
            return None
        self.seen.add(id(node))
        if node.tag not in _TAGS:
            self.document.fault(loc, f"the tag {node.tag}", "plain values", "remove the tag")
        if isinstance(node, yaml.MappingNode):
            return {key: self.read(value, (*loc, key)) for key, value in self.items(node, loc)}
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*loc, index)) for index, item in enumerate(node.value)]
        return self.scalar(node, loc)

    def items(self, node: yaml.MappingNode, loc: Loc) -> Iterator[tuple[str, yaml.Node]]:
        first: dict[str, int] = {}
        for key_node, value in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.document.fault(
                    loc, "a key that is no word", "keys that are words", "write `key: value`", line
                )
                continue
            key = str(key_node.value)
            if _CONTROL.search(key):
                self.document.fault(loc, "a key with control characters", "plain text", "remove them", line)
                continue
            if key in first:
                found = f"`{key}` for the second time (first in line {first[key]})"
                self.document.fault((*loc, key), found, "each key once", "delete one of the two lines", line)
                continue
            first[key] = line
            self.document.lines[(*loc, key)] = line
            yield key, value

    def scalar(self, node: yaml.Node, loc: Loc) -> Any:
        text = str(node.value)
        if _CONTROL.search(text):
            self.document.fault(loc, "text with control characters", "plain text", "remove them")
            return ""
        tag = node.tag.removeprefix("tag:yaml.org,2002:")
        if tag == "null":
            return None
        if tag == "bool":
            return text.lower() == "true"
        if tag in ("int", "float"):
            with suppress(ValueError):  # a number too long to read stays text, which the schema refuses
                return int(text) if tag == "int" else float(text)
        return text
