"""Sentence pairs as ids, with length limits that count what they leave out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from regard.config import Settings
from regard.data.parallel import ReadReport, SentencePairs
from regard.text.tokenizer import Tokenizer
from regard.text.vocabulary import EOS


class LengthSettings(Settings):
    """Which pairs are fit to learn from, by their lengths in pieces, ``<eos>`` not counted."""

    longest: int | None = Field(default=None, ge=1, le=4000)
    """Of either side; None for no limit."""
    overlong: Literal["drop", "truncate"] = "drop"
    """What happens to a pair with a longer side."""
    ratio: float | None = Field(default=None, gt=1, le=1000)
    """The longer side has at most this many times the pieces of the shorter one; None for no limit."""


@dataclass(frozen=True)
class EncodedPairs:
    """Sentence pairs as ids, ready to be batched.

    Attributes:
        sources: ids of each source, ``<eos>`` at the end.
        targets: ids of each target, without ``<bos>`` and ``<eos>``.
        report: what was read, left out and cut short.
        kept: the places of these pairs among those that were given, ascending.
    """

    sources: tuple[tuple[int, ...], ...]
    targets: tuple[tuple[int, ...], ...]
    report: ReadReport
    kept: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Lengths as laid out in a batch, int64 [pair, 2]: target and source, ``<eos>`` counted."""
        pairs = zip(self.sources, self.targets, strict=True)
        return np.array([(len(target) + 1, len(source)) for source, target in pairs], dtype=np.int64).reshape(-1, 2)


def encode_pairs(
    pairs: SentencePairs, *, source: Tokenizer, target: Tokenizer, limits: LengthSettings | None = None
) -> EncodedPairs:
    """Turn pairs into ids; what ``limits`` leave out or cut short is counted in the report."""
    limits = limits or LengthSettings()
    encoded = [(source.encode(text).ids, target.encode(translation).ids) for text, translation in pairs]
    verdicts = [_judge(len(read), len(written), limits) for read, written in encoded]
    kept = tuple(place for place, verdict in enumerate(verdicts) if verdict in (None, "truncated"))
    report = replace(
        pairs.report,
        too_long=verdicts.count("too_long"),
        uneven=verdicts.count("uneven"),
        truncated=verdicts.count("truncated"),
        longest_source=max((len(read) for read, _ in encoded), default=0),
        longest_target=max((len(written) for _, written in encoded), default=0),
    )
    return EncodedPairs(
        sources=tuple((*encoded[place][0][: limits.longest], EOS) for place in kept),
        targets=tuple(encoded[place][1][: limits.longest] for place in kept),
        report=report,
        kept=kept,
    )


def _judge(source: int, target: int, limits: LengthSettings) -> Literal["too_long", "uneven", "truncated"] | None:
    """What the limits say about a pair of these lengths; None when it is kept as it is."""
    shorter, longer = sorted((source, target))
    if limits.ratio is not None and longer > limits.ratio * max(1, shorter):
        return "uneven"
    if limits.longest is None or longer <= limits.longest:
        return None
    return "truncated" if limits.overlong == "truncate" else "too_long"
