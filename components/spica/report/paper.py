"""The paper's own numbers (Virgo, arXiv 2501.01904), percent; for reference only, they live on another scale.

Table 2 as two independent transcriptions give it. The paper's prose differs from its tables by up to 0.6.
"""

from collections.abc import Mapping

from spica.recipe.schema import Arm

TABLE2: Mapping[str, Mapping[Arm, Mapping[str, float]]] = {
    "72B": {
        "base": {"mathverse": 41.3, "mathvision": 26.1, "olympiadbench": 11.2, "mmmu": 64.5, "mean": 35.78},
        "D_T": {"mathverse": 48.4, "mathvision": 38.8, "olympiadbench": 29.9, "mmmu": 64.6, "mean": 45.43},
        "D_QVQ": {"mathverse": 37.6, "mathvision": 37.7, "olympiadbench": 25.0, "mmmu": 62.6, "mean": 40.73},
        "D_SD": {"mathverse": 47.4, "mathvision": 35.0, "olympiadbench": 27.2, "mmmu": 65.8, "mean": 43.85},
        "D_T+D_SD": {
            "mathverse": 48.1,
            "mathvision": 38.6,
            "olympiadbench": 28.5,
            "mmmu": 65.0,
            "mean": 45.05,
        },
    },
    "7B": {
        "base": {"mathverse": 24.6, "mathvision": 16.3, "olympiadbench": 5.3, "mmmu": 54.1, "mean": 25.08},
        "D_T": {"mathverse": 32.2, "mathvision": 24.3, "olympiadbench": 9.8, "mmmu": 47.1, "mean": 28.35},
        "D_QVQ": {"mathverse": 29.2, "mathvision": 20.5, "olympiadbench": 9.0, "mmmu": 48.3, "mean": 26.75},
        "D_SD": {"mathverse": 37.5, "mathvision": 23.1, "olympiadbench": 10.3, "mmmu": 50.7, "mean": 30.40},
        "D_T+D_SD": {
            "mathverse": 36.7,
            "mathvision": 24.0,
            "olympiadbench": 10.2,
            "mmmu": 46.7,
            "mean": 29.40,
        },
    },
}

TABLE3: Mapping[Arm, Mapping[str, float]] = {
    "base": {"Easy": 74.58, "Medium": 62.26, "Hard": 50.28, "Overall": 64.5},
    "D_T": {"Easy": 72.88, "Medium": 62.97, "Hard": 54.70, "Overall": 64.6},
    "D_T+D_SD": {"Easy": 74.58, "Medium": 61.79, "Hard": 56.91, "Overall": 65.0},
}
"""MMMU by difficulty, 72B."""
