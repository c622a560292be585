"""Rows: captions from cached features by beam search."""

from __future__ import annotations

import torch
from torch import Tensor

from measure import count_operations, interleaved, matrix_product
from plain import PlainAttend
from regard.annotations import Annotations
from regard.decoders.attend import AttendDecoder, AttendSettings
from regard.search import SearchOptions, SpecialTokens, search
from rows import Conditions, Outcome, Row
from textbook import TextbookDecoder, search_one

WORK = "caption from cached features, beam 5, 22 steps"
PLAIN, TEXTBOOK = "plain PyTorch, batched", "textbook, one image at a time"
BEAM, STEPS, BATCH = 5, 22, 50
REGIONS, DIM, HIDDEN, VOCABULARY = 49, 1280, 512, 2543


def measure(conditions: Conditions) -> Outcome:
    """Images a second."""
    return measure_on(torch.randn(10 if conditions.quick else 100, REGIONS, DIM), conditions)


def measure_on(features: Tensor, conditions: Conditions, *, hidden: int = HIDDEN) -> Outcome:
    """The same of these features [image, position, dim]."""
    torch.set_num_threads(conditions.threads)
    torch.manual_seed(0)
    dim, few = features.shape[2], features[: max(1, len(features) // 10)]
    decoder = build(dim=dim, hidden=hidden)
    copy = PlainAttend.copy_of(decoder, dim=dim).eval()
    textbook = TextbookDecoder(dim=dim, hidden=hidden, vocabulary=VOCABULARY, dropout=0.0).eval()
    product, product_operations = matrix_product(torch.float32)

    def ours() -> None:
        caption(decoder, features)

    def plain() -> None:
        for first in range(0, len(features), BATCH):
            copy.search(features[first : first + BATCH], beam=BEAM, most=STEPS, least=STEPS)

    def one_at_a_time() -> None:
        for image in few:
            search_one(textbook, image, beam=BEAM, most=STEPS, least=STEPS)

    turns = {"ours": ours, PLAIN: plain, TEXTBOOK: one_at_a_time, "product": product}
    seconds = interleaved(turns, repetitions=conditions.repetitions)
    counts = {"ours": len(features), PLAIN: len(features), TEXTBOOK: len(few)}
    speeds = {name: count / seconds[name] for name, count in counts.items()}
    rate = product_operations / seconds["product"]
    share = count_operations(ours) / seconds["ours"] / rate
    rows = [
        Row(work=WORK, peer=peer, unit="images/s", ours=speeds["ours"], theirs=speeds[peer], share=share)
        for peer in (PLAIN, TEXTBOOK)
    ]
    fact = (
        f"Caption from cached features: {features.shape[1]} × {dim}, hidden {hidden}, vocabulary {VOCABULARY:,}, "
        f"batches of {BATCH}; weights are random, so the end is forbidden and every caption has {STEPS} words, on all "
        "sides"
    )
    return Outcome(rows, [], [fact], rate)


def build(*, dim: int, hidden: int = HIDDEN) -> AttendDecoder:
    """``attend`` with random weights."""
    settings = AttendSettings(embedding=hidden, hidden=hidden, attention=hidden)
    return AttendDecoder(settings, dim=dim, vocabulary_size=VOCABULARY).eval()


def caption(
    decoder: AttendDecoder, features: Tensor, *, beam: int = BEAM, steps: int = STEPS, batch: int = BATCH
) -> None:
    """Search for captions of exactly ``steps`` words."""
    options = SearchOptions(beam=beam, min_length=steps, max_length=steps, length_normalisation=0.0)
    for first in range(0, len(features), batch):
        search(decoder, Annotations(features[first : first + batch]), options, tokens=SpecialTokens())
