"""``regard evaluate``: the scores of a model on a split of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regard.cli.compute_options import announce_export, with_compute_options
from regard.cli.grouped_help import OUTPUT
from regard.cli.options import AsJson, Beam, Changes, search_changes
from regard.cli.progress import ShownProgress
from regard.cli.report import echo, echo_json, table
from regard.compute import ComputeOptions
from regard.errors import ConfigError

if TYPE_CHECKING:
    from regard.evaluation.faithfulness import FaithfulnessScore
    from regard.evaluation.pointing import PointingScore
    from regard.evaluation.robustness import ChangedScore
    from regard.pipeline import Captioner, SearchChanges, Translator
    from regard.progress import Progress

Model = Annotated[str, typer.Argument(metavar="MODEL", help="A model by name, or the folder of a model or a run.")]
Data = Annotated[
    Path, typer.Argument(metavar="DATA", help="Captioned images as in Flickr8k or COCO, or sentences as in Multi30k.")
]
Split = Annotated[str | None, typer.Option(metavar="NAME", help="The split to score, such as dev or test.")]
Pointing = Annotated[
    bool,
    typer.Option(
        "--pointing",
        help="Hold the weights of nouns against the boxes in DATA/boxes.json, in COCO's layout of instances.",
    ),
]
Robustness = Annotated[
    bool,
    typer.Option(
        "--robustness",
        help="Translate the split changed to what people type too (capitals, no stop ...), and show what BLEU loses.",
    ),
]
Meteor = Annotated[bool, typer.Option("--meteor", help="Score captions with METEOR too, which needs Java.")]


Faithful = Annotated[
    int | None,
    typer.Option(
        "--faithfulness", min=1, metavar="N", help="Test the words of the first N inputs without what they looked at."
    ),
]


Output = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.jsonl",
        dir_okay=False,
        help="Also write each text beside its references, with its own scores.",
        rich_help_panel=OUTPUT,
    ),
]


@with_compute_options()
def evaluate(
    model: Model,
    data: Data,
    split: Split = None,
    beam: Beam = None,
    changes: Changes = None,
    meteor: Meteor = False,
    robustness: Robustness = False,
    pointing: Pointing = False,
    faithfulness: Faithful = None,
    *,
    computing: ComputeOptions,
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Score a model on a split by real search on real inputs; scores are × 100 and come with their signature."""
    from regard.evaluation.evaluate import evaluate as score
    from regard.pipeline import load

    if output is not None and (pointing or robustness or faithfulness is not None):
        raise typer.BadParameter("--output goes without --pointing, --robustness and --faithfulness")
    search = search_changes(beam, changes)
    announce_export(model, computing)
    with load(model, **asdict(computing)) as loaded, ShownProgress() as progress:
        if pointing:
            _show_pointing(_pointing(loaded, data, progress, search), as_json=as_json)
            return
        if split is None:
            raise ConfigError("no split is given", remedy="add --split dev, or another of the data's splits")
        if faithfulness is not None:
            _show_faithfulness(_faithfulness(loaded, data, split, faithfulness, progress), as_json=as_json)
            return
        if robustness:
            _show_robustness(_losses(loaded, data, split, progress, search), as_json=as_json)
            return
        scores = score(loaded, data, split, meteor=meteor, output=output, progress=progress, **search)
    if as_json:
        echo_json(scores)
        return
    for line in table([(name, _readable(value)) for name, value in scores.items()]):
        echo(line)


def _faithfulness(
    model: Captioner | Translator, data: Path, split: str, inputs: int, progress: Progress
) -> list[FaithfulnessScore]:
    from regard.evaluation.faithfulness import measure_faithfulness

    return measure_faithfulness(model, data, split, inputs=inputs, progress=progress)


def _show_faithfulness(scores: Sequence[FaithfulnessScore], *, as_json: bool) -> None:
    from regard.faithfulness import FRACTIONS

    if as_json:
        for each in scores:
            echo_json(asdict(each))
        return
    shares = [f"{100 * share:.0f} %" for share in FRACTIONS]
    rows: list[tuple[str, ...]] = [
        ("order", *(f"without {share}" for share in shares), *(f"{share} alone" for share in shares))
    ]
    rows[0] += ("deletion", "insertion")
    for each in scores:
        numbers = (*each.comprehensiveness, *each.sufficiency, each.deletion_area, each.insertion_area)
        rows.append((each.order, *(f"{number:.3f}" for number in numbers)))
    for line in table(rows):
        echo(line)
    for each in scores[:1]:
        echo(
            f"{each.words} words; with evidence {each.supported:.1%}; rank correlation with leaving one out "
            f"{each.rank_correlation:.3f}; without 20 % 95 % interval {each.low:.3f}-{each.high:.3f}"
        )


def _pointing(
    model: Captioner | Translator, data: Path, progress: Progress, search: SearchChanges
) -> list[PointingScore]:
    from regard.evaluation.pointing import measure_pointing
    from regard.pipeline import Captioner

    if not isinstance(model, Captioner):
        raise ConfigError("--pointing looks at photos, and the model is a translator")
    return measure_pointing(model, data, progress=progress, **search)


def _show_pointing(scores: Sequence[PointingScore], *, as_json: bool) -> None:
    if as_json:
        for each in scores:
            echo_json(asdict(each))
        return
    rows: list[tuple[str, ...]] = [("nouns", "weights", "count", "hit %", "95 %", "inside %", "95 %")]
    for each in scores:
        hits, inside = f"{each.hit_low:.1f}-{each.hit_high:.1f}", f"{each.inside_low:.1f}-{each.inside_high:.1f}"
        rows.append((each.group, each.weights, str(each.count), f"{each.hit:.1f}", hits, f"{each.inside:.1f}", inside))
    for line in table(rows):
        echo(line)


def _losses(
    model: Captioner | Translator, data: Path, split: str, progress: Progress, search: SearchChanges
) -> list[ChangedScore]:
    from regard.evaluation.robustness import measure_robustness
    from regard.pipeline import Translator

    if not isinstance(model, Translator):
        raise ConfigError("--robustness changes sentences, and the model is a captioner")
    return measure_robustness(model, data, split, progress=progress, **search)


def _show_robustness(scores: Sequence[ChangedScore], *, as_json: bool) -> None:
    if as_json:
        for each in scores:
            echo_json(asdict(each))
        return
    rows = [(each.change, str(each.changed), f"{each.bleu:.2f}", f"{each.loss:.2f}") for each in scores]
    for line in table([("change", "changed", "bleu", "loss"), *rows]):
        echo(line)


def _readable(value: float | str | bool) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.2f}"
        case _:
            return str(value)
