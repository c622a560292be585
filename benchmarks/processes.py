"""Ours in processes: the package's own workers, one for each thread that all others use, on the same sentences."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from inputs import SPECIALS, Sentences
from measure import Work
from regard.model import EncoderDecoder
from regard.pipeline import Translator
from regard.pipeline.length_buckets import SegmentJob
from regard.saved.bundle import Bundle, save_bundle
from regard.search import SearchOptions
from regard.text import Lexicon, WordTokenizer
from regard.text.vocabulary import Vocabulary


@contextmanager
def saved(model: EncoderDecoder, sentences: Sentences, lexicon: Lexicon) -> Iterator[Path]:
    """A folder from which workers load the model, while it is needed; words are the numbers of their ids."""
    words = Vocabulary([str(number) for number in range(SPECIALS, sentences.vocabulary)])
    tokenizer = WordTokenizer(words, rule="plain")
    bundle = Bundle(model, tokenizer, SearchOptions(), languages=("en", "de"), lexicon=lexicon)
    with tempfile.TemporaryDirectory(prefix="regard-bench-") as folder:
        yield save_bundle(bundle, Path(folder, "model"), precision="float32")


def sharing(translator: Translator, sentences: Sentences, options: Sequence[SearchOptions]) -> Work:
    """All batches, each with options of its own, long ones first; the processes are ready before the first turn."""
    requests = [
        ([SegmentJob((*source,), (), number) for number, (source, _) in enumerate(batch)], each)
        for batch, each in zip(sentences.batches, options, strict=True)
    ]
    translator.start_workers()
    return lambda: list(translator.share(translator.generate_batch, reversed(requests)))
