"""Which target pieces a source piece may become: probabilities learned from sentence pairs, and lists made of them.

**Learning** (IBM model 1; Brown et al. 1993, §4.1 and §4.2). Every piece of a target comes from one piece of its source
or from nothing, each as likely as the other. Expectation and maximisation take turns, with c the links expected of a
pair of sentences:

    c(t, s) = p(t | s) / Σ_{s' in the source or nothing} p(t | s')
    p(t | s) = Σ_pairs c(t, s) / Σ_t Σ_pairs c(t, s)

beginning with equal probabilities. Every maximum of the likelihood is a global one, so the beginning decides little.

**Lists** (Jean et al. 2015, §3.2 and §4.4; L'Hostis et al. 2016, §3). For a sentence, what its pieces most probably
become, and what is written most often in any sentence; the special ids stand in every list. A piece that becomes few
things has a short list: what is less probable than :data:`LEAST` is left out.

**The file** ``lexicon.safetensors`` holds ``ends``, ``pieces`` and ``frequent`` as whole numbers, of 16 bits where
these are enough.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from regard.errors import ModelError
from regard.files import MAX_BYTES, check_regular
from regard.text.vocabulary import PAD, SPECIALS

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]
Ids = Sequence[Sequence[int]]

FILE = "lexicon.safetensors"
MOST, FREQUENT = 20, 1000
"""How long the list of a source piece is at most, and how many target pieces stand in every list, unless told
otherwise."""
NOTHING = PAD
"""The id of the source piece that stands for none; no sentence holds it."""
LEAST = 0.005
"""How probable a target piece must be to stand in the list of a source piece."""
ROUNDS = 5
"""How often expectations are taken."""
CHUNK = 2**21
"""How many links of a piece with a piece are looked at together, at least one target piece's."""


@dataclass(frozen=True)
class Translations:
    """p(t | s) of the pieces that stood in pairs together.

    Attributes:
        sources, targets: int64 [entry], ascending by source, then by target.
        probabilities: [entry]; those of one source sum to 1.
    """

    sources: Integers
    targets: Integers
    probabilities: Numbers


