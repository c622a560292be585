"""The scores of a set of captions, as the captioning field reports them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from regard.metrics.bleu import corpus_bleu
from regard.metrics.checks import check_reference_groups, check_same_length
from regard.metrics.cider import corpus_cider_d
from regard.metrics.meteor import corpus_meteor
from regard.metrics.rouge import corpus_rouge_l
from regard.text.captions import caption_tokens

# Raise it whenever the same captions would get other numbers.
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionScores:
    """Scores of a set of captions, all times 100: a CIDEr-D of 0.58 is 58.0 here.

    Attributes:
        count: the number of captions.
        meteor: ``None`` where it was not asked for.
        signature: how the scores were computed; only scores of equal signature can be compared.
    """

    count: int
    bleu1: float
    bleu2: float
    bleu3: float
    bleu4: float
    cider: float
    rouge_l: float
    meteor: float | None
    signature: str

    def as_dict(self) -> dict[str, int | float | str]:
        """Plain data for JSON; ``meteor`` is there only where it was asked for."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def score_captions(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], *, with_meteor: bool = False
) -> CaptionScores:
    """Score captions against the references of their images.

    Args:
        hypotheses: one caption an image.
        references: the reference captions of each image. The document frequencies of CIDEr-D come from these, so a part
            of a split scores otherwise than the whole, and a single image gets a CIDEr-D of 0.
        with_meteor: run METEOR too, which needs Java.

    Raises:
        DataError: the lengths differ, the corpus is empty, or an image has no reference.
        DependencyError: METEOR was asked for and cannot run here.
    """
    count = check_same_length(hypotheses=hypotheses, references=references)
    check_reference_groups(references)
    spoken = [caption_tokens(hypothesis) for hypothesis in hypotheses]
    written = [[caption_tokens(reference) for reference in group] for group in references]
    bleu1, bleu2, bleu3, bleu4 = (100.0 * score for score in corpus_bleu(spoken, written))
    return CaptionScores(
        count=count,
        bleu1=bleu1,
        bleu2=bleu2,
        bleu3=bleu3,
        bleu4=bleu4,
        cider=100.0 * corpus_cider_d(spoken, written),
        rouge_l=100.0 * corpus_rouge_l(spoken, written),
        meteor=100.0 * corpus_meteor(spoken, written) if with_meteor else None,
        signature=_signature(references, with_meteor=with_meteor),
    )


def _signature(references: Sequence[Sequence[str]], *, with_meteor: bool) -> str:
    sizes = {len(group) for group in references}
    parts = [
        "regard",
        "captions",
        f"refs:{sizes.pop()}" if len(sizes) == 1 else "refs:var",
        "tok:ptb-lower-nopunct",
        "bleu:closest",
        "cider-d:corpus-df",
        "rouge-l:beta-1.2",
        *(["meteor:1.5-en-norm"] if with_meteor else []),
        f"v{_VERSION}",
    ]
    return "|".join(parts)
