"""How fast the ``attend`` decoder trains: forward, backward and optimizer step on batches of ragged captions.

    python benchmarks/training.py --regions 49 --dim 1280
    python benchmarks/training.py --dim 1280 --bridge 512 --precision bfloat16 --threads 1

Side by side, taking turns: ``compiled`` (this package, as a recipe with ``compile: true`` trains), ``fused`` (the same
without a compiler), ``reference`` (the same model with every fused path switched off), ``plain`` (compact plain
PyTorch, see :mod:`plain`) and ``textbook`` (see :mod:`textbook`), which takes one caption of each image for its batch,
as tutorials do. Sizes, captions, threads and the optimizer are equal; tokens are real tokens.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from inputs import Captions, caption_batches
from measure import (
    CLOCKS,
    Clock,
    Work,
    compiled_paths,
    count_operations,
    fused_paths,
    interleaved,
    kept_bytes,
    matrix_product,
    peak_bytes,
)
from plain import PlainAttend
from regard.annotations import Annotations
from regard.cli.memory import hold_memory
from regard.data.batching import CaptionBatch
from regard.decoders.attend import AttendDecoder, AttendSettings
from regard.evaluation.compare.machine import describe_machine, describe_versions
from regard.fast import for_training
from regard.model import Bridge, BridgeSettings
from regard.training.losses import cross_entropy, real_tokens
from textbook import TextbookDecoder

Way = Literal["compiled", "fused", "reference", "plain", "textbook"]
WAYS: tuple[Way, ...] = ("compiled", "fused", "reference", "plain", "textbook")
SMOOTHING = 0.1


@dataclass(frozen=True)
class Setup:
    """Sizes and conditions of one comparison."""

    regions: int = 49
    dim: int = 1280
    bridge: int = 0
    hidden: int = 512
    images: int = 40
    captions: int = 5
    batches: int = 1
    dropout: float = 0.5
    embedding_dropout: float = 0.0
    precision: Literal["float32", "bfloat16"] = "float32"
    threads: int = 2
    device: str = "cpu"


class Contestant(NamedTuple):
    """One way to train: its model, the loss of each batch, how many real tokens these have, what holds meanwhile."""

    model: nn.Module
    losses: Sequence[Callable[[], Tensor]]
    num_tokens: int
    condition: Callable[[], AbstractContextManager[None]]


Loss = Callable[[Tensor, CaptionBatch], Tensor]
"""Of annotations behind the bridge [batch, position, dim]."""


def ours(setup: Setup, vocabulary: int) -> tuple[nn.Module, Loss]:
    """The decoder of this package."""
    settings = AttendSettings(
        embedding=setup.hidden,
        hidden=setup.hidden,
        attention=setup.hidden,
        dropout=setup.dropout,
        embedding_dropout=setup.embedding_dropout,
    )
    decoder = AttendDecoder(settings, dim=setup.bridge or setup.dim, vocabulary_size=vocabulary)

    def loss(values: Tensor, batch: CaptionBatch) -> Tensor:
        real = real_tokens(batch.lengths, batch.tokens.shape[2])
        trace = for_training(decoder).trace(Annotations(values), batch.tokens, batch.lengths)
        return cross_entropy(decoder, trace, batch.targets, real, label_smoothing=SMOOTHING)[0]

    return decoder, loss


def plain(setup: Setup, vocabulary: int) -> tuple[nn.Module, Loss]:
    """Compact plain PyTorch."""
    dim = setup.bridge or setup.dim
    decoder = PlainAttend(dim=dim, hidden=setup.hidden, vocabulary=vocabulary, dropout=setup.dropout)

    def loss(values: Tensor, batch: CaptionBatch) -> Tensor:
        real = real_tokens(batch.lengths, batch.tokens.shape[2])
        logits = decoder(values, batch.tokens, real)
        return nn.functional.cross_entropy(logits.float(), batch.targets[real], label_smoothing=SMOOTHING)

    return decoder, loss


def textbook(setup: Setup, vocabulary: int) -> tuple[nn.Module, Loss]:
    """The decoder of tutorials, on the captions of :func:`one_each` sorted by length."""
    dim = setup.bridge or setup.dim
    decoder = TextbookDecoder(dim=dim, hidden=setup.hidden, vocabulary=vocabulary, dropout=setup.dropout)

    def loss(values: Tensor, batch: CaptionBatch) -> Tensor:
        lengths, order = batch.lengths[:, 0].sort(descending=True, stable=True)
        tokens, targets = batch.tokens[order, 0], batch.targets[order, 0]
        real = real_tokens(lengths, tokens.shape[1])
        logits = decoder(values[order], tokens, lengths)
        return nn.functional.cross_entropy(logits[real].float(), targets[real], label_smoothing=SMOOTHING)

    return decoder, loss


BUILDERS: dict[Way, Callable[[Setup, int], tuple[nn.Module, Loss]]] = {
    "compiled": ours,
    "fused": ours,
    "reference": ours,
    "plain": plain,
    "textbook": textbook,
}
CONDITIONS: dict[Way, Callable[[], AbstractContextManager[None]]] = {
    "compiled": compiled_paths,
    "fused": partial(fused_paths, on=True),
    "reference": partial(fused_paths, on=False),
    "plain": nullcontext,
    "textbook": nullcontext,
}


def one_each(batch: CaptionBatch) -> CaptionBatch:
    """One caption of each image: the longest of the first, the second longest of the next, and so on in turn."""
    images = torch.arange(len(batch))
    chosen = (images, images % batch.tokens.shape[1])
    tokens, targets, lengths = (each[chosen].unsqueeze(1) for each in (batch.tokens, batch.targets, batch.lengths))
    return CaptionBatch(batch.order, tokens, targets, lengths)


def contestant(way: Way, setup: Setup, captions: Captions) -> Contestant:
    """A way with its own model, on the captions and the features that are the same for all."""
    torch.manual_seed(0)
    features = torch.randn(setup.images, setup.regions, setup.dim).to(setup.device)
    decoder, loss_of = BUILDERS[way](setup, captions.vocabulary)
    bridge = Bridge(BridgeSettings(dim=setup.bridge), dim=setup.dim) if setup.bridge else nn.Identity()
    batches = [one_each(batch) if way == "textbook" else batch for batch in captions.batches]

    def loss(batch: CaptionBatch) -> Tensor:
        values = bridge(features)
        with torch.autocast(setup.device, torch.bfloat16, enabled=setup.precision == "bfloat16"):
            return loss_of(values, batch)

    model = nn.ModuleList([decoder, bridge]).to(setup.device)
    losses = [partial(loss, batch.to(setup.device)) for batch in batches]
    return Contestant(model, losses, sum(batch.num_tokens for batch in batches), CONDITIONS[way])


def training_round(entered: Contestant) -> Callable[[], None]:
    """For every batch: loss, gradient, clipping and AdamW, fused as our training has it."""
    parameters = list(entered.model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, fused=True)

    def steps() -> None:
        with entered.condition():
            for loss in entered.losses:
                optimizer.zero_grad(set_to_none=True)
                torch.autograd.backward(loss())
                nn.utils.clip_grad_norm_(parameters, 5.0)
                optimizer.step()

    return steps


def memory(way: Way, setup: Setup, captions: Captions) -> tuple[int, int | None]:
    """Bytes that the forward pass of the last batch keeps, and the peak of a whole step on it."""
    torch.set_num_threads(setup.threads)
    entered = contestant(way, setup, captions)
    last = entered._replace(losses=entered.losses[-1:])
    step = training_round(last)
    step()
    with entered.condition():
        kept = kept_bytes(last.losses[0], last.model)
    return kept, peak_bytes(step)


def memory_apart(way: Way, setup: Setup, captions: Captions) -> tuple[int, int | None]:
    """:func:`memory` in a process of its own, which has forgotten nothing and freed nothing."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(memory, (way, setup, captions))


