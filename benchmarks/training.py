"""How fast the ``attend`` decoder trains: forward, backward and optimizer step on batches of ragged captions.

    python benchmarks/training.py --regions 49 --dim 1280
    python benchmarks/training.py --dim 1280 --bridge 512 --precision bfloat16 --threads 1

Side by side, taking turns: ``fused`` (this package), ``plain`` (the same model with every fused path switched off) and
``textbook`` (one copy of the image per caption, keys projected at every word). Sizes, captions and threads are equal;
tokens are real tokens. Captions are random words whose lengths follow those of Flickr8k; an image comes with others of
like length, as in training.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from measure import CLOCKS, Clock, count_operations, interleaved, kept_bytes, matrix_product, peak_bytes, this_machine
from regard.annotations import Annotations
from regard.data.batching import CaptionBatch, assemble_captions
from regard.decoders.attend import AttendDecoder, AttendSettings
from regard.model import Bridge, BridgeSettings
from regard.training.losses import cross_entropy, real_tokens
from textbook import TextbookDecoder

Way = Literal["fused", "plain", "textbook"]
WAYS: tuple[Way, ...] = ("fused", "plain", "textbook")

MEAN_WORDS, DEVIATION, SHORTEST, LONGEST = 10.8, 3.7, 3, 22
"""Of the captions of Flickr8k."""
SMOOTHING = 0.1


@dataclass(frozen=True)
class Setup:
    """Sizes and conditions of one comparison."""

    regions: int
    dim: int
    bridge: int
    hidden: int
    vocabulary: int
    images: int
    captions: int
    dropout: float
    embedding_dropout: float
    precision: Literal["float32", "bfloat16"]
    threads: int


class Contestant(NamedTuple):
    """One way to train: its model, and the loss of the batch."""

    model: nn.Module
    loss: Callable[[], Tensor]


def draw_batch(setup: Setup) -> CaptionBatch:
    """Random captions; the images of a batch have longest captions of like length."""
    generator = torch.Generator().manual_seed(0)
    pool = torch.randn(10 * setup.images, setup.captions, generator=generator) * DEVIATION + MEAN_WORDS
    lengths = pool.round().long().clamp(SHORTEST, LONGEST)
    order = lengths.amax(dim=1).argsort()
    middle = (len(order) - setup.images) // 2
    often = 1 / torch.arange(1, setup.vocabulary + 1, dtype=torch.float64)  # words follow Zipf's law

    def words(count: int) -> list[int]:
        drawn: list[int] = torch.multinomial(often, count, replacement=True, generator=generator).tolist()
        return drawn

    chosen = lengths[order[middle : middle + setup.images]].tolist()
    return assemble_captions([[words(count) for count in image] for image in chosen])


def ours(setup: Setup, features: Tensor, batch: CaptionBatch, *, fused: bool) -> Contestant:
    """The decoder of this package."""
    dim = setup.bridge or setup.dim
    settings = AttendSettings(
        embedding=setup.hidden,
        hidden=setup.hidden,
        attention=setup.hidden,
        dropout=setup.dropout,
        embedding_dropout=setup.embedding_dropout,
    )
    decoder = AttendDecoder(settings, dim=dim, vocabulary_size=setup.vocabulary)
    bridge = Bridge(BridgeSettings(dim=dim), dim=setup.dim) if setup.bridge else nn.Identity()
    real = real_tokens(batch.lengths, batch.tokens.shape[2])

    def loss() -> Tensor:
        os.environ["REGARD_REFERENCE"] = "0" if fused else "1"
        annotations = Annotations(bridge(features))
        with mixed(setup):
            trace = decoder.trace(annotations, batch.tokens, batch.lengths)
            return cross_entropy(decoder, trace, batch.targets, real, label_smoothing=SMOOTHING)[0]

    return Contestant(nn.ModuleList([decoder, bridge]), loss)


def textbook(setup: Setup, features: Tensor, batch: CaptionBatch) -> Contestant:
    """The decoder of tutorials, on the same captions sorted by length."""
    dim = setup.bridge or setup.dim
    decoder = TextbookDecoder(dim=dim, hidden=setup.hidden, vocabulary=setup.vocabulary, dropout=setup.dropout)
    bridge = Bridge(BridgeSettings(dim=dim), dim=setup.dim) if setup.bridge else nn.Identity()
    lengths, order = batch.lengths.flatten().sort(descending=True, stable=True)
    tokens, targets = batch.tokens.flatten(0, 1)[order], batch.targets.flatten(0, 1)[order]
    images = order // batch.tokens.shape[1]
    real = real_tokens(lengths, tokens.shape[1])

    def loss() -> Tensor:
        annotations = bridge(features)[images]
        with mixed(setup):
            logits = decoder(annotations, tokens, lengths)
            return nn.functional.cross_entropy(logits[real].float(), targets[real], label_smoothing=SMOOTHING)

    return Contestant(nn.ModuleList([decoder, bridge]), loss)


def mixed(setup: Setup) -> torch.autocast:
    """Products in the precision asked for."""
    return torch.autocast("cpu", torch.bfloat16, enabled=setup.precision == "bfloat16")


def contestant(way: Way, setup: Setup) -> tuple[Contestant, CaptionBatch]:
    """A way with its own model, on the batch and the features that are the same for all."""
    batch = draw_batch(setup)
    torch.manual_seed(0)
    features = torch.randn(setup.images, setup.regions, setup.dim)
    if way == "textbook":
        return textbook(setup, features, batch), batch
    return ours(setup, features, batch, fused=way == "fused"), batch


def training_step(entered: Contestant) -> Callable[[], None]:
    """Loss, gradient, clipping and AdamW."""
    parameters = list(entered.model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        entered.loss().backward()
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()

    return step


def memory(way: Way, setup: Setup) -> tuple[int, int | None]:
    """Bytes that the forward pass keeps, and the peak of a whole step, in a process of its own."""
    torch.set_num_threads(setup.threads)
    entered, _ = contestant(way, setup)
    return kept_bytes(entered.loss, entered.model), peak_bytes(training_step(entered))


def compare(setup: Setup, ways: list[Way], *, repetitions: int, clock: Clock) -> None:
    """Measure all ways and print a table."""
    torch.set_num_threads(setup.threads)
    entered = {way: contestant(way, setup) for way in ways}
    batch = entered[ways[0]][1]
    steps = {way: training_step(each) for way, (each, _) in entered.items()}
    product = matrix_product(getattr(torch, setup.precision))
    seconds = interleaved({**steps, "product": product}, repetitions=repetitions, clock=clock)
    rate = 2 * 1024**3 / seconds["product"]
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        memories = {way: pool.apply(memory, (way, setup)) for way in ways}
    print(f"{this_machine()}; products at {rate / 1e9:.0f} GFLOP/s; {clock} clock, {repetitions} repetitions")
    print(f"{setup}\n{batch.num_tokens} tokens in {batch.lengths.numel()} captions of {batch.tokens.shape[2]} steps\n")
    print(f"{'way':10}{'tokens/s':>10}{'ratio':>8}{'GFLOP':>8}{'of peak':>9}{'kept MB':>9}{'peak MB':>9}")
    for way in ways:
        operations = count_operations(steps[way])
        kept, peak = memories[way]
        print(
            f"{way:10}{batch.num_tokens / seconds[way]:10,.0f}{seconds[ways[-1]] / seconds[way]:8.2f}"
            f"{operations / 1e9:8.1f}{operations / seconds[way] / rate:9.0%}"
            f"{kept / 1e6:9.0f}{'-' if peak is None else f'{peak / 1e6:.0f}':>9}"
        )


def main() -> None:
    """Read the options and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    sizes = {"regions": 49, "dim": 1280, "bridge": 0, "hidden": 512, "vocabulary": 2543, "images": 40, "captions": 5}
    for name, default in {**sizes, "threads": torch.get_num_threads(), "repetitions": 5}.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{default} unless given")
    parser.add_argument("--dropout", type=float, default=0.5)
    parser.add_argument("--embedding-dropout", type=float, default=0.0)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="ratios are to the last")
    options = vars(parser.parse_args())
    ways, repetitions, clock = options.pop("ways"), options.pop("repetitions"), options.pop("clock")
    compare(Setup(**options), ways, repetitions=repetitions, clock=clock)


if __name__ == "__main__":
    main()
