r"""Makes the rows of mathverse.jsonl, without verdicts: `python make_mathverse.py > rows.jsonl`.

Three kinds: `input` (which part of a response the judge is shown), `extraction` and `judgement` (what is made
of the judge's replies, one after the other; the program asks anew as long as it cannot use a reply).
"""

import json
import random
import sys
from collections.abc import Callable, Iterator

NUM_ROWS = 42
"""Of each class."""
Draw = random.Random
WORDS = (
    "the of angle chord radius so we see that line meets circle at point hence its length equals half arc"
).split()
VALUES = (
    "12",
    "B",
    r"\frac{1}{2}",
    r"2\sqrt{3}",
    r"\text{C}",
    "(-2, 1]",
    "x^{2}-4",
    "45^\\circ",
    "null",
    "0.5m",
)
SPACES = ("", " ", "\n", "  ", "\n\n", "\t", " \n")
BEGIN, END = "<|begin_of_solution|>", "<|end_of_solution|>"
THOUGHT = "<|begin_of_thought|>\n\n{}\n\n<|end_of_thought|>\n\n"

INPUTS: dict[str, Callable[[Draw], str]] = {
    "short": lambda draw: words(draw, draw.randint(1, 12)) + " " + value(draw),
    "longer-than-thirty-words": lambda draw: words(draw, draw.randint(31, 80)) + " " + value(draw),
    "exactly-thirty-words": lambda draw: words(draw, 29) + " " + value(draw),
    "lines-are-one-word": lambda draw: "\n".join(
        words(draw, 3).replace(" ", "\n") for _ in range(draw.randint(9, 30))
    ),
    "double-spaces": lambda draw: words(draw, draw.randint(12, 30)).replace(" ", "  ") + " " + value(draw),
    "box": lambda draw: (
        words(draw, draw.randint(3, 50)) + " " + box(draw.choice(("7", "B", "x+1", "(3,4)"))) + "."
    ),
    "box-with-braces": lambda draw: words(draw, 9) + " " + box(draw.choice([v for v in VALUES if "{" in v])),
    "two-boxes": lambda draw: f"{box(value(draw))} {words(draw, 5)} {box(value(draw))} {words(draw, 3)}",
    "box-never-closed": lambda draw: (
        words(draw, draw.randint(2, 40)) + r" \boxed{" + words(draw, draw.randint(1, 45))
    ),
    "box-in-the-thought": lambda draw: (
        THOUGHT.format(box(value(draw))) + f"{BEGIN}\n\n{words(draw, 40)}\n\n{END}"
    ),
    "solution-without-box": lambda draw: (
        THOUGHT.format(words(draw, 20)) + f"{BEGIN}\n\n{words(draw, 35)}\n\n{END}"
    ),
    "solution-never-closed": lambda draw: (
        THOUGHT.format(words(draw, 9)) + f"{BEGIN}\n\n{words(draw, 20)} {value(draw)}"
    ),
    "box-with-a-space": lambda draw: words(draw, draw.randint(3, 40)) + r" \boxed {" + value(draw) + "}",
    "thought-never-ended": lambda draw: "<|begin_of_thought|>\n\n" + words(draw, draw.randint(30, 60)),
    "nothing": lambda draw: "".join(draw.choice(SPACES) for _ in range(draw.randint(0, 40))),
}

EXTRACTIONS: dict[str, Callable[[Draw], list[str]]] = {
    "plain": lambda draw: [value(draw)],
    "label-repeated": lambda draw: ["Extracted Answer: " + value(draw)],
    "label-in-other-case": lambda draw: ["Extracted answer: " + value(draw)],
    "label-alone": lambda draw: ["Extracted Answer:" + " " * draw.randint(0, 6), value(draw)],
    "prose": lambda draw: [f"The answer that the response gives is {value(draw)}, as {words(draw, 4)}."],
    "empty-then-answer": lambda draw: [" " * draw.randint(0, 3), value(draw)],
    "lines": lambda draw: [f"\n Domain: {value(draw)}\nRange: {value(draw)} \n"],
}

