"""Sentence pairs that change from epoch to epoch: noise on the sources, other cuts into subwords, pairs joined.

What is drawn for a pair is a function of (seed, phase, epoch, number of the pair) and of nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from regard.data.encoding import EncodedPairs
from regard.data.parallel import SentencePairs
from regard.text.noise import NOISE, NoiseSettings
from regard.text.subword_regularisation import VARIANTS, SegmentationSampler
from regard.text.subwords import SubwordTokenizer
from regard.text.vocabulary import EOS

Integers = npt.NDArray[np.int64]


class AugmentedPairs:
    """The training pairs of each epoch.

    Args:
        pairs: as they stand in the data.
        plain: those of them that are learned from, as ids without any change.
        source, target: the tokenizers; the same one twice where they are joint.
        noise: the shares of changed sources.
        dropout: of the subwords of both sides, see :class:`SegmentationSampler`.
        longest: pairs are joined up to so many pieces a side, None for no limit.
        seed: what is drawn is a function of it, the epoch and the pair.
    """

    def __init__(
        self,
        pairs: SentencePairs,
        plain: EncodedPairs,
        *,
        source: SubwordTokenizer,
        target: SubwordTokenizer,
        noise: NoiseSettings,
        dropout: float,
        longest: int | None,
        seed: int,
    ) -> None:
        self._texts = [pairs.sources[place] for place in plain.kept]
        self._plain, self._noise, self._seed = plain, noise, seed
        samplers = [SegmentationSampler(tokenizer, dropout=dropout, seed=seed) for tokenizer in (source, target)]
        self._sources = _Sentences(self._texts, source, samplers[0])
        self._targets = _Sentences([pairs.targets[place] for place in plain.kept], target, samplers[1])
        self._longest = longest

    def epoch(self, phase: int, epoch: int) -> EncodedPairs:
        """All pairs, in the order of the data, as that epoch shows them."""
        noise, source_cuts, target_cuts, partners = np.random.SeedSequence([self._seed, phase, epoch]).generate_state(
            4, np.uint64
        )
        sources = self._sources.segmented(int(source_cuts), self._changed(int(noise)))
        targets = self._targets.segmented(int(target_cuts), {})
        for index, other in self._partners(int(partners)):
            sources[index] = [*sources[index], *self._plain.sources[other][:-1]]
            targets[index] = [*targets[index], *self._plain.targets[other]]
        return EncodedPairs(
            sources=tuple((*source, EOS) for source in sources),
            targets=tuple(tuple(target) for target in targets),
            report=self._plain.report,
            kept=self._plain.kept,
        )

    def _changed(self, key: int) -> dict[int, str]:
        """The sources that noise changes, by their number."""
        changed: dict[int, str] = {}
        for place, (name, share) in enumerate(self._noise.shares.items()):
            drawn = uniform(key + place, np.arange(len(self._texts))) < share
            for index in np.flatnonzero(drawn).tolist():
                changed[index] = NOISE[name](changed.get(index, self._texts[index]))
        return changed

    def _partners(self, key: int) -> list[tuple[int, int]]:
        """Which pairs are followed by which other ones; only where both together are short enough."""
        count = len(self._texts)
        chosen = np.flatnonzero(uniform(key, np.arange(count)) < self._noise.joined)
        others = (uniform(key + 1, chosen) * count).astype(np.int64)
        longest = self._longest if self._longest is not None else np.iinfo(np.int64).max
        fitting = (self._plain.lengths[chosen] + self._plain.lengths[others]).max(axis=1, initial=0) <= longest
        return list(zip(chosen[fitting].tolist(), others[fitting].tolist(), strict=True))


class _Sentences:
    """One side of the pairs as words, each with its drawn segmentations; an epoch's ids are gathered from them.

    Args:
        texts: the sentences.
        tokenizer: cuts a text into words.
        sampler: gives the segmentations of a word.
    """

    def __init__(self, texts: Sequence[str], tokenizer: SubwordTokenizer, sampler: SegmentationSampler) -> None:
        self._tokenizer, self._sampler = tokenizer, sampler
        self._numbers: dict[str, int] = {}
        self._variants: list[tuple[int, ...]] = []
        self._tables: tuple[Integers, Integers, Integers] | None = None
        self._sentences = [self._words(text) for text in texts]

    def segmented(self, key: int, changed: dict[int, str]) -> list[list[int]]:
        """The ids of all sentences.

        Args:
            key: of the draws.
            changed: sentences that stand in place of those of the data, by their number.
        """
        sentences = list(self._sentences)
        for index, text in changed.items():
            sentences[index] = self._words(text)
        counts = np.array([len(words) for words in sentences], dtype=np.int64)
        words = np.concatenate([*sentences, np.empty(0, dtype=np.int64)])
        firsts = np.cumsum(counts) - counts
        places = np.repeat(np.arange(len(counts)) << _PLACE_BITS, counts) + np.arange(len(words))
        drawn = (uniform(key, places - np.repeat(firsts, counts)) * VARIANTS).astype(np.int64)
        flat, lengths = self._gathered(words * VARIANTS + drawn)
        ends = np.concatenate([[0], np.cumsum(lengths)])[np.cumsum(counts)]
        ids = flat.tolist()
        return [ids[first:end] for first, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)]

    def _words(self, text: str) -> Integers:
        """The numbers of the words of a text; new ones get their segmentations."""
        numbers = []
        for word in self._tokenizer.spelled_words(text):
            number = self._numbers.setdefault(word, len(self._numbers))
            if number * VARIANTS == len(self._variants):
                self._variants += self._sampler.variants(word)
                self._tables = None
            numbers.append(number)
        return np.array(numbers, dtype=np.int64)

    def _gathered(self, chosen: Integers) -> tuple[Integers, Integers]:
        """The ids of these segmentations one behind the other, and how many each has."""
        if self._tables is None:
            lengths = np.array([len(ids) for ids in self._variants], dtype=np.int64)
            flat = np.array([each for ids in self._variants for each in ids], dtype=np.int64)
            self._tables = flat, np.cumsum(lengths) - lengths, lengths
        flat, starts, lengths = self._tables[0], self._tables[1][chosen], self._tables[2][chosen]
        shifts = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
        return flat[shifts + np.arange(len(shifts))], lengths


_PLACE_BITS = 20
"""A sentence has fewer words than 2 to this power."""


def uniform(key: int, counters: Integers) -> npt.NDArray[np.float64]:
    """Numbers in [0, 1), each a function of the key and its counter alone (SplitMix64, Steele et al. 2014)."""
    state = counters.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key % (1 << 64))
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((state ^ (state >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) / (1 << 53)
