"""tables.html: one file without a reference to anything outside itself, made of tables.json's content."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from spica.report.page import BENCHMARK_SHORTS, TEMPLATES, digits, duration
from spica.report.stats import percent

OWN_TEMPLATES = Path(__file__).parent / "templates"
_TWO_DIGITS = ("mean", "Easy", "Medium", "Hard")
"""Columns that the paper prints with two decimals."""


def render(content: Mapping[str, Any]) -> str:
    """The page; equal contents give equal bytes. Every text is escaped, and nothing is loaded or run."""
    environment = Environment(
        loader=FileSystemLoader(OWN_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(pct=percent, digits=digits, duration=duration)
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    return environment.get_template("tables.html.j2").render(
        c=content, style=Markup(style), shorts=BENCHMARK_SHORTS, as_printed=as_printed
    )


def as_printed(column: str, value: float | None) -> str:
    """A number of the paper with the decimals it has there; a dash where there is none."""
    if value is None:
        return "\N{EN DASH}"
    return f"{value:.{2 if column in _TWO_DIGITS else 1}f}"