JUDGEMENTS: dict[str, Callable[[Draw], list[str]]] = {
    "one": lambda draw: [pad(draw, "1")],
    "zero": lambda draw: [pad(draw, "0")],
    "label-and-digit": lambda draw: [
        pad(draw, draw.choice(("Judgement: {}", "Judgement:{}", "Judgement:\n{}")), draw.choice("01"))
    ],
    "prose-with-digit": lambda draw: [
        f"{words(draw, 4)}, so the judgement is {draw.choice('01')}.",
        draw.choice("01"),
    ],
    "prose": lambda draw: [f"The two answers {words(draw, 5)}.", words(draw, 3), draw.choice("01")],
    "nothing-then-digit": lambda draw: (
        [draw.choice(SPACES) for _ in range(draw.randint(1, 2))] + [draw.choice("01")]
    ),
    "both": lambda draw: [
        draw.choice(("0 1", "1 0", "1/0", "0, no 1", "1\n0", "01", "10", "0|1", "1 or 0", "0 and then 1")),
        *no_or_yes(draw),
    ],
    "changes-its-mind": lambda draw: [
        draw.choice(("Yes", "No", "1?", "0?", "yes.", "True", "False", "agree", "1 - no", "not 0")),
        draw.choice("01"),
        draw.choice("01"),
    ],
    "other-label": lambda draw: [
        draw.choice(
            ("Judgment: {}", "judgement: {}", "[Judgement]: {}", "Verdict: {}", "JUDGEMENT:{}")
        ).format(draw.choice("01")),
        *no_or_yes(draw),
    ],
    "decorated-digit": lambda draw: [
        draw.choice(("**{}**", "`{}`", "{}.", "({})", '"{}"', "[{}]", "<{}>", "{}!", "${}$", "'{}'")).format(
            draw.choice("01")
        ),
        *no_or_yes(draw),
    ],
    "other-numbers": lambda draw: [
        draw.choice(("2", "-1", "0.5", "1.0", "10", "one", "00", "11", "+1", "-0", "1e0", "zero", "½")),
        *no_or_yes(draw),
    ],
    "never": lambda draw: [
        draw.choice(("", "maybe", "0 or 1", words(draw, 2))) for _ in range(draw.randint(1, 3))
    ],
}


def no_or_yes(draw: Draw) -> list[str]:
    """What the judge says at last, after nothing or prose."""
    return [*draw.choice(([], [""], [words(draw, 2)])), draw.choice("01")]


def words(draw: Draw, number: int) -> str:
    return " ".join(draw.choice(WORDS) for _ in range(number))


def value(draw: Draw) -> str:
    n, m = draw.randint(2, 99), draw.randint(2, 9)
    forms = (
        f"{n}",
        f"{n}.{m}",
        f"{n}cm",
        f"{n}°",
        rf"\frac{{{m}}}{{{n}}}",
        rf"{m}\sqrt{{{n}}}",
        f"({m}, {n})",
    )
    return draw.choice((*VALUES, *forms))


def box(content: str) -> str:
    return rf"\boxed{{{content}}}"


def pad(draw: Draw, form: str, digit: str = "") -> str:
    return draw.choice(SPACES) + form.format(digit) + draw.choice(SPACES)


def rows() -> Iterator[dict[str, object]]:
    for name, text in INPUTS.items():
        draw = Draw(f"mathverse {name}")
        for number in range(1, NUM_ROWS + 1):
            yield {"kind": "input", "class": name, "id": f"mathverse-{name}-{number}", "response": text(draw)}
    for kind, classes in (("extraction", EXTRACTIONS), ("judgement", JUDGEMENTS)):
        for name, replies in classes.items():
            draw = Draw(f"mathverse {kind} {name}")
            for number in range(1, NUM_ROWS + 1):
                yield {
                    "kind": kind,
                    "class": name,
                    "id": f"mathverse-{kind}-{name}-{number}",
                    "gold": value(draw),
                    "question": words(draw, 6),
                    "extraction": value(draw),
                    "replies": replies(draw),
                }


if __name__ == "__main__":
    for row in rows():
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
