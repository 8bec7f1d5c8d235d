"""Classes of pairs that are about words and units."""

from random import Random

from case import Case, no, ratio, tex, yes


def unit_in_both(r: Random) -> Case:
    (p, q), unit = ratio(r), r.choice(["N", "m", "J", "kg", "m/s", "cm"])
    gold = rf"{p / q} \mathrm{{~{unit}}}"
    telling = yes(
        rf"{tex(p, q)} \mathrm{{~{unit}}}",
        rf"{p / q}0\mathrm{{{unit}}}",
        rf"F={tex(2 * p, 2 * q)} \mathrm{{~{unit}}}",
    )
    return Case(
        gold,
        telling,
        yes(rf"{p / q}\mathrm{{{unit}}}") + no(rf"{p / q + 1} \mathrm{{~{unit}}}", rf"{p / q} \mathrm{{~V}}"),
    )


def unit_as_text(r: Random) -> Case:
    n, unit = r.randint(2, 500), r.choice(["N", "m", "J", "kg", "cm"])
    telling = yes(rf"{n} \text{{ {unit}}}", rf"{n}\text{{ {unit}}}")
    return Case(f"{n}", telling, yes(f"{n}.0") + no(rf"{n + 1} \text{{ {unit}}}", f"{n + 1}"), unit=unit)


def unit_as_mathrm(r: Random) -> Case:
    n, unit = r.randint(2, 500), r.choice(["N", "m", "J", "kg", "cm"])
    telling = yes(rf"{n} \mathrm{{~{unit}}}", rf"{n}\ \mathrm{{{unit}}}")
    return Case(f"{n}", telling, yes(f"{n}") + no(rf"{n * 2} \mathrm{{~{unit}}}", f"{n * 2 + 1}"), unit=unit)


WORDS = [
    "Yes",
    "No",
    "True",
    "False",
    "increases",
    "decreases",
    "attractive",
    "repulsive",
    "clockwise",
    "even",
    "odd",
    "upward",
]


def text_word(r: Random) -> Case:
    word, other = r.sample(WORDS, 2)
    return Case(
        word,
        yes(rf"\text{{{word}}}", rf"\textbf{{{word}}}"),
        yes(word, rf"\mathrm{{{word}}}") + no(rf"\text{{{other}}}", other),
        "Expression",
    )


def letter_case(r: Random) -> Case:
    word, other = r.sample(WORDS, 2)
    return Case(word, yes(word.swapcase(), word.upper()), yes(word) + no(other.upper(), other), "Expression")


CHINESE = [
    "能",
    "不能",
    "存在",
    "不存在",
    "增大",
    "减小",
    "不变",
    "是",
    "否",
    "向左",
    "向右",
    "相等",
    "不相等",
]


def chinese_word(r: Random) -> Case:
    word, other, third = r.sample(CHINESE, 3)
    return Case(word, no(other, third), yes(word) + no("2", "x"), "Expression", language="Chinese")


def chinese_and_empty(r: Random) -> Case:
    word, other = r.sample(CHINESE, 2)
    telling = no(
        r"所以最终答案是\boxed{}。",
        r"答案是\boxed{ }。",
        "无法确定",
        "由题意得结论。",
        rf"{other}。",
        "经计算\uff0c\\boxed{}",
        r"解得\boxed{\mathrm{}}",
    )
    plain = yes(rf"所以最终答案是\boxed{{{word}}}。", rf"故\boxed{{{word}}}") + no(
        r"所以最终答案是\boxed{0}。", rf"所以\boxed{{{r.randint(1, 99)}}}"
    )
    return Case(word, telling, plain, "Expression", language="Chinese", framed=False)


def chinese_dropped(r: Random) -> Case:
    n, word = r.randint(2, 99), r.choice(["个", "人", "种", "次", "厘米"])
    return Case(
        f"{n}",
        yes(f"{n}{word}", f"{tex(2 * n, 2)}{word}", f"共{n}{word}"),
        yes(f"{n}") + no(f"{n + 1}{word}", f"{n + 1}"),
        language="Chinese",
        unit=word,
    )


CLASSES = (
    unit_in_both,
    unit_as_text,
    unit_as_mathrm,
    text_word,
    letter_case,
    chinese_word,
    chinese_and_empty,
    chinese_dropped,
)
