"""What an encoder returns: one vector per region of a picture or per token of a sentence, and where each lies.

A picture of N regions and a sentence of N tokens are the same thing to a decoder: values, a mask, nothing else. Where a
position lies is kept beside them in the units of the user's own input, so that weights can be drawn on the photo or the
sentence as it was given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

Rectangle = tuple[float, float, float, float]
"""left, top, right, bottom in pixels of the original image as a person sees it (EXIF orientation applied)."""

Span = tuple[int, int]
"""start, end (exclusive) in characters of the original text."""


@dataclass(frozen=True)
class Regions:
    """Where the N = rows × columns positions of one picture lie, row by row.

    Attributes:
        rows, columns: the shape of the grid.
        rectangles: N rectangles in pixels of the original image; a cell may reach past the photo (letterbox) or the
            grid may not cover all of it (centre crop).
        width, height: size of the original image in pixels, after EXIF orientation.
    """

    rows: int
    columns: int
    rectangles: tuple[Rectangle, ...]
    width: int
    height: int

    def __post_init__(self) -> None:
        assert len(self.rectangles) == self.rows * self.columns, "one rectangle per cell"

    def __len__(self) -> int:
        return self.rows * self.columns

    def edges(self) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        """Top and bottom of each row and left and right of each column, as fractions of the original image."""
        rows = [self.rectangles[row * self.columns] for row in range(self.rows)]
        columns = self.rectangles[: self.columns]
        return (
            [(top / self.height, bottom / self.height) for _, top, _, bottom in rows],
            [(left / self.width, right / self.width) for left, _, right, _ in columns],
        )


@dataclass(frozen=True)
class Spans:
    """Where the N positions of one sentence lie: one character span per token of the original text."""

    text: str
    spans: tuple[Span, ...]

    def __len__(self) -> int:
        return len(self.spans)


@dataclass(frozen=True)
class Concepts:
    """The concepts that the classifier of an image encoder finds, see :mod:`regard.encoders.concepts`.

    Attributes:
        words: int64 [batch, k], numbers of :func:`regard.encoders.concepts.concept_words`, the most probable first.
        probabilities: P, float [batch, k].
        maps: μ, float [batch, k, region], where each lies; sums to 1 over the regions.
        forgotten: in training with a teacher KL(p⁰ ‖ p), float [batch], else None.
    """

    words: Tensor
    probabilities: Tensor
    maps: Tensor
    forgotten: Tensor | None = None

    def select(self, index: Tensor) -> Concepts:
        """The inputs at ``index`` (int64 [selected]), in that order."""
        forgotten = None if self.forgotten is None else self.forgotten[index]
        return Concepts(self.words[index], self.probabilities[index], self.maps[index], forgotten)

    def to(self, device: torch.device | str) -> Concepts:
        """The same concepts on ``device``."""
        forgotten = None if self.forgotten is None else self.forgotten.to(device)
        return Concepts(self.words.to(device), self.probabilities.to(device), self.maps.to(device), forgotten)

    @classmethod
    def joined(cls, parts: Sequence[Concepts]) -> Concepts:
        """The inputs of several batches in evaluation, one after another."""
        columns = zip(*((each.words, each.probabilities, each.maps) for each in parts), strict=True)
        return cls(*(torch.cat(column) for column in columns))


@dataclass(frozen=True)
class Annotations:
    """A batch of encoded inputs.

    Attributes:
        values: float [batch, position, dim].
        mask: bool [batch, position], True on real positions; None when all positions are real. Real positions come
            first, and every input has at least one.
        summary: float [batch, dim] or None: the single vector of an encoder that has one of its own, such as the last
            state of a recurrent encoder. One that reads both ways joins the states in which each direction ended,
            [→h_N; ←h_1], as it joins the annotations [→h_i; ←h_i]. Without a summary :meth:`mean` stands in.
        geometry: one :class:`Regions` or :class:`Spans` per input, or empty where nobody will draw the weights.
        concepts: of a picture whose encoder names some; as a decoder takes them their annotations are the last
            positions, behind those of the regions.
    """

    values: Float[Tensor, "batch position dim"]
    mask: Bool[Tensor, "batch position"] | None = None
    summary: Float[Tensor, "batch summary_dim"] | None = None
    geometry: Sequence[Regions | Spans] = ()
    concepts: Concepts | None = None

    def __post_init__(self) -> None:
        assert self.values.dim() == 3, f"values are [batch, position, dim], not {tuple(self.values.shape)}"
        assert self.mask is None or self.mask.shape == self.values.shape[:2], "the mask is [batch, position]"

    def __len__(self) -> int:
        return self.values.shape[0]

    @property
    def num_regions(self) -> int:
        """How many positions are regions or tokens, not concepts."""
        return self.values.shape[1] if self.concepts is None else self.concepts.maps.shape[2]

    def with_concepts(self, values: Tensor) -> Annotations:
        """The annotations with those of their concepts, [batch, k, dim], behind them."""
        assert self.mask is None, "all regions of a picture are real"
        return replace(self, values=torch.cat([self.values, values.to(self.values.dtype)], dim=1))

    def mean(self) -> Float[Tensor, "batch dim"]:
        """The mean over real positions, [batch, dim]."""
        if self.mask is None:
            return self.values.mean(dim=1)
        real = self.mask.unsqueeze(-1).to(self.values.dtype)
        return (self.values * real).sum(dim=1) / real.sum(dim=1)

    def vector(self) -> Float[Tensor, "batch dim"]:
        """The summary, or the mean where there is none, [batch, dim]."""
        return self.mean() if self.summary is None else self.summary

    def select(self, index: Tensor) -> Annotations:
        """The inputs at ``index`` (int64 [selected]), in that order."""
        chosen = tuple(self.geometry[i] for i in index.tolist()) if self.geometry else ()
        return Annotations(
            values=self.values[index],
            mask=None if self.mask is None else self.mask[index],
            summary=None if self.summary is None else self.summary[index],
            geometry=chosen,
            concepts=None if self.concepts is None else self.concepts.select(index),
        )

    def to(self, device: torch.device | str) -> Annotations:
        """The same annotations on ``device``."""
        return replace(
            self,
            values=self.values.to(device),
            mask=None if self.mask is None else self.mask.to(device),
            summary=None if self.summary is None else self.summary.to(device),
            concepts=None if self.concepts is None else self.concepts.to(device),
        )
