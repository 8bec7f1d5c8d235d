r"""Makes the pairs of mathvision.jsonl, without verdicts: `python make_mathvision.py > pairs.jsonl`.

Each function below is one class and draws one case of it, with the class' own seed; a case says what is
asked, what is right, what a model says and whether that is right, by construction.
"""

import itertools
import json
import math
import random
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

NUM_PER_CLASS = 42
LETTERS = "ABCDE"


class Case(NamedTuple):
    gold: str
    said: str
    truth: bool
    question: str = "What number should replace the question mark? Give the exact value."
    options: tuple[str, ...] = ()
    boxed: bool = True


Draw = random.Random
CLASSES: dict[str, Callable[[Draw], Case]] = {}


def case(function: Callable[[Draw], Case]) -> Callable[[Draw], Case]:
    CLASSES[function.__name__.replace("_", "-")] = function
    return function


def other(draw: Draw, value: int) -> int:
    """A wrong number near `value`."""
    return value + draw.choice((-7, -5, -4, -3, 2, 3, 6, 11))


def mostly(draw: Draw) -> bool:
    """Whether the case shows what its class is about, or is a wrong answer in the same dress."""
    return draw.random() < 0.81


def choices(draw: Draw) -> tuple[str, tuple[str, ...], tuple[str, str]]:
    """Gold letter, option values, and (right value, wrong value)."""
    start, step = draw.randint(3, 90), draw.randint(2, 9)
    form = draw.choice(("{}", "{} cm", r"$\frac{{{}}}{{97}}$", r"{}\pi", "{} apples"))
    values = [start + step * number for number in range(5)]
    draw.shuffle(values)
    index = draw.randrange(5)
    options = tuple(form.format(value) for value in values)
    wrong = options[(index + draw.randint(1, 4)) % 5]
    return LETTERS[index], options, (options[index], wrong)


def letters(draw: Draw) -> tuple[str, str]:
    right, wrong = draw.sample(LETTERS, 2)
    return right, wrong


PICTURE = "Which of the pictures fits into the gap?"
OF_FIVE = "How much is it altogether?"


def choice_case(draw: Draw, dress: Callable[[str, str], str], boxed: bool = True) -> Case:
    """A choice item whose answer is `dress(letter, value)`."""
    gold, options, (value, wrong_value) = choices(draw)
    if mostly(draw):
        return Case(gold, dress(gold, value), True, OF_FIVE, options, boxed)
    wrong = LETTERS[options.index(wrong_value)]
    return Case(gold, dress(wrong, wrong_value), False, OF_FIVE, options, boxed)


def number_case(
    draw: Draw, dress: Callable[[str], str], question: str, low: int = 7, high: int = 980
) -> Case:
    """A free-form item whose answer is `dress(number)`."""
    gold = draw.randint(low, high)
    right = mostly(draw)
    return Case(str(gold), dress(str(gold if right else other(draw, gold))), right, question)


# --- what the program accepts without being right, and rounds away


@case
def decimal_of_a_fraction(draw: Draw) -> Case:
    below = draw.choice((3, 6, 7, 9, 11, 12, 13, 17))
    above = next(
        value for value in iter(lambda: draw.randint(1, 4 * below), None) if math.gcd(value, below) == 1
    )
    shown = above / below if mostly(draw) else above / below + draw.choice((0.05, -0.04, 0.2))
    return Case(draw.choice((r"\frac{%d}{%d}", "%d/%d")) % (above, below), f"{shown:.2f}", False)


@case
def decimal_of_a_root(draw: Draw) -> Case:
    factor, root = draw.randint(2, 40), draw.choice((2, 3, 5, 6, 7, 10))
    shown = factor * math.sqrt(root) + (0 if mostly(draw) else draw.choice((0.04, -0.11)))
    return Case(rf"{factor}\sqrt{{{root}}}", f"{shown:.2f}", False)


@case
def decimal_of_pi(draw: Draw) -> Case:
    factor = draw.randint(2, 60)
    shown = factor * math.pi + (0 if mostly(draw) else draw.choice((0.03, -0.2)))
    return Case(rf"{factor}\pi", f"{shown:.2f}", False)


