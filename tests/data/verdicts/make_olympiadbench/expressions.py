"""Classes of pairs that are about expressions and equations."""

from random import Random

from case import Case, distinct, letter, no, tex, yes


def reordered_sum(r: Random) -> Case:
    a, b, x = r.randint(2, 9), r.randint(1, 9), letter(r)
    telling = yes(f"{b}+{a} {x}", rf"{a} \cdot {x}+{b}", rf"{x} \cdot {a}+{b}")
    return Case(
        f"{a} {x}+{b}", telling, yes(f"{a}{x} + {b}") + no(f"{b}{x}+{a + 10}", f"{a}{x}-{b}"), "Expression"
    )


def formula(r: Random) -> Case:
    a, b = r.sample(["m", "g", "R", "q", "B", "L", "C"], 2)
    k = r.randint(2, 9)
    gold = rf"\frac{{{k} {a}}}{{\sqrt{{{b}}}}}"
    telling = yes(
        rf"\frac{{{a} {k}}}{{\sqrt{{{b}}}}}",
        rf"\frac{{{k}{a}\sqrt{{{b}}}}}{{{b}}}",
        rf"{k}{a} \cdot {b}^{{-1/2}}",
    )
    return Case(
        gold,
        telling,
        yes(gold.replace(" ", "")) + no(rf"\frac{{{k + 1}{a}}}{{\sqrt{{{b}}}}}", rf"{k}{a}\sqrt{{{b}}}"),
        "Expression",
    )


def sequence_name(r: Random) -> Case:
    a, b, x = r.randint(2, 9), r.randint(1, 9), letter(r, "abcS")
    telling = yes(f"{x}_n={b}+{a}n", f"{x}_{{n}}={a}\\cdot n+{b}", f"{x}_n={a} n+{b}")
    gold = r.choice([f"{a}n+{b}", f"{a} n+{b}"])
    return Case(gold, telling, yes(f"{a}n+{b}") + no(f"{x}_n={a}n-{b}", f"{x}_n={a + 1}n+{b}"), "Expression")


def variable_name(r: Random) -> Case:
    n, x = r.randint(2, 99), letter(r)
    gold, bare = r.choice([(f"{x}={n}", False), (f"{n}", True)])
    telling = (
        yes(f"{x}={n}.0", f"{x}={tex(2 * n, 2)}", f"{x}={n}", f"{n}")
        if bare
        else yes(f"{n}", f"{n}.0", tex(2 * n, 2))
    )
    return Case(gold, telling, yes(gold) + no(f"{x}={n + 1}", f"{n - 1}"))


def function_name(r: Random) -> Case:
    a, b = r.randint(2, 9), r.randint(1, 9)
    x = letter(r, "xt")
    gold = f"{a}{x}^2-{b}"
    telling = yes(f"f({x})={gold}", f"g({x})=-{b}+{a}{x}^{{2}}", f"f({x})={a} \\cdot {x} \\cdot {x}-{b}")
    return Case(
        gold,
        telling,
        yes(gold.replace("^2", "^{2}")) + no(f"f({x})={a}{x}^2+{b}", f"{a}{x}^3-{b}"),
        "Expression",
    )


def small_difference(r: Random) -> Case:
    x, n = letter(r), r.randint(1, 9)
    telling = no(f"{x}+{n}.000{r.randint(1, 8)}", f"{n}+{x}-0.000{r.randint(1, 8)}")
    return Case(f"{x}+{n}", telling, yes(f"{x} + {n}") + no(f"{x}+{n}.5", f"{x}-{n}"), "Expression")


def symbol_cancels(r: Random) -> Case:
    n, x = r.randint(1, 40), letter(r)
    telling = yes(f"{x}-{x}+{n}", rf"{n}\sin^2 {x}+{n}\cos^2 {x}", rf"\frac{{{n}{x}}}{{{x}}}")
    return Case(f"{n}", telling, yes(f"{n}") + no(f"{n}{x}", rf"{n}\sin^2 {x}+\cos {x}"))


def implicit_product(r: Random) -> Case:
    n, k = letter(r, "nmk"), r.randint(1, 9)
    gold = rf"\frac{{{n}^2+{k}{n}}}{{2}}"
    telling = yes(rf"\frac{{{n}({n}+{k})}}{{2}}", f"{n}({n}+{k})/2", rf"\frac{{1}}{{2}}{n}({n}+{k})")
    return Case(
        gold,
        telling,
        yes(gold, rf"\frac{{{n} \cdot ({n}+{k})}}{{2}}") + no(rf"\frac{{{n}({n}-{k})}}{{2}}"),
        "Expression",
    )


def bracket_product(r: Random) -> Case:
    x, (a, b) = letter(r), distinct(r, 2, 1, 10)
    gold = f"({x}^2-{a * a})"
    telling = yes(f"({x}-{a})({x}+{a})", f"({x}+{a})({x}-{a})")
    return Case(
        gold, telling, yes(f"{x}^2-{a * a}") + no(f"({x}-{a})({x}+{b})", f"({x}-{a})({x}-{a})"), "Expression"
    )


def equation_integer_multiple(r: Random) -> Case:
    (a, b, c), k = distinct(r, 3, 1, 10), r.randint(2, 5)
    telling = yes(f"{k * a}x+{k * b}y={k * c}", f"{c}-{b}y={a}x", f"-{a}x-{b}y+{c}=0")
    return Case(
        f"{a}x+{b}y={c}",
        telling,
        yes(f"{a}x + {b}y = {c}") + no(f"{a}x-{b}y={c}", f"{a + 1}x+{b}y={c}"),
        "Equation",
    )


def equation_half_multiple(r: Random) -> Case:
    a, b, c = distinct(r, 3, 1, 10)
    telling = yes(f"{3 * a}x+{3 * b}y={3 * c}", f"{5 * a}x+{5 * b}y-{5 * c}=0")
    return Case(
        f"{2 * a}x+{2 * b}y={2 * c}",
        telling,
        yes(f"{a}x+{b}y={c}") + no(f"{3 * a}x+{3 * b}y={2 * c}"),
        "Equation",
    )


def curve(r: Random) -> Case:
    a, b = distinct(r, 2, 2, 10)
    gold = rf"\frac{{x^2}}{{{a * a}}}+\frac{{y^2}}{{{b * b}}}=1"
    telling = yes(
        rf"\frac{{y^2}}{{{b * b}}}+\frac{{x^{{2}}}}{{{a * a}}}=1", f"{b * b}x^2+{a * a}y^2={a * a * b * b}"
    )
    return Case(
        gold,
        telling,
        yes(gold) + no(gold.replace("+", "-"), rf"\frac{{x^2}}{{{b * b}}}+\frac{{y^2}}{{{a * a}}}=1"),
        "Equation",
    )


def chained_equality(r: Random) -> Case:
    a, b = distinct(r, 2, 2, 20)
    telling = yes(f"x=y={a * b}", f"S=a b={a * b}", rf"S=mn=\frac{{{2 * a * b}}}{{2}}")
    return Case(
        f"{a * b}", telling, yes(rf"S={a}\times {b}={a * b}") + no(f"x=y={a * b + 1}", f"x={a * b + 1}={a}")
    )


CLASSES = (
    reordered_sum,
    formula,
    sequence_name,
    variable_name,
    function_name,
    small_difference,
    symbol_cancels,
    implicit_product,
    bracket_product,
    equation_integer_multiple,
    equation_half_multiple,
    curve,
    chained_equality,
)
