"""Rows: translating sentences by beam search."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from inputs import SentenceBatch, Sentences, data_folder, sentence_batches
from measure import Work, count_operations, interleaved, matrix_product
from peer import Guest
from processes import saved, sharing
from regard.annotations import Annotations
from regard.data.parallel import read_parallel
from regard.decoders.base import Stepper
from regard.fast import encoder_for_search, for_search
from regard.fast.search.lexical_shortlist import SharedTokens, ShortlistStepper
from regard.model import EncoderDecoder
from regard.ops.linear import InferencePrecision
from regard.pipeline import Translator, load_translator
from regard.search import Hypothesis, SearchOptions, SpecialTokens, search
from regard.text import Lexicon
from regard.text.lexicon import learn_translations
from rows import Conditions, Outcome, compared, unmeasured
from translation import BEAM, EMBEDDING, HIDDEN, PEER, build, joeynmt, steps_of

WORK = "translate Multi30k val, beam 5"
SHIPPED = "translate Multi30k val, beam 5, model that ships"
PLAIN = "ours in float32"
MODEL = "multi30k-en-de"


@dataclass(frozen=True)
class Way:
    """One way of ours to translate.

    Attributes:
        precision: of the products.
        shortlist: whether sentences are written in their shortlists.
        processes: whether there is a process of one thread for each thread, instead of one with all threads.
    """

    precision: InferencePrecision = "float32"
    shortlist: bool = False
    processes: bool = False

    @property
    def name(self) -> str:
        """What a row adds to its work; nothing for the plain way."""
        parts = [f"in {self.precision}"] * (self.precision != "float32") + ["with a shortlist"] * self.shortlist
        where = ", in a process for each thread" * self.processes
        return f"{where}, ours {' '.join(parts)}" if parts else where

    def load(self, model: str | Path, *, threads: int) -> Translator:
        """A saved translator in this way, with so many threads in all."""
        workers = threads if self.processes else 1
        return load_translator(
            model, threads=threads, workers=workers, precision=self.precision, shortlist=self.shortlist
        )


PRECISIONS: tuple[InferencePrecision, ...] = ("float32", "bfloat16", "int8")
WAYS = tuple(
    Way(precision, shortlist, processes)
    for processes in (False, True)
    for shortlist in (False, True)
    for precision in PRECISIONS
)
WORKS = {f"{WORK}{way.name}": way for way in WAYS}
SHIPPED_WORKS = {f"{SHIPPED}{way.name}": way for way in WAYS if way != Way()}


def measure(conditions: Conditions) -> Outcome:
    """Sentences a second, by the model of :mod:`train_rnnsearch` with random weights."""
    sentences, batches, learned = (8, 2, 4) if conditions.quick else (64, 8, 450)
    read = sentence_batches("val", sentences=sentences, batches=batches)
    return measure_on(read, conditions, lexicon=learn(sentence_batches("train", sentences=64, batches=learned)))


def measure_shipped(conditions: Conditions) -> Outcome:
    """The same by the model that ships."""
    return shipped_model(16 if conditions.quick else 256, conditions)


def measure_on(
    sentences: Sentences,
    conditions: Conditions,
    *,
    lexicon: Lexicon,
    hidden: int = HIDDEN,
    embedding: int = EMBEDDING,
) -> Outcome:
    """Random weights of these sizes on these sentences."""
    torch.set_num_threads(conditions.threads)
    sizes = {"hidden": hidden, "embedding": embedding}
    model, steps = build(sentences.vocabulary, **sizes).eval(), steps_of(sentences)
    lists = [own for batch in sentences.assembled() for own in own_words(lexicon, batch)]
    alone = {way: translating(model, sentences, way, lexicon) for way in WAYS if not way.processes}
    product, product_operations = matrix_product(torch.float32)
    with (
        Guest(lambda: joeynmt(sentences, threads=conditions.threads, **sizes)) as guest,
        saved(model, sentences, lexicon) as folder,
        ExitStack() as translators,
    ):
        options = [exactly(length) for length in steps]
        works = dict(alone)
        for way in WAYS:
            if way.processes:
                translator = translators.enter_context(way.load(folder, threads=conditions.threads))
                works[way] = sharing(translator, sentences, options)
        turns = {work: works[way] for work, way in WORKS.items()}
        turns |= {PEER: guest.work("translate"), "product": product}
        seconds = interleaved(turns, repetitions=conditions.repetitions)
    if not guest.reason:
        assert guest.answers["translate"]["steps"] == steps, "both take the same steps"
    count = sum(map(len, sentences.batches))
    rate = product_operations / seconds["product"]
    operations = {way: count_operations(work) for way, work in alone.items()}
    # workers do the operations that one process does
    shares = {work: operations[replace(way, processes=False)] / seconds[work] / rate for work, way in WORKS.items()}
    speeds = {name: count / seconds[name] for name in (*WORKS, *([] if guest.reason else [PEER]))}
    rows = compared([(work, PEER) for work in WORKS], speeds, unit="sentences/s", shares=shares, missing=guest.reason)
    facts = [_fact(sentences, steps), _lists_fact(lists, lexicon), _processes_fact(conditions.threads)]
    return Outcome(rows, [], facts, rate)


def shipped_model(count: int, conditions: Conditions) -> Outcome:
    """The first sentences of the split, from text to text; translations end where they end."""
    folder = data_folder("multi30k")
    if folder is None:
        reason = "the sentences of Multi30k are not here"
        return Outcome([row for work in SHIPPED_WORKS for row in unmeasured(work, [PLAIN], reason)])
    torch.set_num_threads(conditions.threads)
    texts = read_parallel(folder, "val", source="en", target="de").sources[:count]
    with ExitStack() as translators:
        turns: dict[str, Work] = {}
        for name, way in {PLAIN: Way(), **SHIPPED_WORKS}.items():
            translator = translators.enter_context(way.load(MODEL, threads=conditions.threads))
            translator.start_workers()
            turns[name] = _reading(translator, texts)
        seconds = interleaved(turns, repetitions=conditions.repetitions)
    speeds = {name: len(texts) / taken for name, taken in seconds.items()}
    rows = compared([(work, PLAIN) for work in SHIPPED_WORKS], speeds, unit="sentences/s", shares={})
    fact = (
        f"Translator that ships: {MODEL} on the first {len(texts)} sentences of Multi30k val, as they come, from text "
        "to text; what the shortlist and the precisions cost in BLEU is in docs/results.md"
    )
    return Outcome(rows, [], [fact])


def _reading(translator: Translator, texts: Sequence[str]) -> Work:
    return lambda: list(translator.translate_many(texts, alternatives=0))


def learn(sentences: Sentences) -> Lexicon:
    """The lexicon of these pairs."""
    pairs = [pair for batch in sentences.batches for pair in batch]
    sources, targets = [source for source, _ in pairs], [target for _, target in pairs]
    size = sentences.vocabulary
    return Lexicon.choose(learn_translations(sources, targets), targets, reads=size, writes=size)


def translating(model: EncoderDecoder, sentences: Sentences, way: Way, lexicon: Lexicon) -> Work:
    """All batches, each sentence with as many words as was said; shortlists are made anew each time."""
    read = encoder_for_search(model.encoder, way.precision)
    stepper = for_search(model.decoder, precision=way.precision)
    shared = SharedTokens(stepper, lexicon.shared.tolist())
    batches, steps = sentences.assembled(), steps_of(sentences)

    @torch.inference_mode()
    def run() -> None:
        for batch, length in zip(batches, steps, strict=True):
            own = ShortlistStepper(shared, own_words(lexicon, batch)) if way.shortlist else stepper
            translate(own, read(batch.sources, batch.source_mask), steps=length)

    return run


def translate(stepper: Stepper, annotations: Annotations, *, steps: int) -> list[list[Hypothesis]]:
    """Beam search of exactly ``steps`` words for each sentence. Special tokens keep their numbers in shortlists."""
    return search(stepper, annotations, exactly(steps), tokens=SpecialTokens())


def exactly(steps: int) -> SearchOptions:
    """Beam search of so many words."""
    return SearchOptions(beam=BEAM, min_length=steps, max_length=steps, length_normalisation=0.0)


def own_words(lexicon: Lexicon, batch: SentenceBatch) -> list[list[int]]:
    """What the pieces of each sentence become."""
    ids = [row[real].tolist() for row, real in zip(batch.sources, batch.source_mask, strict=True)]
    return [lexicon.becomes(each).tolist() for each in ids]


def _fact(sentences: Sentences, steps: list[int]) -> str:
    return (
        f"Translate: {sum(map(len, sentences.batches))} sentences of {sentences.origin}, in batches of "
        f"{len(sentences.batches[0])} of like length; weights are random, so the end is forbidden and every sentence "
        f"of a batch gets as many words as its references have in the mean ({min(steps)} to {max(steps)}), on both "
        "sides; the peer computes in float32 over the whole vocabulary"
    )


def _processes_fact(threads: int) -> str:
    return (
        f"In a process for each thread: {threads} workers of one thread each, as --workers {threads} has them; started "
        "before, as the peer is, and told by pipe what to search, which counts; all other rows, and the peer, are of "
        f"one process with {threads} threads"
    )


def _lists_fact(lists: Sequence[Sequence[int]], lexicon: Lexicon) -> str:
    shared = set(lexicon.shared.tolist())
    lengths = [len(shared | set(own)) for own in lists]
    return (
        f"Shortlists: a lexicon learned from the same data's training pairs gives a sentence "
        f"{sum(lengths) / len(lengths):,.0f} of {lexicon.size:,} subwords in the mean, {len(shared):,} of them shared "
        "by all; what a sentence has of its own is prepared anew for every batch"
    )
