"""The paper's own numbers (Virgo, arXiv 2501.01904), percent; for reference only, they live on another scale.

As two independent transcriptions of tables 2 to 6 give them. The paper contradicts itself: its prose (38.4,
29.3) differs from table 2 (38.8, 29.9), and tables 4 and 5 repeat rows of table 2 with numbers that differ by
0.1 to 0.7. Every table is size -> row -> column; rows of models that are not the authors' stand under OTHERS.
"""

from collections.abc import Mapping
from typing import Any

Rows = Mapping[str, Mapping[str, float]]

NOISE = 0.6
"""Points, by convention: the paper's own statements of one number differ by that much, once by 0.7 (7B base
on MathVision: 16.3 in table 2, 15.6 in table 4)."""
JUDGE = "gpt-3.5-turbo"
"""The default of the authors' evaluation scripts; the paper does not say who judged."""
OTHERS = "others"


def _benchmarks(mathverse: float, mathvision: float, olympiadbench: float, mmmu: float) -> dict[str, float]:
    return {
        "mathverse": mathverse,
        "mathvision": mathvision,
        "olympiadbench": olympiadbench,
        "mmmu": mmmu,
    }


def _levels(easy: float, medium: float, hard: float, overall: float) -> dict[str, float]:
    return {"Easy": easy, "Medium": medium, "Hard": hard, "Overall": overall}


TABLE2: Mapping[str, Rows] = {
    OTHERS: {
        "GPT-4o": {"mathvision": 30.4, "olympiadbench": 25.9, "mmmu": 69.1},
        "Gemini-Pro": {**_benchmarks(35.3, 19.2, 4.2, 65.8), "mean": 31.13},
        "Claude-3.5-Sonnet": {"mathvision": 38.0, "mmmu": 70.4},
        "OpenAI o1": {"mmmu": 77.3},
        "QVQ-72B-preview": {**_benchmarks(41.5, 35.9, 27.9, 66.0), "mean": 42.83},
    },
    "72B": {
        "base": {**_benchmarks(41.3, 26.1, 11.2, 64.5), "mean": 35.78},
        "D_T": {**_benchmarks(48.4, 38.8, 29.9, 64.6), "mean": 45.43},
        "D_QVQ": {**_benchmarks(37.6, 37.7, 25.0, 62.6), "mean": 40.73},
        "D_SD": {**_benchmarks(47.4, 35.0, 27.2, 65.8), "mean": 43.85},
        "D_T+D_SD": {**_benchmarks(48.1, 38.6, 28.5, 65.0), "mean": 45.05},
    },
    "7B": {
        "base": {**_benchmarks(24.6, 16.3, 5.3, 54.1), "mean": 25.08},
        "D_T": {**_benchmarks(32.2, 24.3, 9.8, 47.1), "mean": 28.35},
        "D_QVQ": {**_benchmarks(29.2, 20.5, 9.0, 48.3), "mean": 26.75},
        "D_SD": {**_benchmarks(37.5, 23.1, 10.3, 50.7), "mean": 30.40},
        "D_T+D_SD": {**_benchmarks(36.7, 24.0, 10.2, 46.7), "mean": 29.40},
    },
}
"""Four benchmarks and their mean. QVQ's and others' numbers are from reports with other harnesses."""

TABLE3: Mapping[str, Rows] = {
    OTHERS: {"QVQ-72B-preview": _levels(76.95, 65.80, 48.62, 66.0)},
    "72B": {
        "base": _levels(74.58, 62.26, 50.28, 64.5),
        "D_T": _levels(72.88, 62.97, 54.70, 64.6),
        "D_T+D_SD": _levels(74.58, 61.79, 56.91, 65.0),
    },
}
"""MMMU by difficulty."""

TABLE4: Mapping[str, Rows] = {
    "7B": {
        "base": _benchmarks(24.0, 15.6, 5.3, 54.1),
        "(0,2000]": _benchmarks(28.1, 22.1, 8.8, 41.9),
        "(2000,4000]": _benchmarks(33.6, 24.4, 9.1, 48.0),
        "(4000,8000]": _benchmarks(24.8, 24.9, 8.3, 39.8),
    }
}
"""D_T by tokens of the response."""

TABLE5: Mapping[str, Rows] = {
    "72B": {
        "1K": _benchmarks(42.5, 39.5, 26.2, 61.8),
        "3K": _benchmarks(44.4, 40.5, 26.4, 58.2),
        "5K": _benchmarks(48.4, 38.8, 29.9, 64.7),
    },
    "7B": {
        "1K": _benchmarks(22.5, 23.7, 8.6, 42.8),
        "3K": _benchmarks(30.2, 24.9, 9.6, 44.6),
        "5K": _benchmarks(31.9, 24.6, 9.2, 47.1),
    },
}
"""D_T by number of rows."""

TABLE6: Mapping[str, Rows] = {
    "72B": {
        "medium": _benchmarks(48.1, 38.6, 28.5, 65.0),
        "hard": _benchmarks(47.4, 39.1, 29.7, 63.0),
        "random": _benchmarks(47.9, 38.5, 29.3, 64.8),
    }
}
"""D_T u D_SD by difficulty of D_SD's questions."""

TABLES: Mapping[str, Mapping[str, Rows]] = {
    "table2": TABLE2,
    "table3": TABLE3,
    "table4": TABLE4,
    "table5": TABLE5,
    "table6": TABLE6,
}

SUITE: Mapping[str, Any] = {
    "system": "You are a helpful assistant.",
    "prefix": "Please first think deeply about the question, and then put the final answer in \\boxed{}.",
    "prompts": {"base": "official", "tuned": "prefix"},
    "temperature": 0.0,
    "repetition_penalty": 1.05,
    "max_tokens": 8192,
    "num_rows": {"mathverse": 3940, "mathvision": 3040, "olympiadbench": 6728, "mmmu": 900},
}
"""How the tables were measured: README, scripts/vllm_infer.py and the evaluation scripts of RUCAIBox/Virgo.
Other numbers are comparable only where all of it is equal, and then still not in all: rows of the base are at
least partly Qwen's own published numbers, and the scripts do not cap the size of pictures."""