@case
def off_by_less_than_half_a_hundredth(draw: Draw) -> Case:
    gold = draw.randint(11, 900)
    off = draw.choice((0.004, 0.001, 0.003, 0.0021, -0.004)) if mostly(draw) else draw.choice((0.02, 0.3))
    return Case(str(gold), f"{gold + off:.4f}".rstrip("0"), False)


@case
def both_nearly_nothing(draw: Draw) -> Case:
    gold, said = draw.sample(range(1, 49), 2)
    said = said if mostly(draw) else said + 70
    return Case(f"0.{gold:04d}".rstrip("0"), f"0.{said:04d}".rstrip("0"), False)


# --- what it accepts and is right


@case
def option_value_for_letter(draw: Draw) -> Case:
    return choice_case(draw, lambda letter, value: value.strip("$"))


@case
def lower_case_letter(draw: Draw) -> Case:
    right, wrong = letters(draw)
    truth = mostly(draw)
    return Case(right, (right if truth else wrong).lower(), truth, PICTURE, tuple(LETTERS))


@case
def ratio_as_fraction(draw: Draw) -> Case:
    above, below = draw.sample((1, 2, 3, 4, 5, 7, 8, 9), 2)
    said_above = above if (truth := mostly(draw)) else above + draw.choice((1, 2)) * below
    ratio, fraction = f"{above}:{below}", rf"\frac{{{said_above}}}{{{below}}}"
    if draw.random() < 0.5:
        ratio, fraction = rf"\frac{{{above}}}{{{below}}}", f"{said_above}:{below}"
    return Case(ratio, fraction, truth, "What is the ratio of the two areas?")


@case
def thousands_comma(draw: Draw) -> Case:
    return number_case(draw, lambda value: f"{int(value):,}", "How many are there?", 1001, 987_654)


@case
def percent_sign(draw: Draw) -> Case:
    return number_case(draw, lambda value: value + r"\%", "What percentage of the figure is shaded?", 2, 99)


@case
def stripped_unit(draw: Draw) -> Case:
    unit = draw.choice(
        (r"^\circ", r"^{\circ}", "km", r"\text{km}", "m^3", r"\text{ m}^3", "units", r"\text{units}")
    )
    return number_case(draw, lambda value: value + unit, "What is the size marked with a question mark?")


@case
def decimal_equals_fraction(draw: Draw) -> Case:
    below = draw.choice((2, 4, 5, 20, 25))
    above = draw.choice([value for value in range(1, 90) if value % below])
    truth = mostly(draw)
    shown = above / below + (0 if truth else 0.25)
    return Case(rf"\frac{{{above}}}{{{below}}}", f"{shown:g}", truth)


@case
def same_expression(draw: Draw) -> Case:
    a, b = draw.randint(2, 30), draw.choice((2, 3, 5))
    gold, said = draw.choice((
        (rf"\sqrt{{{b * 4}}}", rf"2\sqrt{{{b}}}"),
        (rf"{a}\pi", rf"\pi \cdot {a}"),
        (str(2**b), rf"2^{{{b}}}"),
        (rf"\frac{{{a}}}{{{b}}}\pi", rf"\frac{{{a}\pi}}{{{b}}}"),
        (rf"{a}+\sqrt{{{b}}}", rf"\sqrt{{{b}}}+{a}"),
        (rf"\frac{{\sqrt{{{b}}}}}{{{a}}}", rf"\sqrt{{{b}}}/{a}"),
    ))  # fmt: skip
    truth = mostly(draw)
    return Case(gold, said if truth else said + "+1", truth)


@case
def after_the_equals_sign(draw: Draw) -> Case:
    name = draw.choice(("x", "S", "AB", r"\angle ABC", "a+b"))
    return number_case(draw, lambda value: f"{name} = {value}", "Find the value.")


@case
def plain_number(draw: Draw) -> Case:
    return number_case(draw, str, "How many are there?")


