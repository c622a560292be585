"""A word aligner of another kind: IBM model 2 with a diagonal prior, learned from sentence pairs alone.

    δ(i | j, m, n) = p₀ for the null word, else (1 − p₀) exp(−λ |i/m − j/n|) / Z        Dyer et al. 2013, eq. 1–2
    p(f_j, a_j = i | e) = δ(i | j, m, n) θ(f_j | e_i)

("A Simple, Fast, and Effective Reparameterization of IBM Model 2"). θ is learned by expectation maximisation with a
symmetric Dirichlet prior (variational Bayes, as there), λ and p₀ stay as given. Words are compared in lower case.

Two directions are united by :func:`symmetrise` (Och & Ney 2003, §4.4; Koehn et al. 2003, §3.1 for grow-diag-final).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from regard.faithfulness import Floats
from regard.metrics.alignment import Link

Pair = tuple[Sequence[str], Sequence[str]]
"""The words of a source and of its translation."""
Symmetry = Literal["intersection", "union", "grow-diag-final"]
Integers = npt.NDArray[np.int64]

DIAGONAL, NULL_SHARE, PRIOR = 4.0, 0.08, 0.01
"""λ, p₀ and the Dirichlet prior, the values of Dyer et al. 2013."""
ITERATIONS = 5
_NULL = ""


@dataclass(frozen=True)
class _Cells:
    """Every (pair, target word, source word or null), flat: the cells of one target word stand together.

    Attributes:
        sources, targets: numbers of the words.
        prior: δ.
        starts: where the cells of each target word begin.
    """

    sources: Integers
    targets: Integers
    prior: Floats
    starts: Integers


class Aligner:
    """Aligns each target word with one source word, or with none.

    Args:
        pairs: to learn from, those that are to be aligned among them.
        iterations: of expectation maximisation.
    """

    def __init__(self, pairs: Sequence[Pair], *, iterations: int = ITERATIONS) -> None:
        self._sources = _numbers(word for source, _ in pairs for word in (_NULL, *source))
        self._targets = _numbers(word for _, target in pairs for word in target)
        cells = self._cells(pairs)
        keys, places = np.unique(cells.sources * len(self._targets) + cells.targets, return_inverse=True)
        self._keys, owners = keys, keys // len(self._targets)
        self._theta = np.full(len(keys), 1.0)
        for _ in range(iterations):
            posterior = self._posterior(cells, places)
            counts = np.bincount(places, posterior, minlength=len(keys))
            totals = np.bincount(owners, counts, minlength=len(self._sources))
            sizes = np.bincount(owners, minlength=len(self._sources))
            self._theta = np.exp(_digamma(counts + PRIOR) - _digamma(totals + PRIOR * sizes)[owners])

    def align(self, pairs: Sequence[Pair]) -> list[frozenset[Link]]:
        """The links (source word, target word) of each pair, the most probable one a target word."""
        links: list[set[Link]] = [set() for _ in pairs]
        known = [pair for pair in pairs if pair[1]]
        if not known:
            return [frozenset(each) for each in links]
        cells = self._cells(known)
        keys = cells.sources * len(self._targets) + cells.targets
        places = np.searchsorted(self._keys, keys).clip(max=len(self._keys) - 1)
        posterior = np.where(self._keys[places] == keys, self._posterior(cells, places), 0.0)
        ends = [*cells.starts[1:].tolist(), len(keys)]
        word = 0
        for own, (_, target) in zip(
            (own for own, pair in zip(links, pairs, strict=True) if pair[1]), known, strict=True
        ):
            for j in range(len(target)):
                best = int(posterior[cells.starts[word] : ends[word]].argmax())
                if best:  # the first cell is the null word's
                    own.add((best - 1, j))
                word += 1
        return [frozenset(each) for each in links]

    def _posterior(self, cells: _Cells, places: Integers) -> Floats:
        joint = cells.prior * self._theta[places]
        sums = np.add.reduceat(joint, cells.starts)
        sizes = np.diff([*cells.starts, len(joint)])
        posterior: Floats = joint / np.repeat(sums.clip(min=1e-300), sizes)
        return posterior

    def _cells(self, pairs: Sequence[Pair]) -> _Cells:
        sources, targets, priors, sizes = [], [], [], []
        for source, target in pairs:
            m, n = len(source), len(target)
            own = np.array([self._sources.get(word.lower(), 0) for word in (_NULL, *source)])
            sources.append(np.tile(own, n))
            targets.append(np.repeat([self._targets.get(word.lower(), 0) for word in target], m + 1).astype(np.int64))
            priors.append(_diagonal(m, n).reshape(-1))
            sizes += [m + 1] * n
        starts = np.cumsum([0, *sizes[:-1]])
        return _Cells(np.concatenate(sources), np.concatenate(targets), np.concatenate(priors), starts)


def _diagonal(m: int, n: int) -> Floats:
    """δ of each target word (row) and of null and each source word (columns), [n, 1 + m]."""
    prior = np.full((n, 1 + m), NULL_SHARE)
    if m:
        i, j = (np.arange(1, m + 1) / m)[None], (np.arange(1, n + 1) / n)[:, None]
        near = np.exp(-DIAGONAL * np.abs(i - j))
        prior[:, 1:] = (1 - NULL_SHARE) * near / near.sum(axis=1, keepdims=True)
    return prior


def _numbers(words: Iterable[str]) -> dict[str, int]:
    return {word: number for number, word in enumerate(dict.fromkeys(word.lower() for word in words))}


def _digamma(values: npt.NDArray[Any]) -> Floats:
    found: Floats = torch.digamma(torch.from_numpy(values)).numpy()
    return found


def symmetrise(forward: frozenset[Link], backward: frozenset[Link], how: Symmetry) -> frozenset[Link]:
    """One alignment from two.

    Args:
        forward: links (source, target) with one for each target word.
        backward: links (source, target) too, with one for each source word.
        how: those of both; those of either; or those of both, grown by neighbours among those of either that bring a
            word in that has no link, and at last by links of words that still have none.
    """
    both, either = forward & backward, forward | backward
    if how == "intersection":
        return both
    return either if how == "union" else _grow_diag_final(both, either, (forward, backward))


def _grow_diag_final(
    both: frozenset[Link], either: frozenset[Link], last: Sequence[frozenset[Link]]
) -> frozenset[Link]:
    links, grown = set(both), True
    while grown:
        grown = False
        for i, j in sorted(links):
            for link in sorted(either - links):
                near = max(abs(link[0] - i), abs(link[1] - j)) == 1
                if near and _brings(link, links):
                    links.add(link)
                    grown = True
    for direction in last:
        for link in sorted(direction):
            if _brings(link, links):
                links.add(link)
    return frozenset(links)


def _brings(link: Link, links: set[Link]) -> bool:
    """Whether a link's source word or target word has no link yet."""
    return all(i != link[0] for i, _ in links) or all(j != link[1] for _, j in links)
