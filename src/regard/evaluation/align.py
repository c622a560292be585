"""Word alignments of sentence pairs, read off a translator's attention, and their error against a gold file.

The translator reads each source and is made to write the given target; nothing is searched. Words are what stands
between spaces, as in every file of alignments, whatever pieces the translator reads and writes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from regard.data.lines import read_lines
from regard.data.parallel import SentencePairs, read_parallel
from regard.errors import DataError, ModelError, TextError
from regard.evidence.aligner import Aligner, Symmetry, symmetrise
from regard.metrics import WordAlignment, alignment_error_rate, parse_pharaoh
from regard.metrics.alignment import Link, token_spans
from regard.pipeline import Translator, load_translator
from regard.progress import SILENT, Progress


@dataclass(frozen=True)
class AlignedPairs:
    """The alignments of a split.

    Attributes:
        links: of each pair, in order; a pair with an empty side has none.
        error_rate: against the gold file, 0 is perfect; None without one.
    """

    links: list[frozenset[Link]]
    error_rate: float | None


def align(
    model: str | os.PathLike[str] | Translator,
    data: Path,
    split: str,
    *,
    gold: Path | None = None,
    tokens: str = "spaces",
    reverse: str | os.PathLike[str] | Translator | None = None,
    symmetry: Symmetry = "intersection",
    learned_from: str | None = None,
    progress: Progress = SILENT,
) -> AlignedPairs:
    """Align the words of sentence pairs.

    Args:
        model: a loaded one, or what :func:`regard.load` takes.
        data: a folder of parallel sentences.
        split: its name.
        gold: a file in Pharaoh format, a line a pair: what people linked.
        tokens: what is counted as words, see :data:`regard.metrics.alignment.TOKENS`.
        reverse: a model of the other direction, whose links are united with those of the first.
        symmetry: how, see :func:`regard.evidence.aligner.symmetrise`.
        learned_from: in place of a gold file, hold the links against an aligner of another kind, learned from this
            split and the one that is aligned: links that both of its directions find are sure, those that are grown
            from them possible.
        progress: receives progress.

    Returns:
        For each target word a link to the source word that the model looked at most; of two models what is left of
        their links.

    Raises:
        ModelError: the model cannot be used, or has no attention.
        ConfigError: there are no such tokens.
        DataError: the data or the gold file cannot be used.
    """
    assert gold is None or learned_from is None, "links are held against one thing"
    translator = model if isinstance(model, Translator) else load_translator(model)
    source, target = translator.languages
    pairs = read_parallel(data, split, source=source, target=target)
    marked = None if gold is None else _read_gold(gold, pairs, tokens)
    links = _links(translator, pairs, tokens, origin=f"{data}: line {{}} of {split}", progress=progress)
    if reverse is not None:
        other = reverse if isinstance(reverse, Translator) else load_translator(reverse)
        back = _reverse_links(other, translator, data, split, tokens, progress)
        links = [symmetrise(one, two, symmetry) for one, two in zip(links, back, strict=True)]
    if learned_from is not None:
        seen = read_parallel(data, learned_from, source=source, target=target)
        marked = learned_alignment(seen, pairs, tokens)
    return AlignedPairs(links, None if marked is None else _error_rate(links, marked))


def learned_alignment(seen: SentencePairs, pairs: SentencePairs, tokens: str = "spaces") -> list[WordAlignment]:
    """What an aligner of both directions finds: sure where they agree, possible where that is grown."""
    every = [(_words(source, tokens), _words(target, tokens)) for own in (seen, pairs) for source, target in own]
    wanted = every[len(seen) :]
    forward = Aligner(every).align(wanted)
    turned = Aligner([(target, source) for source, target in every]).align([(two, one) for one, two in wanted])
    backward = [frozenset((i, j) for j, i in links) for links in turned]
    return [
        WordAlignment(symmetrise(one, two, "intersection"), symmetrise(one, two, "grow-diag-final"))
        for one, two in zip(forward, backward, strict=True)
    ]


def _words(text: str, tokens: str) -> list[str]:
    return [text[start:end] for start, end in token_spans(text, tokens)]


def _reverse_links(
    reverse: Translator, translator: Translator, data: Path, split: str, tokens: str, progress: Progress
) -> list[frozenset[Link]]:
    """What a model of the other direction links, each link turned round."""
    source, target = translator.languages
    if reverse.languages != (target, source):
        given = f"the reverse model translates from {reverse.languages[0]} into {reverse.languages[1]}"
        raise ModelError(given, allowed=f"a model from {target} into {source}")
    pairs = read_parallel(data, split, source=target, target=source)
    links = _links(reverse, pairs, tokens, origin=f"{data}: line {{}} of {split}", progress=progress)
    return [frozenset((i, j) for j, i in own) for own in links]


def _links(
    translator: Translator, pairs: SentencePairs, tokens: str, *, origin: str, progress: Progress
) -> list[frozenset[Link]]:
    """The links of every pair; ``origin`` says where a pair stands, with braces for its line."""
    _check_attends(translator)
    filled = [each for each, pair in enumerate(pairs) if all(side.strip() for side in pair)]
    links: list[frozenset[Link]] = [frozenset()] * len(pairs)
    progress.start("alignments", len(pairs), done=len(pairs) - len(filled))
    results = translator.align_many((pairs.sources[each], pairs.targets[each]) for each in filled)
    for each, result in zip(filled, results, strict=True):
        if isinstance(result, TextError):
            given = f"{origin.format(each + 1)} cannot be aligned, {result.given}"
            raise DataError(given, allowed=result.allowed, remedy=result.remedy)
        links[each] = result.links(tokens)
        progress.advance(1)
    return links


def _check_attends(translator: Translator) -> None:
    model = translator.bundle.model
    if not model.decoder.attends:
        raise ModelError(
            f"a model with the decoder {model.settings.decoder.name} has no attention, so it aligns nothing",
            allowed="a translator whose decoder looks at the source, such as rnnsearch",
        )


def _read_gold(path: Path, pairs: SentencePairs, tokens: str) -> list[WordAlignment]:
    gold = parse_pharaoh(read_lines(path), origin=str(path))
    if len(gold) != len(pairs):
        raise DataError(f"{path}: has {len(gold):,} lines", allowed=f"a line for each of the {len(pairs):,} pairs")
    for number, (marked, (source, target)) in enumerate(zip(gold, pairs, strict=True), start=1):
        sizes = len(token_spans(source, tokens)), len(token_spans(target, tokens))
        for link in marked.possible:
            if not (link[0] < sizes[0] and link[1] < sizes[1]):
                raise DataError(
                    f"{path}, line {number}: {link[0]}-{link[1]} in a pair of {sizes[0]} and {sizes[1]} words",
                    allowed="numbers from 0, the source word first",
                )
    return gold


def _error_rate(links: Sequence[frozenset[Link]], gold: Sequence[WordAlignment]) -> float:
    return alignment_error_rate(links, [each.sure for each in gold], [each.possible for each in gold])
