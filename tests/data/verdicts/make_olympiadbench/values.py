"""Classes of pairs that are about numbers."""

from fractions import Fraction
from math import cos, pi, sin, sqrt, tan
from random import Random

from case import Case, letter, no, ratio, tex, yes


def fraction_forms(r: Random) -> Case:
    p, q = ratio(r)
    telling = yes(f"{2 * p}/{2 * q}", f"{p / q}", rf"\dfrac{{{p}}}{{{q}}}", tex(3 * p, 3 * q))
    return Case(
        tex(p, q), telling, yes(tex(p, q), f"{p}/{q}") + no(tex(p + q, q), f"{p / q + 1}", f"{p}/{q + 1}")
    )


def ratio_colon(r: Random) -> Case:
    p, q = ratio(r, (3, 4, 5, 7))
    telling = yes(tex(2 * p, 2 * q), f"{2 * p}:{2 * q}", f"{p}/{q}") + yes(tex(p, q))
    return Case(f"{p}:{q}", telling, yes(f"{p}:{q}") + no(f"{q}:{p}", tex(p + 1, q)))


def twelve_digits(r: Random) -> Case:
    p, q = ratio(r, (3, 7, 9, 11))
    n = r.choice([2, 3, 5, 6, 7, 10])
    gold, value = r.choice(
        [(tex(p, q), p / q), (rf"{p}\sqrt{{{n}}}", p * sqrt(n)), (rf"\frac{{{p}\pi}}{{{q}}}", p * pi / q)]
    )
    return Case(gold, yes(f"{value:.12f}"), yes(gold) + no(f"{value + 0.01:.12f}", f"{value * 1.1:.6f}"))


def surds(r: Random) -> Case:
    a, b = r.randint(2, 9), r.choice([2, 3, 5, 6, 7])
    telling = yes(rf"\sqrt{{{a * a * b}}}", rf"\frac{{{a * b}}}{{\sqrt{{{b}}}}}", rf"\sqrt{{{b}}}\cdot {a}")
    return Case(
        rf"{a} \sqrt{{{b}}}",
        telling,
        yes(rf"{a}\sqrt{{{b}}}") + no(rf"{b}\sqrt{{{a * a + 1}}}", rf"{a + 1} \sqrt{{{b}}}"),
    )


def logarithms(r: Random) -> Case:
    a, k = r.choice([2, 3, 5, 7]), r.randint(2, 4)
    telling = yes(rf"\ln {a**k}", rf"{k} \log {a}", rf"-\ln \frac{{1}}{{{a**k}}}")
    return Case(rf"{k} \ln {a}", telling, yes(rf"{k}\ln {a}") + no(rf"\ln {a * k + 1}", rf"{k + 1} \ln {a}"))


def log_with_base(r: Random) -> Case:
    a, k = r.choice([2, 3, 5, 10]), r.randint(2, 6)
    telling = yes(rf"\log_{{{a}}} {a**k}", rf"\log_{{{a}}}({a**k})", rf"\log_{{{a}}} {a ** (k + 1)}-1")
    return Case(f"{k}", telling, yes(f"{k}") + no(rf"\log_{{{a}}} {a ** (k + 1)}", rf"\log_{{{a}}} {a}"))


def trigonometry(r: Random) -> Case:
    gold, right, value = r.choice(
        [
            (r"\frac{1}{2}", r"\cos(\pi/3)", 0.5),
            (r"\frac{\sqrt{3}}{2}", r"\sin \frac{\pi}{3}", sin(pi / 3)),
            (r"-\frac{1}{2}", r"\cos \frac{2\pi}{3}", -0.5),
            ("1", r"\tan \frac{\pi}{4}", 1.0),
            (r"\sqrt{3}", r"\tan \frac{\pi}{3}", tan(pi / 3)),
            (r"\frac{\sqrt{2}}{2}", r"\cos \frac{\pi}{4}", cos(pi / 4)),
        ]
    )
    k = r.randint(2, 9)
    telling = yes(right, f"{value:.11f}", rf"{k}{right}-{k - 1}\cdot {gold}" if gold[0] != "-" else right)
    return Case(gold, telling, yes(gold) + no(rf"{k}{right}", f"{value + 0.1:.3f}"))


def powers(r: Random) -> Case:
    a, k = r.randint(11, 99), r.randint(3, 7)
    gold = str(a * 10 ** (k - 1))
    telling = yes(rf"{a / 10} \times 10^{{{k}}}", rf"{a}\cdot 10^{{{k - 1}}}", f"{a}e{k - 1}")
    return Case(
        gold, telling, yes(gold, gold + ".0") + no(rf"{a} \times 10^{{{k}}}", rf"{a / 10}\cdot 10^{k - 1}")
    )


def thousands_comma(r: Random) -> Case:
    n = r.randint(1001, 999999)
    return Case(f"{n}", yes(f"{n:,}"), yes(f"{n}") + no(f"{n + 1000:,}", f"{n // 1000}"))


def thousands_braced_comma(r: Random) -> Case:
    n = r.randint(1001, 999999)
    return Case(
        f"{n}", yes(f"{n:,}".replace(",", "{,}")), yes(f"{n}.0") + no(f"{n + 10:,}".replace(",", "{,}"))
    )


def thousands_thin_space(r: Random) -> Case:
    n = r.randint(1001, 999999)
    return Case(
        f"{n}",
        yes(f"{n:,}".replace(",", r"\,")),
        yes(f"{n}") + no(f"{n + 7:,}".replace(",", r"\,"), f"{n + 7}"),
    )


