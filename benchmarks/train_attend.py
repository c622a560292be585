"""Rows: training ``attend`` on two grids, and the memory of a step."""

from __future__ import annotations

from dataclasses import replace

import torch

from inputs import Captions, caption_batches
from measure import Work, count_operations, interleaved, matrix_product
from rows import Conditions, Outcome, Row
from training import Setup, Way, contestant, memory_apart, training_round

PEERS: dict[Way, str] = {
    "textbook": "textbook",
    "plain": "plain PyTorch",
    "reference": "ours with REGARD_REFERENCE=1",
}
GRIDS = {"49 × 1280": Setup(regions=49, dim=1280, batches=3), "196 × 2048": Setup(regions=196, dim=2048, batches=1)}
SPEED, PEAK, KEPT = "train `attend`, {}", "memory of that step at its peak, {}", "kept for the backward pass, {}"
MEGABYTE = 1e6


def speed(conditions: Conditions, grid: str) -> Outcome:
    """Real tokens a second, of a model with hidden = attention = 512 on 40 images × 5 captions."""
    setup = _sized(GRIDS[grid], conditions)
    captions = _captions(setup)
    return speed_on(setup, captions, grid, repetitions=conditions.repetitions)


def speed_on(setup: Setup, captions: Captions, grid: str, *, repetitions: int) -> Outcome:
    """The same on these captions, a row for each peer."""
    torch.set_num_threads(setup.threads)
    ways: list[Way] = ["fused", *PEERS]
    entered = {way: contestant(way, setup, captions) for way in ways}
    rounds: dict[str, Work] = {way: training_round(each) for way, each in entered.items()}
    product, product_operations = matrix_product(torch.float32)
    seconds = interleaved({**rounds, "product": product}, repetitions=repetitions)
    speeds = {way: entered[way].num_tokens / seconds[way] for way in ways}
    rate = product_operations / seconds["product"]
    share = count_operations(rounds["fused"]) / seconds["fused"] / rate
    rows = [
        Row(
            work=SPEED.format(grid),
            peer=peer,
            unit="tokens/s",
            ours=speeds["fused"],
            theirs=speeds[way],
            share=share,
        )
        for way, peer in PEERS.items()
    ]
    return Outcome(rows, [], [_fact(grid, captions)], rate)


def memory(conditions: Conditions, grid: str) -> Outcome:
    """Megabytes of a step on 40 images × 5 captions, each way in a process of its own."""
    setup = replace(_sized(GRIDS[grid], conditions), batches=1)
    return Outcome(memory_rows(setup, _captions(setup), grid))


def memory_rows(setup: Setup, captions: Captions, grid: str) -> list[Row]:
    """What the forward pass keeps, and the peak where the machine tells."""
    kept, peak = zip(*(memory_apart(way, setup, captions) for way in ("fused", "plain")), strict=True)
    peer = PEERS["plain"]
    rows = []
    for title, (ours, theirs) in ((PEAK, peak), (KEPT, kept)):
        if ours is None or theirs is None:
            rows.append(Row(work=title.format(grid), peer=peer, missing="this system does not tell"))
            continue
        values = {"ours": ours / MEGABYTE, "theirs": theirs / MEGABYTE}
        rows.append(Row(work=title.format(grid), peer=peer, unit="MB", more_is_better=False, **values))
    return rows


def _sized(setup: Setup, conditions: Conditions) -> Setup:
    setup = replace(setup, threads=conditions.threads)
    return replace(setup, images=4, batches=1) if conditions.quick else setup


def _captions(setup: Setup) -> Captions:
    return caption_batches(images=setup.images, captions=setup.captions, batches=setup.batches)


def _fact(grid: str, captions: Captions) -> str:
    images, rows, _ = captions.batches[0].tokens.shape
    return (
        f"Train `attend`, {grid}: {captions.origin}, vocabulary {captions.vocabulary:,}; {captions.num_tokens:,} "
        f"real tokens in {len(captions.batches)} batches of {images} images × {rows} captions, formed as training "
        "forms them; the textbook takes one caption of each image"
    )
