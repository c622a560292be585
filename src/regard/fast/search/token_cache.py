"""What words alone add to a step: computed when a word is first met, and looked up from then on."""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch
from torch import Tensor


class WordTable:
    """A function of single words, [words] to [words, width], evaluated once for each word.

    Hypotheses of one batch say few different words at a step and mostly the same ones at the next. A table remembers,
    but what it returns does not depend on what it remembers, up to rounding, so several searches may share one, in
    threads too.

    Args:
        compute: the function; it stays the same.
        vocabulary_size: number of words, which bounds what is remembered.
    """

    def __init__(self, compute: Callable[[Tensor], Tensor], *, vocabulary_size: int, device: torch.device) -> None:
        self._compute = compute
        with torch.inference_mode(False):
            self._places = torch.full((vocabulary_size,), -1, device=device)
        self._rows: Tensor | None = None
        self._count = 0
        self._learning = threading.Lock()

    def __call__(self, tokens: Tensor) -> Tensor:
        """Rows [tokens, width] of words int64 [tokens]."""
        places = self._places[tokens]
        if bool((places < 0).any()):
            # what is kept must serve in inference mode and outside of it, so it is made outside
            with self._learning, torch.inference_mode(False), torch.no_grad():
                self._learn(tokens)
            places = self._places[tokens]
        assert self._rows is not None, "words have been learned"
        return self._rows.index_select(0, places)

    def _learn(self, tokens: Tensor) -> None:
        """A place is told only when the row is there, so that other threads may look up what is already known."""
        words = torch.unique(tokens[self._places[tokens] < 0])
        if not len(words):
            return
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
