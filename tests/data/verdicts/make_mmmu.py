r"""Makes the pairs of mmmu.jsonl, without verdicts: `python make_mmmu.py > pairs.jsonl`.

Each function below is one class and draws one case of it, with the class' own seed; a case says what is
asked, what is right, what a model says and whether that is right, by construction.
"""

import json
import random
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

NUM_PER_CLASS = 42
LETTERS = "ABCDEFG"

SUBJECTS = (
    (
        "Which pigment dominates the upper half?",
        ("Madder lake", "Lead white", "Azurite", "Umber", "Verdigris", "Ochre"),
    ),
    (
        "Which structure does the arrow mark?",
        ("Left atrium", "Aortic arch", "Mitral valve", "Septum", "Vena cava"),
    ),
    (
        "Which account is debited?",
        ("Cash", "Accrued rent", "Inventory", "Goodwill", "Sales returns", "Notes payable"),
    ),
    ("Which layer forms last?", ("Sandstone", "Basalt", "Shale", "Loess", "Chalk", "Gneiss", "Marl")),
    ("What is the current through the resistor?", ("1.6 A", "2.4 mA", "0.75 A", "12 mA", "31 mA", "8.2 A")),
    (
        "Which sorting step comes next?",
        ("Swap 4 and 7", "Split at 9", "Merge both runs", "Pick the pivot", "Stop"),
    ),
)
PLACES = ("Ghent", "Toledo", "Uppsala", "Kyoto", "Tunis", "Quito", "Leeds", "Perugia", "Hanoi", "Bergen")
LANDS = ("Belgium", "Spain", "Sweden", "Japan", "Tunisia", "Ecuador", "England", "Italy", "Vietnam", "Norway")
WORDS = "two three four five six seven eight nine ten eleven twelve".split()
THINGS = (
    "enzyme",
    "firm",
    "river",
    "gear",
    "verse",
    "orbit",
    "lens",
    "crop",
    "tariff",
    "membrane",
    "tempo",
    "duct",
)


class Case(NamedTuple):
    gold: str | list[str]
    said: str
    truth: bool
    question: str
    options: tuple[str, ...] = ()


Draw = random.Random
CLASSES: dict[str, Callable[[Draw], Case]] = {}


def case(function: Callable[[Draw], Case]) -> Callable[[Draw], Case]:
    CLASSES[function.__name__.replace("_", "-")] = function
    return function


def mostly(draw: Draw) -> bool:
    """Whether the case shows what its class is about, or is a wrong answer in the same dress."""
    return draw.random() < 0.8


class Choice(NamedTuple):
    """A choice item and the letter that a model is made to say."""

    question: str
    options: tuple[str, ...]
    gold: str
    letter: str
    other: str
    """A letter that is neither said nor, unless the said one is wrong, right."""

    @property
    def text(self) -> str:
        return self.options[LETTERS.index(self.letter)]

    def says(self, words: str) -> Case:
        return Case(self.gold, words, self.gold == self.letter, self.question, self.options)


def choice(draw: Draw, low: int = 3) -> Choice:
    question, values = draw.choice(SUBJECTS)
    options = tuple(draw.sample(values, draw.randint(low, min(5, len(values)))))
    letter, other = draw.sample(LETTERS[: len(options)], 2)
    return Choice(
        f"Figure {draw.randint(1, 40)}. {question}", options, letter if mostly(draw) else other, letter, other
    )


def thing(draw: Draw) -> str:
    return f"the {draw.choice(THINGS)} {draw.choice(('in', 'of', 'beside'))} panel {draw.randint(1, 30)}"


def asks(draw: Draw, unit: str = "") -> str:
    return f"What value belongs to {thing(draw)}{', in ' + unit if unit else ''}? Give it exactly."


# --- choice items that are read as they are meant


@case
def letter_in_brackets(draw: Draw) -> Case:
    made = choice(draw)
    return made.says(f"Looking at {thing(draw)}, the answer is ({made.letter}).")


