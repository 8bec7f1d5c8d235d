"""Answers that mean the same, and ones that do not, class by class of protocol D."""

import pytest

from spica.answers import equal
from spica.artifacts.types import Gold


def math(value: str, unit: str = "", tolerance: str = "", *accepted: str) -> Gold:
    return Gold(kind="math", value=value, unit=unit, tolerance=tolerance, accepted=accepted)


SAME = {
    "fractions": [
        ("0.5", "1/2"),
        ("2/4", r"\frac{1}{2}"),
        (r"\dfrac12", "0.5"),
        ("1:2", "1/2"),
        (r"\frac1{2}", "0.5"),
        ("1/3", "0.333333333333"),
    ],
    "roots and powers": [
        (r"\sqrt{8}", r"2\sqrt{2}"),
        ("10^5", "100000"),
        (r"\sqrt 2", r"\sqrt{2}"),
        ("2^{10}", "1024"),
        (r"\sqrt[3]{8}", "2"),
        ("8^{1/3}", "2"),
        (r"3 \times 10^{5}", "300000"),
    ],
    "logarithms and angles": [
        (r"\ln 8", r"3\ln 2"),
        (r"\log_2 8", "3"),
        (r"\cos\frac{\pi}{3}", r"\frac12"),
        (r"\sin 30^\circ", r"\frac{1}{2}"),
        (r"\sin^2 x + \cos^2 x", "1"),
        (r"\arctan 1", r"\frac{\pi}{4}"),
    ],
    "constants": [("e^2", "7.38905609893"), (r"e^{i\pi}", "-1"), (r"2\pi", "6.283185307"), ("x-x+3", "3")],
    "left-hand sides": [
        ("a_n=2n+1", "2n+1"),
        ("x=1", "1"),
        ("f(x)=x^2", "x^2"),
        ("a=b=3", "3"),
        ("3", "x=3"),
        (r"y = \frac{1}{2}", "0.5"),
        ("a+b=3", "3"),
        (r"\angle ABC = 45^\circ", r"45^\circ"),
        (r"x = 2\sqrt{3} \approx 3.46", r"2\sqrt{3}"),
    ],
    "products before brackets": [
        ("n(n+1)/2", r"\frac{n^2+n}{2}"),
        ("(x-1)(x+1)", "x^2-1"),
        ("2(a+b)", "2a+2b"),
    ],
    "separators": [
        ("1,260", "1260"),
        ("1{,}260", "1260"),
        (r"1\,260", "1260"),
        ("1 260", "1260"),
        ("12,345,678.9", "12345678.9"),
        (r"32,\! 349", "32349"),
    ],
    "mixed numbers": [(r"2\frac13", r"\frac73"), ("2 1/3", "7/3"), (r"-1\frac{1}{2}", "-1.5")],
    "degrees": [
        (r"45^{\circ}", "45"),
        ("45°", "45"),
        (r"180^\circ", r"\pi"),
        ("45 degrees", r"45^\circ"),
        (r"69{degrees}", "69"),
    ],
    "percent": [(r"60\%", "0.6"), ("60%", "60"), ("60 percent", r"60\%"), (r"\frac{3}{5}", r"60\%")],
    "lists": [
        ("2, 1", "1, 2"),
        ("1 or 2", "1,2"),
        ("1;2", "1,2"),
        (r"\pm 2", "2,-2"),
        (r"x=1 \text{ or } x=2", "1,2"),
        (r"\{2,1\}", r"\{1,2\}"),
        (r"1 \pm \sqrt{2}", r"1+\sqrt2, 1-\sqrt2"),
        ("x_1=1, x_2=2", "2,1"),
        (r"1 \text{ and } 2", "1, 2"),
        ("19, 46, and 82", "19,46,82"),
    ],
    "tuples": [
        ("(1, 2)", "(1,2)"),
        (r"\left(\frac12, 3\right)", "(0.5, 3)"),
        ("(x,y)=(1,2)", "(1,2)"),
        ("x=3, y=-4", "(3,-4)"),
        ("(1,2),(3,4)", "(3,4),(1,2)"),
    ],
    "intervals": [
        ("[1,2]", r"[1,\frac42]"),
        (r"(-\infty, 1) \cup (2, \infty)", r"(2,+\infty)\cup(-\infty,1)"),
        ("x>2", r"(2,\infty)"),
        (r"1 < x \le 3", "(1,3]"),
        (r"x \in [1,3]", "[1,3]"),
        (r"\{x \mid x > 2\}", "x>2"),
        (r"x<1 \text{ or } x>3", r"(-\infty,1)\cup(3,\infty)"),
        (r"(-\infty,2)\cup(2,\infty)", r"x \neq 2"),
        (r"\mathbb{R} \setminus \{0\}", r"(-\infty,0)\cup(0,\infty)"),
        (r"5 \ge x", r"x\le5"),
    ],
    "equations": [
        ("2x+4y=6", "x+2y=3"),
        ("3x+1.5y=4.5", "2x+y=3"),
        ("y=2x+1", "2x-y+1=0"),
        (r"\frac{x^2}{4}+y^2=1", "x^2+4y^2=4"),
    ],
    "units": [
        (r"5\text{ N}", "5"),
        (r"5\mathrm{~N}", "5"),
        (r"5\mathrm{~N}", r"5\text{ N}"),
        ("60 cm", "60"),
        (r"60\text{ cm}^2", "60"),
        (r"0.5\text{ m}", r"50\text{ cm}"),
        (r"36\text{ km/h}", r"10\mathrm{~m/s}"),
        (r"9.8 \text{ m/s}^2", r"9.8\mathrm{~m} / \mathrm{s}^{2}"),
        ("5 apples", "5"),
        ("12厘米", "12"),
        (r"\$12.50", "12.5"),
        (r"15\mbox{ cm}^2", "15"),
    ],
    "words": [
        ("Yes", r"\text{Yes}"),
        ("evelyn", "Evelyn"),
        ("正确", r"\text{正确}"),
        ("the red one", "red one"),
        ("five", "5"),
        ("7.243 million", r"7.243\times10^6"),
        (r"\text{E}", "E"),
    ],
    "typesetting": [
        ("$7$", "7"),
        (r"\(6\)", "6"),
        ("\u22123", "-3"),
        ("x²+1", "x^2+1"),
        ("½", "0.5"),
        (r"\boxed{3}", "3"),
        ("π/2", r"\frac{\pi}{2}"),
        ("1e3", "1000"),
        (r"7.243\times10^6", "7243000"),
        (".5", "0.5"),
        ("\uff081\uff0c2\uff09", "(1,2)"),
        (r"\mathbf{7}", "7"),
        ("**12**", "12"),
    ],
    "matrices": [
        (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", r"\begin{bmatrix}1&2\\3&\frac{8}{2}\end{bmatrix}"),
        (r"\begin{pmatrix}1\\2\\3\end{pmatrix}", "(1,2,3)"),
    ],
    "ratios": [("2:4:6", "1:2:3"), ("11:21", r"V_1:V_2=11:21")],
}

SAME["names"] = [
    (r"v_0^2", r"v^2_0"),
    (r"\frac{1}{2} \hbar \omega_{L}^{\prime} \frac{v}{c}", r"a = +\frac{1}{2} \hbar \omega_{L}' \frac{v}{c}"),
    (r"\frac{n!}{k!(n-k)!}", r"\frac{(n-1)!}{k!} \frac{n}{(n-k)!}"),
    (r"\binom{n}{k}", r"\frac{n!}{k!(n-k)!}"),
    (r"\mathcal{E}_0 R", r"R\mathcal{E}_{0}"),
    (r"5!!", "15"),
    (r"0.\overline{3}", r"\frac13"),
    (r"0.1\overline{6}", "1/6"),
    (r"420 \mathrm{~J} /(\mathrm{kg} \cdot \mathrm{K})", r"420 \mathrm{J/(kg\cdot K)}"),
    (r"3 \mathrm{m\,s^{-1}}", r"3\text{ m/s}"),
    (r"\sum_{k=1}^{n} k", r"\frac{n(n+1)}{2}"),
]

DIFFERENT = {
    "percent": [("3", "300"), ("50", "0.5"), ("60", "0.6"), (r"60\%", "6")],
    "tolerance": [
        ("1e-10", "6.6e-34"),
        ("0", "6.6e-34"),
        ("x+0.0005", "x"),
        ("0.33", "1/3"),
        ("3.46", r"2\sqrt{3}"),
        ("12.57", r"4\pi"),
        ("60.004", "60"),
        ("0.004", "0.001"),
        ("0.29", "0.286"),
        ("1.0", "0.9965"),
        ("1000001", "1000000"),
        ("2^{100}+1", "2^{100}"),
    ],
    "length": [("(1,2)", "(1,2,3)"), ("(1,2,3)", "(1,2)"), ("1,2", "1"), ("1", "1,2"), ("1,2,3", "1,2")],
    "empty": [("", "正确"), ("", ""), (r"\text{}", "错误"), ("错误", "正确"), ("$$", "7")],
    "order": [("(2,1)", "(1,2)"), ("x=2,y=1", "x=1,y=2")],
    "intervals": [
        ("(1,2)", "[1,2]"),
        ("x>2", "x<2"),
        ("(1,3)", "(1,2)"),
        (r"x\ge2", r"(2,\infty)"),
        (r"(-\infty,1)", r"(-\infty,1]"),
        ("x>2", "y>2"),
    ],
    "equations": [("x+2y=3", "x+2y=4"), ("2x=7", "7"), ("x+y=0", "x-y=0"), ("0=0", "x+y=1")],
    "expressions": [
        ("x+1", "x+2"),
        ("n^2", "2^n"),
        (r"\sin x", r"\cos x"),
        ("|x|", "x"),
        ("x", "y"),
        ("2n+1", "2n-1"),
        (r"\sqrt{x}", "x"),
    ],
    "units": [
        ("5 km", "5 m"),
        (r"5\text{ N}", r"5\text{ J}"),
        ("60 cm", "60 cm^2"),
        (r"5\text{ m}", r"5\text{ cm}"),
    ],
    "signs": [("2", r"\pm 2"), (r"\pm 2", "2"), ("-2", "2")],
    "words": [("no", "yes"), ("red", "blue"), ("between 10 and 20", "20"), ("7", "seven dwarfs")],
    "names": [
        ("v_0^2", "v_1^2"),
        (r"\omega'", r"\omega"),
        (r"\dot{x}", "x"),
        (r"\sum_{k=1}^{n} k", r"\sum_{k=0}^{n} k^2"),
    ],
    "code": [("__import__('os').system('true')", "0"), ("(lambda: 7)()", "7"), ("exec('7')", "7")],
}


@pytest.mark.parametrize(("answer", "gold"), [pair for pairs in SAME.values() for pair in pairs])
def test_two_forms_of_one_answer_are_equal(answer: str, gold: str) -> None:
    assert equal(answer, math(gold))


@pytest.mark.parametrize(("answer", "gold"), [pair for pairs in DIFFERENT.values() for pair in pairs])
def test_two_answers_differ(answer: str, gold: str) -> None:
    assert not equal(answer, math(gold))


@pytest.mark.parametrize(
    ("answer", "gold", "expected"),
    [
        ("9.79", math("9.8", tolerance="0.05"), True),
        ("9.70", math("9.8", tolerance="0.05"), False),
        ("[0.33, 1)", math(r"[\frac13, 1)", tolerance="0.005"), True),
        ("[0.3, 1)", math(r"[\frac13, 1)", tolerance="0.005"), False),
        ("(0.33, 1)", math(r"[\frac13, 1)", tolerance="0.005"), False),
        (r"x \le 0.33", math(r"x \le \frac13", tolerance="0.005"), True),
        (
            r"\begin{pmatrix}0.33\\2\end{pmatrix}",
            math(r"\begin{pmatrix}\frac13\\2\end{pmatrix}", tolerance="0.005"),
            True,
        ),
        (
            r"\begin{pmatrix}0.3\\2\end{pmatrix}",
            math(r"\begin{pmatrix}\frac13\\2\end{pmatrix}", tolerance="0.005"),
            False,
        ),
        ("10.4, 1.01", math("1, 10", tolerance="0.05, 0.5"), True),
        ("1.4, 10", math("1, 10", tolerance="0.05, 0.5"), False),
        ("7", math("7", tolerance="none"), True),
        ("6.6e-34", math("6.626e-34", tolerance="1e-35"), True),
        ("0", math("6.626e-34", tolerance="1e-35"), False),
        (r"0.5\text{ km}", math("500", unit="m"), True),
        (r"0.5\text{ km}", math("0.5", unit="m"), False),
        ("500", math("500", unit="m"), True),
        ("5N", math("5", unit="N"), True),
        (r"5 \mathrm{~m/s}", math("5", unit=r"$\mathrm{m} / \mathrm{s}$"), True),
        (r"5 \mathrm{~kg}", math("5", unit="N"), False),
        ("Florida", math("Orlando", "", "", "Florida"), True),
        ("Texas", math("Orlando", "", "", "Florida"), False),
    ],
)
def test_tolerances_units_and_accepted_answers_of_the_gold_count(
    answer: str, gold: Gold, expected: bool
) -> None:
    assert equal(answer, gold) is expected


@pytest.mark.parametrize(
    ("answer", "gold", "correct"),
    [
        ("2.3", "2,3", False),
        ("0.5", "0,5", False),
        ("1.22", "1,22", True),
        ("3,2", "2,3", True),
        ("2,3", "2.3", True),
        ("2,30", "2,3", True),
    ],
)
def test_one_digit_behind_the_comma_of_a_gold_is_a_decimal_only_for_an_answer_with_a_comma(
    answer: str, gold: str, correct: bool
) -> None:
    assert equal(answer, math(gold)) is correct
