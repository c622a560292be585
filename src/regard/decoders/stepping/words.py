"""What words alone add to a step: computed when a word is first met in a search, and looked up from then on."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class WordTable:
    """A function of single words, [words] to [words, width], evaluated once for each word.

    Hypotheses of one batch say few different words at a step and mostly the same ones at the next. A table belongs to
    one search: it remembers, but what it returns does not depend on what it remembers.

    Args:
        compute: the function.
        vocabulary_size: number of words.
    """

    def __init__(self, compute: Callable[[Tensor], Tensor], *, vocabulary_size: int, device: torch.device) -> None:
        self._compute = compute
        self._places = torch.full((vocabulary_size,), -1, device=device)
        self._rows: Tensor | None = None
        self._count = 0

    def __call__(self, tokens: Tensor) -> Tensor:
        """Rows [tokens, width] of words int64 [tokens]."""
        places = self._places[tokens]
        if self._rows is None or bool((places < 0).any()):
            self._learn(torch.unique(tokens[places < 0]))
            places = self._places[tokens]
        assert self._rows is not None, "words have been learned"
        return self._rows.index_select(0, places)

    def _learn(self, words: Tensor) -> None:
        rows = self._compute(words)
        count = self._count + len(words)
        if self._rows is None or count > len(self._rows):
            grown = rows.new_empty(2 * count, rows.shape[1])
            if self._rows is not None:
                grown[: self._count] = self._rows[: self._count]
            self._rows = grown
        self._rows[self._count : count] = rows
        self._places[words] = torch.arange(self._count, count, device=words.device)
        self._count = count