@case
def letter_between_spaces(draw: Draw) -> Case:
    made = choice(draw)
    return made.says(draw.choice((f"{made.letter}", f"For {thing(draw)} the choice {made.letter} fits.")))


@case
def text_of_the_option(draw: Draw) -> Case:
    made = choice(draw)
    return made.says(f"Going by {thing(draw)}, it must be the {made.text.lower()} in the end.")


@case
def wrong_ones_first_in_brackets(draw: Draw) -> Case:
    made = choice(draw)
    return made.says(f"({made.other}) is wrong because of {thing(draw)}, so it is ({made.letter}).")


@case
def wrong_ones_first_between_spaces(draw: Draw) -> Case:
    made = choice(draw)
    return made.says(f"Not {made.other} because of {thing(draw)}, rather {made.letter} it is.")


# --- choice items whose letter is not found: the program draws one


@case
def letter_dot_text(draw: Draw) -> Case:
    made = choice(draw)
    return made.says(f"{made.letter}. {made.text}")


@case
def letter_colon(draw: Draw) -> Case:
    made = choice(draw)
    return made.says(f"{made.letter}: {made.text}")


@case
def bold_letter(draw: Draw) -> Case:
    made = choice(draw)
    return made.says(draw.choice((f"**{made.letter}**", f"Going by {thing(draw)}: **{made.letter}**")))


@case
def boxed_letter(draw: Draw) -> Case:
    made = choice(draw)
    lead = draw.choice((
        "", f"This follows from {thing(draw)}.\n\n",
        "<|begin_of_thought|>\n\nIt could be either. Wait, the label says more.\n\n<|end_of_thought|>\n\n"
        f"<|begin_of_solution|>\n\nThe label decides {thing(draw)}. ",
    ))  # fmt: skip
    return made.says(
        f"{lead}\\boxed{{{made.letter}}}" + ("\n\n<|end_of_solution|>" if "solution|>" in lead else "")
    )


@case
def letter_after_a_newline(draw: Draw) -> Case:
    made = choice(draw)
    return made.says(f"This follows from {thing(draw)}, thus:\n{made.letter}")


@case
def lower_case_in_brackets(draw: Draw) -> Case:
    made = choice(draw)
    return made.says(f"Because of {thing(draw)}: ({made.letter.lower()})")


@case
def answers_nothing(draw: Draw) -> Case:
    made = choice(draw, 3)
    said = f"I cannot make out {thing(draw)} well enough to tell."
    said = draw.choice((said, f"{made.other}{made.letter}?", "-" * draw.randint(2, 60)))
    return Case(made.gold, said, False, made.question, made.options)


# --- choice items of which another letter is read


@case
def right_one_first_in_brackets(draw: Draw) -> Case:
    made = choice(draw)
    return made.says(f"({made.letter}) is right; ({made.other}) is wrong because of {thing(draw)}.")


@case
def letter_then_a_reason(draw: Draw) -> Case:
    made = choice(draw)
    return made.says(f"{made.letter} because {made.other} is too small for {thing(draw)}")


@case
def article_a(draw: Draw) -> Case:
    made = choice(draw)
    letter, _ = draw.choice([pair for pair in zip(LETTERS, made.options, strict=False) if pair[0] != "A"])
    gold = letter if mostly(draw) else "A"
    said = f"{letter}. A closer look at {thing(draw)} shows it."
    return Case(gold, said, gold == letter, made.question, made.options)


# --- open questions that are read as they are meant


@case
def plain_number(draw: Draw) -> Case:
    gold = draw.randint(3, 5000) / draw.choice((1, 2, 4, 10))
    truth = draw.random() < 0.6
    return Case(f"{gold:g}", f"{gold if truth else gold + draw.randint(1, 9):g}", truth, asks(draw))


