"""Rows: translating sentences by beam search."""

from __future__ import annotations

import torch

from inputs import Sentences, sentence_batches
from measure import count_operations, interleaved, matrix_product
from peer import Guest
from regard.annotations import Annotations
from regard.decoders.base import Stepper
from regard.decoders.stepping import build_stepper
from regard.search import Hypothesis, SearchOptions, SpecialTokens, search
from rows import Conditions, Outcome, Row
from translation import BEAM, EMBEDDING, HIDDEN, PEER, build, encode, joeynmt, steps_of

WORK = "translate Multi30k val, beam 5"


def measure(conditions: Conditions) -> Outcome:
    """Sentences a second, of the model of :mod:`train_rnnsearch` with random weights."""
    sentences, batches = (8, 2) if conditions.quick else (64, 8)
    return measure_on(sentence_batches("val", sentences=sentences, batches=batches), conditions)


def measure_on(
    sentences: Sentences, conditions: Conditions, *, hidden: int = HIDDEN, embedding: int = EMBEDDING
) -> Outcome:
    """The same on these sentences and with these sizes."""
    torch.set_num_threads(conditions.threads)
    sizes = {"hidden": hidden, "embedding": embedding}
    model, batches, steps = build(sentences.vocabulary, **sizes).eval(), sentences.assembled(), steps_of(sentences)
    stepper = build_stepper(model.decoder)

    def ours() -> None:
        for batch, length in zip(batches, steps, strict=True):
            translate(stepper, encode(model, batch), steps=length)

    product, product_operations = matrix_product(torch.float32)
    with Guest(lambda: joeynmt(sentences, threads=conditions.threads, **sizes)) as guest:
        turns = {"ours": ours, PEER: guest.work("translate"), "product": product}
        seconds = interleaved(turns, repetitions=conditions.repetitions)
    if not guest.reason:
        assert guest.answers["translate"]["steps"] == steps, "both take the same steps"
    count = sum(map(len, sentences.batches))
    rate = product_operations / seconds["product"]
    row = Row(
        work=WORK,
        peer=PEER,
        unit="sentences/s",
        ours=count / seconds["ours"],
        theirs=guest.value(count / seconds[PEER]),
        share=count_operations(ours) / seconds["ours"] / rate,
        missing=guest.reason,
    )
    return Outcome([row], [], [_fact(sentences, steps)], rate)


def translate(stepper: Stepper, annotations: Annotations, *, steps: int) -> list[list[Hypothesis]]:
    """Beam search of exactly ``steps`` words for each sentence."""
    options = SearchOptions(beam=BEAM, min_length=steps, max_length=steps, length_normalisation=0.0)
    return search(stepper, annotations, options, tokens=SpecialTokens())


def _fact(sentences: Sentences, steps: list[int]) -> str:
    return (
        f"Translate: {sum(map(len, sentences.batches))} sentences of {sentences.origin}, in batches of "
        f"{len(sentences.batches[0])} of like length; weights are random, so the end is forbidden and every sentence "
        f"of a batch gets as many words as its references have in the mean ({min(steps)} to {max(steps)}), on both "
        "sides"
    )
