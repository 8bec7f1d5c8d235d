"""Classes of pairs that are about intervals, tuples and lists."""

from random import Random

from case import Case, distinct, letter, no, ratio, tex, yes


def interval(r: Random) -> Case:
    p, q = ratio(r)
    gold = f"[{tex(p, q)},{p + q})"
    telling = yes(
        f"[{p / q},{p + q})",
        f"x \\in [{p / q}, {p + q})",
        rf"\left[\frac{{{2 * p}}}{{{2 * q}}},{p + q}\right)",
    )
    return Case(
        gold,
        telling,
        yes(rf"\left[{tex(p, q)},{p + q}\right)") + no(f"({p / q},{p + q})", f"[{p / q},{p + q + 1})"),
        "Interval",
    )


def union(r: Random) -> Case:
    a, b = sorted(distinct(r, 2))
    gold = rf"(-\infty,{a}]\cup[{b},+\infty)"
    telling = yes(rf"(-\infty,\frac{{{2 * a}}}{{2}}]\cup[{b},+\infty)", rf"(-\infty,{a}]\cup[{b}.0,\infty)")
    return Case(
        gold,
        telling,
        yes(rf"x \in (-\infty,{a}]\cup[{b},\infty)")
        + no(gold.replace("]", ")"), rf"(-\infty,{a}]\cup[{b + 1},+\infty)"),
        "Interval",
    )


def union_spaced(r: Random) -> Case:
    a, b = sorted(distinct(r, 2))
    gold = rf"(-\infty,{a}] \cup [{b},+\infty)"
    telling = yes(
        rf"(-\infty, {a}]\cup[{b}, \infty)", rf"\left(-\infty,{a}\right] \cup \left[{b},\infty\right)"
    )
    return Case(gold, telling, yes(gold) + no(rf"(-\infty,{a}] \cup [{b + 1},+\infty)"), "Interval")


def union_order(r: Random) -> Case:
    a, b = sorted(distinct(r, 2))
    gold = rf"(-\infty,{a})\cup({b},+\infty)"
    return Case(
        gold,
        yes(rf"({b},+\infty)\cup(-\infty,{a})"),
        yes(gold) + no(rf"({a},+\infty)\cup(-\infty,{b})"),
        "Interval",
    )


def inequality(r: Random) -> Case:
    a, b = sorted(distinct(r, 2))
    x = letter(r)
    telling = yes(f"{a}<{x}<{b}", rf"{a} < {x} < {b}", f"{b}>{x}>{a}")
    return Case(
        f"({a},{b})", telling, yes(f"({a}, {b})") + no(rf"{a} \leq {x} < {b}", f"{a}<{x}<{b + 1}"), "Interval"
    )


def tuple_prefix(r: Random) -> Case:
    a, b, c = distinct(r, 3)
    telling = no(f"({a},{b})", f"({a},{b},{c},{a + 1})")
    return Case(
        f"({a},{b},{c})", telling, yes(f"({a}, {b}, {c})") + no(f"({a},{c},{b})", f"({b},{c})"), "Tuple"
    )


def tuple_values(r: Random) -> Case:
    p, q = ratio(r)
    gold = f"({p},{tex(p, q)})"
    return Case(
        gold,
        yes(f"({p},{p / q})", f"({p}.0,{tex(p, q)})", f"({tex(2 * p, 2)},{p / q})"),
        yes(f"({p}, {tex(p, q)})") + no(f"({p},{q})", f"({p / q},{p})"),
        "Tuple",
    )


def tuple_tolerance(r: Random) -> Case:
    a, b = r.randint(100, 900) / 100, r.randint(100, 900) / 100
    good, bad = f"({a + 0.02:.2f},{b})", f"({a + 0.2:.2f},{b})"
    return Case(f"({a},{b})", yes(good), yes(f"({a}, {b})") + no(bad), "Tuple", error="0.05")


def list_order(r: Random) -> Case:
    a, b, c = distinct(r, 3)
    telling = yes(f"{c},{a}.0,{tex(2 * b, 2)}", f"{b}, x={c}, {a}")
    return Case(
        f"{a},{b},{c}",
        telling,
        yes(f"{c},{a},{b}", f"{b}, {c}, {a}") + no(f"{a},{b},{b}", f"{a},{b}", f"{a},{b},{c + 1}"),
    )


def pair_list(r: Random) -> Case:
    a, b, c, d = distinct(r, 4)
    telling = yes(f"({c},{d}),({a}.0,{b})", f"({c}, {tex(2 * d, 2)}),({a},{b})")
    return Case(
        f"({a},{b}),({c},{d})",
        telling,
        yes(f"({c},{d}),({a},{b})") + no(f"({b},{a}),({c},{d})", f"({a},{b})"),
        "Tuple",
    )


def plus_minus(r: Random) -> Case:
    a, b = r.randint(1, 9), r.choice([2, 3, 5, 7])
    gold = rf"{a} \pm \sqrt{{{b}}}"
    root = rf"\sqrt{{{b}}}"
    telling = yes(
        f"{root}+{a},{a}-{root}", f"{a}-{root},{root}+{a}", rf"{a}+\frac{{{b}}}{{{root}}},{a}-{root}"
    )
    return Case(
        gold,
        telling,
        yes(f"{a}-{root},{a}+{root}", rf"x={a}\pm{root}") + no(f"{a}+{root}", rf"{a + 1} \pm {root}"),
        "Expression",
    )


def set_braces(r: Random) -> Case:
    a, b = distinct(r, 2)
    telling = yes(rf"\{{{b},{a}\}}", f"{a},{b}")
    return Case(rf"\{{{a},{b}\}}", telling, yes(rf"\{{{a},{b}\}}") + no(rf"\{{{a},{b + 1}\}}", rf"\{{{a}\}}"))


def or_list(r: Random) -> Case:
    a, b = distinct(r, 2)
    telling = yes(f"{a} or {b}", rf"{a} \text{{ or }} {b}", rf"{b}\text{{ 或 }}{a}")
    return Case(f"{a},{b}", telling, yes(f"{b},{a}") + no(f"{a} or {b + 1}"))


def semicolon_list(r: Random) -> Case:
    a, b = distinct(r, 2)
    return Case(
        f"{a},{b}", yes(f"{a};{b}", f"{b}; {a}", f"{a}\uff1b{b}"), yes(f"{a}, {b}") + no(f"{a};{b + 1}")
    )


def several_golds(r: Random) -> Case:
    a, b = distinct(r, 2)
    return Case(
        [f"{a}", f"{b}"], yes(f"{a},{b}", f"{b}, {a}") + no(f"{a}"), no(f"{b}", f"{a + b}", f"{a},{b + a}")
    )


def tolerance_order(r: Random) -> Case:
    a, b = r.randint(10, 90) / 10, r.randint(100, 900)
    telling = yes(f"{b + 0.5},{a}", f"{b - 0.4:.1f},{a}") + no(f"{b},{a + 0.5:.1f}")
    return Case(
        f"{a},{b}", telling, yes(f"{a},{b + 0.5}") + no(f"{a + 0.5:.1f},{b}", f"{a},{b + 5}"), error="0.01,1"
    )


CLASSES = (
    interval,
    union,
    union_spaced,
    union_order,
    inequality,
    tuple_prefix,
    tuple_values,
    tuple_tolerance,
    list_order,
    pair_list,
    plus_minus,
    set_braces,
    or_list,
    semicolon_list,
    several_golds,
    tolerance_order,
)
