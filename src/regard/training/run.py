"""A training run: a recipe and a folder in, a model out.

    recipe.yaml               what is done, every default written out; it rebuilds the run
    vocabulary.json           or tokenizer.json: learned from the training data once; source/ holds the tokenizer of the
                              source where it is another
    log.jsonl                 one line an epoch, and tensorboard/ beside it where that is installed
    curves.png                loss and validation score over the epochs
    samples/                  what the model says of some validation inputs after each validation, and where it looks
    checkpoint.safetensors    where the run stands
    best/                     the best model so far, a bundle
    outcome.json              when the run is done
    lock                      held by the process that trains

The same command continues a run that was stopped, at whatever moment, and says so when there is nothing left to do.
Where ``torchrun`` has started several processes, they train one model together: the first one alone writes the
folder, and all read it when the run goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml

from regard.compute import resolve_device
from regard.config import override, parse, read_yaml
from regard.errors import ConfigError, Interrupted, ModelError
from regard.files import cache_folder, lock, read_json_file, write_file, write_json_file
from regard.model import EncoderDecoder
from regard.progress import SILENT, Progress
from regard.saved.bundle import BEST, SOURCE, Bundle, save_bundle
from regard.saved.manifest import check_manifest, write_manifest
from regard.text import Tokenizer, WordTokenizer, load_tokenizer
from regard.text.vocabulary import UNK
from regard.training.begin import begin, beginning, with_settings_of_the_model
from regard.training.captions import CaptionTask
from regard.training.checkpoint import has_checkpoint
from regard.training.device import check_precision
from regard.training.distributed import from_first, is_first, process_group
from regard.training.loop import Outcome, Trainer
from regard.training.memory import check_memory
from regard.training.model_card import model_card
from regard.training.recipe import CaptionData, Recipe, TranslationData, goes_on
from regard.training.translations import TranslationTask

RUNS = Path("runs")
"""Where runs lie by default, one folder a recipe."""
RECIPE, OUTCOME, LOCK, SAMPLES = "recipe.yaml", "outcome.json", "lock", "samples"
NUM_SAMPLES = 4
"""How many validation inputs are drawn."""

DrawSamples = Callable[[Bundle, Sequence[str], Path], None]
"""Draws what a model makes of inputs, which are paths of photos or sentences, into a PNG file."""


def train(
    recipe: Path | Recipe,
    output: Path | None = None,
    assignments: Sequence[str] = (),
    *,
    progress: Progress = SILENT,
    cache: Path | None = None,
    device: str = "cpu",
    draw_samples: DrawSamples | None = None,
) -> Outcome:
    """Train a model, or continue to.

    Args:
        recipe: a file, or what one says.
        output: the folder of the run; None for :data:`RUNS` and the recipe's name.
        assignments: changes to the recipe, such as ``phases.0.epochs=3``.
        progress: receives progress.
        cache: where features of frozen encoders are kept, which runs share; None for ``features`` in the folder that
            downloads are kept in.
        device: where the model trains: ``cpu``, ``cuda``, or ``auto`` for a GPU where there is one. A run that was
            stopped on one device, or in so many processes, continues on another and in others.
        draw_samples: draws what the model makes of the first :data:`NUM_SAMPLES` validation inputs after every
            validation; None for no pictures.

    Returns:
        What the run reached; at once, where it was done before.

    Raises:
        Interrupted: the user stopped it; the same command continues it.
        ConfigError: the recipe, an assignment or the device cannot be used.
        DataError: the data cannot be used.
        ModelError: the folder holds a run of another recipe, or cannot be written, or another process trains there.
        WorkerError: one of several processes that train together has ended.
    """
    chosen = with_settings_of_the_model(_chosen(recipe, assignments))
    folder = output or RUNS / chosen.name
    try:
        with process_group(resolve_device(device)) as place, _alone_in(folder):
            for phase in chosen.phases:
                check_precision(phase.precision, place)
            shown = progress if is_first() else SILENT
            return _train_in(folder, chosen, shown, cache or cache_folder() / "features", place, draw_samples)
    except KeyboardInterrupt:
        given = f"stopped; {folder} holds everything up to the last checkpoint"
        raise Interrupted(given, remedy="the same command continues it") from None
    except OSError as error:
        raise ModelError(f"{folder}: cannot be written ({error.strerror})", remedy="give another --output") from None


def _train_in(
    folder: Path,
    recipe: Recipe,
    progress: Progress,
    cache: Path,
    device: torch.device,
    draw_samples: DrawSamples | None,
) -> Outcome:
    done = from_first(lambda: _claim(folder, recipe))
    if done is not None:
        progress.log(f"{folder}: the run is done, {done.metric} {done.best:.2f} after epoch {done.best_epoch}")
        return done
    # the caller's random numbers are left as they were
    with torch.random.fork_rng(devices=[] if device.type == "cpu" else [device]):
        outcome = _run(recipe, folder, progress, cache, device, draw_samples)
    if is_first():
        write_json_file(folder / OUTCOME, {"version": 1, **_plain(outcome)})
    return outcome


def _chosen(recipe: Path | Recipe, assignments: Sequence[str]) -> Recipe:
    origin = "the recipe" if isinstance(recipe, Recipe) else str(recipe)
    values = recipe.model_dump(mode="json") if isinstance(recipe, Recipe) else read_yaml(recipe)
    return parse(Recipe, override(values, assignments), origin=origin)


def has_begun(folder: Path, recipe: Recipe) -> bool:
    """Whether a run of ``recipe`` has got anywhere in ``folder``. One that has got nowhere may change its recipe.

    Raises:
        ModelError: the folder holds a run of another recipe.
    """
    path = folder / RECIPE
    begun = has_checkpoint(folder) or (folder / OUTCOME).exists()
    stored = _read(path) if begun and path.exists() else recipe
    if stored is None or not goes_on(stored, recipe):
        raise ModelError(
            f"{folder}: holds a run of another recipe",
            remedy=f"continue it with {path}, or give another folder with --output",
        )
    return begun


def _claim(folder: Path, recipe: Recipe) -> Outcome | None:
    """Make the folder the run's own; a run that is done goes on where more epochs are asked for.

    Returns:
        What the run has reached, where it is done.
    """
    if not has_begun(folder, recipe) or _read(folder / RECIPE) != recipe:
        (folder / OUTCOME).unlink(missing_ok=True)
        text = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        write_file(folder / RECIPE, text.encode())
    return _outcome(folder)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Make the folder, and keep other runs out of it."""
    if not is_first():
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a") as file:
        if not lock(file):
            remedy = "wait for it, or give another folder with --output"
            raise ModelError(f"{folder}: another process trains there", remedy=remedy)
        yield


