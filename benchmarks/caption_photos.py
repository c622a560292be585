"""Rows: captions from JPEG files with the model that ships."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch

import regard
from inputs import photos
from measure import Work, count_operations, interleaved, matrix_product
from peer import Guest, Peer, peer_python
from regard.errors import DependencyError
from regard.pipeline import load_captioner
from rows import Conditions, Outcome, Row

FOLDER, SINGLE = "caption JPEG files, shipped model, beam 5, whole folder", "caption one JPEG file, after start"
PRECISIONS = {"float32": "", "bfloat16": ", ours in bfloat16", "int8": ", ours in int8"}
PEERS = {"blip": "BLIP-base, one image at a time", "vit-gpt2": "ViT-GPT2, one image at a time"}
GRAPHS = "the same model and search, in ONNX Runtime"
BEAM, TOKENS = 5, 14
MILLISECONDS = 1e3


def measure(conditions: Conditions) -> Outcome:
    """Milliseconds an image."""
    with tempfile.TemporaryDirectory() as folder:
        paths, origin = photos(8 if conditions.quick else 200, made_in=Path(folder))
        return measure_on(paths, origin, conditions)


def measure_on(paths: Sequence[Path], origin: str, conditions: Conditions) -> Outcome:
    """The same of these files, ours in three precisions."""
    few = paths[:10]
    works: dict[str, Work] = {}
    counts: dict[str, int] = {}
    for precision, ending in PRECISIONS.items():
        captioner = load_captioner("flickr8k", threads=conditions.threads, precision=precision)
        works |= {FOLDER + ending: whole(captioner, paths), SINGLE + ending: one_by_one(captioner, few)}
        counts |= {FOLDER + ending: len(paths), SINGLE + ending: len(few)}
    product, product_operations = matrix_product(torch.float32)
    graphs, absent = load_graphs(conditions.threads)
    if graphs is not None:
        works[GRAPHS] = whole(graphs, paths)
    job = {"photos": [str(path) for path in paths], "models": list(PEERS), "tokens": TOKENS, "beam": BEAM}
    with Guest(partial(transformers, job, conditions.threads)) as guest:
        turns = {**works, **{name: guest.work(name) for name in PEERS}, "product": product}
        seconds = interleaved(turns, repetitions=conditions.repetitions)
    rate = product_operations / seconds["product"]
    rows = [
        Row(
            work=work,
            peer=title,
            unit="ms an image",
            ours=seconds[work] / counts[work] * MILLISECONDS,
            theirs=guest.value(seconds[peer] * MILLISECONDS),
            more_is_better=False,
            share=count_operations(works[work]) / seconds[work] / rate,
            missing=guest.reason,
        )
        for work, peer, title in pairs()
    ]
    row = Row(
        work=FOLDER,
        peer=GRAPHS,
        unit="ms an image",
        ours=seconds[FOLDER] / len(paths) * MILLISECONDS,
        theirs=None if graphs is None else seconds[GRAPHS] / len(paths) * MILLISECONDS,
        more_is_better=False,
        share=rows[0].share,
        missing=absent,
    )
    fact = (
        f"Caption JPEG files: {len(paths)} {origin}, from opening the file to the words; the peers have random weights "
        f"and write {TOKENS} tokens each in float32 (transformers {guest.versions.get('transformers', 'absent')})"
    )
    return Outcome([*rows, row], [], [fact], rate)


def pairs() -> list[tuple[str, str, str]]:
    """Work, peer and the peer's title of each row; the other precisions stand beside the faster peer alone."""
    faster = list(PEERS)[-1]
    return [
        (work + ending, peer, PEERS[peer])
        for work in (FOLDER, SINGLE)
        for precision, ending in PRECISIONS.items()
        for peer in (PEERS if precision == "float32" else [faster])
    ]


def load_graphs(threads: int) -> tuple[regard.Captioner | None, str]:
    """The model that ships as ONNX Runtime runs it, or why it does not."""
    try:
        return load_captioner("flickr8k", threads=threads, runtime="onnx"), ""
    except DependencyError as error:
        return None, str(error)


def transformers(job: Mapping[str, object], threads: int) -> Peer:
    """BLIP-base and ViT-GPT2.

    Raises:
        PeerError: they are not there.
    """
    return Peer("transformers_peer.py", job, threads=threads, python=peer_python())


def whole(captioner: regard.Captioner, paths: Sequence[Path]) -> Work:
    """All files, as a user captions a folder."""

    def run() -> None:
        assert not any(isinstance(each, regard.ImageError) for each in captioner.caption_many(paths, beam=BEAM))

    return run


def one_by_one(captioner: regard.Captioner, paths: Sequence[Path]) -> Work:
    """Each file by itself, as a user captions a photo."""

    def run() -> None:
        for path in paths:
            captioner.caption(path, beam=BEAM)

    return run
