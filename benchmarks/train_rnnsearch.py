"""Rows: training ``rnnsearch`` on sentence pairs."""

from __future__ import annotations

from functools import partial

import torch

from inputs import Sentences, sentence_batches
from measure import (
    Work,
    compiled_paths,
    count_operations,
    fused_paths,
    interleaved,
    matrix_product,
    why_not_compiled,
)
from peer import Guest
from rows import Conditions, Outcome, Row
from translation import EMBEDDING, HIDDEN, PEER, build, joeynmt, training_round

WORK = "train `rnnsearch`, Multi30k en→de"
PAPER = "the same with the paper's readout of 256"
COMPILED = ", ours with compiled loops"
MIXED = f"{COMPILED} in bfloat16"
WORKS = tuple(work + way for way in ("", COMPILED, MIXED) for work in (WORK, PAPER))
REFERENCE = "ours with REGARD_REFERENCE=1"


def measure(conditions: Conditions) -> Outcome:
    """Target tokens a second, of a GRU of 512 with embeddings of 256 on batches of 64 sentences."""
    sentences, batches = (16, 2) if conditions.quick else (64, 6)
    return measure_on(sentence_batches("train", sentences=sentences, batches=batches), conditions)


def measure_on(
    sentences: Sentences, conditions: Conditions, *, hidden: int = HIDDEN, embedding: int = EMBEDDING
) -> Outcome:
    """The same on these sentences and with these sizes."""
    torch.set_num_threads(conditions.threads)
    batches, sizes = sentences.assembled(), {"hidden": hidden, "embedding": embedding}
    wide = build(sentences.vocabulary, **sizes)
    narrow = build(sentences.vocabulary, readout=hidden // 2, **sizes)
    works: dict[str, Work] = {
        WORK: training_round(wide, batches, condition=partial(fused_paths, on=True)),
        PAPER: training_round(narrow, batches, condition=partial(fused_paths, on=True)),
        REFERENCE: training_round(wide, batches, condition=partial(fused_paths, on=False)),
    }
    not_compiled = why_not_compiled()
    if not not_compiled:
        for work, model in ((WORK, wide), (PAPER, narrow)):
            works[work + COMPILED] = training_round(model, batches, condition=compiled_paths)
            works[work + MIXED] = training_round(model, batches, condition=compiled_paths, precision="bfloat16")
    product, product_operations = matrix_product(torch.float32)
    with Guest(lambda: joeynmt(sentences, threads=conditions.threads, **sizes)) as guest:
        turns = {**works, PEER: guest.work("train"), "product": product}
        seconds = interleaved(turns, repetitions=conditions.repetitions)
    rate = product_operations / seconds["product"]
    speeds = {name: sentences.num_tokens / seconds[name] for name in [*works, PEER]}
    shares = {name: count_operations(works[name]) / seconds[name] / rate for name in WORKS if name in works}
    theirs = guest.value(speeds[PEER])
    unit, reason = "tokens/s", guest.reason
    return Outcome(
        [
            *(
                Row(work=name, peer=PEER, unit=unit, ours=speeds[name], theirs=theirs, share=share, missing=reason)
                for name, share in shares.items()
            ),
            *(Row(work=name, peer=PEER, missing=not_compiled) for name in WORKS if name not in works),
            Row(work=WORK, peer=REFERENCE, unit=unit, ours=speeds[WORK], theirs=speeds[REFERENCE], share=shares[WORK]),
        ],
        [],
        [_fact(sentences), _sizes({"ours": wide, "ours with the paper's readout": narrow}, guest)],
        rate,
    )


def _fact(sentences: Sentences) -> str:
    return (
        f"Train `rnnsearch`: {sentences.origin}, {sentences.vocabulary:,} joint subwords; {sentences.num_tokens:,} "
        f"target tokens in {len(sentences.batches)} batches of {len(sentences.batches[0])} sentences, the same ids for "
        "both"
    )


def _sizes(models: dict[str, torch.nn.Module], guest: Guest) -> str:
    counts = {name: sum(each.numel() for each in model.parameters()) for name, model in models.items()}
    if "train" in guest.answers:
        counts[PEER] = guest.answers["train"]["parameters"]
    return "Parameters: " + ", ".join(f"{name} {count / 1e6:.1f} million" for name, count in counts.items())
