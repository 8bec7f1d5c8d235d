"""Units of measurement by name: their size in SI units and their dimensions."""

import re
from typing import NamedTuple


class Unit(NamedTuple):
    """`scale` times the product of base units to their powers; a label such as `apples` has neither."""

    scale: float
    dimensions: tuple[tuple[str, int], ...]


_BASES = {
    **{
        "m": (1.0, "m"),
        "g": (1e-3, "kg"),
        "s": (1.0, "s"),
        "A": (1.0, "A"),
        "K": (1.0, "K"),
        "mol": (1.0, "mol"),
    },
    **{"cd": (1.0, "cd"), "N": (1.0, "kg m s-2"), "J": (1.0, "kg m2 s-2"), "W": (1.0, "kg m2 s-3")},
    **{"Pa": (1.0, "kg m-1 s-2"), "Hz": (1.0, "s-1"), "C": (1.0, "A s"), "V": (1.0, "kg m2 s-3 A-1")},
    **{"F": (1.0, "A2 s4 kg-1 m-2"), "Omega": (1.0, "kg m2 s-3 A-2"), "ohm": (1.0, "kg m2 s-3 A-2")},
    **{
        "Wb": (1.0, "kg m2 s-2 A-1"),
        "T": (1.0, "kg s-2 A-1"),
        "H": (1.0, "kg m2 s-2 A-2"),
        "L": (1e-3, "m3"),
    },
    **{
        "eV": (1.602176634e-19, "kg m2 s-2"),
        "cal": (4.184, "kg m2 s-2"),
        "bar": (1e5, "kg m-1 s-2"),
        "Bq": (1.0, "s-1"),
    },
    **{
        "pc": (3.0856775814913673e16, "m"),
        "l": (1e-3, "m3"),
        "Wh": (3600.0, "kg m2 s-2"),
        "M": (1e3, "mol m-3"),
    },
}
_PREFIXES = {
    **{
        "": 1.0,
        "k": 1e3,
        "M": 1e6,
        "G": 1e9,
        "T": 1e12,
        "d": 1e-1,
        "c": 1e-2,
        "m": 1e-3,
        "mu": 1e-6,
        "u": 1e-6,
    },
    **{"n": 1e-9, "p": 1e-12, "f": 1e-15},
}
_OTHERS = {
    **dict.fromkeys(("min", "minute", "minutes", "mins", "\u5206\u949f", "\u5206"), (60.0, "s")),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours", "\u5c0f\u65f6"), (3600.0, "s")),
    **dict.fromkeys(("sec", "secs", "second", "seconds", "\u79d2"), (1.0, "s")),
    **dict.fromkeys(("day", "days", "\u5929"), (86400.0, "s")),
    **dict.fromkeys(("week", "weeks"), (604800.0, "s")),
    **dict.fromkeys(("year", "years", "yr", "yrs", "\u5e74"), (31557600.0, "s")),
    **dict.fromkeys(("meter", "meters", "metre", "metres", "\u7c73"), (1.0, "m")),
    **dict.fromkeys(("centimeter", "centimeters", "centimetre", "centimetres", "\u5398\u7c73"), (1e-2, "m")),
    **dict.fromkeys(("millimeter", "millimeters", "\u6beb\u7c73"), (1e-3, "m")),
    **dict.fromkeys(
        ("kilometer", "kilometers", "kilometre", "kilometres", "\u5343\u7c73", "\u516c\u91cc"), (1e3, "m")
    ),
    **dict.fromkeys(("inch", "inches", "in"), (0.0254, "m")),
    **dict.fromkeys(("foot", "feet", "ft"), (0.3048, "m")),
    **dict.fromkeys(("yard", "yards", "yd"), (0.9144, "m")),
    **dict.fromkeys(("mile", "miles", "mi"), (1609.344, "m")),
    **dict.fromkeys(("AA", "angstrom", "angstroms"), (1e-10, "m")),
    **{
        "AU": (149597870700.0, "m"),
        "ly": (9.4607304725808e15, "m"),
        "mph": (0.44704, "m s-1"),
        "kph": (1 / 3.6, "m s-1"),
    },
    **dict.fromkeys(("gram", "grams", "\u514b"), (1e-3, "kg")),
    **dict.fromkeys(("kilogram", "kilograms", "\u5343\u514b", "\u516c\u65a4"), (1.0, "kg")),
    **dict.fromkeys(("ton", "tons", "tonne", "tonnes", "t", "\u5428"), (1e3, "kg")),
    **dict.fromkeys(("pound", "pounds", "lb", "lbs"), (0.45359237, "kg")),
    **dict.fromkeys(("newton", "newtons", "Newton", "Newtons", "\u725b", "\u725b\u987f"), (1.0, "kg m s-2")),
    **dict.fromkeys(("joule", "joules", "Joule", "Joules", "\u7126", "\u7126\u8033"), (1.0, "kg m2 s-2")),
    **dict.fromkeys(("watt", "watts", "Watt", "Watts", "\u74e6"), (1.0, "kg m2 s-3")),
    **dict.fromkeys(("volt", "volts", "Volt", "Volts", "\u4f0f"), (1.0, "kg m2 s-3 A-1")),
    **dict.fromkeys(("ampere", "amperes", "amp", "amps", "\u5b89"), (1.0, "A")),
    **dict.fromkeys(("ohms", "Ohm", "Ohms", "\u6b27"), (1.0, "kg m2 s-3 A-2")),
    **dict.fromkeys(("kelvin", "Kelvin", "kelvins"), (1.0, "K")),
    **dict.fromkeys(("coulomb", "coulombs", "Coulomb"), (1.0, "A s")),
    **dict.fromkeys(("tesla", "Tesla", "teslas"), (1.0, "kg s-2 A-1")),
    **dict.fromkeys(("hertz", "Hertz"), (1.0, "s-1")),
    **dict.fromkeys(("pascal", "pascals", "Pascal"), (1.0, "kg m-1 s-2")),
    **dict.fromkeys(("liter", "liters", "litre", "litres", "\u5347"), (1e-3, "m3")),
    **dict.fromkeys(("milliliter", "milliliters", "cc"), (1e-6, "m3")),
    **{"atm": (101325.0, "kg m-1 s-2"), "mmHg": (133.322387415, "kg m-1 s-2"), "dyn": (1e-5, "kg m s-2")},
    **{
        "erg": (1e-7, "kg m2 s-2"),
        "rad": (1.0, ""),
        "radian": (1.0, ""),
        "radians": (1.0, ""),
        "sr": (1.0, ""),
    },
    **{"Gauss": (1e-4, "kg s-2 A-1"), "u": (1.66053906660e-27, "kg"), "rpm": (0.10471975511965977, "s-1")},
}
_FACTOR = re.compile(r"([A-Za-z]+)(-?\d+)?")


