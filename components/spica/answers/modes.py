"""Which ways of scoring exist for which benchmark."""

from collections.abc import Mapping

from spica.answers.types import Judged, Mode

PUBLISHED: Mapping[Mode, frozenset[Judged]] = {
    "repaired": frozenset({"mathverse", "mathvision", "olympiadbench", "mmmu", "math"}),
    "official": frozenset({"mathverse", "mathvision", "olympiadbench", "mmmu"}),
    "fork": frozenset({"mathverse", "mathvision", "olympiadbench"}),
}
"""Mode -> benchmarks; every other pair is n/a. The authors' MMMU scorer was never published."""

JUDGED_BY_MODEL: Mapping[Mode, frozenset[Judged]] = {
    "repaired": frozenset({"mathverse"}),
    "official": frozenset({"mathverse"}),
    "fork": frozenset({"mathverse", "mathvision"}),
}
"""Pairs in which a language model may be asked; without one, their rows may be `unjudged`."""