@case
def plain_letter(draw: Draw) -> Case:
    right, wrong = letters(draw)
    truth = draw.random() < 0.5
    said = draw.choice(("{}", "({})", r"\text{{{}}}", "{}.")).format(right if truth else wrong)
    return Case(right, said, truth, PICTURE, tuple(LETTERS))


@case
def last_of_two_boxes(draw: Draw) -> Case:
    gold = draw.randint(5, 300)
    truth = draw.random() < 0.5
    first, last = (other(draw, gold), gold) if truth else (gold, other(draw, gold))
    said = f"A first count gives \\boxed{{{first}}}. A piece was missed, hence \\boxed{{{last}}}."
    return Case(str(gold), said, truth, "How many pieces are there?", boxed=False)


@case
def sentence_without_box(draw: Draw) -> Case:
    gold = draw.randint(5, 300)
    truth = mostly(draw)
    value = gold if truth else other(draw, gold)
    lead = draw.choice(
        ("The answer is", "so the final answer is", "Hence the correct answer is", "The answer should be")
    )
    said = f"Each row holds {draw.randint(2, 9)} of them. {lead} {value}."
    return Case(str(gold), said, truth, "How many are there?", boxed=False)


@case
def letter_at_the_end(draw: Draw) -> Case:
    right, wrong = letters(draw)
    truth = mostly(draw)
    shown = draw.choice(("{}", "({})")).format(right if truth else wrong)
    said = f"The gap has {draw.randint(2, 9)} straight sides, so it is picture {shown}."
    return Case(right, said, truth, PICTURE, tuple(LETTERS), boxed=False)


# --- what it rejects although it is right


@case
def unit_glued(draw: Draw) -> Case:
    unit = draw.choice(("cm", "mm", "g", "kg", "min"))
    return number_case(draw, lambda value: value + unit, f"How much is it, in {unit}?")


@case
def unit_word(draw: Draw) -> Case:
    unit = draw.choice(("degrees", "minutes", "cents", "meters", "days"))
    return number_case(draw, lambda value: f"{value} {unit}", f"How many {unit} is it?")


@case
def unit_in_text(draw: Draw) -> Case:
    unit, lead = draw.choice(("cm", "mm", "dm", "kg", "liters")), draw.choice((" ", "", "~"))
    return number_case(draw, lambda value: rf"{value}\text{{{lead}{unit}}}", f"How much is it, in {unit}?")


@case
def unit_squared(draw: Draw) -> Case:
    unit = draw.choice(("m^2", "cm^2", r"\text{ m}^2", r"\text{ cm}^2", r"\mathrm{cm}^2"))
    return number_case(draw, lambda value: value + unit, "What is the area, in the unit of the figure?")


@case
def mixed_number(draw: Draw) -> Case:
    below, whole = draw.choice((2, 3, 4, 5, 7)), draw.randint(1, 30)
    above = draw.randint(1, below - 1)
    truth = mostly(draw)
    said = rf"{whole if truth else whole + 1}\frac{{{above}}}{{{below}}}"
    return Case(rf"\frac{{{whole * below + above}}}{{{below}}}", said, truth)


@case
def fraction_without_braces(draw: Draw) -> Case:
    below = draw.choice((2, 3, 5, 7, 9))
    above = draw.choice([value for value in range(1, 9) if value != below])
    truth = mostly(draw)
    return Case(rf"\frac{{{above}}}{{{below}}}", rf"\frac{above if truth else (above % 9) + 1}{below}", truth)


@case
def thousands_in_braces(draw: Draw) -> Case:
    return number_case(
        draw, lambda value: f"{int(value):,}".replace(",", "{,}"), "How many are there?", 1001, 987_654
    )


@case
def scientific(draw: Draw) -> Case:
    digit, power = draw.randint(1, 9), draw.randint(2, 6)
    truth = mostly(draw)
    return Case(
        str(digit * 10**power), f"{digit}e{power if truth else power + 1}", truth, "How many are there?"
    )