def mixed_number(r: Random) -> Case:
    (p, q), n = ratio(r, (3, 4, 5, 7)), r.randint(1, 9)
    p %= q
    mixed = rf"{n}{tex(p, q)}"
    return Case(
        tex(n * q + p, q),
        yes(mixed, rf"{n} \frac {p}{q}"),
        yes(tex(n * q + p, q)) + no(tex(n * p, q), rf"{n + 1}{tex(p, q)}"),
    )


def bare_root(r: Random) -> Case:
    a, b = r.randint(2, 12), r.choice([2, 3, 5, 6, 7])
    return Case(
        rf"{a}\sqrt{{{b}}}",
        yes(rf"{a}\sqrt {b}", rf"{a} \cdot \sqrt{b}"),
        yes(rf"{a} \sqrt{{{b}}}") + no(rf"{a}\sqrt {b + 4}", rf"{a}{b}"),
    )


def percent_sign(r: Random) -> Case:
    n = r.randint(3, 97)
    telling = yes(f"{n}%", rf"\frac{{{n}}}{{100}}")
    return Case(f"{n / 100}", telling, yes(f"{n / 100}") + no(f"{n + 1}%", f"{n / 100 + 0.1:.2f}"))


def percent_backslash(r: Random) -> Case:
    n = r.randint(3, 97)
    gold = r.choice([f"{n / 100}", rf"{n}\%"])
    return Case(
        gold, yes(rf"{n}\%" if gold[0] == "0" else f"{n}%", rf"{n} \%"), yes(gold) + no(rf"{n + 2}\%")
    )


def factor_hundred(r: Random) -> Case:
    n = r.randint(2, 99)
    gold = r.choice([f"{n}", f"{n / 10}"])
    value = float(gold)
    return Case(
        gold, no(f"{value * 100:g}", f"{value / 100:g}"), yes(gold) + no(f"{value * 10:g}", f"{value / 10:g}")
    )


def angle_braced(r: Random) -> Case:
    n = r.randint(5, 175)
    right = yes(rf"{n}^\circ", f"{n}.0")
    return Case(
        f"{n}",
        yes(rf"{n}^{{\circ}}", rf"{n}^{{ \circ }}"),
        right + no(rf"{n + 5}^{{\circ}}"),
        unit=r"^{\circ}",
    )


def sine_of_angle(r: Random) -> Case:
    angle, name, value = r.choice(
        [
            (30, "sin", r"\frac{1}{2}"),
            (60, "cos", r"\frac{1}{2}"),
            (45, "tan", "1"),
            (60, "sin", r"\frac{\sqrt{3}}{2}"),
        ]
    )
    k = r.randint(2, 40)
    gold = {"1": str(k), r"\frac{1}{2}": tex(k, 2), r"\frac{\sqrt{3}}{2}": rf"\frac{{{k}\sqrt{{3}}}}{{2}}"}[
        value
    ]
    return Case(
        gold,
        yes(rf"{k} \{name} {angle}^\circ", rf"{k}\{name} {angle}^{{\circ}}"),
        yes(gold) + no(rf"{k + 1} \{name} {angle}^\circ"),
    )


def euler(r: Random) -> Case:
    k = r.randint(1, 9)
    gold, right = r.choice(
        [
            (f"{2.718281828459045**k:.11f}", f"e^{{{k}}}"),
            (f"{k}", rf"{k + 1}+e^{{i \pi}}"),
            (f"{-k}", rf"{k} e^{{i\pi}}"),
            (f"{k}", rf"\ln e^{{{k}}}"),
        ]
    )
    return Case(gold, yes(right), yes(gold) + no(f"{k + 1} e^{{2}}", f"{float(gold) + 0.5}"))


def absolute_tolerance(r: Random) -> Case:
    value, error = r.randint(100, 9900) / 100, r.choice([0.01, 0.05, 0.1, 0.5])
    good, bad = f"{value + error * r.uniform(0.1, 0.9):.4f}", f"{value + error * r.uniform(1.2, 3):.4f}"
    k = Fraction(good)
    name = letter(r, "vFTgq")
    telling = yes(rf"{name}={good}", tex(k.numerator, k.denominator), rf"{value / 10:.3f} \times 10") + no(
        f"{value + error * 1.008:.6f}"
    )
    return Case(f"{value}", telling, yes(good) + no(bad, rf"{name}={bad}"), error=f"{error}")


def tiny_values(r: Random) -> Case:
    a, k = r.randint(11, 99) / 10, r.randint(9, 34)
    gold = rf"{a} \times 10^{{-{k}}}"
    telling = no("0", rf"{a + 1:.1f} \times 10^{{-{k}}}", rf"1 \times 10^{{-{k + 3}}}", f"{a}e-{k + 2}")
    return Case(gold, telling, yes(rf"{a}\times 10^{{-{k}}}", f"{a}e-{k}") + no(rf"{a} \times 10^{{{k}}}"))


CLASSES = (
    fraction_forms,
    ratio_colon,
    twelve_digits,
    surds,
    logarithms,
    log_with_base,
    trigonometry,
    powers,
    thousands_comma,
    thousands_braced_comma,
    thousands_thin_space,
    mixed_number,
    bare_root,
    percent_sign,
    percent_backslash,
    factor_hundred,
    angle_braced,
    sine_of_angle,
    euler,
    absolute_tolerance,
    tiny_values,
)