def _read(path: Path) -> Recipe | None:
    try:
        return parse(Recipe, read_yaml(path), origin=str(path))
    except ConfigError:
        return None


def _outcome(folder: Path) -> Outcome | None:
    """What a run that is done has reached."""
    path = folder / OUTCOME
    if not path.exists():
        return None
    values = read_json_file(path, versions=[1])
    try:
        return Outcome(
            folder=folder,
            metric=str(values["metric"]),
            best=float(values["best"]),
            best_epoch=int(values["best_epoch"]),
            seconds=float(values["seconds"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: is damaged ({error!r})", remedy="delete it and continue the run") from None


def _plain(outcome: Outcome) -> dict[str, Any]:
    return {name: value for name, value in asdict(outcome).items() if name != "folder"}


def _run(
    recipe: Recipe,
    folder: Path,
    progress: Progress,
    cache: Path,
    device: torch.device,
    draw_samples: DrawSamples | None,
) -> Outcome:
    begun = from_first(lambda: has_checkpoint(folder))
    start = None if begun else beginning(recipe)
    task = _task(recipe, cache, start, folder=folder if begun else None)
    if is_first():
        _save_tokenizers(task, folder)
    if device.type == "cpu":
        check_memory(recipe, writes=task.vocabulary_size, reads=task.source_vocabulary_size)
    torch.manual_seed(recipe.seed)
    model = EncoderDecoder(
        recipe.model, vocabulary_size=task.vocabulary_size, source_vocabulary_size=task.source_vocabulary_size
    )
    if start is not None:
        begin(model, start, task.tokenizer)
    model = model.to(device)
    model.name_concepts(partial(_token, task.tokenizer))
    build = partial(_bundle, recipe, task)

    def keep_best(model: EncoderDecoder, scores: dict[str, Any], epochs: int) -> None:
        if not is_first():
            return
        bundle = build(model, scores)
        if start is not None and epochs == 0:  # as it is, without the new words, which it cannot say yet
            bundle = replace(start, search=bundle.search, metrics=bundle.metrics)
        save_bundle(replace(bundle, card=model_card(recipe, bundle)), folder / BEST, precision=recipe.stored)

    def judged(model: EncoderDecoder, epochs: int) -> None:
        if draw_samples is not None and is_first():
            inputs = task.validation_inputs[:NUM_SAMPLES]
            draw_samples(build(model, {}), inputs, folder / SAMPLES / f"epoch-{epochs:04}.png")

    outcome = Trainer(recipe, task, model, folder, keep_best=keep_best, judged=judged, progress=progress).run()
    _remark_on_outcome(recipe, task, outcome, progress)
    return outcome


def _remark_on_outcome(
    recipe: Recipe, task: CaptionTask | TranslationTask, outcome: Outcome, progress: Progress
) -> None:
    """Log it where a run was for nothing: where what it began from is the best, or the commonest caption is."""
    if recipe.begin_from is not None and outcome.best_epoch == 0:
        progress.log(
            f"nothing was better than {recipe.begin_from} by more than chance (surpass: {recipe.surpass:g}), which is "
            "the best still: more data, or more to judge by, may change that"
        )
    if isinstance(task, CaptionTask):
        _compare_with_baseline(task, outcome, progress)


def _compare_with_baseline(task: CaptionTask, outcome: Outcome, progress: Progress) -> None:
    """Log it where the model is no better than the commonest caption, the same for every photo."""
    commonest, score = task.baseline(outcome.metric)
    if outcome.best <= score:
        progress.log(
            f"no better than saying {commonest!r} of every photo ({outcome.metric} {score:.2f}): give more photos, "
            "more epochs, or a trained model to begin from"
        )


def _save_tokenizers(task: CaptionTask | TranslationTask, folder: Path) -> None:
    """Keep the tokenizers, which a run that goes on takes, and their checksums."""
    task.tokenizer.save(folder)
    source_tokenizer = _own_source_tokenizer(task)
    if source_tokenizer is not None:
        (folder / SOURCE).mkdir(exist_ok=True)
        source_tokenizer.save(folder / SOURCE)
    write_manifest(folder, [folder / task.tokenizer.file_name, *(folder / SOURCE).glob("*.json")])


def _task(recipe: Recipe, cache: Path, start: Bundle | None, *, folder: Path | None) -> CaptionTask | TranslationTask:
    """The data, with the tokenizers of a run in ``folder`` that goes on, which its weights belong to."""
    if folder is not None:
        check_manifest(folder)
    tokenizer = None if folder is None else load_tokenizer(folder)
    match recipe.data:
        case CaptionData():
            assert tokenizer is None or isinstance(tokenizer, WordTokenizer), "captions are learned in words"
            known = None if start is None else start.tokenizer
            assert known is None or isinstance(known, WordTokenizer), "captions are learned in words"
            return CaptionTask(
                recipe.data,
                seed=recipe.seed,
                cache=cache,
                tokenizer=tokenizer,
                known=known,
                keep_words=recipe.keep_words,
            )
        case TranslationData(joint=joint):
            tokenizers = None
            if folder is not None and tokenizer is not None:
                tokenizers = (tokenizer if joint else load_tokenizer(folder / SOURCE), tokenizer)
            if start is not None:
                tokenizers = (start.source_tokenizer or start.tokenizer, start.tokenizer)
            return TranslationTask(recipe.data, seed=recipe.seed, tokenizers=tokenizers)


def _token(tokenizer: Tokenizer, word: str) -> int | None:
    """The one token that a word is to a tokenizer; None where it is unknown or cut into pieces."""
    ids = tokenizer.encode(word).ids
    return ids[0] if len(ids) == 1 and ids[0] != UNK else None


def _own_source_tokenizer(task: CaptionTask | TranslationTask) -> Tokenizer | None:
    if isinstance(task, TranslationTask) and task.source_tokenizer is not task.tokenizer:
        return task.source_tokenizer
    return None


def _bundle(
    recipe: Recipe, task: CaptionTask | TranslationTask, model: EncoderDecoder, scores: dict[str, Any]
) -> Bundle:
    """A model in training with everything that it is saved and used with."""
    data = recipe.data
    return Bundle(
        model=model,
        tokenizer=task.tokenizer,
        source_tokenizer=_own_source_tokenizer(task),
        source_words=task.source_words if isinstance(task, TranslationTask) else None,
        search=recipe.search,
        languages=(data.source, data.target) if isinstance(data, TranslationData) else None,
        longest_source=data.lengths.longest if isinstance(data, TranslationData) else None,
        metrics={"split": data.validation, **scores},
    )