@case
def named_coordinates(draw: Draw) -> Case:
    x, y = draw.randint(-9, 30), draw.randint(-9, 30)
    truth = mostly(draw)
    return Case(f"({x},{y})", f"(x={x if truth else x + 2}, y={y})", truth, "Where do the two lines meet?")


@case
def unordered_list(draw: Draw) -> Case:
    values = draw.sample(range(2, 60), draw.choice((2, 3)))
    said = [*values[1:], values[0]]
    truth = mostly(draw)
    if not truth:
        said[0] += 61
    wrap = draw.choice(("{}", r"\{{{}\}}"))
    gold, shown = (
        wrap.format(draw_join.join(map(str, row))) for row, draw_join in ((values, ","), (said, ", "))
    )
    return Case(gold, shown, truth, "Find all solutions, in any order.")


@case
def unevaluated_in_brackets(draw: Draw) -> Case:
    a, b, factor = draw.randint(1, 40), draw.randint(1, 40), draw.choice((2, 3, 4))
    truth = mostly(draw)
    gold, said = f"{a},{b}", rf"{a},\frac{{{b * factor if truth else b * factor + factor}}}{{{factor}}}"
    wrap = draw.choice(("[{}]", "({})"))
    return Case(wrap.format(gold), wrap.format(said), truth, "What are the two values, in this order?")


@case
def letter_in_a_font(draw: Draw) -> Case:
    font = draw.choice(("textbf", "mathrm", "mathbf", "textit"))
    return choice_case(draw, lambda letter, value: rf"\{font}{{{letter}}}")


@case
def letter_with_value(draw: Draw) -> Case:
    join = draw.choice((". ", ") ", ": "))
    return choice_case(draw, lambda letter, value: letter + join + value.strip("$"))


@case
def option_before_letter(draw: Draw) -> Case:
    word, boxed = draw.choice(("Option", "option", "Choice")), draw.random() < 0.6
    return choice_case(draw, lambda letter, value: f"{word} {letter}", boxed)


@case
def answer_before_letter(draw: Draw) -> Case:
    word, boxed = draw.choice(("Answer", "answer", "Final answer")), draw.random() < 0.6
    return choice_case(draw, lambda letter, value: f"{word}: {letter}", boxed)


@case
def bold_letter(draw: Draw) -> Case:
    boxed = draw.random() < 0.6
    return choice_case(draw, lambda letter, value: f"**{letter}**", boxed)


@case
def inline_math(draw: Draw) -> Case:
    boxed = draw.random() < 0.6
    made = number_case(draw, lambda value: rf"\({value}\)", "How many are there?")
    return made._replace(boxed=boxed)


@case
def word_with_a_token(draw: Draw) -> Case:
    """Units whose first letters are a token of the program's grammar, where its parser stops."""
    unit = draw.choice(("trees", "triangles", "rows", "columns", "matrix cells", "cols", "tries", "eighths"))
    return number_case(draw, lambda value: f"{value} {unit}", f"How many {unit} are there?")


@case
def negative_quotient(draw: Draw) -> Case:
    """The program leaves out the brackets of a divisor that follows a negative number."""
    above, below, root = draw.randint(1, 9), draw.choice((2, 4, 5, 7)), draw.choice((2, 3, 5, 7))
    gold, same, misread = draw.choice(
        (
            (
                rf"-\frac{{{above}}}{{{below}\sqrt{{{root}}}}}",
                rf"-\frac{{{above}\sqrt{{{root}}}}}{{{below * root}}}",
                rf"-\frac{{{above}\sqrt{{{root}}}}}{{{below}}}",
            ),
            (
                rf"-\frac{{{above}}}{{{below}\pi}}",
                rf"-\frac{{{2 * above}}}{{{2 * below}}}/\pi",
                rf"-\frac{{{above}\pi}}{{{below}}}",
            ),
        )
    )
    return Case(gold, same, True) if draw.random() < 0.5 else Case(gold, misread, False)


