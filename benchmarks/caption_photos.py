"""Rows: captions from JPEG files with the model that ships."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import torch

import regard
from inputs import photos
from measure import count_operations, interleaved, matrix_product
from peer import Guest, Peer, peer_python
from rows import Conditions, Outcome, Row

FOLDER, SINGLE = "caption JPEG files, shipped model, beam 5, whole folder", "caption one JPEG file, after start"
PEERS = {"blip": "BLIP-base", "vit-gpt2": "ViT-GPT2"}
BEAM, TOKENS = 5, 14
MILLISECONDS = 1e3


def measure(conditions: Conditions) -> Outcome:
    """Milliseconds an image."""
    with tempfile.TemporaryDirectory() as folder:
        paths, origin = photos(8 if conditions.quick else 200, made_in=Path(folder))
        return measure_on(paths, origin, conditions)


def measure_on(paths: Sequence[Path], origin: str, conditions: Conditions) -> Outcome:
    """The same of these files."""
    captioner = regard.load("flickr8k", threads=conditions.threads)
    assert isinstance(captioner, regard.Captioner), "the model that ships describes pictures"
    next_photo = cycle(paths)
    few = min(10, len(paths))

    def whole() -> None:
        assert not any(isinstance(each, regard.ImageError) for each in captioner.caption_many(paths, beam=BEAM))

    def one_by_one() -> None:
        for _ in range(few):
            captioner.caption(next(next_photo), beam=BEAM)

    product, product_operations = matrix_product(torch.float32)
    job = {"photos": [str(path) for path in paths], "models": list(PEERS), "tokens": TOKENS, "beam": BEAM}
    start = lambda: Peer("transformers_peer.py", job, threads=conditions.threads, python=peer_python())  # noqa: E731
    with Guest(start) as guest:
        peers = {name: guest.work(name) for name in PEERS}
        turns = {FOLDER: whole, SINGLE: one_by_one, **peers, "product": product}
        seconds = interleaved(turns, repetitions=conditions.repetitions)
    rate = product_operations / seconds["product"]
    works = {FOLDER: (whole, len(paths)), SINGLE: (one_by_one, few)}
    rows = [
        Row(
            work=name,
            peer=f"{title}, one image at a time",
            unit="ms an image",
            ours=seconds[name] / count * MILLISECONDS,
            theirs=guest.value(seconds[peer] * MILLISECONDS),
            more_is_better=False,
            share=count_operations(work) / seconds[name] / rate,
            missing=guest.reason,
        )
        for name, (work, count) in works.items()
        for peer, title in PEERS.items()
    ]
    fact = (
        f"Caption JPEG files: {len(paths)} {origin}, from opening the file to the words; the peers have random weights "
        f"and write {TOKENS} tokens each (transformers {guest.versions.get('transformers', 'absent')})"
    )
    return Outcome(rows, [], [fact], rate)
