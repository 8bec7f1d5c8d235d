"""What is known of published data sets: domain (table 1 of the paper) and licence.

Licences are those that the makers of a set state, as far as they state one: CLEVR and CLEVR-Math CC-BY-4.0,
ChartQA GPL-3.0, TabMWP CC-BY-NC-SA-4.0, Geometry3K MIT; GEOS, GeoQA+, UniGeo and FigureQA are distributed
without an SPDX id. The collections' own licences (LLaVA-OneVision-Data, MathV360K) do not replace them. A
recipe says it better: `license` of a source comes first.
"""

from typing import NamedTuple

from spica.recipe.schema import Source


class Known(NamedTuple):
    """Facts about one configuration of LLaVA-OneVision-Data."""

    domain: str
    license: str = ""


VQA = {
    "GEOS(MathV360K)": Known("geometry"),
    "GeoQA+(MathV360K)": Known("geometry"),
    "Geometry3K(MathV360K)": Known("geometry", "MIT"),
    "geo3k": Known("geometry", "MIT"),
    "UniGeo(MathV360K)": Known("geometry"),
    "TabMWP(MathV360K)": Known("table/figure", "CC-BY-NC-SA-4.0"),
    "FigureQA(MathV360K)": Known("table/figure"),
    "figureqa(cauldron,llava_format)": Known("table/figure"),
    "chartqa(cauldron,llava_format)": Known("table/figure", "GPL-3.0"),
    "CLEVR-Math(MathV360K)": Known("object", "CC-BY-4.0"),
    "clevr(cauldron,llava_format)": Known("object", "CC-BY-4.0"),
}
"""By the row's `data_source`."""

PUBLISHED = {
    "long_form_thought": ("RUC-AIBOX/long_form_thought_data_5k", ""),
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
