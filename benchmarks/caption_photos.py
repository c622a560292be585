"""Rows: captions from JPEG files with the model that ships."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import torch

import regard
from inputs import photos
from measure import Work, count_operations, interleaved, matrix_product
from peer import Guest, Peer, peer_python
from regard.errors import DependencyError
from regard.pipeline import load_captioner
from rows import Conditions, Outcome, compared

FOLDER, SINGLE = "caption JPEG files, shipped model, beam 5, whole folder", "caption one JPEG file, after start"
PRECISIONS = ("float32", "bfloat16", "int8")
PEERS = {"blip": "BLIP-base, one image at a time", "vit-gpt2": "ViT-GPT2, one image at a time"}
GRAPHS = "the same model and search, in ONNX Runtime"
PROCESSES = ", in a process for each thread"
BEAM, TOKENS = 5, 14
MILLISECONDS = 1e3


def measure(conditions: Conditions) -> Outcome:
    """Milliseconds an image."""
    with tempfile.TemporaryDirectory() as folder:
        paths, origin = photos(8 if conditions.quick else 200, made_in=Path(folder))
        return measure_on(paths, origin, conditions)


def measure_on(paths: Sequence[Path], origin: str, conditions: Conditions) -> Outcome:
    """The same of these files, ours in three precisions."""
    with ExitStack() as opened:
        return _measured(paths, origin, conditions, opened)


def _measured(paths: Sequence[Path], origin: str, conditions: Conditions, opened: ExitStack) -> Outcome:
    few = paths[:10]
    works: dict[str, Work] = {}
    for precision in PRECISIONS:
        captioner = load_captioner("flickr8k", threads=conditions.threads, precision=precision)
        works |= {
            named(FOLDER, precision): whole(captioner, paths),
            named(SINGLE, precision): one_by_one(captioner, few),
        }
        shared = load_captioner("flickr8k", threads=conditions.threads, workers=conditions.threads, precision=precision)
        opened.enter_context(shared).start_workers()
        works[named(FOLDER, precision, processes=True)] = whole(shared, paths)
    counts = {work: len(few) if work.startswith(SINGLE) else len(paths) for work in works}
    operations = {work: count_operations(each) for work, each in works.items() if PROCESSES not in work}
    product, product_operations = matrix_product(torch.float32)
    graphs, absent = load_graphs(conditions.threads)
    if graphs is not None:
        works[GRAPHS] = whole(graphs, paths)
    job = {"photos": [str(path) for path in paths], "models": list(PEERS), "tokens": TOKENS, "beam": BEAM}
    with Guest(partial(transformers, job, conditions.threads)) as guest:
        turns = {**works, **{name: guest.work(name) for name in PEERS}, "product": product}
        seconds = interleaved(turns, repetitions=conditions.repetitions)
    rate = product_operations / seconds["product"]
    # workers do the operations that one process does
    shares = {work: operations[work.replace(PROCESSES, "")] / seconds[work] / rate for work in counts}
    times = {work: seconds[work] / count * MILLISECONDS for work, count in counts.items()}
    if not guest.reason:
        times |= {name: seconds[name] * MILLISECONDS for name in PEERS}
    if graphs is not None:
        times[GRAPHS] = seconds[GRAPHS] / len(paths) * MILLISECONDS
    reasons = {GRAPHS: absent} | dict.fromkeys(PEERS, guest.reason)
    rows = [
        row
        for work, peer in [*pairs(), (FOLDER, GRAPHS)]
        for row in compared(
            [(work, peer)],
            times,
            unit="ms an image",
            shares=shares,
            titles=PEERS,
            more_is_better=False,
            missing=reasons[peer],
        )
    ]
    versions = f"transformers {guest.versions.get('transformers', 'absent')}"
    fact = (
        f"Caption JPEG files: {len(paths)} {origin}, from opening the file to the words; the peers have random weights "
        f"and write {TOKENS} tokens each in float32 ({versions}); in a process for each thread: {conditions.threads} "
        f"workers of one thread each, as --workers {conditions.threads} has them, started before"
    )
    return Outcome(rows, [], [fact], rate)


def named(work: str, precision: str, *, processes: bool = False) -> str:
    """The work as a row names it."""
    where = PROCESSES if processes else ""
    return f"{work}{where}" if precision == "float32" else f"{work}{where}, ours in {precision}"


def pairs() -> list[tuple[str, str]]:
    """Works and the other models beside them: one work stands beside both, the others beside the faster."""
    faster = list(PEERS)[-1]
    return [
        (named(work, precision, processes=processes), peer)
        for work, processes in ((FOLDER, False), (FOLDER, True), (SINGLE, False))
        for precision in PRECISIONS
        for peer in (PEERS if precision == "float32" and not processes else [faster])
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
