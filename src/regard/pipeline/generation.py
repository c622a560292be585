"""What captioning and translating share: a search in ids becomes words, each with its probability and its weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from regard.annotations import Annotations
from regard.decoders import Decoder
from regard.errors import TextError
from regard.fast import for_training
from regard.pipeline.engine import Engine
from regard.results import Alternative
from regard.saved.bundle import Bundle
from regard.search import Hypothesis, SearchOptions, SpecialTokens, search
from regard.text import Tokenizer, WordPieces
from regard.text.vocabulary import BOS, UNK

if TYPE_CHECKING:
    from regard.pipeline.segments import Source

Ids = tuple[int, ...]
MOST_BRANCHES = 256
"""The most next pieces that are tried, which is the largest beam."""
BLOCK = 1024
"""Tokens of given texts of which the logits are held at a time."""


@dataclass(frozen=True)
class ScoredText:
    """A text that a search found.

    Attributes:
        text: as the tokenizer spells it.
        log_probability: of all its pieces, and of its end where it has one.
        length: the number of these.
    """

    text: str
    log_probability: float
    length: int

    def score(self, alpha: float) -> float:
        """What ranks it: log p / length^α (see :mod:`regard.search.finished`)."""
        return self.log_probability / math.pow(max(1, self.length), alpha)


@dataclass(frozen=True)
class NamedConcepts:
    """What the classifier of an encoder saw on one picture, see :mod:`regard.encoders.concepts`.

    Attributes:
        names: the words, the most probable first.
        probabilities: of each.
        maps: float32 [concept, region], where each lies; rows sum to 1.
    """

    names: tuple[str, ...]
    probabilities: tuple[float, ...]
    maps: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Generation:
    """The best text for one input.

    Attributes:
        best: the text.
        others: the other texts that were found, best first, each once.
        words: the words of the best, each with its pieces.
        probabilities: of each word, the product of those of its pieces.
        weights: [piece, position], where the model looked before each piece.
        finished: False where the search ended before the sentence did.
        ids: the pieces of the best; empty for a text that was given.
        concepts: of a picture whose encoder names some; the last positions are theirs.
        novelty: of a picture, how unlike those it is that the model was calibrated on; 0 without a calibration.
    """

    best: ScoredText
    others: tuple[ScoredText, ...]
    words: tuple[WordPieces, ...]
    probabilities: tuple[float, ...]
    weights: npt.NDArray[np.float32]
    finished: bool
    ids: Ids = ()
    concepts: NamedConcepts | None = None
    novelty: float = 0.0

    def alternatives(self, alpha: float) -> tuple[Alternative, ...]:
        """The other texts with their scores."""
        return tuple(Alternative(other.text, other.score(alpha)) for other in self.others)


def generate(
    engine: Engine,
    annotations: Annotations,
    options: SearchOptions,
    *,
    prefixes: Sequence[Ids],
    numbers: Sequence[int],
    own: Sequence[Ids] | None = None,
) -> list[Generation]:
    """Search for each input of a batch.

    Args:
        engine: the model and its tokenizer.
        annotations: of a batch of inputs.
        options: how to search.
        prefixes: the ids with which the text of each input must begin, empty for none.
        numbers: the number of each input among all inputs of the call, for sampling.
        own: the pieces that each text may be made of besides those that the engine shares and those of its prefix;
            None for all.

    Raises:
        ConfigError: a prefix leaves no room for a word, or an option has no effect with a shortlist.
    """
    found = _search(engine, annotations, options, prefixes=prefixes, numbers=numbers, own=own)
    return [_generation(engine.tokenizer, hypotheses) for hypotheses in found]


def generate_streaming(
    engine: Engine,
    annotations: Annotations,
    options: SearchOptions,
    on_words: Callable[[Generation], None],
    *,
    prefix: Ids,
    number: int,
    own: Sequence[Ids] | None = None,
) -> Generation:
    """Search for one input, and report words as soon as no later step can change them.

    Args:
        engine, annotations, options: as for :func:`generate`.
        on_words: called with the text so far whenever it has more words.
        prefix, number, own: of the input, as for :func:`generate`.

    Raises:
        ConfigError: a prefix leaves no room for a word.
    """
    num_words = 0

    def report(_: int, agreed: Hypothesis) -> None:
        nonlocal num_words
        partial = _generation(engine.tokenizer, [_whole_words(engine.tokenizer, agreed)])
        if len(partial.words) > num_words:
            num_words = len(partial.words)
            on_words(partial)

    (found,) = _search(engine, annotations, options, prefixes=[prefix], numbers=[number], own=own, on_agreed=report)
    return _generation(engine.tokenizer, found)


def _search(
    engine: Engine,
    annotations: Annotations,
    options: SearchOptions,
    *,
    prefixes: Sequence[Ids],
    numbers: Sequence[int],
    own: Sequence[Ids] | None,
    on_agreed: Callable[[int, Hypothesis], None] | None = None,
) -> list[list[Hypothesis]]:
    """The hypotheses of each input, in all pieces or in those of its shortlist."""
    specials = SpecialTokens.of(engine.tokenizer, options)
    if own is None:
        return search(
            engine.stepper,
            annotations,
            options,
            tokens=specials,
            prefixes=prefixes,
            numbers=numbers,
            on_agreed=on_agreed,
        )
    from regard.pipeline.shortlist import search_shortlists

    assert engine.shared is not None, "an engine that was asked for shortlists"
    lists = [(*words, *prefix) for words, prefix in zip(own, prefixes, strict=True)]
    return search_shortlists(
        engine.shared,
        lists,
        annotations,
        options,
        tokens=specials,
        prefixes=prefixes,
        numbers=numbers,
        on_agreed=on_agreed,
    )


def _whole_words(tokenizer: Tokenizer, agreed: Hypothesis) -> Hypothesis:
    """A stable prefix up to its last space: further pieces may continue the word behind it."""
    last_space = tokenizer.decode(agreed.tokens).rfind(" ")
    pieces = [max(word.pieces) for word in tokenizer.words(agreed.tokens) if word.span[1] <= last_space]
    length = max(pieces, default=-1) + 1
    return replace(
        agreed,
        tokens=agreed.tokens[:length],
        log_probabilities=agreed.log_probabilities[:length],
        weights=agreed.weights[:length],
    )


def force_decode(bundle: Bundle, annotations: Annotations, targets: Sequence[Source]) -> list[Generation]:
    """What the model makes of texts that are given, one for each input of a batch: nothing is searched.

    Args:
        bundle: the model and its tokenizer.
        annotations: of a batch of inputs.
        targets: the text for each, read as one part; none is empty.
    """
    decoder = bundle.model.decoder
    ids = [target.segments[0].ids for target in targets]
    device = annotations.values.device
    lengths = torch.tensor([[len(each)] for each in ids], device=device)
    written = pad_sequence([torch.tensor(each) for each in ids], batch_first=True).unsqueeze(1).to(device)
    read = torch.cat([torch.full_like(written[..., :1], BOS), written[..., :-1]], dim=-1)
    with torch.inference_mode():
        order = lengths[:, 0].argsort(descending=True, stable=True)
        trace = for_training(decoder).trace(annotations.select(order), read[order], lengths[order])
        real = (torch.arange(written.shape[-1], device=device) < lengths[order]).unsqueeze(1)
        found = torch.zeros(real.shape, device=device)
        found[real] = _log_probabilities(decoder, trace.readouts[real], written[order][real])
        back = order.argsort()
        log_probabilities, weights = found[back, 0].tolist(), trace.weights[back, 0].cpu().numpy()
    return [_forced(*each) for each in zip(targets, log_probabilities, weights, strict=True)]


def _log_probabilities(decoder: Decoder, readouts: Tensor, tokens: Tensor) -> Tensor:
    """Of tokens int64 [token], read from [token, readout_dim]."""
    found = []
    for read, written in zip(torch.split(readouts, BLOCK), torch.split(tokens, BLOCK), strict=True):
        logits = decoder.logits(read).float()
        found.append(logits.gather(-1, written.unsqueeze(-1)).squeeze(-1) - logits.logsumexp(dim=-1))
    return torch.cat(found)


def _forced(target: Source, log_probabilities: Sequence[float], weights: npt.NDArray[np.float32]) -> Generation:
    length = len(target.segments[0].ids)
    return Generation(
        best=ScoredText(target.text, math.fsum(log_probabilities[:length]), length),
        others=(),
        words=target.words,
        probabilities=tuple(_probability(log_probabilities, word) for word in target.words),
        weights=weights[:length],
        finished=True,
    )


def prefix_ids(tokenizer: Tokenizer, prefix: str) -> Ids:
    """The ids of a forced beginning.

    Raises:
        TextError: it holds a word that the model cannot say.
    """
    encoded = tokenizer.encode(prefix)
    if UNK in encoded.ids:
        start, end = encoded.spans[encoded.ids.index(UNK)]
        word = prefix[start:end]
        raise TextError(
            f"the model does not know {word!r:.60}, so it cannot begin with it", remedy="choose other words"
        )
    return encoded.ids


def generate_alternatives(
    engine: Engine,
    annotations: Annotations,
    options: SearchOptions,
    *,
    prefix: Ids,
    count: int,
    own: Sequence[Ids] | None = None,
) -> list[Generation]:
    """Say the same beginning and then go different ways: one text for each of the likeliest next pieces.

    Args:
        engine: the model and its tokenizer.
        annotations: of one input.
        options: how to search after the next piece.
        prefix: the ids of the beginning.
        count: how many pieces to try, of all that there are.
        own: as for :func:`generate`, of this input.

    Returns:
        The texts, the one with the likeliest next piece first.
    """
    # a beam of one token more than the prefix: its hypotheses end with the likeliest next pieces
    specials, length = SpecialTokens.of(engine.tokenizer, options), len(prefix) + 1
    count = min(count, MOST_BRANCHES, engine.tokenizer.size - len(specials.forbidden) - 1)
    next_piece = SearchOptions(beam=count, alternatives=count, min_length=length, max_length=length)
    (found,) = search(engine.stepper, annotations, next_piece, tokens=specials, prefixes=[prefix])
    pieces = [hypothesis.tokens[-1] for hypothesis in found]
    with torch.inference_mode():
        copies = annotations.select(torch.zeros(len(pieces), dtype=torch.long, device=annotations.values.device))
    prefixes = [(*prefix, piece) for piece in pieces]
    lists = None if own is None else [*own] * len(pieces)
    return generate(engine, copies, options, prefixes=prefixes, numbers=range(len(pieces)), own=lists)


def _generation(tokenizer: Tokenizer, hypotheses: Sequence[Hypothesis]) -> Generation:
    best = hypotheses[0]
    words = tuple(tokenizer.words(best.tokens))
    by_text: dict[str, ScoredText] = {}
    for each in hypotheses:
        text = ScoredText(tokenizer.decode(each.tokens), each.log_probability, len(each.tokens) + each.finished)
        by_text.setdefault(text.text, text)
    first, *others = by_text.values()
    return Generation(
        best=first,
        others=tuple(others),
        words=words,
        probabilities=tuple(_probability(best.log_probabilities, word) for word in words),
        weights=best.weights.cpu().numpy(),
        finished=best.finished,
        ids=tuple(best.tokens),
    )


def _probability(log_probabilities: Sequence[float], word: WordPieces) -> float:
    return min(1.0, math.exp(sum(log_probabilities[piece] for piece in word.pieces)))
