"""The page of a comparison as one HTML file that needs nothing else: its tables, its charts, and texts side by side."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from regard.evaluation.compare.significance import Written
from regard.training.log import read_log
from regard.views.line_chart import Axis, Line, Point, line_chart

NUM_EXAMPLES = 8
"""Validation inputs whose texts stand side by side."""
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:76rem;margin:2rem auto;padding:0 1rem;color:#1f1b16;"
    "background:#fff}table{border-collapse:collapse;margin:1rem 0;display:block;overflow-x:auto}"
    "td,th{padding:.25rem .7rem;border-bottom:1px solid #ddd;text-align:left;vertical-align:top}"
    "td.number{text-align:right;font-variant-numeric:tabular-nums}code{font-size:.9em}svg{max-width:100%;height:auto}"
)


@dataclass(frozen=True)
class Bar:
    """The score of one model, and the ends of its interval where it has one."""

    name: str
    score: float
    interval: tuple[float, float] | None


def html_page(markdown: str, charts: Mapping[Path, str], *sections: str) -> str:
    """The page.

    Args:
        markdown: the same page as Markdown: headings, lists, tables, paragraphs and images.
        charts: the images as SVG, by the path that they have on the page.
        sections: what follows, as HTML.
    """
    body = "\n".join(_block(block, charts) for block in markdown.strip().split("\n\n"))
    title = escape(markdown.partition("\n")[0].lstrip("# "))
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{title}</title><style>{_STYLE}</style>"
        f"</head><body><main>{body}{''.join(sections)}</main></body></html>\n"
    )


def score_section(bars: Sequence[Bar], title: str) -> str:
    """The score of each model with its interval, as a chart."""
    lines = [Line(bar.name, [Point(place, bar.score, *(bar.interval or ()))]) for place, bar in enumerate(bars)]
    ticks = [(float(place), str(place + 1)) for place in range(len(bars))]
    chart = line_chart(lines, title=f"{title} and its 95 % interval", x=Axis("model", ticks), y_title=title)
    return f"<h2>Scores</h2><figure>{chart}</figure>"


def curves_section(folders: Mapping[str, Path], name: str, title: str) -> str:
    """The validation score over the epochs, from the logs in the folders of runs; empty where there are none."""
    lines = [
        Line(model, [Point(row["step"], row[name]) for row in read_log(folder) if _is_score(row, name)])
        for model, folder in folders.items()
    ]
    epochs = sorted({point.x for line in lines for point in line.points})
    if len(epochs) < 2:
        return ""
    inner = [epoch for epoch in epochs[1:-1] if epoch % math.ceil(epochs[-1] / 8) == 0]
    axis = Axis("epoch", [(epoch, f"{epoch:g}") for epoch in (epochs[0], *inner, epochs[-1])])
    chart = line_chart(lines, title=f"{title} over the epochs", x=axis, y_title=title)
    return f"<h2>As they learned</h2><figure>{chart}</figure>"


def examples_section(written: Mapping[str, Written]) -> str:
    """What each model writes for some inputs, evenly spread over the split, beside what people wrote."""
    first = next(iter(written.values()), None)
    if first is None:
        return ""
    step = max(1, -(-len(first.inputs) // NUM_EXAMPLES))
    rows = [
        [
            _shown_input(first, each),
            *(texts.hypotheses[each] for texts in written.values()),
            first.references[each] if isinstance(first.references[each], str) else first.references[each][0],
        ]
        for each in range(0, len(first.inputs), step)
    ]
    head = ["input", *(f"`{name}`" for name in written), "a reference"]
    return "<h2>Side by side</h2>" + _table(head, rows, numbers=[False] * len(head))


def _shown_input(written: Written, number: int) -> str:
    """A sentence, or the name of a photo."""
    given = written.inputs[number]
    return given if isinstance(written.references[number], str) else Path(given).name


def _block(block: str, charts: Mapping[Path, str]) -> str:
    """One paragraph, heading, list, table or image of Markdown as a comparison writes it."""
    if block.startswith("<!--"):
        return ""
    if heading := re.match(r"(#+) (.*)", block):
        level = len(heading[1])
        return f"<h{level}>{_inline(heading[2])}</h{level}>"
    if image := re.match(r"!\[.*\]\((.*)\)", block):
        return f"<figure>{charts[Path(image[1])]}</figure>"
    if block.startswith("- "):
        return "<ul>" + "".join(f"<li>{_inline(line[2:])}</li>" for line in block.splitlines()) + "</ul>"
    if block.startswith("| "):
        head, marks, *rows = [line[2:-2].split(" | ") for line in block.splitlines()]
        return _table(head, rows, numbers=[mark.endswith(":") for mark in marks])
    return f"<p>{_inline(block)}</p>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[bool]) -> str:
    cells = "".join(f"<th scope='col'>{_inline(cell)}</th>" for cell in head)
    lines = "".join(
        "<tr>"
        + "".join(
            f"<td{' class=number' if number else ''}>{_inline(cell)}</td>"
            for cell, number in zip(row, numbers, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{lines}</tbody></table>"


def _inline(text: str) -> str:
    """Text with its code, its stress and its emphasis."""
    marked = re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text, quote=False))
    marked = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", marked)
    return re.sub(r"\*([^*]+)\*", r"<em>\1</em>", marked)


def _is_score(row: dict[str, Any], name: str) -> bool:
    value = row.get(name)
    return isinstance(value, int | float) and value >= 0
