"""Learning to translate: sentence pairs, subwords, batches by token count, and validation by real search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from regard.annotations import Annotations
from regard.data.batching import bucketed_batches, pad_sources
from regard.data.parallel import SentencePairs, read_parallel
from regard.metrics import score_translations
from regard.model import EncoderDecoder
from regard.search import SearchOptions, SpecialTokens, search
from regard.text import SubwordCodec
from regard.training.progress import Progress
from regard.training.recipe import Phase, TranslationData
from regard.training.task import Task

SEARCH_BATCH = 64
"""Sentences of like length searched together in validation."""


class TranslationTask(Task):
    """Everything that is particular to translation.

    Args:
        settings: where the pairs lie and how they are cut into pieces.
        seed: of the order.
        codec: an existing one, when a run goes on; otherwise it is learned from the training pairs.

    Raises:
        DataError: the data cannot be used.
    """

    def __init__(self, settings: TranslationData, *, seed: int, codec: SubwordCodec | None = None) -> None:
        self.settings, self.seed = settings, seed
        train = self._read(settings.train).without_empty()
        self.validation = self._read(settings.validation)
        joined = [*train.sources, *train.targets]
        self.codec = codec or SubwordCodec.train(joined, model=settings.subwords, size=settings.vocabulary)
        self.vocabulary_size = self.source_vocabulary_size = self.codec.size
        pairs = [(self._source(source), list(self.codec.encode(target).ids)) for source, target in train]
        kept = [pair for pair in pairs if max(map(len, pair)) <= settings.max_pieces]
        self.report = f"{train.report}, {len(pairs) - len(kept)} of more than {settings.max_pieces} pieces left out"
        self.sources = [source for source, _ in kept]
        self.captions = [[target] for _, target in kept]

    def prepare(self, model: EncoderDecoder, progress: Progress) -> None:
        progress.say(self.report)

    def batches(self, phase: Phase, *, number: int, epoch: int) -> list[list[int]]:
        targets = [len(target[0]) + 1 for target in self.captions]
        lengths = list(zip(targets, (len(source) for source in self.sources), strict=True))
        size, tokens = (phase.batch, None) if phase.tokens is None else (None, phase.tokens)
        order = bucketed_batches(lengths, seed=self.seed + number, epoch=epoch, batch_size=size, max_tokens=tokens)
        return [batch.tolist() for batch in order]

    def annotate(self, model: EncoderDecoder, inputs: Sequence[int], *, phase: int, epoch: int) -> Annotations:
        return model.annotate(*pad_sources([self.sources[each] for each in inputs]))

    def validate(self, model: EncoderDecoder, options: SearchOptions, progress: Progress) -> dict[str, Any]:
        sources = [self._source(text) for text in self.validation.sources]
        order = sorted(range(len(sources)), key=lambda i: len(sources[i]))
        said = [""] * len(sources)
        progress.start("validation", len(sources))
        for first in range(0, len(order), SEARCH_BATCH):
            chosen = order[first : first + SEARCH_BATCH]
            with torch.inference_mode():
                annotations = model.annotate(*pad_sources([sources[i] for i in chosen]))
            found = search(model.decoder, annotations, options, tokens=SpecialTokens())
            for i, hypotheses in zip(chosen, found, strict=True):
                said[i] = self.codec.decode(hypotheses[0].tokens)
            progress.advance(len(chosen))
        target = self.settings.target
        return score_translations(said, self.validation.targets, target_language=target).as_dict()

    def _read(self, split: str) -> SentencePairs:
        settings = self.settings
        return read_parallel(Path(settings.folder), split, source=settings.source, target=settings.target)

    def _source(self, text: str) -> list[int]:
        return list(self.codec.encode(text, eos=True).ids)
