"""Training and judging the models of a comparison, one after another; what is done already is not done again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from regard.encoders.image import ImageEncoderSettings
from regard.evaluation.compare.candidates import Candidate
from regard.evaluation.compare.entries import Entry, Measured, by_model
from regard.evaluation.compare.machine import describe_machine, describe_versions
from regard.evaluation.compare.significance import judge, read_written
from regard.files import read_json_file, write_json_file
from regard.model import EncoderDecoder
from regard.progress import SILENT, Progress
from regard.saved.bundle import BEST, read_metrics
from regard.text import load_tokenizer
from regard.training.recipe import Recipe
from regard.training.run import OUTCOME, train

_MACHINE = "machine.json"
_UNKNOWN = {"machine": "not recorded", "versions": "not recorded"}


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
        run = f"{candidate.name}, seed {candidate.recipe.seed}, {candidate.about}"
        progress.log(f"{number} of {len(candidates)}: {run}")
        measured.append(_measure(candidate, progress, cache, device))
    entries = [Entry(*each) for each in zip(candidates, measured, strict=True)]
    return entries if len(entries) == 1 else _judged(entries, device=device, progress=progress)


def _judged(entries: Sequence[Entry], *, device: str, progress: Progress) -> list[Entry]:
    """The entries with their p-values and intervals."""
    models = by_model(entries)
    written = [
        [read_written(each.candidate, device=device, progress=progress) for each in model.entries] for model in models
    ]
    judged_by = entries[0].candidate.recipe.metrics[0]
    best = max(range(len(models)), key=lambda number: models[number].score(judged_by))
    found = dict(zip((model.name for model in models), judge(written, best), strict=True))
    return [
        replace(entry, p_value=judgement.p_value, low=judgement.low, high=judgement.high)
        for entry in entries
        if (judgement := found[entry.candidate.name])
    ]


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