def _dimensions(text: str) -> tuple[tuple[str, int], ...]:
    return tuple((match[1], int(match[2] or 1)) for match in _FACTOR.finditer(text))


def _table() -> dict[str, Unit]:
    table = {
        prefix + name: Unit(size * scale, _dimensions(dimensions))
        for name, (scale, dimensions) in _BASES.items()
        for prefix, size in _PREFIXES.items()
        if prefix in ("", "k", "M", "G", "m", "mu", "u", "n")
        or name in ("m", "F", "L", "l", "Pa", "eV", "J", "W", "Hz", "s")
    }
    return table | {
        name: Unit(scale, _dimensions(dimensions)) for name, (scale, dimensions) in _OTHERS.items()
    }


UNITS = _table()

_PART = re.compile(
    r"(?P<unit>\\?(?:mu|Omega|AA)|[A-Za-z]+|[\u4e00-\u9fff]+)|(?P<power>\^?\{?\s*(-?\d+)\s*\}?)|(?P<other>[/.*()\s\u00b7-]|\\cdot|\\)"
)
_POWERS = {"square": "2", "sq": "2", "cubic": "3", "cu": "3"}


def spell(text: str) -> list[str] | None:
    r"""`m/s^2`, `meters per second` or `square feet` as unit names, `/`, `^` and powers; None for a label."""
    found: list[str] = []
    power, end = "", 0
    for match in _PART.finditer(text):
        if match.start() != end:
            return None
        end = match.end()
        name = (match["unit"] or "").lstrip("\\")
        if name in _POWERS:
            power = _POWERS[name]
        elif name == "per" or match["other"] == "/":
            found.append("/")
        elif match["other"] and match["other"] in "()":
            found.append(match["other"])
        elif name in UNITS:
            found += [name, "^", power] if power else [name]
            power = ""
        elif match["power"] and found and found[-1] in UNITS:
            found += ["^", match[3]]
        elif not match["other"]:
            return None
    return found if end == len(text) and found and found[0] in UNITS and found[-1] not in "/(" else None
