"""BLEU as sentences grow, for any list of translators: figure 2 of Bahdanau et al. 2015.

A model that squeezes a sentence into one vector loses more of it the longer it is; one that looks back does not. Test
sets of short sentences hide this, so neighbouring sentences can be joined to longer ones. Every source is read whole,
however long: reading it in parts, as a translator does otherwise, would hide what is measured.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Unpack

from regard.data.parallel import SentencePairs, read_parallel
from regard.errors import ConfigError, TextError
from regard.evaluation.compare.machine import describe_versions
from regard.evaluation.compare.tables import grid
from regard.files import write_file
from regard.metrics import Bootstrap, LengthBin, bleu_by_length
from regard.pipeline import SearchChanges, Translator
from regard.progress import SILENT, Progress
from regard.views.line_chart import Axis, Line, Point, line_chart

BINS = (10, 20, 30, 40, 50, 60)
"""The most words of a source in each bin but the last."""
IMAGES = "images"
"""The folder beside a page that its chart lies in, under the name of the page."""


@dataclass(frozen=True)
class Curve:
    """One model: BLEU in each bin of source lengths."""

    name: str
    bins: Sequence[LengthBin]


def lengthen(pairs: SentencePairs, joined: int) -> tuple[list[str], list[str]]:
    """Sources and targets of a test set in which 1, 2, … ``joined`` neighbours stand as one sentence.

    For each number of neighbours the whole set is cut into as many, without overlap; the few sentences that are left
    at its end are left out.

    Raises:
        ConfigError: ``joined`` is below 1 or above the number of pairs.
    """
    if not 1 <= joined <= len(pairs):
        raise ConfigError(f"{joined} sentences cannot be joined", allowed=f"1 to the {len(pairs)} of the test set")
    sides: tuple[list[str], list[str]] = ([], [])
    for count in range(1, joined + 1):
        for first in range(0, len(pairs) - count + 1, count):
            for side, texts in zip(sides, (pairs.sources, pairs.targets), strict=True):
                side.append(" ".join(text.strip() for text in texts[first : first + count]))
    return sides


def measure_lengths(
    translators: Mapping[str, Translator],
    data: Path,
    split: str,
    *,
    joined: int = 1,
    bins: Sequence[int] = BINS,
    progress: Progress = SILENT,
    **changes: Unpack[SearchChanges],
) -> list[Curve]:
    """BLEU by source length of several translators on the same sentences.

    Args:
        translators: by name; all of the same languages.
        data: a folder of parallel sentences.
        split: its name.
        joined: up to how many neighbouring sentences are joined.
        bins: the most words of a source in each bin but the last, ascending.
        progress: receives progress.
        changes: options of the search, such as ``beam=5``. Without a ``max_length`` among them, there is room for
            translations of twice the words of the longest source.

    Raises:
        DataError: the data cannot be used.
        ConfigError: the translators differ in their languages, or an option cannot be used.
    """
    source, target = _languages(translators)
    pairs = read_parallel(data, split, source=source, target=target).without_empty()
    sources, targets = lengthen(pairs, joined)
    lengths = [len(text.split()) for text in sources]
    curves = []
    for name, translator in translators.items():
        max_length = max(translator.bundle.search.max_length, 2 * max(lengths) + 20)
        whole = Translator(translator.bundle, device=str(translator.device), whole=True)
        options: SearchChanges = {"max_length": max_length, **changes}
        progress.start(name, len(sources))
        hypotheses = []
        for result in whole.translate_many(sources, alternatives=0, **options):
            if isinstance(result, TextError):
                raise result
            hypotheses.append(result.text)
            progress.advance(1)
        curves.append(Curve(name, bleu_by_length(hypotheses, targets, lengths, bins=bins)))
    return curves


def write_lengths(curves: Sequence[Curve], page: Path, *, command: str, data: Path, split: str, joined: int) -> None:
    """Write a page of Markdown, the same with the suffix .json, and the chart.

    Args:
        curves: from :func:`measure_lengths`.
        page: the Markdown file.
        command: the line that makes the page again.
        data, split, joined: what was measured on.

    Raises:
        DataError: a file cannot be written.
    """
    lengthened = (
        "as they are" if joined == 1 else f"as they are, and joined with their neighbours up to {joined} in one"
    )
    width = Bootstrap().confidence
    chart = Path(IMAGES, page.stem + ".svg")
    text = f"""# BLEU by length

<!-- Written by `regard lengths`; run it again instead of changing this page. -->

- Command: `{command}`.
- Data: {data.name}, split `{split}`, its sentences {lengthened}; every source is read whole.
- BLEU: as sacreBLEU computes it (cased, 13a tokens, exponential smoothing); in brackets the {width:.0%} interval of
  {Bootstrap().num_draws:,} bootstrap draws.
- Versions: {describe_versions()}.

![BLEU by the number of words of the source]({chart.as_posix()})

{grid(*lengths_table(curves, code="`"), left=1)}
"""
    values = {"command": command, "models": [{"name": each.name, "bins": plain_bins(each)} for each in curves]}
    write_file(page, text.encode())
    write_file(page.with_suffix(".json"), (json.dumps(values, ensure_ascii=False, indent=1) + "\n").encode())
    write_file(page.parent / chart, _chart(curves).encode())


def plain_bins(curve: Curve) -> list[dict[str, Any]]:
    """The bins of a model as plain data; those that no sentence falls into are left out."""
    return [asdict(each) for each in curve.bins if each.count]


def lengths_table(curves: Sequence[Curve], *, code: str = "") -> tuple[list[str], list[list[str]]]:
    """A head, and a row for each bin with sentences in it; ``code`` stands around the names of the models."""
    head = ["words", "sentences", *(f"{code}{curve.name}{code}" for curve in curves)]
    rows = [
        [_label(row[0]), f"{row[0].count:,}", *(f"{each.bleu:.1f} ({each.low:.1f}–{each.high:.1f})" for each in row)]
        for row in zip(*(curve.bins for curve in curves), strict=True)
        if row[0].count
    ]
    return head, rows


def _chart(curves: Sequence[Curve]) -> str:
    filled = [index for index, each in enumerate(curves[0].bins) if each.count]
    lines = [Line(curve.name, [_point(index, curve.bins[index]) for index in filled]) for curve in curves]
    ticks = [(index, _label(curves[0].bins[index])) for index in filled]
    return line_chart(lines, title="BLEU as sentences grow", x=Axis("words of the source", ticks), y_title="BLEU")


def _point(index: int, part: LengthBin) -> Point:
    assert part.bleu is not None, "a bin with sentences has a score"
    return Point(index, part.bleu, part.low, part.high)


def _label(part: LengthBin) -> str:
    first = max(1, part.shortest)
    return f"{first}+" if part.longest is None else f"{first}–{part.longest}"


def _languages(translators: Mapping[str, Translator]) -> tuple[str, str]:
    languages = {translator.languages for translator in translators.values()}
    if len(languages) != 1:
        given = ", ".join(f"{name} ({' to '.join(each.languages)})" for name, each in translators.items()) or "none"
        raise ConfigError(
            f"the models do not share their languages: {given}", remedy="measure them one after the other"
        )
    return languages.pop()