@case
def number_in_a_sentence(draw: Draw) -> Case:
    gold = draw.randint(3, 900) / draw.choice((1, 2, 10))
    truth = draw.random() < 0.6
    lead = draw.choice(("So the result is", "Therefore it is", "The final answer is", "x ="))
    return Case(
        f"{gold:g}", f"We look at {thing(draw)}.\n{lead} {gold if truth else gold + 3:g}.", truth, asks(draw)
    )


@case
def thousands_and_powers(draw: Draw) -> Case:
    gold = draw.randint(2, 90) * 10 ** draw.randint(3, 6)
    truth = draw.random() < 0.6
    shown = gold if truth else gold * 10
    said = draw.choice((f"It is {shown:,} in all", f"The answer is {shown:.3e}"))
    return Case(str(gold), said, truth, asks(draw))


@case
def a_word(draw: Draw) -> Case:
    gold, other = draw.sample(PLACES, 2)
    truth = draw.random() < 0.6
    said = f"The city next to {thing(draw)} is {gold if truth else other}."
    return Case(gold, said, truth, "Which city is shown?")


@case
def one_of_several_golds(draw: Draw) -> Case:
    first, second, other = draw.sample(PLACES, 3)
    truth = draw.random() < 0.6
    said = f"By {thing(draw)} the answer is {draw.choice((first, second)) if truth else other}"
    return Case([first, second], said, truth, "Which city is shown? Either name will do.")


@case
def place_with_its_land(draw: Draw) -> Case:
    index, other = draw.sample(range(len(PLACES)), 2)
    truth = mostly(draw)
    shown = index if truth else other
    said = f"The city is {PLACES[shown]}, {LANDS[shown]}, by {thing(draw)}"
    return Case([PLACES[index], LANDS[index]], said, truth, "Where was it built?")


# --- open questions accepted without being right


@case
def rounded_to_two_decimals(draw: Draw) -> Case:
    gold = draw.randint(10, 900) / 1000 + draw.choice((0.001, 0.002, 0.003, 0.0044))
    gold = gold + 0.001 if round(gold, 2) == gold else gold
    shown = round(gold, 2) if mostly(draw) else round(gold, 2) + 0.02
    return Case(
        f"{gold:.4f}", f"{draw.choice(('It is', 'The answer is', ''))} {shown:.2f}".strip(), False, asks(draw)
    )


@case
def whole_number_for_nearly_one(draw: Draw) -> Case:
    whole = draw.randint(1, 60)
    gold = whole + draw.choice((-0.0035, 0.0041, -0.0012, 0.0026, -0.0049))
    shown = whole if mostly(draw) else whole + 0.1
    return Case(f"{gold:.4f}", f"{shown:.1f}", False, asks(draw))


@case
def one_of_the_numbers(draw: Draw) -> Case:
    low, high = sorted(draw.sample(range(5, 400), 2))
    gold = draw.choice((low, high)) if mostly(draw) else low * high + 1
    form = draw.choice(
        ("It is between {} and {}", "The answer is either {} or {}", "The value is from {} up to {}")
    )
    return Case(str(gold), form.format(low, high), False, asks(draw))


@case
def gold_only_mentioned(draw: Draw) -> Case:
    gold, said, other = draw.sample(PLACES, 3)
    named = gold if mostly(draw) else other
    return Case(gold, f"By {thing(draw)} it is not {named} but {said}", False, "Which city is shown?")


# --- open questions rejected although they are right


@case
def decimal_and_fraction(draw: Draw) -> Case:
    below = draw.choice((8, 16, 32, 64))
    above = draw.randrange(1, below, 2)
    truth = mostly(draw)
    decimal = (above if truth else above + below) / below
    if draw.random() < 0.5:
        return Case(f"{above}/{below}", f"The answer is {decimal}", truth, asks(draw))
    shown = above if truth else above + below
    return Case(f"{above / below}", f"The answer is {shown}/{below}", truth, asks(draw))


