"""From a translated word back to the photo: the alignment row mixes the weights of the words it came from.

A target word t looks at source words j with weights A_tj; the words of the caption that make up source word j looked at
regions i with weights α_ji. Where t looks on the photo is the product of the two, Σ_j A_tj α_ji, which sums to 1 again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

Span = tuple[int, int]


def locate(words: Sequence[str], text: str) -> list[Span | None]:
    """Where each word stands in ``text``, in order and regardless of case; None for a word that is not found.

    A text is written from its words by capitals and spacing, so the words lead back into it.
    """
    lowered = _lowered(text)
    spans: list[Span | None] = []
    start = 0
    for word in words:
        found = lowered.find(_lowered(word), start) if word else -1
        if found < 0:
            spans.append(None)
        else:
            start = found + len(word)
            spans.append((found, start))
    return spans


def _lowered(text: str) -> str:
    """In small letters, each in the place of its capital.

    ``str.lower`` makes two letters of İ, which would shift every span behind it, and of Σ one or another, as it stands.
    """
    return "".join(letter.lower() if len(letter.lower()) == 1 else letter for letter in text)


def link_words(
    alignment: Floats, source_spans: Sequence[Span], caption_spans: Sequence[Span | None]
) -> NDArray[np.float64]:
    """How much each target word looked at each word of the caption.

    Args:
        alignment: [target words, source words], rows summing to 1.
        source_spans: the characters of the caption's text that each source word covers.
        caption_spans: the characters of the same text that each word of the caption covers, as :func:`locate` says.

    Returns:
        [target words, caption words], rows summing to 1. The translator may cut words differently: a source word passes
        its weight on by shared characters, and evenly where it shares none, such as an added full stop.
    """
    shared = np.array([[_shared(span, other) for other in caption_spans] for span in source_spans], dtype=np.float64)
    shared = shared.reshape(len(source_spans), len(caption_spans))
    shared[shared.sum(axis=1) == 0] = 1
    links = np.asarray(alignment, dtype=np.float64) @ (shared / shared.sum(axis=1, keepdims=True))
    return np.asarray(links / links.sum(axis=1, keepdims=True))


def compose_attention(links: Floats, caption_weights: Sequence[Floats]) -> list[NDArray[np.float64]]:
    """Where each target word looks on the photo, [rows, columns] each, summing to 1.

    Args:
        links: [target words, caption words], rows summing to 1.
        caption_weights: of each word of the caption, [rows, columns] each.
    """
    stacked = np.stack(caption_weights).astype(np.float64)
    composed = np.tensordot(np.asarray(links, dtype=np.float64), stacked, axes=1)
    return [np.asarray(weights / weights.sum()) for weights in composed]


def _shared(span: Span, other: Span | None) -> int:
    return 0 if other is None else max(0, min(span[1], other[1]) - max(span[0], other[0]))
