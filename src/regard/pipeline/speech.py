"""What captioning and translating share: a search in ids becomes words, each with its probability and its weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regard.annotations import Annotations
from regard.bundle import Bundle
from regard.errors import TextError
from regard.explain.results import Alternative
from regard.search import Hypothesis, SearchOptions, SpecialTokens, search
from regard.text import TextCodec, WordPieces
from regard.text.vocabulary import BOS, EOS, UNK

Ids = tuple[int, ...]


@dataclass(frozen=True)
class Speech:
    """The best text for one input.

    Attributes:
        text: as the codec spells it.
        words: its words, each with its pieces.
        probabilities: of each word, the product of those of its pieces.
        weights: [piece, position], where the model looked before each piece.
        score: what ranked it.
        finished: False where the search ended before the sentence did.
        alternatives: the other texts that were found, best first, each text once.
    """

    text: str
    words: tuple[WordPieces, ...]
    probabilities: tuple[float, ...]
    weights: npt.NDArray[np.float32]
    score: float
    finished: bool
    alternatives: tuple[Alternative, ...]


def speak(
    bundle: Bundle,
    annotations: Annotations,
    options: SearchOptions,
    *,
    prefixes: Sequence[Ids],
    first_number: int = 0,
) -> list[Speech]:
    """Search for each input of a batch.

    Args:
        bundle: the model and its codec.
        annotations: of a batch of inputs.
        options: how to search.
        prefixes: the ids with which the text of each input must begin, empty for none.
        first_number: the number of the first input among all inputs of the call, for sampling.

    Raises:
        ConfigError: a prefix leaves no room for a word.
    """
    found = search(
        bundle.model.decoder,
        annotations,
        options,
        tokens=SpecialTokens(bos=BOS, eos=EOS, forbidden=bundle.codec.forbidden),
        prefixes=prefixes,
        numbers=range(first_number, first_number + len(annotations)),
    )
    return [_speech(bundle.codec, hypotheses) for hypotheses in found]


def prefix_ids(codec: TextCodec, prefix: str) -> Ids:
    """The ids of a forced beginning.

    Raises:
        TextError: it holds a word that the model cannot say.
    """
    encoded = codec.encode(prefix)
    if UNK in encoded.ids:
        start, end = encoded.spans[encoded.ids.index(UNK)]
        given = (
            f"the model does not know the word {prefix[start:end]!r}, so no text of its can begin with {prefix!r:.60}"
        )
        raise TextError(given, remedy="choose another word")
    return encoded.ids


def _speech(codec: TextCodec, hypotheses: Sequence[Hypothesis]) -> Speech:
    best, *others = hypotheses
    words = tuple(codec.words(best.tokens))
    text = codec.decode(best.tokens)
    by_text = {text: best.score}
    for other in others:
        by_text.setdefault(codec.decode(other.tokens), other.score)
    return Speech(
        text=text,
        words=words,
        probabilities=tuple(_probability(best, word) for word in words),
        weights=best.weights.cpu().numpy(),
        score=best.score,
        finished=best.finished,
        alternatives=tuple(Alternative(said, score) for said, score in list(by_text.items())[1:]),
    )


def _probability(hypothesis: Hypothesis, word: WordPieces) -> float:
    return min(1.0, math.exp(sum(hypothesis.log_probabilities[piece] for piece in word.pieces)))
