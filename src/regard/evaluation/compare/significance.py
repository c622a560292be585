"""Whether the best model of a comparison is better than another by more than the choice of the validation inputs.

Each run's best model writes the validation split once, with the search of its recipe, and keeps the texts beside the
run. Two models are compared by paired bootstrap on these texts (Koehn 2004, §3): translators by BLEU, captioners by
CIDEr-D.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regard.evaluation.compare.candidates import Candidate
from regard.evaluation.outputs import Outputs, caption_split, translate_split
from regard.files import read_json_file, write_json_file
from regard.metrics import caption_tokens, cider_d_scores, compare_means, compare_systems
from regard.pipeline import load_captioner, load_translator
from regard.progress import Progress
from regard.training.recipe import CaptionData

TEXTS = "validation.json"
"""In the folder of a run: what its best model wrote for the validation split, and the references."""


@dataclass(frozen=True)
class _Written:
    hypotheses: list[str]
    references: list[Any]


def p_values(candidates: Sequence[Candidate], best: int, *, device: str, progress: Progress) -> list[float | None]:
    """For each candidate the share of bootstrap draws in which the best one is not better; None for the best itself.

    Args:
        candidates: trained, on the same data.
        best: which of them is the best.
        device: where the models compute.
        progress: receives progress.

    Raises:
        RegardError: a model or the data cannot be used.
    """
    written = [_written(each, device, progress) for each in candidates]
    captions = isinstance(candidates[best].recipe.data, CaptionData)
    compare = _compare_captions if captions else _compare_translations
    return [None if number == best else compare(written[best], each) for number, each in enumerate(written)]


def _compare_translations(best: _Written, other: _Written) -> float:
    return compare_systems(best.hypotheses, other.hypotheses, best.references).p_value


def _compare_captions(best: _Written, other: _Written) -> float:
    references = [[caption_tokens(text) for text in group] for group in best.references]
    scores = [cider_d_scores([caption_tokens(text) for text in each.hypotheses], references) for each in (best, other)]
    return compare_means(*scores).p_value


def _written(candidate: Candidate, device: str, progress: Progress) -> _Written:
    """The texts of a run's best model, from its folder where they are there already."""
    path = candidate.folder / TEXTS
    if not path.exists():
        outputs = _write(candidate, device, progress)
        values = {"hypotheses": outputs.hypotheses, "references": list(outputs.references)}
        write_json_file(path, {"version": 1, **values})
    values = read_json_file(path, versions=[1])
    return _Written(values["hypotheses"], values["references"])


def _write(candidate: Candidate, device: str, progress: Progress) -> Outputs[Any]:
    data, folder = candidate.recipe.data, candidate.folder
    options: dict[str, Any] = {"progress": progress, "changes": {}}
    if isinstance(data, CaptionData):
        return caption_split(load_captioner(folder, device=device), Path(data.folder), data.validation, **options)
    return translate_split(load_translator(folder, device=device), Path(data.folder), data.validation, **options)
