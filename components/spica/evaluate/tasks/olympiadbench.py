r"""OlympiadBench, open-ended part: 6,728 problems in ten subsets; theorem proofs are left out.

    paper       He et al. 2024, arXiv 2402.14008
    rows        Hothan/OlympiadBench; English and Chinese, maths and physics; 4,055 with pictures, 2,673
                without
    prompt      inference/code/evaluators/evaluator.py of OpenBMB/OlympiadBench, English or Chinese; a
                picture in place of every <img_N> (as its GPT-4V and Qwen-VL runs send them)
    headline    micro accuracy over 6,728
    groups      part (mm or text), language, field, subset, answer type, language x field
    official    MathJudger on the text after the last final-answer sentence; absolute tolerance
    fork        the authors' evaluate.py, in which every comparison that is not structural fails

Whether the authors kept this prompt under their prefix is not published: `prefix+official` does, `prefix`
does not.
"""

import json
import re
from collections.abc import Mapping
from typing import NamedTuple

from spica.answers.types import ScoreRow
from spica.artifacts.types import PromptRow
from spica.evaluate.tasks.parts import Part, pick, pictures_in_place, published

_TAG = re.compile(r"<(?:img|image)_(\d+)>")


class _Wording(NamedTuple):
    """What the prompt says in one language."""

    instruction: str
    maths: str
    physics: str
    box: str
    boxes: str
    """Of several answers."""
    in_unit: str
    """After the box, where the answer has a unit."""
    no_unit: str
    """It must stay out of the box."""
    kinds: Mapping[str, str]
    kind: str
    same_kinds: str
    other_kinds: str
    comma: str


_ENGLISH = _Wording(
    instruction="The following is an open-ended problem from an International {subject} competition. {types}"
    "Please calculate the answer according to the given requirements and the information provided. "
    "Please use LaTeX format to represent the variables and formulas used in the solution process and "
    'results. Please end your solution with "So the final answer is {box}." and give the result '
    "explicitly{unit}.",
    maths="Math",
    physics="Physics",
    box="\\boxed{answer}",
    boxes="\\boxed{multiple answers connected with commas}",
    in_unit="(unit)",
    no_unit=", note that the unit of the answer should not be included in \\boxed{}",
    kinds={
        "Numerical": "a numerical value",
        "Expression": "an expression",
        "Equation": "an equation",
        "Interval": "an interval",
    },
    kind="The answer of The problem should be {}. ",
    same_kinds="The problem has multiple answers, each of them should be {}. ",
    other_kinds="The problem has multiple answers, with the answers in order being {}. ",
    comma=", ",
)
_CHINESE = _Wording(
    instruction="以下是中国{subject}竞赛中的解答题{types}。请根据题目的要求和所提供的信息计算得出答案。"
    "解答过程和结果中使用的变量和公式请使用LaTeX格式表示。"
    "请在最后以“所以最终答案是{box}。”显式给出结果{unit}。",
    maths="数学",
    physics="物理",
    box="\\boxed{答案}",
    boxes="\\boxed{用英文逗号连接的多个答案}",
    in_unit="(单位)",
    no_unit="\N{FULLWIDTH COMMA}注意答案的单位不要放在\\boxed{}中",
    kinds={"Numerical": "数值", "Expression": "表达式", "Equation": "方程", "Interval": "区间"},
    kind="\N{FULLWIDTH COMMA}答案类型为{}",
    same_kinds="\N{FULLWIDTH COMMA}题目有多个答案\N{FULLWIDTH COMMA}答案类型均为{}",
    other_kinds="\N{FULLWIDTH COMMA}题目有多个答案\N{FULLWIDTH COMMA}答案类型分别为{}",
    comma="、",
)


def groups(row: PromptRow) -> dict[str, str]:
    """By part, language, field, subset, answer type; the subset's name says the first three."""
    names = row.meta.get("subset", "").split("_")
    found = pick(row, "subset", "answer_type")
    if len(names) == 5:
        part, field, language = "mm" if names[1] == "MM" else "text", names[2], names[3]
        found = {"part": part, "language": language, "field": field} | found
        found["language x field"] = f"{language} x {field}"
    return found


def official(row: PromptRow) -> list[Part]:
    """Instruction, context and question, with pictures in place of their tags."""
    maths, chinese = "maths" in published(row, "subset"), "_zh_" in published(row, "subset")
    context = f"{published(row, 'context')}\n" if row.meta.get("context") and not maths else ""
    instruction = _instruction(row, maths, _CHINESE if chinese else _ENGLISH)
    text = f"{instruction}\n{context}{published(row, 'question')}"
    return pictures_in_place(row, text, _TAG)


def _instruction(row: PromptRow, maths: bool, words: _Wording) -> str:
    multiple, unit = published(row, "is_multiple_answer") == "true", "unit" in row.meta
    box = words.boxes if multiple else words.box
    return words.instruction.format(
        subject=words.maths if maths else words.physics,
        types=_answer_types(row, multiple, words),
        box=box + words.in_unit if unit else box,
        unit=words.no_unit if unit else "",
    )


def _answer_types(row: PromptRow, multiple: bool, words: _Wording) -> str:
    """What the prompt says of the answers' types; of tuples nothing, as they mean different things."""
    given = row.meta.get("answer_type", "")
    if "Need_human_evaluate" in given or "Tuple" in given:
        return ""
    singles = given.split(",") if multiple else [given]
    found = [next((kind for kind in words.kinds if kind in one.partition("-")[0]), "") for one in singles]
    if not all(found):
        return ""
    kinds = [words.kinds[kind] for kind in found]
    if not multiple:
        return words.kind.format(kinds[0])
    if len(set(kinds)) == 1:
        return words.same_kinds.format(kinds[0])
    return words.other_kinds.format(words.comma.join(kinds))


def score_row(row: PromptRow, response: str) -> ScoreRow:
    """All golds are asked for; with tolerance, unit, type and language."""
    answers = tuple(json.loads(published(row, "final_answer")))
    return ScoreRow(
        id=row.id,
        response=response,
        gold=answers[0] if len(answers) == 1 else answers,
        question=row.question,
        answer_type=row.meta.get("answer_type", ""),
        error=row.meta.get("error", ""),
        unit=row.meta.get("unit", ""),
        language="zh" if "_zh_" in published(row, "subset") else "en",
    )