@case
def percent_and_decimal(draw: Draw) -> Case:
    percent = draw.randint(3, 97)
    truth = mostly(draw)
    shown = percent if truth else percent + 1
    if draw.random() < 0.5:
        return Case(f"{percent / 100:g}", f"The answer is {shown}%", truth, f"What share has {thing(draw)}?")
    return Case(f"{percent}%", f"The answer is {shown / 100:g}", truth, f"What share has {thing(draw)}?")


@case
def number_word(draw: Draw) -> Case:
    index = draw.randrange(len(WORDS))
    truth = mostly(draw)
    shown = WORDS[index] if truth else WORDS[index - 1]
    return Case(str(index + 2), f"For {thing(draw)} the answer is {shown}", truth, asks(draw))


@case
def millions(draw: Draw) -> Case:
    thousands = draw.randint(1001, 9999)
    truth = mostly(draw)
    said = f"The answer is {(thousands if truth else thousands + 500) / 1000:g} million"
    return Case(str(thousands * 1000), said, truth, asks(draw))


@case
def leading_dot(draw: Draw) -> Case:
    value = draw.choice([number for number in range(1, 1000) if number % 10])
    text = f"{value / 1000:g}"
    truth = mostly(draw)
    return Case(
        text, f"{(value / 1000 if truth else value / 1000 + 0.0001):g}".removeprefix("0"), truth, asks(draw)
    )


@case
def unicode_minus(draw: Draw) -> Case:
    value = draw.randint(2, 800) / draw.choice((1, 2, 10))
    truth = mostly(draw)
    return Case(
        f"{-value:g}", f"The answer is \N{MINUS SIGN}{value if truth else value + 1:g}", truth, asks(draw)
    )


@case
def power_of_ten(draw: Draw) -> Case:
    digits, power = draw.randint(1001, 9999) / 1000, draw.randint(3, 6)
    truth = mostly(draw)
    gold = f"{round(digits * 10**power):d}"
    said = rf"The answer is {digits:g}\times10^{{{power if truth else power + 1}}}".replace("{", "").replace(
        "}", ""
    )
    return Case(gold, said, truth, asks(draw))


@case
def greek_unit(draw: Draw) -> Case:
    unit = draw.choice(
        ("\N{GREEK CAPITAL LETTER OMEGA}", "\N{GREEK SMALL LETTER MU}m", "\N{GREEK SMALL LETTER MU}F")
    )
    value = draw.randint(11, 990)
    truth = mostly(draw)
    return Case(str(value), f"The answer is {value if truth else value + 10}{unit}", truth, asks(draw, unit))


@case
def latin_unit(draw: Draw) -> Case:
    unit = draw.choice(("kN", "mm", "V", "g", "Hz"))
    value = draw.randint(11, 990)
    truth = mostly(draw)
    return Case(str(value), f"The answer is {value if truth else value + 10}{unit}", truth, asks(draw, unit))


@case
def boxed_number(draw: Draw) -> Case:
    value = draw.randint(11, 9900) / draw.choice((1, 2, 4))
    truth = mostly(draw)
    said = rf"With {thing(draw)} given, we get \boxed{{{value if truth else value + 10:g}}}."
    return Case(f"{value:g}", said, truth, asks(draw))


def pairs() -> Iterator[dict[str, object]]:
    for name, function in CLASSES.items():
        draw = Draw(f"mmmu {name}")
        seen: set[tuple[str, str, str]] = set()
        while len(seen) < NUM_PER_CLASS:
            made = function(draw)
            if (key := (str(made.gold), made.said, made.question)) in seen:
                continue
            seen.add(key)
            yield {
                "class": name, "id": f"mmmu-{name}-{len(seen)}", "gold": made.gold, "response": made.said,
                "question": made.question, "options": list(made.options), "truth": made.truth,
            }  # fmt: skip


if __name__ == "__main__":
    for row in pairs():
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
