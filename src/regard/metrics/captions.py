"""The scores of a set of captions: those of :data:`regard.metrics.metric.CAPTION_METRICS`."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from regard.metrics.checks import check_reference_groups, check_same_length
from regard.metrics.metric import CAPTION_METRICS, Scores
from regard.text.captions import caption_tokens

# Raise it whenever the same captions would get other tokens.
_VERSION = 1


def score_captions(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], *, also: Collection[str] = ()
) -> Scores:
    """Score captions against the references of their images.

    Args:
        hypotheses: one caption an image.
        references: the reference captions of each image. The document frequencies of CIDEr-D come from these, so a part
            of a split scores otherwise than the whole, and a single image gets a CIDEr-D of 0.
        also: metrics that are computed on request, such as ``meteor``, which needs Java.

    Raises:
        DataError: the lengths differ, the corpus is empty, or an image has no reference.
        DependencyError: a metric was asked for that cannot run here.
    """
    count = check_same_length(hypotheses=hypotheses, references=references)
    check_reference_groups(references)
    texts = [caption_tokens(hypothesis) for hypothesis in hypotheses]
    groups = [[caption_tokens(reference) for reference in group] for group in references]
    metrics = [
        CAPTION_METRICS[name] for name in CAPTION_METRICS if name in also or not CAPTION_METRICS[name].on_request
    ]
    values: dict[str, float] = {}
    for metric in metrics:
        scores = (100.0 * score for score in metric.compute(texts, groups))
        values.update(zip(metric.names, scores, strict=True))
    return Scores(count, values, {"signature": _signature(references, [metric.signature for metric in metrics])})


def _signature(references: Sequence[Sequence[str]], parts: Sequence[str]) -> str:
    sizes = {len(group) for group in references}
    refs = f"refs:{sizes.pop()}" if len(sizes) == 1 else "refs:var"
    return "|".join(["regard", "captions", refs, "tok:ptb-lower-nopunct", *parts, f"v{_VERSION}"])
