"""The recipes of a comparison, all checked before the first is trained: no hour of work shall end in a typing error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regard.data.parallel import read_parallel
from regard.data.readers import read_captioned_images
from regard.errors import ConfigError, RegardError
from regard.evaluation.compare.wording import describe, vector_size
from regard.model import EncoderDecoder
from regard.training.recipe import CaptionData, Recipe, TranslationData, read_recipe
from regard.training.run import OUTCOME, RECIPE, has_begun

_FEW_TOKENS = 8
"""A vocabulary for models that are only built to see whether their parts fit."""

SAME_INPUTS = "compare models that are validated on the same split of the same data"


@dataclass(frozen=True)
class Candidate:
    """One model of a comparison.

    Attributes:
        path: the file of its recipe; of a run that was finished before, its folder.
        recipe: what makes it.
        folder: where its run lies.
        assignments: what was changed in the recipe, as ``KEY=VALUE``.
        about: what it is, in words.
        vector: the size of an annotation as the decoder gets it, or of the one vector of the whole input.
    """

    path: Path
    recipe: Recipe
    folder: Path
    assignments: tuple[str, ...]
    about: str
    vector: int

    @property
    def name(self) -> str:
        """As the recipe calls it; of a run that was finished before, what its folder is called."""
        return self.path.resolve().name if self.path == self.folder else self.recipe.name


def read_candidates(
    paths: Sequence[Path], output: Path, assignments: Sequence[str] = (), *, seeds: int = 1
) -> list[Candidate]:
    """Read and check the recipes of a comparison.

    Args:
        paths: files of recipes, and folders of finished runs.
        output: each run lies in a folder of its own in here, named as its recipe.
        assignments: ``KEY=VALUE`` for every recipe.
        seeds: how often each recipe is trained, with its own seed and those that follow it.

    Raises:
        ConfigError: recipes that cannot be used, or cannot be compared; every one is named, in one line.
    """
    if not paths:
        raise ConfigError("there is no recipe to compare", remedy="name files such as recipes/compare/*.yaml")
    candidates, problems = [], []
    references: dict[str, list[Any]] = {}
    for path in paths:
        try:
            found = _read(path, output, tuple(assignments), seeds=seeds)
            data = found[0].recipe.data
            if (key := data.model_dump_json()) not in references:
                references[key] = _validation_references(data)
            candidates += found
        except RegardError as error:
            problem = str(error)
            problems.append(problem if problem.startswith(str(path)) else f"{path}: {problem}")
    if problems:
        raise ConfigError("; ".join(problems), remedy="nothing has been trained yet")
    _check_together(candidates)
    first, *others = references.values()
    if any(each != first for each in others):
        raise ConfigError("the recipes are validated on unequal inputs", remedy=SAME_INPUTS)
    return candidates


def differences(recipes: Sequence[Recipe]) -> dict[str, list[Any]]:
    """The settings in which recipes differ apart from name and model, by dotted name, with each value once."""
    flat = [_flat(recipe.model_dump(mode="json", exclude={"name", "model"})) for recipe in recipes]
    found: dict[str, list[Any]] = {}
    for key in dict.fromkeys(key for each in flat for key in each):
        values: list[Any] = []
        for each in flat:
            if each.get(key) not in values:
                values.append(each.get(key))
        if len(values) > 1:
            found[key] = values
    return found


def _read(path: Path, output: Path, assignments: tuple[str, ...], *, seeds: int) -> list[Candidate]:
    """A recipe with each of its seeds, or a finished run."""
    finished = (path / OUTCOME).is_file()
    if path.is_dir() and not finished:
        raise ConfigError(f"{path}: holds no finished run", remedy=f"finish it with: regard train {path}")
    if finished and (assignments or seeds > 1):
        raise ConfigError(f"{path}: is finished", remedy="leave out --set and --seeds, or give its recipe")
    recipe = read_recipe(path / RECIPE if finished else path, list(assignments))
    model = EncoderDecoder(recipe.model, vocabulary_size=_FEW_TOKENS, source_vocabulary_size=_FEW_TOKENS)
    about, vector = describe(model), vector_size(model)
    if finished:
        return [Candidate(path, recipe, path, (), about=about, vector=vector)]
    found = []
    for seed in range(recipe.seed, recipe.seed + seeds):
        own = recipe.model_copy(update={"seed": seed})
        changes = (*assignments, f"seed={seed}") if seeds > 1 else assignments
        folder = output / (f"{recipe.name}-seed{seed}" if seeds > 1 else recipe.name)
        has_begun(folder, own)
        found.append(Candidate(path, own, folder, changes, about=about, vector=vector))
    return found


def _validation_references(data: CaptionData | TranslationData) -> list[Any]:
    """What people wrote of the validation inputs; raises where a split that training needs is not there."""
    if isinstance(data, TranslationData):
        _, validation = (
            read_parallel(Path(data.folder), split, source=data.source, target=data.target)
            for split in (data.train, data.validation)
        )
        return [*validation.targets]
    for each in data.all_sets:
        read_captioned_images(Path(each.folder), each.train)
    return [read_captioned_images(Path(each.folder), each.validation).captions for each in data.all_sets]


def _check_together(candidates: Sequence[Candidate]) -> None:
    runs = Counter((candidate.name, candidate.recipe.seed) for candidate in candidates)
    for (name, seed), count in runs.items():
        if count > 1:
            same = [str(each.path) for each in candidates if (each.name, each.recipe.seed) == (name, seed)]
            given = f"{', '.join(same)}: {count} recipes have the name {name!r}"
            raise ConfigError(given, remedy="give each a name of its own")
    if len({type(candidate.recipe.data) for candidate in candidates}) > 1:
        formats = " and ".join(sorted({candidate.recipe.data.format for candidate in candidates}))
        raise ConfigError(
            f"recipes on data of the formats {formats} have no score in common",
            remedy="compare captioners and translators one after the other",
        )


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Nested plain data as one mapping with dotted names."""
    if not isinstance(value, dict | list):
        return {path: value}
    inner = value if isinstance(value, dict) else dict(enumerate(value))
    return {name: leaf for key, each in inner.items() for name, leaf in _flat(each, f"{path}.{key}".strip(".")).items()}
