"""The scores of a set of translations: those of :data:`regard.metrics.metric.TRANSLATION_METRICS`."""

from __future__ import annotations

from collections.abc import Sequence

from regard.errors import DataError
from regard.metrics.checks import check_same_length
from regard.metrics.metric import TRANSLATION_METRICS, Scores


def score_translations(hypotheses: Sequence[str], references: Sequence[str], *, target_language: str) -> Scores:
    """Score translations against one reference each.

    Args:
        hypotheses: the translations, as a reader would want them: cased, not tokenised.
        references: the reference of each.
        target_language: ISO 639-1 code such as ``de``; it chooses the tokens in which translations are compared.

    Raises:
        DataError: the lengths differ, the corpus is empty, or a reference is a list.
    """
    count = check_same_length(hypotheses=hypotheses, references=references)
    check_one_reference_each(references)
    found = {
        name: TRANSLATION_METRICS[name].compute(hypotheses, references, target_language) for name in TRANSLATION_METRICS
    }
    first = next(iter(found))
    signatures = {"signature" if name == first else f"{name}_signature": each for name, (_, each) in found.items()}
    return Scores(count, {name: score for name, (score, _) in found.items()}, signatures)


def check_one_reference_each(references: Sequence[str]) -> None:
    """Refuse references that are lists, which captions have and translations have not.

    Raises:
        DataError: names the position of the first such reference.
    """
    for position, reference in enumerate(references):
        if not isinstance(reference, str):
            raise DataError(
                f"the reference of item {position} is a {type(reference).__name__}",
                allowed="one string for every translation",
            )
