"""``regard evaluate``: the scores of a model on a split of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regard.cli.option_groups import OUTPUT, with_option_groups
from regard.cli.options import AsJson, Computing, Search
from regard.cli.progress import ShownProgress
from regard.cli.report import echo, echo_json, table
from regard.errors import ConfigError

if TYPE_CHECKING:
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


OutputFile = Annotated[
    Path | None,
    typer.Option(
        "--output",
        metavar="FILE.jsonl",
        dir_okay=False,
        help="Also write each text beside its references, with its own scores.",
        rich_help_panel=OUTPUT,
    ),
]


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What is measured besides, or in place of, the usual scores."""

    meteor: Meteor = False
    robustness: Robustness = False
    pointing: Pointing = False
    faithfulness: Faithful = None

    def check(self, *, split: str | None, search: Search, output: Path | None) -> None:
        """Refuse options that do not go together.

        Raises:
            BadParameter: there are some.
            ConfigError: an assignment of the search is none.
        """
        given = {
            "--pointing": self.pointing,
            "--faithfulness": self.faithfulness is not None,
            "--robustness": self.robustness,
            "--meteor": self.meteor,
        }
        measured = [name for name, is_given in given.items() if is_given]
        if len(measured) > 1:
            raise typer.BadParameter(f"{' and '.join(measured)} exclude each other")
        if output is not None and measured not in ([], ["--meteor"]):
            raise typer.BadParameter(f"--output goes without {measured[0]}")
        if self.faithfulness is not None and search.assigned():
            raise typer.BadParameter("--faithfulness measures what its own search finds, without --beam and --set")
        if self.pointing and split is not None:
            raise typer.BadParameter("--pointing measures every photo of DATA/boxes.json, without --split")


@dataclass(frozen=True)
class _Report:
    """Measurements as data, and as lines for people."""

    objects: Sequence[dict[str, Any]]
    lines: Sequence[str]


@with_option_groups(without=["alternatives", "prefix"])
def evaluate(
    model: Model,
    data: Data,
    split: Split = None,
    *,
    measurement: Measurement,
    search: Search,
    computing: Computing,
    output: OutputFile = None,
    as_json: AsJson = False,
) -> None:
    """Score a model on a split by real search on real inputs; scores are × 100 and come with their signature."""
    from regard.evaluation.evaluate import evaluate as score
    from regard.pipeline import load

    measurement.check(split=split, search=search, output=output)
    changes = search.changes()
    computing.announce_export(model)
    with load(model, **asdict(computing)) as loaded, ShownProgress() as progress:
        if measurement.pointing:
            report = _pointing(loaded, data, progress, changes)
        elif split is None:
            raise ConfigError("no split is given", remedy="add --split dev, or another of the data's splits")
        elif measurement.faithfulness is not None:
            report = _faithfulness(loaded, data, split, measurement.faithfulness, progress)
        elif measurement.robustness:
            report = _robustness(loaded, data, split, progress, changes)
        else:
            scores = score(loaded, data, split, meteor=measurement.meteor, output=output, progress=progress, **changes)
            report = _Report([scores], table([(name, _readable(value)) for name, value in scores.items()]))
    for each in report.objects if as_json else report.lines:
        echo_json(each) if as_json else echo(str(each))


def _faithfulness(model: Captioner | Translator, data: Path, split: str, inputs: int, progress: Progress) -> _Report:
    from regard.evaluation.faithfulness import measure_faithfulness
    from regard.faithfulness import FRACTIONS

    scores = measure_faithfulness(model, data, split, inputs=inputs, progress=progress)
    shares = [f"{100 * share:.0f} %" for share in FRACTIONS]
    head = ("order", *(f"without {share}" for share in shares), *(f"{share} alone" for share in shares))
    rows: list[tuple[str, ...]] = [(*head, "deletion", "insertion")]
    for each in scores:
        numbers = (*each.comprehensiveness, *each.sufficiency, each.deletion_area, each.insertion_area)
        rows.append((each.order, *(f"{number:.3f}" for number in numbers)))
    summary = [
        f"{each.words} words; with evidence {each.supported:.1%}; rank correlation with leaving one out "
        f"{each.rank_correlation:.3f}; without 20 % 95 % interval {each.low:.3f}-{each.high:.3f}"
        for each in scores[:1]
    ]
    return _Report([asdict(each) for each in scores], [*table(rows), *summary])


def _pointing(model: Captioner | Translator, data: Path, progress: Progress, changes: SearchChanges) -> _Report:
    from regard.evaluation.pointing import measure_pointing
    from regard.pipeline import Captioner

    if not isinstance(model, Captioner):
        raise ConfigError("--pointing looks at photos, and the model is a translator")
    scores = measure_pointing(model, data, progress=progress, **changes)
    rows: list[tuple[str, ...]] = [("nouns", "weights", "count", "hit %", "95 %", "inside %", "95 %")]
    for each in scores:
        hits, inside = f"{each.hit_low:.1f}-{each.hit_high:.1f}", f"{each.inside_low:.1f}-{each.inside_high:.1f}"
        rows.append((each.group, each.weights, str(each.count), f"{each.hit:.1f}", hits, f"{each.inside:.1f}", inside))
    return _Report([asdict(each) for each in scores], table(rows))


def _robustness(
    model: Captioner | Translator, data: Path, split: str, progress: Progress, changes: SearchChanges
) -> _Report:
    from regard.evaluation.robustness import measure_robustness
    from regard.pipeline import Translator

    if not isinstance(model, Translator):
        raise ConfigError("--robustness changes sentences, and the model is a captioner")
    scores = measure_robustness(model, data, split, progress=progress, **changes)
    rows = [(each.change, str(each.changed), f"{each.bleu:.2f}", f"{each.loss:.2f}") for each in scores]
    return _Report([asdict(each) for each in scores], table([("change", "changed", "bleu", "loss"), *rows]))


def _readable(value: float | str | bool) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.2f}"
        case _:
            return str(value)
