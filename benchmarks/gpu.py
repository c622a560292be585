"""Rows: training and search on a GPU in bfloat16, where there is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from inputs import Captions, caption_batches
from measure import Work, count_operations, interleaved, matrix_product
from rows import Conditions, Outcome, Row, unmeasured
from search_features import DIM, HIDDEN, REGIONS, build, captioning, plainly
from training import Setup, Way, contestant, training_round

TRAIN, SEARCH = (
    "GPU, bfloat16: train `attend`, 49 × 1280",
    "GPU, bfloat16: caption from cached features, beam 5, 22 steps",
)
PLAIN, LIMIT = "plain PyTorch", "cuDNN's LSTM alone, the limit"
ROWS = {TRAIN: (PLAIN, LIMIT), SEARCH: (PLAIN,)}
IMAGES = 200


def measure(conditions: Conditions) -> Outcome:
    """Real tokens a second in training, images a second in search."""
    if not torch.cuda.is_available():
        return Outcome([row for work, peers in ROWS.items() for row in unmeasured(work, peers, "no GPU here")])
    setup = Setup(batches=3, precision="bfloat16", threads=conditions.threads, device="cuda")
    if conditions.quick:
        setup = replace(setup, images=4, batches=1)
    captions = caption_batches(images=setup.images, captions=setup.captions, batches=setup.batches)
    features = torch.randn(10 if conditions.quick else IMAGES, REGIONS, DIM, device="cuda")
    rows = training_rows(setup, captions, conditions) + search_rows(features, conditions, hidden=HIDDEN)
    return Outcome(rows, [], [f"GPU: {torch.cuda.get_device_name()}"])


def training_rows(setup: Setup, captions: Captions, conditions: Conditions) -> list[Row]:
    """Ours against plain PyTorch and against a recurrent network that does not look."""
    ways: dict[str, Way] = {"ours": "fused", PLAIN: "plain"}
    works: dict[str, Work] = {name: training_round(contestant(way, setup, captions)) for name, way in ways.items()}
    works[LIMIT] = lstm_alone(setup, captions)
    product, product_operations = matrix_product(torch.bfloat16, device=setup.device)
    seconds = interleaved({**works, "product": product}, repetitions=conditions.repetitions)
    share = count_operations(works["ours"]) / seconds["ours"] / (product_operations / seconds["product"])
    speeds = {name: captions.num_tokens / seconds[name] for name in works}
    return [
        Row(work=TRAIN, peer=peer, unit="tokens/s", ours=speeds["ours"], theirs=speeds[peer], share=share)
        for peer in ROWS[TRAIN]
    ]


def lstm_alone(setup: Setup, captions: Captions) -> Work:
    """Forward and backward of an LSTM of the same sizes over the same captions, padded to the longest of a batch."""
    network = nn.LSTM(setup.hidden + setup.dim, setup.hidden, batch_first=True).to(setup.device)
    inputs = [
        torch.randn(*batch.tokens.flatten(0, 1).shape, setup.hidden + setup.dim, device=setup.device)
        for batch in captions.batches
    ]

    def steps() -> None:
        for each in inputs:
            network.zero_grad(set_to_none=True)
            with _mixed(setup.device):
                out, _ = network(each)
            out.float().sum().backward()

    return steps


def search_rows(features: Tensor, conditions: Conditions, *, hidden: int) -> list[Row]:
    """Beam search from features [image, position, dim] that lie on the device."""
    device, dim = features.device.type, features.shape[2]
    decoder = build(dim=dim, hidden=hidden).to(device)

    def mixed(work: Callable[[], object]) -> Work:
        def run() -> None:
            with _mixed(device):
                work()

        return run

    works = {"ours": mixed(captioning(decoder, features)), PLAIN: mixed(plainly(decoder, features))}
    product, product_operations = matrix_product(torch.bfloat16, device=device)
    seconds = interleaved({**works, "product": product}, repetitions=conditions.repetitions)
    share = count_operations(works["ours"]) / seconds["ours"] / (product_operations / seconds["product"])
    speeds = {name: len(features) / seconds[name] for name in works}
    return [Row(work=SEARCH, peer=PLAIN, unit="images/s", ours=speeds["ours"], theirs=speeds[PLAIN], share=share)]


def _mixed(device: str) -> torch.autocast:
    return torch.autocast(device, torch.bfloat16)