def compare(setup: Setup, ways: list[Way], *, repetitions: int, clock: Clock) -> None:
    """Measure all ways and print a table."""
    torch.set_num_threads(setup.threads)
    captions = caption_batches(images=setup.images, captions=setup.captions, batches=setup.batches)
    entered = {way: contestant(way, setup, captions) for way in ways}
    rounds: dict[str, Work] = {way: training_round(each) for way, each in entered.items()}
    product, product_operations = matrix_product(getattr(torch, setup.precision))
    seconds = interleaved({**rounds, "product": product}, repetitions=repetitions, clock=clock)
    rate = product_operations / seconds["product"]
    print(
        f"{describe_machine()}, {describe_versions()}; products at {rate / 1e9:.0f} GFLOP/s; "
        f"{clock} clock, {repetitions} repetitions"
    )
    print(f"{setup}\n{captions.num_tokens} tokens of {captions.origin}\n")
    print(f"{'way':10}{'tokens/s':>10}{'ratio':>8}{'GFLOP':>8}{'of peak':>9}{'kept MB':>9}{'peak MB':>9}")
    speeds = {way: entered[way].num_tokens / seconds[way] for way in ways}
    for way in ways:
        operations = count_operations(rounds[way])
        kept, peak = memory_apart(way, setup, captions)
        print(
            f"{way:10}{speeds[way]:10,.0f}{speeds[way] / speeds[ways[-1]]:8.2f}"
            f"{operations / 1e9:8.1f}{operations / seconds[way] / rate:9.0%}"
            f"{kept / 1e6:9.0f}{'-' if peak is None else f'{peak / 1e6:.0f}':>9}"
        )


def main() -> None:
    """Read the options and compare."""
    hold_memory(training=True)  # read with the first tensor
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    sizes = {"regions": 49, "dim": 1280, "bridge": 0, "hidden": 512, "images": 40, "captions": 5, "batches": 1}
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
