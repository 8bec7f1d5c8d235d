import pytest

from spica.errors import Fault, RecipeError
from spica.recipe.document import dotted, parse


def test_scalars_follow_yaml_1_2() -> None:
    text = "a: 7e-6\nb: yes\nc: 2026-01-01\nd: 017\ne: 1:30\nf: ~\ng: true\nh: '3'\ni: .5\n"

    assert parse(text, "r.yaml").value == {
        "a": 7e-6,
        "b": "yes",
        "c": "2026-01-01",
        "d": 17,
        "e": "1:30",
        "f": None,
        "g": True,
        "h": "3",
        "i": 0.5,
    }


def test_every_key_and_item_knows_its_line() -> None:
    document = parse("a:\n  b: 1\n  c:\n    - 2\n    - {d: 3}\n", "r.yaml")

    assert document.lines == {
        (): 1,
        ("a",): 1,
        ("a", "b"): 2,
        ("a", "c"): 3,
        ("a", "c", 0): 4,
        ("a", "c", 1): 5,
        ("a", "c", 1, "d"): 5,
    }
    assert document.line(("a", "c", 1, "d")) == 5


def test_an_absent_key_is_placed_at_its_section() -> None:
    assert parse("x: 1\na:\n  b: 1\n", "r.yaml").line(("a", "z", "y")) == 2


def test_paths_read_as_people_write_them() -> None:
    assert dotted(("sources", "text", 0, "uri")) == "sources.text[0].uri"


def test_a_key_that_stands_twice_is_a_fault() -> None:
    document = parse("a: 1\nb: 2\na: 3\n", "r.yaml")

    assert document.faults == [
        Fault(
            "r.yaml:3 a",
            "`a` for the second time (first in line 1)",
            "each key once",
            "delete one of the two lines",
        )
    ]


def test_aliases_and_tags_are_faults() -> None:
    document = parse("a: &x [1]\nb: *x\nc: !!python/object:os.system {}\n", "r.yaml")

    assert [(fault.where, fault.found) for fault in document.faults] == [
        ("r.yaml:2 b", "an alias (*name)"),
        ("r.yaml:3 c", "the tag tag:yaml.org,2002:python/object:os.system"),
    ]


def test_control_characters_and_half_characters_are_faults() -> None:
    document = parse('a: "x\\0"\n"b\\ud800": 1\n', "r.yaml")

    assert [(fault.where, fault.found) for fault in document.faults] == [
        ("r.yaml:1 a", "text with control characters"),
        ("r.yaml:2", "a key with control characters"),
    ]


@pytest.mark.parametrize(
    ("text", "where", "found"),
    [
        ("a: [\n", "r.yaml:2:1", "expected the node content, but found '<stream end>'"),
        ("a: 1\nb: c: d\n", "r.yaml:2:5", "mapping values are not allowed here"),
        ("", "r.yaml", "nothing"),
        ("- 1\n", "r.yaml", "no mapping at the top"),
        ("a: 1\n---\nb: 2\n", "r.yaml:2:1", "but found another document"),
        ("a: \0\n", "r.yaml", "characters or nesting that YAML does not allow"),
        ("a: " + "[" * 1000, "r.yaml", "characters or nesting that YAML does not allow"),
    ],
    ids=["open-bracket", "two-colons", "empty", "list", "two-documents", "nul", "too-deep"],
)
def test_text_that_is_no_recipe_says_where_it_breaks(text: str, where: str, found: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse(text, "r.yaml")

    assert caught.value.faults == (
        Fault(
            where,
            found,
            "a YAML mapping of `key: value` lines",
            "correct the file there; compare a shipped recipe",
        ),
    )