@dataclass(frozen=True)
class Lexicon:
    """A list of target pieces for every source piece.

    Attributes:
        ends: int64 [source pieces], where the list of each ends in ``pieces`` and that of the next one begins.
        pieces: int64 [entry], ids of target pieces.
        frequent: int64 [pieces], target pieces allowed whatever the source.
        size: number of target pieces.
    """

    ends: Integers
    pieces: Integers
    frequent: Integers
    size: int

    @classmethod
    def choose(
        cls,
        translations: Translations,
        targets: Ids,
        *,
        reads: int,
        writes: int,
        most: int = MOST,
        frequent: int = FREQUENT,
    ) -> Self:
        """The lists of the most probable pieces.

        Args:
            translations: of pieces.
            targets: what is written, to count the pieces of.
            reads, writes: numbers of source pieces and of target pieces.
            most: how long the list of a piece may be.
            frequent: how many of the most frequent target pieces stand in every list.
        """
        order = np.lexsort((translations.targets, -translations.probabilities, translations.sources))
        sources, probable = translations.sources[order], translations.probabilities[order] >= LEAST
        ranks = np.arange(len(sources)) - np.searchsorted(sources, sources)
        kept = probable & (ranks < most) & (sources != NOTHING)
        counts = np.bincount(_joined(targets), minlength=writes)
        often = np.lexsort((np.arange(writes), -counts))[: min(frequent, np.count_nonzero(counts))]
        ends = np.cumsum(np.bincount(sources[kept], minlength=reads))
        return cls(ends, translations.targets[order][kept], np.sort(often), writes)

    @property
    def shared(self) -> Integers:
        """What stands in every list, ascending: the special ids and the frequent pieces."""
        return np.union1d(np.arange(len(SPECIALS)), self.frequent)

    def becomes(self, source: Sequence[int]) -> Integers:
        """What the pieces of a sentence of these ids become, ascending; shared ones may be among it."""
        lists = [self.pieces[self.ends[each - 1] if each else 0 : self.ends[each]] for each in set(source)]
        return np.unique(np.concatenate([*lists, np.empty(0, dtype=np.int64)]))

    def save(self, folder: Path) -> None:
        """Write the file into ``folder``."""
        (folder / FILE).write_bytes(
            save({name: _small(getattr(self, name)) for name in ("ends", "pieces", "frequent")})
        )

    @classmethod
    def load(cls, folder: Path, *, reads: int, writes: int) -> Self | None:
        """Read what :meth:`save` wrote for so many source pieces and target pieces; None where there is no file.

        Raises:
            ModelError: the file is damaged or fits other numbers of pieces.
        """
        path = folder / FILE
        if not os.path.lexists(path):
            return None
        check_regular(path, most=MAX_BYTES)
        try:
            tensors = load_file(path)
        except (OSError, SafetensorError, ValueError, TypeError, KeyError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelError(f"{path}: is damaged or no safetensors file ({reason:.120})") from None
        whole = all(each.dtype.kind == "i" and each.ndim == 1 for each in tensors.values())
        if not whole or tensors.keys() != {"ends", "pieces", "frequent"}:
            raise ModelError(f"{path}: holds no lists of pieces")
        lexicon = cls(**{name: each.astype(np.int64) for name, each in tensors.items()}, size=writes)
        if not lexicon._fits(reads):
            raise ModelError(f"{path}: does not fit the vocabularies of {reads:,} and {writes:,} pieces")
        return lexicon

    def _fits(self, reads: int) -> bool:
        pieces = np.concatenate([self.pieces, self.frequent])
        bounds = np.concatenate([[0], self.ends, [len(self.pieces)]])
        in_range = bool((pieces >= 0).all() and (pieces < self.size).all())
        return len(self.ends) == reads and in_range and bool((np.diff(bounds) >= 0).all()) and bounds[-2] == bounds[-1]


def learn_translations(sources: Ids, targets: Ids, *, rounds: int = ROUNDS, chunk: int = CHUNK) -> Translations:
    """p(t | s) from pairs of sentences.

    Args:
        sources, targets: the ids of each pair; memory grows with the number of different links between pieces.
        rounds: how often expectations are taken, at least once.
        chunk: how many links are looked at together; it changes nothing but memory.
    """
    assert len(sources) == len(targets), "a target for each source"
    corpus = _Corpus([[NOTHING, *ids] for ids in sources], targets)
    seen = [np.unique(keys) for keys, _ in corpus.links(chunk)]
    keys = np.unique(np.concatenate([*seen, np.empty(0, dtype=np.int64)]))
    read, written = keys // corpus.width, keys % corpus.width
    probabilities = np.ones(len(keys))
    for _ in range(rounds):
        expected = np.zeros(len(keys))
        for links, firsts in corpus.links(chunk):
            places = np.searchsorted(keys, links)
            likely = probabilities[places]
            totals = np.add.reduceat(likely, firsts)
            shares = likely / np.repeat(totals, np.diff(firsts, append=len(links)))
            expected += np.bincount(places, weights=shares, minlength=len(keys))
        probabilities = expected / np.bincount(read, weights=expected)[read]
    return Translations(read, written, probabilities)


class _Corpus:
    """Pairs of sentences laid out end to end.

    Attributes:
        width: a link of pieces s and t has the number s × width + t.
    """

    def __init__(self, sources: Ids, targets: Ids) -> None:
        self._sources, self._targets = _joined(sources), _joined(targets)
        lengths = np.array([len(ids) for ids in sources], dtype=np.int64)
        pair = np.repeat(np.arange(len(targets)), [len(ids) for ids in targets])
        self._lengths = lengths[pair]
        self._starts = (np.cumsum(lengths) - lengths)[pair]
        self.width = int(self._targets.max(initial=0)) + 1

    def links(self, chunk: int) -> Iterator[tuple[Integers, Integers]]:
        """All links, about ``chunk`` at a time, and where those of each target piece begin among them."""
        cuts = np.unique(np.searchsorted(np.cumsum(self._lengths), np.arange(0, self._lengths.sum(), chunk)))
        for first, last in pairwise([*cuts, len(self._targets)]):
            lengths = self._lengths[first:last]
            firsts = np.cumsum(lengths) - lengths
            offsets = np.arange(lengths.sum()) + np.repeat(self._starts[first:last] - firsts, lengths)
            yield self._sources[offsets] * self.width + np.repeat(self._targets[first:last], lengths), firsts


def _small(numbers: Integers) -> npt.NDArray[np.int16 | np.int32]:
    return numbers.astype(np.int16 if numbers.max(initial=0) <= np.iinfo(np.int16).max else np.int32)


def _joined(sentences: Ids) -> Integers:
    return np.array([each for ids in sentences for each in ids], dtype=np.int64)
