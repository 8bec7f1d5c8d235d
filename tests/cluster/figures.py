"""What the suite measured, beside what it must reach: printed at its end, written down by the campaign."""

import datetime
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results"
Measure = Callable[[str, str, str], None]
"""What, what it must reach, what was measured."""
HEAD = "| what | must reach | measured |\n|---|---|---|\n"


class Figure(NamedTuple):
    """One row of the table."""

    what: str
    asked: str
    measured: str


class Figures:
    """The rows of one session, in the order in which they were measured."""

    def __init__(self) -> None:
        self._rows: dict[str, Figure] = {}
        self._load_before = os.getloadavg()[0]

    def add(self, what: str, asked: str, measured: str) -> None:
        """Put a row there; another measurement of the same takes its place."""
        self._rows[what] = Figure(what, asked, measured)

    def __bool__(self) -> bool:
        return bool(self._rows)

    def table(self) -> str:
        """Markdown."""
        return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in self._rows.values())

    def write(self, session: str) -> Path:
        """Write the file of today; rows of an earlier part of the campaign stay where this one has none.

        Args:
            session: what was run, and how it ended.
        """
        now = datetime.datetime.now(datetime.UTC)
        path = RESULTS / f"{now:%Y-%m-%d}.md"
        before = path.read_text() if path.exists() else ""
        merged = Figures()
        merged._rows = {row.what: row for row in _rows_of(before)} | self._rows
        lines = [line for line in before.splitlines() if line.startswith("- ")]
        load = f"load {self._load_before:.1f} before and {os.getloadavg()[0]:.1f} after"
        lines.append(f"- {now:%H:%M} UTC, commit {_commit()}, {load}: {session}")
        RESULTS.mkdir(exist_ok=True)
        title = (
            f"# Measured on {now:%Y-%m-%d}\n\n{_machine()}. Parts of the campaign, a row is of the last that"
        )
        path.write_text(f"{title} has it:\n\n{chr(10).join(lines)}\n\n{merged.table()}")
        return path


def _rows_of(text: str) -> Iterator[Figure]:
    for line in text.splitlines():
        cells = line.removeprefix("| ").removesuffix(" |").split(" | ")
        if line.startswith("| ") and len(cells) == 3 and cells[0] != "what":
            yield Figure(*cells)


def _commit() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + (" with changes" if git("status", "--porcelain") else "")


def _machine() -> str:
    processor = Path("/proc/cpuinfo").read_text().partition("model name\t: ")[2].partition("\n")[0]
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores of {processor}, {memory_gib:.0f} GiB"