@case
def names_without_value(draw: Draw) -> Case:
    """Functions that the program knows to read but not to evaluate."""
    base, power = draw.choice((2, 3, 5, 7)), draw.randint(2, 5)
    gold, said = draw.choice(
        (
            (rf"\ln{{{base**power}}}", rf"{power}\ln{{{base}}}"),
            (str(base * power), rf"|{-base * power}|"),
            (f"e^{{{power}}}", rf"e \cdot e^{{{power - 1}}}"),
            (f"{base}x+{power}", f"{power}+{base}x"),
        )
    )
    truth = mostly(draw)
    return Case(gold, said if truth else said + "+1", truth)


# --- noise in the benchmark's own answers


@case
def gold_in_a_box(draw: Draw) -> Case:
    made = number_case(draw, str, "How many are there?")
    return made._replace(gold=rf"$\boxed{{{made.gold}}}$")


@case
def gold_with_a_form_feed(draw: Draw) -> Case:
    a, b = draw.sample((1, 2, 3, 4, 5, 7, 9, 11, 13), 2)
    truth = mostly(draw)
    return Case(f"\x0crac{{{a}}}{{{b}}}", rf"\frac{{{a if truth else a + b}}}{{{b}}}", truth)


@case
def gold_with_degrees(draw: Draw) -> Case:
    made = number_case(
        draw, lambda value: value + draw.choice((r"^\circ", "")), "How large is the angle?", 7, 179
    )
    return made._replace(gold=made.gold + "{degrees}")


@case
def gold_with_a_unit(draw: Draw) -> Case:
    made = number_case(draw, str, "How large is it, in the unit of the figure?")
    return made._replace(gold=made.gold + draw.choice(("{squareinches}", "{inches}", "{cm}^2", "{feet}")))


@case
def gold_half_braced(draw: Draw) -> Case:
    above, below = draw.randint(11, 400), draw.choice((3, 7, 9))
    above += above % below == 0
    truth = mostly(draw)
    return Case(rf"\frac{{{above}}}{below}", rf"\frac{{{above if truth else above + 1}}}{{{below}}}", truth)


@case
def gold_with_spaces(draw: Draw) -> Case:
    made = number_case(draw, str, "How many are there?")
    return made._replace(gold=draw.choice(("{} ", " {}", "{}  ")).format(made.gold))


WRAPS = (
    "{answer}",
    "Counting along the edge gives the same on both sides.\n\n{answer}",
    "The pieces are alike, and the rest follows from the picture. The final answer is ${answer}$.",
    "<|begin_of_thought|>\n\nLet me look at the picture. There are {a} on the left and {b} on "
    "the right. Wait, one is hidden. Yes.\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\nThe hidden one "
    "counts as well.\n\n{answer}\n\n<|end_of_solution|>",
    "<|begin_of_thought|>\n\nSuppose it were {a}. Then the other side would be {b}, which it is not.\n\n"
    "<|end_of_thought|>\n\n<|begin_of_solution|>\n\nTherefore:\n\n**Final Answer**\n\n\\[ {answer} \\]\n\n"
    "<|end_of_solution|>",
)
LEADS = ("", "", "The picture shows {a} of them.\n\n", "Both sides are alike. ")


def response(draw: Draw, made: Case) -> str:
    if not made.boxed:
        return draw.choice(LEADS).format(a=draw.randint(2, 9)) + made.said
    answer = rf"\boxed{{{made.said}}}"
    return draw.choice(WRAPS).format(answer=answer, a=draw.randint(2, 9), b=draw.randint(10, 19))


def pairs() -> Iterator[dict[str, object]]:
    for name, function in CLASSES.items():
        draw = Draw(f"mathvision {name}")
        seen: set[tuple[str, str]] = set()
        for number in itertools.count():
            made = function(draw)
            text = response(draw, made)
            if (made.gold, text) not in seen:
                seen.add((made.gold, text))
                yield {
                    "class": name,
                    "id": f"mathvision-{name}-{len(seen)}",
                    "gold": made.gold,
                    "response": text,
                    "question": made.question,
                    "options": list(made.options),
                    "truth": made.truth,
                }
            if len(seen) == NUM_PER_CLASS or number > 10_000:
                break


if __name__ == "__main__":
    for row in pairs():
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
