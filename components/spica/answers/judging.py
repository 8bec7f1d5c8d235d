r"""The language-model judge of MathVerse: two questions to it, and how its replies are read (protocol C1).

Structure and rules are those of ZrrSkywalker/MathVerse (evaluation/prompts.py, extract_answer_s1.py,
score_answer_s2.py): the end of the response with six worked examples gives the extracted answer; question,
standard answer and extracted answer with five worked examples give 1 or 0. The wording and the examples are
this project's own, of the same kinds. Unlike there, a judge that will not say 1 or 0 is asked MAX_TRIES
times, not for ever.
"""

import re
from typing import Protocol

MAX_TRIES = 3
NUM_WORDS = 30
"""Words at the end of a response that the judge sees (the published command's --trunk_response 30)."""
MAX_CHARS = 4_000
"""Of each text that is put before the judge, its end counts; a longer one is the work of a loop."""

NO_ANSWER = "null"
"""What the judge extracts from a response that answers nothing."""


class JudgeClient(Protocol):
    """Whoever answers; safe to call from several threads."""

    def ask(self, prompt: str, number: int = 0) -> str:
        """The reply, greedily sampled; empty when the judge says nothing.

        Args:
            prompt: What it is asked.
            number: Of the try, from 0; a client that remembers replies gives each try its own.

        Raises:
            EndpointError: nobody answers.
        """
        ...


_EXTRACT = r"""
You are given the end of a model's response to a math problem. Copy the final answer that it arrives at, and
write nothing else: no explanation, no units that the response does not give. If it arrives at no answer,
write null.

1.
Response: 'so the two lines meet where x = 3 and y = -5. The point of intersection is\n\n(3, -5)'
Extracted answer: (3, -5)

2.
Response: 'which rules out the first two graphs, and so:\n\nB. The slope is the speed of the cyclist.'
Extracted answer: B

3.
Response: 'has a hole at x = 2 and never goes below 0, so\n\nDomain: \\([-1, 2)\\)\nRange: \\([0, 7]\\)'
Extracted answer: Domain: \\([-1, 2)\\)\nRange: \\([0, 7]\\)

4.
Response: 'Since the third side is not shown, the area of the figure cannot be worked out from this.'
Extracted answer: null

5.
Response: 'h = 9.5 · tan(52°)\n\nso, to one decimal place, the tower is about 12.2 metres high.'
Extracted answer: 12.2

6.
Response: 'hence\n\\( g(x) = (x - 1)^2 + 3 \\)\nor written out:\n\\( g(x) = x^2 - 2x + 4 \\)'
Extracted answer: g(x) = x^2 - 2x + 4

7.
Response: '{response}'
Extracted answer: """.strip("\n")

_SCORE = r"""
Compare two answers to a math question. [Question] is the question, [Standard answer] is the right answer and
[Model answer] is what was read out of a model's response. The model answer agrees only if it matches the
standard answer completely. Where the question offers no choices, other words or another unit for the same
thing agree as well, such as 2 hours and 120 minutes. Write 1 if they agree and 0 if they do not, and nothing
else.

[Question]: Which numbers are shaded on the number line? Use interval notation.
[Standard answer]: [0,5)
[Model answer]: Extracted answer: \\((0, 5)\\)
Judgement: 0

[Question]: In the right triangle the legs are 3 and 3. How long is the hypotenuse? ()
Choices:
A:3
B:3√2
C:3√3
D:6
[Standard answer]: B
[Model answer]: C:3√3
Judgement: 0

[Question]: State the domain and the range of the graph in interval notation.
[Standard answer]: domain: (-2, 6] and range: [1, 4]
[Model answer]: Range: \\([1, 4]\\)
Judgement: 0

[Question]: In the right triangle the legs are 3 and 3. How long is the hypotenuse? ()
Choices:
A:3
B:3√2
C:3√3
D:6
[Standard answer]: B
[Model answer]: null
Judgement: 0

[Question]: Which equation has the line through (2, 0) and (0, 4)? A. y = 4 - 2x B. y = 2x + 4
[Standard answer]: A
[Model answer]: y = 4 - 2x
Judgement: 1

[Question]: {question}
[Standard answer]: {gold}
[Model answer]: {extraction}
Judgement: """.strip("\n")

_AGAIN = "\n\n(The reply must be {form} and nothing else.)\n"
_LABEL = re.compile(r"\A\s*(?:\d+\.\s*)?extracted\s+answer\s*:\s*", re.IGNORECASE)
_JUDGEMENT = re.compile(
    r"\A\s*(?:\[?judge?ment\]?\s*[:=]?\s*)?[\"'`*(\[]*([01])[\"'`*)\].]*\s*\Z", re.IGNORECASE
)


def extraction_prompt(response: str) -> str:
    """Step 1: what does the end of this response answer?"""
    return _EXTRACT.replace("{response}", last_words(response)[-MAX_CHARS:])


def last_words(response: str) -> str:
    """What the judge is shown; words are what single spaces separate."""
    return " ".join(response.split(" ")[-NUM_WORDS:])


def scoring_prompt(question: str, gold: str, extraction: str) -> str:
    """Step 2: do these two answers agree?"""
    fields = {"question": question, "gold": gold, "extraction": extraction}
    # One pass: a brace inside of a field is text.
    return re.sub(r"\{(question|gold|extraction)\}", lambda found: fields[found[1]][-MAX_CHARS:], _SCORE)


def extract_answer(judge: JudgeClient, response: str) -> str | None:
    """What the judge reads out of the response; `null` for one that answers nothing.

    Returns:
        None when the judge says nothing, MAX_TRIES times.
    """
    prompt = extraction_prompt(response)
    for number in range(MAX_TRIES):
        reply = judge.ask(prompt + (_AGAIN.format(form="the answer, or null,") if number else ""), number)
        if extraction := _LABEL.sub("", reply).strip():
            return extraction
    return None


def same_answer(judge: JudgeClient, question: str, gold: str, extraction: str) -> bool | None:
    """Whether the judge holds both answers for the same.

    Returns:
        None when it says neither 1 nor 0, MAX_TRIES times: prose, nothing, or both of them.
    """
    prompt = scoring_prompt(question, gold, extraction)
    for number in range(MAX_TRIES):
        verdict = read_judgement(judge.ask(prompt + (_AGAIN.format(form="0 or 1") if number else ""), number))
        if verdict is not None:
            return verdict
    return None


def read_judgement(reply: str) -> bool | None:
    """1 or 0, alone or after the word judgement; None for anything else."""
    found = _JUDGEMENT.match(reply[:200]) if len(reply) < 200 else None
    return None if found is None else found[1] == "1"
