"""What is known of published data sets: domain (table 1 of the paper) and licence.

Licences are those that the makers of a set state for it, where the comment beside it says; looked up in
November 2026. Empty: the makers state none that could be found. The collections' own licence (the card of
LLaVA-OneVision-Data says Apache-2.0) does not replace them. A recipe says it better: `license` of a source
comes first.
"""

from typing import NamedTuple

from spica.recipe.schema import Source


class Known(NamedTuple):
    """Facts about one configuration of LLaVA-OneVision-Data."""

    domain: str
    license: str = ""


VQA = {
    # None: LICENSE of seominjoon/geosolver (Apache-2.0) is the program's; the questions are practice tests'.
    "GEOS(MathV360K)": Known("geometry"),
    # None: neither SCNU203/GeoQA-Plus nor chen-judge/GeoQA has a licence file or a word about it.
    "GeoQA+(MathV360K)": Known("geometry"),
    "Geometry3K(MathV360K)": Known("geometry", "MIT"),  # LICENSE of lupantech/InterGPS, which holds the data
    "geo3k": Known("geometry", "MIT"),  # the same set
    # None: chen-judge/UniGeo has no licence file and no word about it.
    "UniGeo(MathV360K)": Known("geometry"),
    # README of lupantech/PromptPG, section License: that of the set (the code is MIT).
    "TabMWP(MathV360K)": Known("table/figure", "CC-BY-NC-SA-4.0"),
    # None: LICENSE.txt of Maluuba/FigureQA is headed "FigureQA Code"; of the data it says nothing.
    "FigureQA(MathV360K)": Known("table/figure"),
    "figureqa(cauldron,llava_format)": Known("table/figure"),
    "chartqa(cauldron,llava_format)": Known("table/figure", "GPL-3.0"),  # card of ahmed-masry/ChartQA
    "CLEVR-Math(MathV360K)": Known("object", "CC-BY-4.0"),  # card of dali-does/clevr-math
    # Second hand: docs of galilai-group/stable-datasets; LICENSE.txt of the archive was not read itself.
    "clevr(cauldron,llava_format)": Known("object", "CC-BY-4.0"),
}
"""By the row's `data_source`."""

PUBLISHED = {  # licences: `license` of the cards on the Hub
    "long_form_thought": ("RUC-AIBOX/long_form_thought_data_5k", "Apache-2.0"),
    "mathverse": ("AI4Math/MathVerse", "MIT"),
    "mathvision": ("MathLLMs/MathVision", "MIT"),
    "olympiadbench": ("Hothan/OlympiadBench", "Apache-2.0"),
    "mmmu": ("MMMU/MMMU", "Apache-2.0"),
}
"""Name on the Hub and licence of formats that one data set alone has."""

_MINIATURE = "miniature"


def origin_of(source: Source, named: str = "") -> str:
    """Where a row comes from, without any place on this machine.

    Args:
        source: As the recipe has it.
        named: What the row itself says (`data_source`), empty for nothing.
    """
    scheme, _, place = source.uri.partition("://")
    if scheme == _MINIATURE:
        return f"{_MINIATURE}: {named or place.partition('?')[0]}"
    if scheme == "hf":
        hub = place.removeprefix("datasets/")
        return hub if not named or named in hub else f"{hub}: {named}"
    return named or PUBLISHED.get(source.format, (source.name, ""))[0]


def license_of(source: Source, named: str = "") -> str:
    """The recipe's word, else what is known of the set; empty for drawn data and where nobody says."""
    if source.license is not None:
        return source.license
    if source.uri.startswith(f"{_MINIATURE}://"):
        return ""
    if source.format == "llava_onevision":
        return VQA[named].license if named in VQA else ""
    return PUBLISHED.get(source.format, ("", ""))[1]
