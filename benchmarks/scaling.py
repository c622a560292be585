"""Plots: how cost grows with words, beam, batch and data."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import torch

import regard
from inputs import Captions, photos
from measure import Work, interleaved, peak_bytes
from regard.data.batching import assemble_captions
from regard.fast import for_search
from rows import Conditions, Outcome, Plot
from search_features import BEAM, DIM, HIDDEN, REGIONS, STEPS, build, captioning, plainly
from training import Setup, Way, contestant, training_round

WORDS, BEAMS, BATCHES = (5, 10, 20, 40), (1, 2, 5, 10, 20), (1, 3, 12, 48)
OURS, PLAIN = "regard", "plain PyTorch"
MILLISECONDS, MEGABYTE = 1e3, 1e6


def measure(conditions: Conditions) -> Outcome:
    """All plots."""
    torch.set_num_threads(conditions.threads)
    setup = Setup(images=2 if conditions.quick else 10, threads=conditions.threads)
    images = 2 if conditions.quick else 20
    counts = (4, 8) if conditions.quick else (32, 64, 128, 256)
    plots = [
        training_words(setup, conditions),
        *searching(conditions, images=images, dim=DIM, regions=REGIONS, hidden=HIDDEN),
        batches(conditions, dim=DIM, regions=REGIONS, hidden=HIDDEN),
    ]
    with tempfile.TemporaryDirectory() as folder:
        memory = photo_memory(photos(16, made_in=Path(folder))[0], counts)
    return Outcome([], plots if memory is None else [*plots, memory])


def training_words(setup: Setup, conditions: Conditions, words: Sequence[int] = WORDS) -> Plot:
    """Milliseconds of a training step for each caption, as captions grow."""
    vocabulary = 2543

    def captions(length: int) -> Captions:
        rows = [[[4 + i % (vocabulary - 4) for i in range(length - 1)]] * setup.captions] * setup.images
        return Captions([assemble_captions(rows)], vocabulary, "captions of one length")

    ways: dict[str, Way] = {OURS: "fused", PLAIN: "plain"}

    def work(name: str, length: int) -> Work:
        return training_round(contestant(ways[name], setup, captions(length)))

    scale = MILLISECONDS / (setup.images * setup.captions)
    return Plot(
        name="time-of-training",
        title="Training: time as captions grow",
        x_title="words of every caption, the end included",
        y_title="ms a caption",
        lines=_lines(list(ways), words, work, conditions, lambda seconds, _: seconds * scale),
        text=f"Forward, backward and optimizer step on {setup.images} images × {setup.captions} captions.",
    )


def searching(conditions: Conditions, *, images: int, dim: int, regions: int, hidden: int) -> list[Plot]:
    """Milliseconds of beam search for each image, as captions grow and as the beam widens."""
    works = _Searches(dim=dim, regions=regions, hidden=hidden, images=images)
    each = f"Beam search from cached features of {images} images together"
    per_image = MILLISECONDS / images
    return [
        Plot(
            name="time-of-search",
            title="Beam search: time as captions grow",
            x_title="words of every caption",
            y_title="ms an image",
            lines=_lines(
                [OURS, PLAIN],
                WORDS,
                lambda name, x: works.search(name, steps=x),
                conditions,
                lambda s, _: s * per_image,
            ),
            text=f"{each}, beam {BEAM}.",
        ),
        Plot(
            name="beam",
            title="Beam search: time as the beam widens",
            x_title="captions kept of each image",
            y_title="ms an image",
            lines=_lines(
                [OURS, PLAIN], BEAMS, lambda name, x: works.search(name, beam=x), conditions, lambda s, _: s * per_image
            ),
            text=f"{each}, {STEPS} words.",
        ),
    ]


def batches(conditions: Conditions, *, dim: int, regions: int, hidden: int) -> Plot:
    """Images a second, as more are searched together."""
    works = {size: _Searches(dim=dim, regions=regions, hidden=hidden, images=size) for size in BATCHES}
    return Plot(
        name="batch",
        title="Beam search: speed as the batch grows",
        x_title="images searched together",
        y_title="images/s",
        lines=_lines(
            [OURS, PLAIN], BATCHES, lambda name, x: works[x].search(name), conditions, lambda seconds, x: x / seconds
        ),
        text=f"From cached features, beam {BEAM}, {STEPS} words.",
        logarithmic=True,
    )


def photo_memory(paths: Sequence[Path], counts: Sequence[int]) -> Plot | None:
    """Megabytes at the peak of captioning more and more files; None where the system does not tell."""
    captioner = regard.load("flickr8k")
    assert isinstance(captioner, regard.Captioner), "the model that ships describes pictures"

    def caption_all(count: int) -> None:
        for _ in captioner.caption_many(islice(cycle(paths), count), beam=BEAM):
            pass

    caption_all(counts[0])
    points: list[tuple[float, float]] = []
    for count in counts:
        peak = peak_bytes(partial(caption_all, count))
        if peak is None:
            return None
        points.append((count, peak / MEGABYTE))
    return Plot(
        name="memory",
        title="Captioning a folder: memory as the data grow",
        x_title="JPEG files",
        y_title="MB at the peak, beyond the model",
        lines={OURS: points},
        text="The model that ships reads, looks and writes; a caption is let go of once it is given.",
    )


class _Searches:
    """Searches by name, ours and that of plain PyTorch with the same weights, on the same features."""

    def __init__(self, *, dim: int, regions: int, hidden: int, images: int) -> None:
        torch.manual_seed(0)
        self._features = torch.randn(images, regions, dim)
        self._decoder = build(dim=dim, hidden=hidden)

    def search(self, name: str, *, beam: int = BEAM, steps: int = STEPS) -> Work:
        if name == OURS:
            return captioning(for_search(self._decoder), self._features, beam=beam, most=steps)
        return plainly(self._decoder, self._features, beam=beam, most=steps)


def _lines(
    names: Sequence[str],
    places: Sequence[int],
    work: Callable[[str, int], Work],
    conditions: Conditions,
    value: Callable[[float, int], float],
) -> dict[str, list[tuple[float, float]]]:
    """One line a name, over all places; what stands at one place takes turns."""
    lines: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for place in places:
        seconds = interleaved({name: work(name, place) for name in names}, repetitions=conditions.repetitions)
        for name in names:
            lines[name].append((place, value(seconds[name], place)))
    return lines
