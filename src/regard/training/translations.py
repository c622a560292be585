"""Learning to translate: sentence pairs, subwords, batches by token count, and validation by real search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from regard.annotations import Annotations
from regard.data.augmentation import AugmentedPairs
from regard.data.batching import bucketed_batches, pad_sources
from regard.data.encoding import EncodedPairs, encode_pairs
from regard.data.parallel import SentencePairs, read_parallel
from regard.errors import DataError
from regard.fast import encoder_for_search, encoder_for_training
from regard.metrics import score_translations
from regard.model import EncoderDecoder
from regard.progress import Progress
from regard.search import SearchOptions, SpecialTokens, search
from regard.text import SubwordTokenizer, Tokenizer, train_tokenizer
from regard.text.source_words import SourceWords
from regard.text.vocabulary import EOS
from regard.training.device import to_device
from regard.training.distributed import gather, own_share
from regard.training.recipe import Phase, TranslationData
from regard.training.task import Task

SEARCH_BATCH = {"cpu": 64, "cuda": 512}
"""Sentences of like length searched together in validation, by device; a GPU takes many in the time of few."""


class TranslationTask(Task):
    """Everything that is particular to translation.

    Args:
        settings: where the pairs lie and how they are cut into pieces.
        seed: of the order.
        tokenizers: existing ones of source and target, when a run goes on; otherwise they are learned from the training
            pairs. One tokenizer for both languages stands in both places.

    Raises:
        DataError: the data cannot be used, or no pair is fit to learn from.
    """

    def __init__(
        self, settings: TranslationData, *, seed: int, tokenizers: tuple[Tokenizer, Tokenizer] | None = None
    ) -> None:
        self.settings, self.seed = settings, seed
        self._train = train = self._read(settings.train).without_empty()
        self.validation = self._read(settings.validation)
        self.source_tokenizer, self.tokenizer = tokenizers or _train_tokenizers(settings, train)
        self.source_vocabulary_size, self.vocabulary_size = self.source_tokenizer.size, self.tokenizer.size
        self.source_words = SourceWords.learn(train.sources, self.validation.sources)
        self._plain = encode_pairs(train, source=self.source_tokenizer, target=self.tokenizer, limits=settings.lengths)
        if not self._plain:
            raise DataError(f"{self._plain.report}: nothing to learn from", remedy="see data.lengths of the recipe")
        self._show(self._plain)
        self._augmented: dict[float, AugmentedPairs] = {}

    def prepare(self, model: EncoderDecoder, progress: Progress) -> None:
        progress.log(str(self._plain.report))

    def batches(self, phase: Phase, *, number: int, epoch: int) -> list[list[int]]:
        """See :meth:`Task.batches`; from then on inputs are the pairs as this epoch shows them.

        Rewards are judged against the pairs of the data, so only cross-entropy learns from changed ones.
        """
        if self.settings.augmented:
            changes = phase.objective == "cross_entropy"
            self._show(self._augmentation(phase).epoch(number, epoch) if changes else self._plain)
        size, tokens = (phase.batch, None) if phase.tokens is None else (None, phase.tokens)
        order = bucketed_batches(
            self._pairs.lengths, seed=self.seed + number, epoch=epoch, batch_size=size, max_tokens=tokens
        )
        return [batch.tolist() for batch in order]

    def annotate(self, model: EncoderDecoder, inputs: Sequence[int], *, phase: int, epoch: int) -> Annotations:
        padded = pad_sources([self._pairs.sources[each] for each in inputs])
        encode = encoder_for_training(model.encoder)
        return model.bridged(encode(*(to_device(each, model.device) for each in padded)))

    def validate(self, model: EncoderDecoder, options: SearchOptions, progress: Progress) -> dict[str, Any]:
        sources = [self._source(text) for text in self.validation.sources]
        order = sorted(range(len(sources)), key=lambda i: len(sources[i]))
        specials, encode = SpecialTokens.of(self.tokenizer, options), encoder_for_search(model.encoder)
        size = SEARCH_BATCH.get(model.device.type, SEARCH_BATCH["cpu"])
        batches = own_share([order[first : first + size] for first in range(0, len(order), size)])
        texts = []
        progress.start("validation", sum(map(len, batches)))
        for chosen in batches:
            with torch.inference_mode():
                padded = pad_sources([sources[i] for i in chosen])
                annotations = model.bridged(encode(*(each.to(model.device) for each in padded)))
            found = search(model.decoder, annotations, options, tokens=specials)
            texts.append([self.tokenizer.decode(hypotheses[0].tokens) for hypotheses in found])
            progress.advance(len(chosen))
        in_order = [text for batch in gather(texts) for text in batch]
        hypotheses = [text for _, text in sorted(zip(order, in_order, strict=True))]
        target = self.settings.target
        return score_translations(hypotheses, self.validation.targets, target_language=target).as_dict()

    @property
    def validation_inputs(self) -> tuple[str, ...]:
        return self.validation.sources

    @property
    def references(self) -> Sequence[Sequence[Sequence[int]]]:
        return [[target] for target in self._plain.targets]

    def _show(self, pairs: EncodedPairs) -> None:
        """Let these pairs be the training inputs."""
        self._pairs = pairs
        self.captions = [[target] for target in pairs.targets]

    def _augmentation(self, phase: Phase) -> AugmentedPairs:
        """The pairs of the epochs of such a phase."""
        source, target = self.source_tokenizer, self.tokenizer
        assert isinstance(source, SubwordTokenizer), "the settings ask for subwords"
        assert isinstance(target, SubwordTokenizer), "the settings ask for subwords"
        settings = self.settings
        dropout = settings.subword_dropout if phase.subword_dropout else 0.0
        if dropout not in self._augmented:
            self._augmented[dropout] = AugmentedPairs(
                self._train,
                self._plain,
                source=source,
                target=target,
                noise=settings.noise,
                dropout=dropout,
                longest=settings.lengths.longest,
                seed=self.seed,
            )
        return self._augmented[dropout]

    def _read(self, split: str) -> SentencePairs:
        settings = self.settings
        return read_parallel(
            Path(settings.folder),
            split,
            source=settings.source,
            target=settings.target,
            columns=settings.columns,
            strict=settings.strict,
        )

    def _source(self, text: str) -> list[int]:
        return [*self.source_words.encode(self.source_tokenizer, text).ids, EOS]


def _train_tokenizers(settings: TranslationData, pairs: SentencePairs) -> tuple[Tokenizer, Tokenizer]:
    """Of source and target; the same twice where they are joint."""
    if settings.joint:
        joint = train_tokenizer(settings.codec, [*pairs.sources, *pairs.targets])
        return joint, joint
    return train_tokenizer(settings.codec, pairs.sources), train_tokenizer(settings.codec, pairs.targets)
