"""ROUGE-L: how much of a reference is found in the hypothesis in the same order, gaps allowed.

Source: Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", §3, with β = 1.2 as in the COCO caption
evaluation (Chen et al. 2015, §3). With the longest common subsequence ``L`` of hypothesis ``h`` and reference ``r``,
the best precision ``P = max L/|h|`` and the best recall ``R = max L/|r|`` over the references are taken one by one:
``F = (1 + β²) P R / (R + β² P)``.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from regard.metrics.bleu import Tokens
from regard.metrics.checks import check_reference_groups, check_same_length
from regard.metrics.metric import CaptionMetric

BETA = 1.2


def common_subsequence_length(first: Tokens, second: Tokens) -> int:
    """The length of the longest common subsequence.

    Bit-parallel: bit i of ``row`` is 0 where the usual table rises at token i of ``first`` (Hyyrö 2004, "Bit-parallel
    LCS-length computation revisited"), so that one pass over ``second`` with integers does a whole row at a time.
    """
    places: dict[Hashable, int] = {}
    for position, token in enumerate(first):
        places[token] = places.get(token, 0) | 1 << position
    full = (1 << len(first)) - 1
    row = full
    for token in second:
        kept = row & places.get(token, 0)
        row = ((row + kept) | (row - kept)) & full
    return len(first) - row.bit_count()


def rouge_l(hypothesis: Tokens, references: Sequence[Tokens]) -> float:
    """ROUGE-L of one hypothesis, between 0 and 1.

    An empty sequence counts as one empty word, as in the COCO caption evaluation: an empty hypothesis scores 0 against
    words, and 1 when a reference is empty too.

    Raises:
        DataError: ``references`` is empty or a string.
    """
    check_reference_groups([references])
    found = hypothesis or ("",)
    precision = recall = 0.0
    for reference in references:
        expected = reference or ("",)
        common = common_subsequence_length(found, expected)
        precision = max(precision, common / len(found))
        recall = max(recall, common / len(expected))
    if not precision:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def corpus_rouge_l(hypotheses: Sequence[Tokens], references: Sequence[Sequence[Tokens]]) -> float:
    """The mean of :func:`rouge_l` over the items.

    Raises:
        DataError: the lengths differ, the corpus is empty, or an item has no reference.
    """
    count = check_same_length(hypotheses=hypotheses, references=references)
    return sum(rouge_l(*pair) for pair in zip(hypotheses, references, strict=True)) / count


ROUGE_L = CaptionMetric(("rouge_l",), "rouge-l:beta-1.2", lambda texts, references: [corpus_rouge_l(texts, references)])
