"""Forced alignment: attention weights and probabilities of the words of given translations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from regard.annotations import Annotations
from regard.data.batching import cut
from regard.errors import TextError
from regard.pipeline.generation import Generation, Ids, force_decode
from regard.pipeline.isolation import REPORT, describe
from regard.pipeline.reassembly import reassemble
from regard.pipeline.segments import Source, segment_source
from regard.results import Translation
from regard.saved.bundle import Bundle

WINDOW = 16
"""How many batches are read before the first is aligned, so that pairs of like length go together."""
TOKENS = 4096
"""The most tokens of given translations that are read together, padding included, on their longer side."""
CELLS = 2**24
"""The most weights of given translations that are kept at a time, 64 MiB of them."""

_Pair = tuple[Source, Source]


class ForcedAligner:
    """Reads sentences and their translations. Nothing is searched, and every text is read whole.

    Args:
        bundle: a model of kind ``translator``.
        annotate: what its decoder looks at, from the ids of sources.
    """

    def __init__(self, bundle: Bundle, annotate: Callable[[Sequence[Ids]], Annotations]) -> None:
        self._bundle = bundle
        self._annotate = annotate
        self._source_tokenizer = bundle.source_tokenizer or bundle.tokenizer

    def align(self, pairs: Iterable[tuple[str, str]], *, batch: int) -> Iterator[Translation | TextError]:
        """Each pair, in order, as a translation with its alignment and its score, or the error in its index.

        Args:
            pairs: sentences and their translations, as typed; they may be made as they are asked for.
            batch: how many are read together.
        """
        for window in self._windows(pairs, WINDOW * batch):
            yield from self._align(window, batch)

    def _windows(self, pairs: Iterable[tuple[str, str]], count: int) -> Iterator[list[_Pair | TextError]]:
        """At most ``count`` pairs at a time, and no more weights than :data:`CELLS` in all unless one pair has."""
        window: list[_Pair | TextError] = []
        cells = 0
        for source, target in pairs:
            pair = self._read(source, target)
            size = 0 if isinstance(pair, TextError) else math.prod(_lengths(pair))
            if window and (len(window) == count or cells + size > CELLS):
                yield window
                window, cells = [], 0
            window.append(pair)
            cells += size
        if window:
            yield window

    def _align(self, window: Sequence[_Pair | TextError], batch: int) -> Iterator[Translation | TextError]:
        """Align what has been read, pairs of like length together, and give it in order."""
        pairs = [each for each in window if not isinstance(each, TextError)]
        lengths = np.array([_lengths(pair) for pair in pairs], dtype=np.int64).reshape(-1, 2)
        # every step of a target costs, so its length decides before that of the source; lexsort's last key comes first
        order = np.lexsort(-lengths.T)
        batches = cut(order, lengths.max(axis=1), batch_size=batch, max_tokens=TOKENS) if pairs else []
        forced: dict[int, Generation | TextError] = {}
        for indices in batches:
            forced.update(zip(indices.tolist(), self._force_decode([pairs[index] for index in indices]), strict=True))
        generations = iter(forced[index] for index in range(len(pairs)))
        for each in window:
            if isinstance(each, TextError):
                yield each
                continue
            generation = next(generations)
            yield generation if isinstance(generation, TextError) else self._reassembled(each[0], generation)

    def _read(self, source: str, target: str) -> _Pair | TextError:
        try:
            read = (
                segment_source(source, self._source_tokenizer, longest=None, known=self._bundle.source_words),
                segment_source(target, self._bundle.tokenizer, longest=None),
            )
        except TextError as error:
            return error
        except Exception as error:
            return TextError(f"the pair {describe(error)}", remedy=REPORT)
        if not all(side.segments for side in read):
            return TextError("one side of the pair is empty", remedy="leave the pair out")
        return read

    def _force_decode(self, pairs: Sequence[_Pair]) -> list[Generation | TextError]:
        try:
            annotations = self._annotate([source.segments[0].ids for source, _ in pairs])
            return [*force_decode(self._bundle, annotations, [target for _, target in pairs])]
        except TextError as error:  # a side has more tokens than the model has positions
            return [error] if len(pairs) == 1 else [each for pair in pairs for each in self._force_decode([pair])]
        except Exception as error:
            if len(pairs) > 1:
                return [each for pair in pairs for each in self._force_decode([pair])]
            return [TextError(f"the pair {describe(error)}", remedy=REPORT)]

    def _reassembled(self, source: Source, generation: Generation) -> Translation:
        alpha, attends = self._bundle.search.length_normalisation, self._bundle.model.decoder.attends
        return reassemble(source, [generation], alpha=alpha, attends=attends)


def _lengths(pair: _Pair) -> tuple[int, int]:
    """How many tokens its sides have."""
    source, target = (len(side.segments[0].ids) for side in pair)
    return source, target
