"""report.html: one file without a single reference to anything outside itself."""

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from spica.artifacts.manifest import Manifest
from spica.recipe.schema import Arm
from spica.recipe.slices import ReportSlice
from spica.report import paper, plots, tables
from spica.report.cases import Case, cut
from spica.report.document import Figures
from spica.report.gates import interval, points
from spica.report.headline import BENCHMARK_NAMES, describe, scope
from spica.report.lineage import NODE_HEIGHT, NODE_WIDTH, draw, label
from spica.report.outcomes import thinker
from spica.report.stats import percent

TEMPLATES = Path(__file__).parent / "templates"
DESCRIPTIONS: Mapping[Arm, str] = {
    "base": "no fine-tuning",
    "control": "short answers",
    "D_T": "text-only long thoughts",
    "D_SD": "self-distilled visual thoughts",
    "D_T+D_SD": "both",
    "D_QVQ": "visual thoughts of another teacher",
    "D_T+D_QVQ": "both",
}
SHOWN_META = (
    *("version", "level", "difficulty", "discipline", "subject", "subfield", "subset"),
    *("question_type", "answer_type", "glyphs"),
)
"""Keys of PromptRow.meta that a case shows; others hold the official row's texts."""
MAX_JSON = 8_000
"""Characters of one card or slice."""
BENCHMARK_SHORTS = {"mathverse": "MVe", "mathvision": "MVi", "olympiadbench": "Oly", "mmmu": "MMMU"}
"""As the paper's wide tables print them."""


def render(slice: ReportSlice, figures: Figures, cases: list[Case], manifests: Mapping[str, Manifest]) -> str:
    """The page; equal arguments give equal bytes.

    Every text is escaped by the template engine; a content security policy forbids all loading and every
    script but the page's own.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        pct=percent, points=points, interval=interval, duration=duration, digits=digits, pretty=pretty
    )
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    return environment.get_template("report.html.j2").render(
        slice=slice,
        f=figures,
        cases=cases,
        manifests=manifests,
        arms=slice.arms,
        thinker=thinker(slice.arms),
        descriptions=DESCRIPTIONS,
        benchmark_names=BENCHMARK_NAMES,
        benchmark_shorts=BENCHMARK_SHORTS,
        paper=paper,
        tables=tables,
        graph=draw(figures.lineage),
        label=label,
        node=(NODE_WIDTH, NODE_HEIGHT),
        plots=_plots(figures),
        shown_meta=SHOWN_META,
        describe=describe,
        scope=scope,
        style=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _plots(figures: Figures) -> dict[str, Any]:
    base = figures.by_steps["base"]["visual"]
    return {
        "steps": {
            arm: plots.steps_panel(arm, figures.by_steps[arm]["text"], figures.by_steps[arm]["visual"], base)
            for arm in figures.by_steps
        },
        "lengths": plots.lengths_panel(figures.lengths),
        "losses": {
            arm: plots.loss_panel(arm, losses.train, losses.val) for arm, losses in figures.losses.items()
        },
        "rollouts": {
            task: (
                plots.pass_rate_panel(task, asked.by_steps),
                plots.histogram_panel(task, asked.histogram),
            )
            for task, asked in figures.rollouts.items()
        },
    }


def duration(seconds: float) -> str:
    """Seconds for a reader: "8.4 s", "2 min 05 s", "3 h 20 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def digits(number: float) -> str:
    """A count with thin spaces between thousands."""
    return f"{number:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def pretty(value: Any) -> str:
    """JSON for reading, cut to size."""
    return cut(json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True), MAX_JSON)
