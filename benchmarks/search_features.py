"""Rows: captions from cached features by beam search."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torch import Tensor

import regard
from inputs import photos
from measure import Work, count_operations, interleaved, matrix_product
from plain import PlainAttend
from regard.annotations import Annotations
from regard.decoders.attend import AttendDecoder, AttendSettings
from regard.decoders.base import Stepper
from regard.encoders.image import ImageEncoder
from regard.fast import for_search
from regard.ops.linear import InferencePrecision
from regard.pipeline.prefetch import PreparedImage, prepare_image
from regard.search import Hypothesis, SearchOptions, SpecialTokens, search
from rows import Conditions, Outcome, compared
from textbook import TextbookDecoder, search_one

WORK = "caption from cached features, beam 5, 22 steps"
SHIPPED = "caption from cached features, beam 5, decoder that ships"
ENDINGS: dict[InferencePrecision, str] = {"float32": "", "bfloat16": ", ours in bfloat16", "int8": ", ours in int8"}
WORKS = {precision: WORK + ending for precision, ending in ENDINGS.items()}
SHIPPED_WORKS = {precision: SHIPPED + ending for precision, ending in ENDINGS.items()}
PLAIN, TEXTBOOK = "plain PyTorch, batched", "textbook, one image at a time"
BEAM, STEPS, BATCH = 5, 22, 50
REGIONS, DIM, HIDDEN, VOCABULARY = 49, 1280, 512, 2543


def measure(conditions: Conditions) -> Outcome:
    """Images a second."""
    torch.set_num_threads(conditions.threads)
    torch.manual_seed(0)
    count = 10 if conditions.quick else 100
    random = random_weights(torch.randn(count, REGIONS, DIM), conditions)
    shipped = trained_weights(*shipped_features(count), conditions)
    return Outcome([*random.rows, *shipped.rows], [], [*random.facts, *shipped.facts], random.rate)


def random_weights(features: Tensor, conditions: Conditions, *, hidden: int = HIDDEN) -> Outcome:
    """Captions of exactly 22 words of features [image, position, dim], ours in three precisions."""
    dim, few = features.shape[2], features[: max(1, len(features) // 10)]
    decoder = build(dim=dim, hidden=hidden)
    textbook = TextbookDecoder(dim=dim, hidden=hidden, vocabulary=VOCABULARY, dropout=0.0).eval()

    def one_at_a_time() -> None:
        for image in few:
            search_one(textbook, image, beam=BEAM, most=STEPS, least=STEPS)

    works: dict[str, Work] = {
        work: captioning(for_search(decoder, precision=precision), features) for precision, work in WORKS.items()
    }
    works |= {PLAIN: plainly(decoder, features), TEXTBOOK: one_at_a_time}
    product, product_operations = matrix_product(torch.float32)
    seconds = interleaved({**works, "product": product}, repetitions=conditions.repetitions)
    rate = product_operations / seconds["product"]
    speeds = {name: (len(few) if name == TEXTBOOK else len(features)) / seconds[name] for name in works}
    shares = {name: count_operations(works[name]) / seconds[name] / rate for name in WORKS.values()}
    pairs = [(WORK, PLAIN), (WORK, TEXTBOOK), (WORKS["bfloat16"], PLAIN), (WORKS["int8"], PLAIN)]
    rows = compared(pairs, speeds, unit="images/s", shares=shares)
    fact = (
        f"Caption from cached features: {features.shape[1]} × {dim}, hidden {hidden}, vocabulary {VOCABULARY:,}, "
        f"batches of {BATCH}; weights are random, so the end is forbidden and every caption has {STEPS} words, on all "
        "sides; the peers compute in float32"
    )
    return Outcome(rows, [], [fact], rate)


def trained_weights(decoder: AttendDecoder, features: Tensor, conditions: Conditions) -> Outcome:
    """Captions that end where they end, found by the same search with the same weights."""
    works: dict[str, Work] = {
        work: captioning(for_search(decoder, precision=precision), features, least=0)
        for precision, work in SHIPPED_WORKS.items()
    }
    works[PLAIN] = plainly(decoder, features, least=0)
    product, product_operations = matrix_product(torch.float32)
    seconds = interleaved({**works, "product": product}, repetitions=conditions.repetitions)
    rate = product_operations / seconds["product"]
    speeds = {name: len(features) / seconds[name] for name in works}
    shares = {name: count_operations(works[name]) / seconds[name] / rate for name in SHIPPED_WORKS.values()}
    pairs = [(work, PLAIN) for work in SHIPPED_WORKS.values()]
    rows = compared(pairs, speeds, unit="images/s", shares=shares)
    fact = (
        f"Decoder that ships: {features.shape[1]} × {features.shape[2]} features of {len(features)} photos, the same "
        "weights on both sides, at most 22 words; captions end where they end, and in float32 both find the same"
    )
    return Outcome(rows, [], [fact])


def shipped_features(count: int) -> tuple[AttendDecoder, Tensor]:
    """The decoder that ships, and what it looks at in photos, [image, position, dim]."""
    captioner = regard.load("flickr8k")
    assert isinstance(captioner, regard.Captioner), "the model that ships describes pictures"
    model = captioner.bundle.model
    assert isinstance(model.encoder, ImageEncoder), "which it sees"
    assert isinstance(model.decoder, AttendDecoder), "and looks at"
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        pictures = [prepare_image(path, model.encoder) for path in photos(count, made_in=Path(folder))[0]]
        pixels = torch.stack([torch.as_tensor(each.pixels) for each in pictures if isinstance(each, PreparedImage)])
        return model.decoder, torch.cat([model.annotate(batch).values for batch in torch.split(pixels, 16)])


def build(*, dim: int, hidden: int = HIDDEN) -> AttendDecoder:
    """``attend`` with random weights."""
    settings = AttendSettings(embedding=hidden, hidden=hidden, attention=hidden)
    return AttendDecoder(settings, dim=dim, vocabulary_size=VOCABULARY).eval()


def captioning(
    stepper: Stepper, features: Tensor, *, beam: int = BEAM, most: int = STEPS, least: int | None = None
) -> Work:
    """Our search; captions have exactly ``most`` words unless ``least`` says otherwise."""
    options = SearchOptions(
        beam=beam, min_length=most if least is None else least, max_length=most, length_normalisation=0.0
    )

    def run() -> list[list[Hypothesis]]:
        return [
            found
            for batch in torch.split(features, BATCH)
            for found in search(stepper, Annotations(batch), options, tokens=SpecialTokens())
        ]

    return run


def plainly(
    decoder: AttendDecoder, features: Tensor, *, beam: int = BEAM, most: int = STEPS, least: int | None = None
) -> Work:
    """The search of plain PyTorch with the same weights."""
    copy = PlainAttend.copy_of(decoder, dim=features.shape[2]).to(features.device).eval()
    shortest = most if least is None else least

    def run() -> list[list[int]]:
        return [
            words
            for batch in torch.split(features, BATCH)
            for words in copy.search(batch, beam=beam, most=most, least=shortest)
        ]

    return run
