"""Classes of pairs that are about where the answer stands in the response."""

from random import Random

from case import Case, distinct, letter, no, ratio, tex, yes


def number(r: Random) -> tuple[str, str, str]:
    """A gold answer, the same in another form, a wrong one."""
    n = r.randint(3, 60)
    p, q = ratio(r)
    return r.choice(
        [
            (f"{n}", f"{n}.0", f"{n + 1}"),
            (tex(p, q), f"{p / q}", tex(p + 1, q)),
            (rf"{n}\sqrt{{2}}", rf"\sqrt{{{2 * n * n}}}", rf"{n}\sqrt{{3}}"),
        ]
    )


def prose_without_box(r: Random) -> Case:
    gold, other, wrong = number(r)
    telling = yes(
        f"The answer is {gold}.",
        f"We get {gold}",
        f"Therefore it equals ${gold}$.",
        f"Hence $x={other}$.",
        f"**Answer:** {gold}",
    )
    return Case(
        gold,
        telling,
        yes(rf"The answer is \boxed{{{gold}}}.") + no(f"The answer is {wrong}.", "I cannot solve this.", ""),
        framed=False,
    )


def sentence_without_box(r: Random) -> Case:
    gold, other, wrong = number(r)
    telling = yes(
        f"So the final answer is {gold}.",
        f"So the final answer is ${other}$.",
        f"Done.\nSo the final answer is {other}.",
    )
    return Case(
        gold,
        telling,
        yes(rf"So the final answer is \boxed{{{gold}}}.")
        + no(f"So the final answer is {wrong}.", rf"So the final answer is \boxed{{{wrong}}}."),
        framed=False,
    )


def box_with_space(r: Random) -> Case:
    gold, other, wrong = number(r)
    telling = yes(rf"So the final answer is \boxed {{{gold}}}.", rf"We get \boxed {{{other}}}")
    return Case(
        gold,
        telling,
        yes(rf"\boxed{{{gold}}}") + no(rf"So the final answer is \boxed {{{wrong}}}."),
        framed=False,
    )


def fbox(r: Random) -> Case:
    gold, other, wrong = number(r)
    telling = yes(rf"So the final answer is \fbox{{{gold}}}.", rf"Thus \fbox{{{other}}}.")
    return Case(gold, telling, yes(rf"Thus \boxed{{{gold}}}.") + no(rf"Thus \fbox{{{wrong}}}."), framed=False)


def earlier_box(r: Random) -> Case:
    gold, other, wrong = number(r)
    telling = yes(
        rf"At first \boxed{{{wrong}}}. Checking again: \boxed{{{gold}}}.",
        rf"Perhaps \boxed{{{wrong}}}? So the final answer is \boxed{{{other}}}.",
        rf"I find \boxed{{{gold}}}. To repeat: \boxed{{{gold}}}.",
    )
    return Case(
        gold,
        telling,
        yes(rf"Checked: \boxed{{{gold}}}.")
        + no(rf"At first \boxed{{{gold}}}. Checking again: \boxed{{{wrong}}}."),
        framed=False,
    )


def two_boxes(r: Random) -> Case:
    a, b = distinct(r, 2)
    telling = yes(
        rf"So the final answer is \boxed{{{b}.0}}, \boxed{{{a}}}.",
        rf"Thus \boxed{{x={a}}} and \boxed{{{tex(2 * b, 2)}}}.",
        rf"Either \boxed{{{b}}} or \boxed{{{a}}}.",
    )
    plain = yes(rf"Thus \boxed{{{a}}} and \boxed{{{b}}}.") + no(
        rf"Thus \boxed{{{a}}} and \boxed{{{b + 1}}}.", rf"Thus \boxed{{{a}}}."
    )
    return Case(f"{a},{b}", telling, plain, framed=False)


def unbalanced_box(r: Random) -> Case:
    p, q = ratio(r)
    telling = no(
        rf"So the final answer is \boxed{{{tex(p, q)}",
        rf"Thus \boxed{{\frac{{{p}}}{{{q}}} and so on",
        rf"\boxed{{{p}/{q}",
    )
    return Case(
        tex(p, q),
        yes(rf"So the final answer is \boxed{{{p / q}}}."),
        telling + yes(rf"\boxed{{{tex(p, q)}}}"),
        framed=False,
    )


def long_answer(r: Random) -> Case:
    x, k = letter(r), r.randint(12, 17)
    terms = "+".join(f"{n}{x}^{{{n}}}" for n in range(2, k))
    backwards = "+".join(f"{n}{x}^{{{n}}}" for n in reversed(range(2, k)))
    return Case(
        terms,
        yes(terms, backwards, f"f({x})={terms}"),
        yes(terms.replace("+", " + ")) + no(f"{terms}-{x}", f"{k}{x}"),
        "Expression",
    )


CLASSES = (
    prose_without_box,
    sentence_without_box,
    box_with_space,
    fbox,
    earlier_box,
    two_boxes,
    unbalanced_box,
    long_answer,
)
