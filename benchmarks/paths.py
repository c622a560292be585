"""The gain of every fast path over the plain one, measured on its own: ``python benchmarks/paths.py [NAME ...]``.

Both sides take turns in one thread, and medians of the processor's time are compared, which other work on the machine
hardly disturbs. The table in src/regard/fast/README.md holds the figures.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import nn

from regard.annotations import Annotations
from regard.decoders import Decoder, build_decoder
from regard.decoders.attend import AttendSettings
from regard.decoders.luong import LuongSettings
from regard.decoders.rnnencdec import RnnEncDecSettings
from regard.decoders.rnnsearch import RnnSearchSettings
from regard.decoders.single_vector import FeedbackSettings, RepeatSettings
from regard.decoders.transformer import TransformerDecoderSettings
from regard.encoders import build_text_encoder
from regard.encoders.image import ImageEncoder, ImageEncoderSettings
from regard.encoders.recurrent import RecurrentSettings
from regard.fast import encoder_for_search, encoder_for_training, for_sampling, for_search, for_training
from regard.ops.cpu.compiled import compiled_ops
from regard.ops.cross_entropy import linear_cross_entropy
from regard.ops.dropout import dropout
from regard.ops.linear import inference_linear
from regard.search import SearchOptions, SpecialTokens, search
from regard.search.rollouts import sample_captions

DIM, HIDDEN, VOCABULARY = 512, 512, 4000
BATCH, ROWS, TIME, POSITIONS = 8, 5, 14, 49
TURNS, SECONDS = 9, 12.0
"""Turns of each side, and the processor seconds after which there are no more."""

SIZES = {"embedding": HIDDEN, "hidden": HIDDEN}
DECODERS = {
    "attend": AttendSettings(**SIZES, attention=HIDDEN, dropout=0.0),
    "attend, hard": AttendSettings(**SIZES, attention=HIDDEN, dropout=0.0, kind="hard"),
    "rnnsearch": RnnSearchSettings(**SIZES, attention=HIDDEN, readout=256),
    "rnnencdec": RnnEncDecSettings(**SIZES, readout=256),
    "luong": LuongSettings(**SIZES, score="additive", attention=HIDDEN),
    "luong without input feeding": LuongSettings(**SIZES, input_feeding=False),
    "repeat": RepeatSettings(hidden=HIDDEN, dropout=0.0),
    "feedback": FeedbackSettings(**SIZES, dropout=0.0),
    "transformer": TransformerDecoderSettings(dim=256, layers=3, heads=4, feed_forward=1024),
}

Work = Callable[[], object]


def decoder(name: str) -> Decoder:
    torch.manual_seed(0)
    return build_decoder(DECODERS[name], dim=DIM, vocabulary_size=VOCABULARY)


def annotations() -> Annotations:
    return Annotations(torch.randn(BATCH, POSITIONS, DIM, generator=torch.Generator().manual_seed(1)))


def training(name: str) -> tuple[Work, Work]:
    """A teacher-forced pass and its gradient, of captions of 4 to 14 tokens."""
    made, seen = decoder(name).train(), annotations()
    lengths = torch.randint(4, TIME + 1, (BATCH, ROWS), generator=torch.Generator().manual_seed(2))
    lengths = lengths.sort(dim=1, descending=True).values
    tokens = torch.randint(4, VOCABULARY, (BATCH, ROWS, TIME), generator=torch.Generator().manual_seed(3))

    def work(teacher: object) -> Work:
        return lambda: teacher.trace(seen, tokens, lengths).readouts.sum().backward()

    return work(for_training(made)), work(made)


def searching(name: str) -> tuple[Work, Work]:
    """A beam search of 14 tokens."""
    made, seen = decoder(name).eval().requires_grad_(False), annotations()
    options = SearchOptions(beam=5, max_length=TIME, min_length=TIME)
    fast = for_search(made)

    def work(stepper: object) -> Work:
        return lambda: search(stepper, seen, options, tokens=SpecialTokens())

    return work(fast), work(PlainSteps(made))


class PlainSteps:
    """The decoder itself, which search would replace by its twin."""

    def __init__(self, decoder: Decoder) -> None:
        self.vocabulary_size, self.start, self.step = decoder.vocabulary_size, decoder.start, decoder.step


def reading(settings: RecurrentSettings) -> tuple[Work, Work]:
    """An encoder of sentences of 4 to 14 tokens, with its gradient."""
    torch.manual_seed(0)
    encoder = build_text_encoder(settings, vocabulary_size=VOCABULARY)
    tokens = torch.randint(4, VOCABULARY, (32, TIME), generator=torch.Generator().manual_seed(2))
    mask = torch.arange(TIME) < torch.randint(4, TIME + 1, (32, 1), generator=torch.Generator().manual_seed(3))
    mask[0] = True

    def work(read: Callable[..., Annotations]) -> Work:
        def run() -> None:
            read(tokens, mask).values.sum().backward()

        return run

    return work(encoder_for_training(encoder)), work(encoder)


def pictures() -> tuple[Work, Work]:
    """The network that ships, on four photos."""
    torch.manual_seed(0)
    encoder = ImageEncoder(ImageEncoderSettings(name="efficientnet_lite2", size=224, weights=None)).eval()
    pixels = torch.randint(0, 256, (4, 224, 224, 3), dtype=torch.uint8)
    fast = encoder_for_search(encoder)
    return torch.inference_mode()(lambda: fast(pixels)), torch.inference_mode()(lambda: encoder(pixels))


def lower_precision(precision: str) -> tuple[Work, Work]:
    """A beam search in a lower precision, beside the same in float32."""
    made, seen = decoder("attend").eval().requires_grad_(False), annotations()
    options = SearchOptions(beam=5, max_length=TIME, min_length=TIME)
    low, full = for_search(made, precision), for_search(made)
    tokens = SpecialTokens()
    return lambda: search(low, seen, options, tokens=tokens), lambda: search(full, seen, options, tokens=tokens)


def compiled() -> tuple[Work, Work]:
    """The scan of ``attend`` with compiled operations, beside the scan without."""
    fast, _ = training("attend")

    def run() -> None:
        with compiled_ops():
            fast()

    return run, fast


def sampling() -> tuple[Work, Work]:
    """Five random captions of each picture."""
    made, seen = decoder("attend").eval().requires_grad_(False), annotations()

    def work(module: Decoder) -> Work:
        generator = torch.Generator().manual_seed(4)
        options = {"tokens": SpecialTokens(), "max_length": TIME, "generator": generator}
        return lambda: sample_captions(module, seen, ROWS, **options)

    plain = decoder("attend").eval().requires_grad_(False)
    plain.__class__ = type("Unknown", (type(plain),), {})
    assert for_sampling(plain) is plain, "a class that no path knows"
    return work(made), work(plain)


def products() -> tuple[Work, Work]:
    """A product of the hypotheses of one step of a search, with a packed matrix."""
    x, layer = torch.randn(BATCH * ROWS, HIDDEN), nn.Linear(HIDDEN, 4 * HIDDEN).requires_grad_(False)
    packed = inference_linear(layer.weight, layer.bias, precision="float32")
    return lambda: packed(x), lambda: layer(x)


def masks() -> tuple[Work, Work]:
    """Dropout on the readouts of one step of training."""
    x = torch.randn(400, HIDDEN, requires_grad=True)
    return (
        lambda: dropout(x, 0.5, training=True).sum().backward(),
        lambda: nn.functional.dropout(x, 0.5).sum().backward(),
    )


def vocabulary_loss() -> tuple[Work, Work]:
    """The output layer and its cross-entropy, of the tokens of one step of training."""
    readouts, layer = torch.randn(400, HIDDEN, requires_grad=True), nn.Linear(HIDDEN, VOCABULARY)
    targets, weights = torch.randint(0, VOCABULARY, (400,)), torch.full((400,), 1 / 400)

    def fused() -> None:
        loss, _ = linear_cross_entropy(
            readouts, targets, weight=layer.weight, bias=layer.bias, token_weights=weights, label_smoothing=0.1
        )
        loss.backward()

    return fused, lambda: nn.functional.cross_entropy(layer(readouts), targets, label_smoothing=0.1).backward()


GRU = RecurrentSettings(embedding=512, hidden=512)
PATHS: dict[str, Callable[[], tuple[Work, Work]]] = {
    **{f"train {name}": lambda name=name: training(name) for name in DECODERS},
    "train the recurrent encoder": lambda: reading(GRU),
    **{f"search {name}": lambda name=name: searching(name) for name in DECODERS if name != "attend, hard"},
    "search in bfloat16": lambda: lower_precision("bfloat16"),
    "search in int8": lambda: lower_precision("int8"),
    "read pictures": pictures,
    "sample": sampling,
    "compiled operations": compiled,
    "linear layers": products,
    "dropout": masks,
    "cross-entropy": vocabulary_loss,
}


def median_ratio(fast: Work, plain: Work) -> float:
    """How many times as long the plain path takes."""
    times: tuple[list[float], list[float]] = ([], [])
    end = time.process_time() + SECONDS
    fast(), plain()
    for _ in range(TURNS):
        for work, found in zip((fast, plain), times, strict=True):
            began = time.process_time()
            work()
            found.append(time.process_time() - began)
        if time.process_time() > end:
            break
    return statistics.median(times[1]) / statistics.median(times[0])


def main() -> None:
    """Measure the paths whose names begin as given, or all."""
    torch.set_num_threads(1)
    for name, work in PATHS.items():
        if len(sys.argv) == 1 or name.startswith(tuple(sys.argv[1:])):
            print(f"{name:32} {median_ratio(*work()):5.2f} ×", flush=True)


if __name__ == "__main__":
    main()
