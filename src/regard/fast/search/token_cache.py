"""A cache of the terms of a step that depend on the token alone, computed when a token is first read."""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch
from torch import Tensor


class TokenCache:
    """A function of single tokens, [tokens] to [tokens, width], evaluated once for each token.

    Hypotheses of one batch use few different tokens at a step and mostly the same ones at the next. What is returned
    does not depend on what is cached, so several searches may share one cache, in threads too.

    Args:
        compute: the function; it stays the same.
        vocabulary_size: number of tokens, which bounds the cache.
    """

    def __init__(self, compute: Callable[[Tensor], Tensor], *, vocabulary_size: int, device: torch.device) -> None:
        self._compute = compute
        with torch.inference_mode(False):
            self._index = torch.full((vocabulary_size,), -1, device=device)
        self._rows: Tensor | None = None
        self._count = 0
        self._lock = threading.Lock()

    def __call__(self, tokens: Tensor) -> Tensor:
        """[tokens, width], in a new tensor, of tokens int64 [tokens]."""
        index = self._index[tokens]
        if bool((index < 0).any()):
            # what is cached must serve in inference mode and outside of it, so it is made outside
            with self._lock, torch.inference_mode(False), torch.no_grad():
                self._add(tokens)
            index = self._index[tokens]
        assert self._rows is not None, "tokens have been added"
        return self._rows.index_select(0, index)

    def _add(self, tokens: Tensor) -> None:
        """An index is set only when its row is there, so that other threads may look up what is already cached."""
        missing = torch.unique(tokens[self._index[tokens] < 0])
        if not len(missing):
            return
        # one by one: a product of matrices rounds each row as their number wants it, and work that goes on where it was
        # stopped meets tokens in other company
        rows = torch.cat([self._compute(token) for token in missing.split(1)])
        count = self._count + len(missing)
        if self._rows is None or count > len(self._rows):
            grown = rows.new_empty(2 * count, rows.shape[1])
            if self._rows is not None:
                grown[: self._count] = self._rows[: self._count]
            self._rows = grown
        self._rows[self._count : count] = rows
        self._index[missing] = torch.arange(self._count, count, device=missing.device)
        self._count = count
