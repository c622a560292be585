"""Word alignments: the Pharaoh format, and the alignment error rate against a gold file.

Source: Och and Ney 2003, "A Systematic Comparison of Various Statistical Alignment Models", §6. People mark links as
sure (S) or possible (P, which contains S). For predicted links A,

    ``AER = 1 − (|A ∩ S| + |A ∩ P|) / (|A| + |S|)``.

In the Pharaoh format a line is a sentence pair and ``3-5`` links source word 3 with target word 5, both counted from 0.
Gold files mark a possible link with ``3?5`` or ``3p5``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from regard.composed_attention import Floats, Span, locate
from regard.errors import DataError, unknown_name
from regard.metrics.checks import check_same_length

Link: TypeAlias = tuple[int, int]

_LINK = re.compile(r"([0-9]{1,9})([-?p])([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class WordAlignment:
    """The links (source word, target word) of one sentence pair. ``possible`` contains ``sure``."""

    sure: frozenset[Link]
    possible: frozenset[Link]


TOKENS = ("spaces", "13a")
"""What alignments may count as words: what stands between spaces, as files of alignments do unless they say otherwise,
or the tokens of BLEU's 13a, where a full stop is a word of its own."""


def token_spans(text: str, tokens: str) -> list[Span]:
    """Where each word of a text stands.

    Args:
        text: as typed.
        tokens: one of :data:`TOKENS`.

    Raises:
        ConfigError: it is none of them.
    """
    if tokens not in TOKENS:
        raise unknown_name("tokens", tokens, TOKENS)
    if tokens == "spaces":
        return [found.span() for found in re.finditer(r"\S+", text)]
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    cut: Callable[[str], str] = Tokenizer13a()  # type: ignore[no-untyped-call]
    return [span for span in locate(cut(text).split(), text) if span is not None]


def attention_links(
    alignment: Floats,
    source: tuple[str, Sequence[Span]],
    target: tuple[str, Sequence[Span | None]],
    *,
    tokens: str = "spaces",
) -> frozenset[Link]:
    """For each word of a translation the source word that it looked at most.

    Args:
        alignment: [target words, source words] as the model cuts them; rows sum to 1.
        source, target: the text, and where each of the model's words stands in it; what was not found stands with what
            came before it.
        tokens: how the words that are linked are cut, see :func:`token_spans`.

    Returns:
        (source word, target word), both counted from 0.

    Raises:
        ConfigError: there are no such tokens.
    """
    cut = [token_spans(text, tokens) for text, _ in (source, target)]
    weights = np.zeros((len(cut[1]), len(cut[0])))
    if weights.size:
        sources, targets = _places(source[1], cut[0]), _places(target[1], cut[1])
        for row, place in zip(alignment, targets, strict=True):
            np.add.at(weights[place], sources, row)
    return frozenset((int(row.argmax()), place) for place, row in enumerate(weights) if row.any())


def _places(spans: Sequence[Span | None], words: Sequence[Span]) -> NDArray[np.int64]:
    """In which of ``words`` each span begins."""
    starts = [start for start, _ in words]
    first, places = 0, []
    for span in spans:
        first = first if span is None else span[0]
        places.append(np.searchsorted(starts, first, side="right") - 1)
    return np.array(places, dtype=np.int64).clip(min=0)


def parse_pharaoh(lines: Iterable[str], *, origin: str) -> list[WordAlignment]:
    """Read alignments, one sentence pair a line; an empty line is a pair without links.

    Args:
        lines: the lines, with or without line ends.
        origin: what to call the source in messages, such as a file name.

    Raises:
        DataError: names the line and the part of it that is no link.
    """
    return [_parse_line(line, f"{origin}, line {number}") for number, line in enumerate(lines, start=1)]


def format_pharaoh(sure: Collection[Link], possible: Collection[Link] = ()) -> str:
    """Write the links of one sentence pair, sorted; links that are only possible get a question mark."""
    links = sorted({*sure, *possible})
    certain = set(sure)
    return " ".join(f"{source}{'-' if (source, target) in certain else '?'}{target}" for source, target in links)


def alignment_error_rate(
    predicted: Sequence[AbstractSet[Link]],
    sure: Sequence[AbstractSet[Link]],
    possible: Sequence[AbstractSet[Link]],
) -> float:
    """The alignment error rate of a corpus: 0 is perfect, 1 is nothing right.

    Args:
        predicted: the links of each sentence pair.
        sure: the sure gold links of each.
        possible: the possible gold links of each; sure links count as possible whether they are repeated or not.

    Raises:
        DataError: the lengths differ, or the corpus is empty.
    """
    check_same_length(predicted=predicted, sure=sure, possible=possible)
    hits = size = 0
    for links, certain, allowed in zip(predicted, sure, possible, strict=True):
        hits += len(links & certain) + len(links & (certain | allowed))
        size += len(links) + len(certain)
    return 1.0 - hits / size if size else 0.0


def _parse_line(line: str, place: str) -> WordAlignment:
    sure, possible = set(), set()
    for text in line.split():
        found = _LINK.fullmatch(text)
        if found is None:
            raise DataError(f"{place}: {text!r:.60} is not a link", allowed="SOURCE-TARGET such as 0-2, or 0?2, or 0p2")
        link = int(found[1]), int(found[3])
        possible.add(link)
        if found[2] == "-":
            sure.add(link)
    return WordAlignment(frozenset(sure), frozenset(possible))
