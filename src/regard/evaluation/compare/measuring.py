"""Training and judging the models of a comparison, one after another; what is done already is not done again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regard.encoders.image import ImageEncoderSettings
from regard.evaluation.compare.candidates import Candidate
from regard.evaluation.compare.machine import describe_machine, describe_versions
from regard.evaluation.compare.significance import p_values
from regard.files import read_json_file, write_json_file
from regard.model import EncoderDecoder
from regard.progress import SILENT, Progress
from regard.saved.bundle import BEST, read_metrics
from regard.text import load_tokenizer
from regard.training.recipe import Recipe
from regard.training.run import OUTCOME, train

_MACHINE = "machine.json"
_UNKNOWN = {"machine": "not recorded", "versions": "not recorded"}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a run came to.

    Attributes:
        scores: of the best epoch on the validation split, from real search on words, × 100, with their signature.
        trained: number of trained parameters, those of the decoder among them.
        decoder: number of parameters of the decoder.
        seconds: of training and validation, without the features of the frozen encoder.
        best_epoch: counted from 1 over all phases.
        machine, versions: where and with what it was trained.
    """

    scores: dict[str, Any]
    trained: int
    decoder: int
    seconds: float
    best_epoch: int
    machine: str
    versions: str


@dataclass(frozen=True)
class Entry:
    """One row of the comparison: what was asked for, and what it came to.

    Attributes:
        p_value: the share of bootstrap draws in which the best model is not better than this one, see
            :mod:`regard.evaluation.compare.significance`; None for the best, and where there is no other.
    """

    candidate: Candidate
    measured: Measured
    p_value: float | None = None


def compare(
    candidates: Sequence[Candidate],
    *,
    progress: Progress = SILENT,
    cache: Path | None = None,
    device: str = "cpu",
) -> list[Entry]:
    """Train every model that is not trained yet, and gather what each came to.

    Args:
        candidates: from :func:`regard.evaluation.compare.read_candidates`.
        progress, cache, device: as for :func:`regard.training.run.train`.

    Raises:
        Interrupted: the user stopped it; the same call continues it, and runs that are done stay done.
        RegardError: a run failed, see :func:`regard.training.run.train`.
    """
    measured = []
    for number, candidate in enumerate(candidates, start=1):
        progress.log(f"{number} of {len(candidates)}: {candidate.name}, {candidate.about}")
        measured.append(_measure(candidate, progress, cache, device))
    if len(candidates) == 1:
        return [Entry(candidates[0], measured[0])]
    judged_by = candidates[0].recipe.metrics[0]
    best = max(range(len(measured)), key=lambda number: measured[number].scores[judged_by])
    found = p_values(candidates, best, device=device, progress=progress)
    return [Entry(*each) for each in zip(candidates, measured, found, strict=True)]


def _measure(candidate: Candidate, progress: Progress, cache: Path | None, device: str) -> Measured:
    folder = candidate.folder
    done = (folder / OUTCOME).exists()
    outcome = train(candidate.recipe, folder, progress=progress, cache=cache, device=device)
    if not done:
        here = {"version": 1, "machine": describe_machine(), "versions": describe_versions()}
        write_json_file(folder / _MACHINE, here)
    recorded = (folder / _MACHINE).exists()
    made = {**_UNKNOWN, **(read_json_file(folder / _MACHINE, versions=[1]) if recorded else {})}
    trained, decoder = _count_parameters(candidate.recipe, vocabulary_size=load_tokenizer(folder).size)
    return Measured(
        scores=read_metrics(folder / BEST),
        trained=trained,
        decoder=decoder,
        seconds=outcome.seconds,
        best_epoch=outcome.best_epoch,
        machine=str(made["machine"]),
        versions=str(made["versions"]),
    )


def _count_parameters(recipe: Recipe, *, vocabulary_size: int) -> tuple[int, int]:
    """The number of trained parameters, and of those of the decoder; a tied matrix counts once."""
    model = EncoderDecoder(recipe.model, vocabulary_size=vocabulary_size, source_vocabulary_size=vocabulary_size)
    if not _encoder_learns(recipe):
        model.encoder.requires_grad_(False)
    learning = {id(each): each.numel() for each in model.parameters() if each.requires_grad}
    return sum(learning.values()), sum(each.numel() for each in model.decoder.parameters())


def _encoder_learns(recipe: Recipe) -> bool:
    """Whether any phase gives the encoder a learning rate; without one of its own, only encoders of sentences learn."""
    pictures = isinstance(recipe.model.encoder, ImageEncoderSettings)
    rates = [phase.optim.encoder_lr for phase in recipe.phases]
    return any(not pictures if rate is None else rate > 0 for rate in rates)
