"""The table, and the page that says how every number came about."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from regard.files import write_file
from regard.views.line_chart import Axis, Line, Point, line_chart
from rows import Outcome, Plot, Row

HEAD = ("work", "ours", "peer", "its figure", "ratio", "of the product rate")
LEFT = {0, 2}
"""The columns that hold words."""
READING = """\
Every row is measured in one run, on the same machine and with the same threads for both sides, which do the same work
with models of the same sizes; where a condition below says otherwise, it is so. *ratio*: how many times better ours is.
*of the product rate*: the share of the rate that the machine reaches in float32 matrix products, measured beside that
row, that our own matrix products and convolutions make up. Tokens are real tokens, ends included and padding left out.
A figure that is missing says why.

The peers: *textbook* is the decoder of tutorials, written here: a copy of the image for each caption, keys projected
again before every word, beam search for one image at a time. *Plain PyTorch* is a compact `attend` without our
kernels, written here: keys projected once, images shared by their captions, batched beam search; with the same weights
it gives the same numbers; all peers compute in float32 unless a row says otherwise. `REGARD_REFERENCE=1` switches
every fused path of ours off. *Compiled loops* are what a recipe with `compile: true` trains with where a C++ compiler
is found. Both sides hold memory as the commands of regard do, in training on large pages. JoeyNMT and
`transformers` come from the package index and run in an environment of their own, in processes that take turns with
ours. BLIP-base and ViT-GPT2 are other models than ours, with random weights: they stand here for the time that a
caption takes, and for nothing else."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """One run.

    Attributes:
        command: the line that was run.
        commit: of this package.
        machine, versions: what it ran on.
        repetitions, seconds: of this run; seconds are those of the whole.
        quick: whether the figures say little.
        outcomes: of each benchmark, by its name.
    """

    command: str
    commit: str
    machine: str
    versions: str
    repetitions: int
    seconds: float
    quick: bool
    outcomes: dict[str, Outcome]

    @property
    def rows(self) -> list[Row]:
        """All rows, in the order in which they were measured."""
        return [row for outcome in self.outcomes.values() for row in outcome.rows]

    @property
    def plots(self) -> list[Plot]:
        """All plots."""
        return [plot for outcome in self.outcomes.values() for plot in outcome.plots]


def table(rows: Sequence[Row]) -> str:
    """The rows as a table of Markdown whose columns are also straight as plain text."""
    cells = [list(HEAD), *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEAD))]
    marks = ["-" * width if column in LEFT else "-" * (width - 1) + ":" for column, width in enumerate(widths)]

    def line(texts: Sequence[str]) -> str:
        padded = (
            text.ljust(width) if column in LEFT else text.rjust(width)
            for column, (text, width) in enumerate(zip(texts, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |"

    return "\n".join(line(each) for each in [cells[0], marks, *cells[1:]])


def write_page(report: Report, page: Path) -> list[Path]:
    """Write the page, the same as data beside it, and the plots under ``images``; gives what was written.

    Raises:
        DataError: a file cannot be written.
    """
    texts = {page: markdown(report), page.with_suffix(".json"): json.dumps(asdict(report), indent=1) + "\n"}
    texts |= {page.parent / _image(plot): chart(plot) for plot in report.plots}
    return [write_file(path, text.encode()) for path, text in texts.items()]


def markdown(report: Report) -> str:
    """The page."""
    rates = [outcome.rate / 1e9 for outcome in report.outcomes.values() if outcome.rate]
    lines = [
        f"Command: `{report.command}`",
        f"Commit: {report.commit}",
        f"Machine: {report.machine}",
        f"Versions: {report.versions}",
        f"Timing: medians of {report.repetitions} repetitions after one to warm up, the works of a row taking turns; "
        f"the whole run took {report.seconds / 60:.1f} minutes",
    ]
    if rates:
        lines.append(f"Matrix products of 1024 × 1024 in float32: {min(rates):,.0f} to {max(rates):,.0f} GFLOP/s")
    sections = [
        "# Performance",
        "<!-- Written by `make bench`; run it again instead of changing this page. -->",
        "\n".join(f"- {line}." for line in lines),
        table(report.rows),
        READING,
    ]
    if report.quick:
        sections.insert(2, "**A quick run on small work, to try the programs: its figures say little.**")
    facts = [fact for outcome in report.outcomes.values() for fact in outcome.facts]
    if facts:
        sections += ["## Conditions", "\n".join(f"- {fact}." for fact in facts)]
    if report.plots:
        sections.append("## As work grows")
        sections += [f"![{plot.title}]({_image(plot).as_posix()})\n\n{plot.text}" for plot in report.plots]
    return "\n\n".join(sections) + "\n"


def chart(plot: Plot) -> str:
    """The plot as SVG."""

    def place(x: float) -> float:
        return math.log2(x) if plot.logarithmic else x

    return line_chart(
        [Line(name, [Point(place(x), y) for x, y in points]) for name, points in plot.lines.items()],
        title=plot.title,
        x=Axis(
            plot.x_title, [(place(x), f"{x:g}") for x in sorted({x for line in plot.lines.values() for x, _ in line})]
        ),
        y_title=plot.y_title,
    )


def _image(plot: Plot) -> Path:
    """Where it lies, seen from the page."""
    return Path("images", f"performance-{plot.name}.svg")


def _cells(row: Row) -> list[str]:
    absent = f"not measured: {row.missing}" if row.missing else "not measured"
    return [
        row.work,
        "not measured" if row.ours is None else f"{_number(row.ours)} {row.unit}",
        row.peer,
        absent if row.theirs is None else f"{_number(row.theirs)} {row.unit}",
        "" if row.ratio is None else f"{row.ratio:.1f} ×",
        "" if row.share is None else f"{row.share:.0%}",
    ]


def _number(value: float) -> str:
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"
