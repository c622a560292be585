"""Rows: training ``attend`` on two grids, and the memory of a step."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, NamedTuple

import torch

from inputs import Captions, caption_batches
from measure import Work, count_operations, interleaved, matrix_product, why_not_compiled
from rows import Conditions, Outcome, Row, unmeasured
from training import Setup, Way, contestant, memory_apart, training_round


class Entry(NamedTuple):
    """A way to train in one precision."""

    way: Way
    precision: Literal["float32", "bfloat16"] = "float32"


PEERS: dict[Entry, str] = {
    Entry("textbook"): "textbook",
    Entry("plain"): "plain PyTorch",
    Entry("plain", "bfloat16"): "plain PyTorch in bfloat16",
    Entry("reference"): "ours with REGARD_REFERENCE=1",
}
PLAIN = PEERS[Entry("plain")]
OURS: dict[Entry, tuple[str, list[Entry]]] = {
    Entry("fused"): ("", [Entry("textbook"), Entry("plain"), Entry("reference")]),
    Entry("compiled"): (", ours with compiled loops", [Entry("textbook"), Entry("plain")]),
    Entry("compiled", "bfloat16"): (
        ", ours with compiled loops in bfloat16",
        [Entry("textbook"), Entry("plain"), Entry("plain", "bfloat16")],
    ),
}
"""What is said of each entry of ours, and which peers stand beside it. All are in float32 unless they say otherwise."""
GRIDS = {"49 × 1280": Setup(regions=49, dim=1280, batches=3), "196 × 2048": Setup(regions=196, dim=2048, batches=1)}
SPEED, PEAK, KEPT = "train `attend`, {}", "memory of that step at its peak, {}", "kept for the backward pass, {}"
MEGABYTE = 1e6


def works(grid: str) -> dict[str, list[str]]:
    """The works of :func:`speed`, each with its peers."""
    return {SPEED.format(grid) + said: [PEERS[peer] for peer in peers] for said, peers in OURS.values()}


def speed(conditions: Conditions, grid: str) -> Outcome:
    """Real tokens a second, of a model with hidden = attention = 512 on 40 images × 5 captions."""
    setup = _sized(GRIDS[grid], conditions)
    captions = _captions(setup)
    return speed_on(setup, captions, grid, repetitions=conditions.repetitions)


def speed_on(setup: Setup, captions: Captions, grid: str, *, repetitions: int) -> Outcome:
    """The same on these captions, a row for each peer of each entry of ours."""
    torch.set_num_threads(setup.threads)
    missing = why_not_compiled()
    ours = {entry: each for entry, each in OURS.items() if entry.way != "compiled" or not missing}
    entries = [*ours, *PEERS]
    entered = {entry: contestant(entry.way, replace(setup, precision=entry.precision), captions) for entry in entries}
    rounds: dict[str, Work] = {"-".join(entry): training_round(each) for entry, each in entered.items()}
    product, product_operations = matrix_product(torch.float32)
    seconds = interleaved({**rounds, "product": product}, repetitions=repetitions)
    speeds = {entry: entered[entry].num_tokens / seconds["-".join(entry)] for entry in entries}
    rate = product_operations / seconds["product"]
    rows = []
    for entry, (said, peers) in OURS.items():
        work = SPEED.format(grid) + said
        if entry not in ours:
            rows += unmeasured(work, [PEERS[peer] for peer in peers], missing)
            continue
        share = count_operations(rounds["-".join(entry)]) / seconds["-".join(entry)] / rate
        for peer in peers:
            theirs = speeds[peer]
            row = Row(work=work, peer=PEERS[peer], unit="tokens/s", ours=speeds[entry], theirs=theirs, share=share)
            rows.append(row)
    return Outcome(rows, [], [_fact(grid, captions)], rate)


def memory(conditions: Conditions, grid: str) -> Outcome:
    """Megabytes of a step on 40 images × 5 captions, each way in a process of its own."""
    setup = replace(_sized(GRIDS[grid], conditions), batches=1)
    return Outcome(memory_rows(setup, _captions(setup), grid))


def memory_rows(setup: Setup, captions: Captions, grid: str) -> list[Row]:
    """What the forward pass keeps, and the peak where the machine tells."""
    kept, peak = zip(*(memory_apart(way, setup, captions) for way in ("fused", "plain")), strict=True)
    peer = PLAIN
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
