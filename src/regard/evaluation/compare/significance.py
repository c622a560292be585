"""How sure the scores of a comparison are: intervals, and whether the best model is better than another by chance.

Each run's best model writes the validation split once, with the search of its recipe, and keeps the texts beside the
run for as long as it stays the best. Validation inputs are drawn with replacement, the same for all models (paired
bootstrap, Koehn 2004, §3), and of a model that was trained with several seeds the seeds, too, so that an interval holds
what another seed would change. Translators are scored by BLEU, captioners by CIDEr-D; with several data sets inputs are
drawn within each, and the score is the mean of theirs, as in validation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from regard.errors import ConfigError, ModelError
from regard.evaluation.compare.candidates import SAME_INPUTS, Candidate
from regard.evaluation.outputs import caption_split, translate_split
from regard.files import read_json_file, write_json_file
from regard.metrics import caption_tokens, cider_d_scores
from regard.metrics.resampling import bleu_from_statistics, bleu_statistics
from regard.pipeline import load_captioner, load_translator
from regard.progress import Progress
from regard.saved.bundle import BEST
from regard.saved.manifest import MANIFEST, sha256
from regard.training.recipe import CaptionData

TEXTS = "validation.json"
"""In the folder of a run: what its best model wrote for the validation split, and the references."""
NUM_DRAWS = 1000
TAILS = (0.025, 0.975)

Statistics = npt.NDArray[np.float64]
Score = Callable[[Statistics, int], float]
"""From statistics summed over inputs, [statistic], and the number of inputs to a score between 0 and 100."""


@dataclass(frozen=True)
class Written:
    """What a model wrote for the validation split, and what people wrote.

    Attributes:
        inputs: paths of photos, or sentences, of all data sets one after another.
        hypotheses: a text for each.
        references: of each a text, or of a photo several.
        sizes: the number of inputs of each data set; None of a single one.
    """

    inputs: list[str]
    hypotheses: list[str]
    references: list[Any]
    sizes: list[int] | None = None

    @property
    def sets(self) -> list[slice]:
        """Where the inputs of each data set lie."""
        ends = [*accumulate(self.sizes or [len(self.hypotheses)], initial=0)]
        return [slice(*each) for each in pairwise(ends)]


_WRITTEN = TypeAdapter(Written)


@dataclass(frozen=True)
class Judgement:
    """How sure the score of a model is.

    Attributes:
        low, high: the ends of its 95 % interval.
        p_value: the share of draws in which the best model is not better; None of the best itself.
    """

    low: float
    high: float
    p_value: float | None


def judge(
    written: Sequence[Sequence[Written]], best: int, *, num_draws: int = NUM_DRAWS, seed: int = 1
) -> list[Judgement]:
    """Intervals and p-values by bootstrap.

    Args:
        written: of each model what it wrote, once for each of its seeds; all of the same inputs.
        best: which model is the best.
        num_draws: how often inputs and seeds are drawn.
        seed: of the draws.

    Raises:
        ConfigError: they are not of the same inputs.
    """
    first, *others = (each for seeds in written for each in seeds)
    if any((each.references, each.sets) != (first.references, first.sets) for each in others):
        raise ConfigError("the models wrote for unequal validation inputs", remedy=SAME_INPUTS)
    captions = not isinstance(first.references[0], str)
    statistics = [
        [np.stack([_statistics(each, where, captions=captions) for each in seeds]) for where in first.sets]
        for seeds in written
    ]
    drawn = _draws(statistics, _mean if captions else _bleu, num_draws=num_draws, seed=seed)
    low, high = np.quantile(drawn, TAILS, axis=0)
    return [
        Judgement(
            float(low[model]),
            float(high[model]),
            None if model == best else float(np.mean(drawn[:, best] <= drawn[:, model])),
        )
        for model in range(len(written))
    ]


def _draws(
    statistics: Sequence[Sequence[Statistics]], score: Score, *, num_draws: int, seed: int
) -> npt.NDArray[np.float64]:
    """The score of each model in each draw, [draws, models], from its statistics of each data set, [seeds, inputs,
    statistic]."""
    generator = np.random.default_rng(seed)
    counts = [each.shape[1] for each in statistics[0]]
    drawn = np.empty((num_draws, len(statistics)))
    for draw in range(num_draws):
        inputs = [generator.integers(count, size=count) for count in counts]
        for model, sets in enumerate(statistics):
            num_seeds = len(sets[0])
            seeds = generator.integers(num_seeds, size=num_seeds) if num_seeds > 1 else [0]
            drawn[draw, model] = np.mean(
                [
                    score(each[number, chosen].sum(axis=0), len(chosen))
                    for number in seeds
                    for each, chosen in zip(sets, inputs, strict=True)
                ]
            )
    return drawn


def _statistics(written: Written, where: slice, *, captions: bool) -> Statistics:
    """What the score of one data set sums up, [inputs, statistic]."""
    hypotheses, references = written.hypotheses[where], written.references[where]
    if not captions:
        return bleu_statistics(hypotheses, references)
    tokens = [[caption_tokens(text) for text in group] for group in references]
    scores = cider_d_scores([caption_tokens(text) for text in hypotheses], tokens)
    return 100 * np.asarray(scores, dtype=np.float64)[:, None]


def _mean(sums: Statistics, count: int) -> float:
    return float(sums[0]) / count


def _bleu(sums: Statistics, count: int) -> float:
    return float(bleu_from_statistics(sums))


def read_written(candidate: Candidate, *, device: str, progress: Progress) -> Written:
    """What a run's best model writes for the validation split, from its folder where it stands there already.

    Raises:
        RegardError: the model or the data cannot be used.
    """
    stored = stored_texts(candidate.folder)
    if stored is not None:
        return stored
    written = _write(candidate, device, progress)
    values = {"version": 1, "model": _best_model(candidate.folder), **asdict(written)}
    write_json_file(candidate.folder / TEXTS, values)
    return written


def stored_texts(folder: Path) -> Written | None:
    """What the best model of a run wrote for the validation split; None where it has not yet, or where a former best
    model did.

    Raises:
        ModelError: the file is damaged.
    """
    if not (folder / TEXTS).exists():
        return None
    values = read_json_file(folder / TEXTS, versions=[1])
    model = _best_model(folder)
    if model is None or values.get("model") != model:
        return None
    try:
        return _WRITTEN.validate_python(values)
    except ValidationError as error:
        field = ".".join(map(str, error.errors()[0]["loc"]))
        raise ModelError(f"{folder / TEXTS}: has no usable {field}", remedy="delete it; it is written again") from None


def _best_model(folder: Path) -> str | None:
    """What tells the best model of a run from any other: the SHA-256 of its checksums; None where it has none."""
    checksums = folder / BEST / MANIFEST
    return sha256(checksums) if checksums.exists() else None


def _write(candidate: Candidate, device: str, progress: Progress) -> Written:
    data, folder = candidate.recipe.data, candidate.folder
    options: dict[str, Any] = {"progress": progress, "changes": {}}
    if not isinstance(data, CaptionData):
        translator = load_translator(folder, device=device)
        found = translate_split(translator, Path(data.folder), data.validation, **options)
        return Written(found.inputs, found.hypotheses, [*found.references])
    captioner = load_captioner(folder, device=device)
    sets = [caption_split(captioner, Path(each.folder), each.validation, **options) for each in data.all_sets]
    return Written(
        [photo for each in sets for photo in each.inputs],
        [text for each in sets for text in each.hypotheses],
        [list(group) for each in sets for group in each.references],
        [len(each.inputs) for each in sets] if len(sets) > 1 else None,
    )
