"""Plots as inline SVG: text stays text, colours are the page's own variables, equal data give equal bytes."""

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter

from spica.answers.proportion import Proportion
from spica.recipe.schema import Arm
from spica.report.training import Curve

# Colours that occur nowhere else; the page's style sheet gives them their light and dark values.
_VARIABLES = {
    "#010203": "var(--ink)",
    "#010204": "var(--muted)",
    "#010205": "var(--line)",
    "#010206": "var(--accent)",
    "#010207": "var(--arm-base)",
    "#010208": "var(--arm-control)",
    "#010209": "var(--arm-d_t)",
    "#01020a": "var(--arm-d_sd)",
    "#01020b": "var(--arm-d_t-d_sd)",
}
INK, MUTED, LINE, ACCENT, *_ARM_COLOURS = _VARIABLES
ARM_COLOURS: dict[str, str] = dict(
    zip(("base", "control", "D_T", "D_SD", "D_T+D_SD"), _ARM_COLOURS, strict=True)
)
# No report compares both visual teachers.
ARM_COLOURS |= {"D_QVQ": ARM_COLOURS["D_SD"], "D_T+D_QVQ": ARM_COLOURS["D_T+D_SD"]}

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9.5,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 2.0,
    "lines.markersize": 5.0,
    "lines.solid_capstyle": "round",
}


def steps_panel(
    arm: str, text: Mapping[int, Proportion], visual: Mapping[int, Proportion], base: Mapping[int, Proportion]
) -> Markup:
    """Accuracy of one arm by number of steps: visual with its interval, text dashed, the base dotted."""
    with _axes((2.45, 1.95)) as (figure, axes):
        axes.plot(list(base), [cell.accuracy for cell in base.values()], ":", color=MUTED, linewidth=1.4)
        axes.plot(list(text), [cell.accuracy for cell in text.values()], "--", color=INK, linewidth=1.4)
        low, high = ([cell.ci95[end] for cell in visual.values()] for end in (0, 1))
        axes.fill_between(list(visual), low, high, color=ARM_COLOURS[arm], alpha=0.16, linewidth=0)
        axes.plot(list(visual), [cell.accuracy for cell in visual.values()], "-o", color=ARM_COLOURS[arm])
        _percent_axis(axes)
        axes.set_xticks(sorted({*text, *visual}))
        axes.set_xlabel("steps")
        return _svg(figure, f"steps-{arm}", f"Accuracy of {arm} by number of steps, visual and text")


def lengths_panel(lengths: Mapping[Arm, Mapping[int, float]]) -> Markup:
    """Mean thought tokens by number of steps, one line per arm."""
    with _axes((5.7, 2.7)) as (figure, axes):
        # Arms that think alike lie on one another: dashes keep the one below in sight.
        for (arm, by_steps), dashes in zip(
            lengths.items(), ("-", "--", "-", (0, (4, 4)), (0, (1, 3))), strict=False
        ):
            axes.plot(
                list(by_steps), list(by_steps.values()), ls=dashes, marker="o", lw=2.4, color=ARM_COLOURS[arm]
            )
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.xaxis.set_major_locator(MaxNLocator(9, integer=True))
        axes.set_xlabel("steps")
        axes.set_ylabel("thought tokens, mean")
        return _svg(figure, "lengths", "Mean number of thought tokens by number of steps")


def loss_panel(arm: str, train: Curve, val: Curve) -> Markup:
    """Training loss per step, thin, and validation loss per epoch, dots; logarithmic."""
    shown = [*train.y, *val.y] or [1.0]
    with _axes((2.9, 2.05)) as (figure, axes):
        axes.plot(train.x, train.y, color=ARM_COLOURS[arm], linewidth=1.0, alpha=0.75)
        axes.plot(val.x, val.y, "o", color=INK, markersize=4.5)
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(
            LogLocator(subs=(1.0, 3.0) if max(shown) > 8 * min(shown) else (1.0, 1.5, 2.0, 3.0, 5.0, 7.0))
        )
        axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.set_xlabel("optimizer step")
        return _svg(figure, f"loss-{arm}", f"Loss of {arm} by optimizer step, training and validation")


def pass_rate_panel(name: str, rates: Mapping[int, float]) -> Markup:
    """Share of rollouts that were right, by number of steps."""
    with _axes((3.2, 2.05)) as (figure, axes):
        axes.bar(list(rates), list(rates.values()), width=0.62, color=ACCENT, alpha=0.85)
        _percent_axis(axes)
        axes.set_xticks(list(rates))
        axes.set_xlabel("steps")
        return _svg(figure, f"pass-{name}", f"Pass rate of {name} by number of steps")


def histogram_panel(name: str, counts: Mapping[int, int]) -> Markup:
    """Number of questions by how many of their rollouts were right."""
    with _axes((3.2, 2.05)) as (figure, axes):
        axes.bar(list(counts), list(counts.values()), width=0.62, color=ACCENT, alpha=0.85)
        axes.set_xticks(list(counts))
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.set_xlabel("right rollouts per question")
        return _svg(figure, f"histogram-{name}", f"Questions of {name} by number of right rollouts")


def _percent_axis(axes: Axes) -> None:
    axes.set_ylim(-0.03, 1.05)
    axes.set_yticks([0, 0.5, 1])
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, 0, symbol=" %"))


@contextmanager
def _axes(inches: tuple[float, float]) -> Iterator[tuple[Figure, Axes]]:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=inches, layout="constrained")
        yield figure, figure.add_subplot()


def _svg(figure: Figure, name: str, label: str) -> Markup:
    """The figure as an `<svg>` element that scales with its box and follows the page's theme."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):  # ids of one page must differ between figures
        figure.savefig(
            buffer,
            format="svg",
            transparent=True,
            metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")),
        )
    text = buffer.getvalue()
    body = text[text.index(">", text.index("<svg")) + 1 :]
    for clutter in (
        r"<metadata>.*?</metadata>\s*",
        r"<style.*?</style>\s*",
        r'<g id="[^"]*"/>\s*',
        r'(?<=<g) id="[^"]*"',
    ):
        body = re.sub(clutter, "", body, flags=re.DOTALL)
    body = re.sub(r'font-family: [^;"]*', "font-family: inherit", body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, variable)
    width, height = (round(inch * 72, 2) for inch in figure.get_size_inches())
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}').format(
        width, height, escape(label), Markup(body)
    )
