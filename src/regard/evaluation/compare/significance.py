"""How sure the scores of a comparison are: intervals, and whether the best model is better than another by chance.

Each run's best model writes the validation split once, with the search of its recipe, and keeps the texts beside the
run for as long as it stays the best. Validation inputs are drawn with replacement, the same for all models (paired
bootstrap, Koehn 2004, §3), and of a model that was trained with several seeds the seeds, too, so that an interval holds
what another seed would change. Translators are scored by BLEU, captioners by CIDEr-D.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from regard.errors import ConfigError, ModelError
from regard.evaluation.compare.candidates import SAME_INPUTS, Candidate
from regard.evaluation.outputs import Outputs, caption_split, translate_split
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
        inputs: paths of photos, or sentences.
        hypotheses: a text for each.
        references: of each a text, or of a photo several.
    """

    inputs: list[str]
    hypotheses: list[str]
    references: list[Any]


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
    first, *others = (each.references for seeds in written for each in seeds)
    if any(each != first for each in others):
        raise ConfigError("the models wrote for unequal validation inputs", remedy=SAME_INPUTS)
    captions = not isinstance(written[0][0].references[0], str)
    statistics = [np.stack([_statistics(each, captions=captions) for each in seeds]) for seeds in written]
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


def _draws(statistics: Sequence[Statistics], score: Score, *, num_draws: int, seed: int) -> Statistics:
    """The score of each model in each draw, [draws, models], from its statistics, [seeds, inputs, statistic]."""
    generator = np.random.default_rng(seed)
    count = statistics[0].shape[1]
    drawn = np.empty((num_draws, len(statistics)))
    for draw in range(num_draws):
        inputs = generator.integers(count, size=count)
        for model, each in enumerate(statistics):
            seeds = generator.integers(len(each), size=len(each)) if len(each) > 1 else [0]
            drawn[draw, model] = np.mean([score(each[number, inputs].sum(axis=0), count) for number in seeds])
    return drawn


def _statistics(written: Written, *, captions: bool) -> Statistics:
    """What a score sums up, [inputs, statistic]."""
    if not captions:
        return bleu_statistics(written.hypotheses, written.references)
    references = [[caption_tokens(text) for text in group] for group in written.references]
    scores = cider_d_scores([caption_tokens(text) for text in written.hypotheses], references)
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
    outputs = _write(candidate, device, progress)
    references = [each if isinstance(each, str) else list(each) for each in outputs.references]
    written = Written(outputs.inputs, outputs.hypotheses, references)
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


def _write(candidate: Candidate, device: str, progress: Progress) -> Outputs[Any]:
    data, folder = candidate.recipe.data, candidate.folder
    options: dict[str, Any] = {"progress": progress, "changes": {}}
    if isinstance(data, CaptionData):
        return caption_split(load_captioner(folder, device=device), Path(data.folder), data.validation, **options)
    return translate_split(load_translator(folder, device=device), Path(data.folder), data.validation, **options)
