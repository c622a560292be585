"""``regard shortlist``: a translator gets a lexicon, with which it translates faster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regard.cli.options import AsJson
from regard.cli.report import echo, echo_json

Model = Annotated[str, typer.Argument(metavar="MODEL", help="A translator by name, or the folder of a model or a run.")]
Data = Annotated[Path, typer.Argument(metavar="DATA", help="A folder of sentences in two languages, as in Multi30k.")]
Output = Annotated[
    Path, typer.Option(metavar="FOLDER", help="Where the model goes that has the lexicon; may be that of MODEL.")
]
Split = Annotated[str, typer.Option(metavar="NAME", help="The split to learn from.")]
Check = Annotated[
    str | None, typer.Option(metavar="NAME", help="Also say how many pieces of this split are in their shortlists.")
]
Most = Annotated[int, typer.Option(min=0, help="How many pieces each piece of a sentence adds at most.")]
Frequent = Annotated[int, typer.Option(min=1, help="How many of the most frequent pieces are in every shortlist.")]


def shortlist(
    model: Model,
    data: Data,
    output: Output,
    split: Split = "train",
    check: Check = None,
    most: Most = 20,
    frequent: Frequent = 1000,
    as_json: AsJson = False,
) -> None:
    """Learn from sentence pairs what each piece of a sentence may become, and store it with a translator.

    Translate and evaluate then take --shortlist.
    """
    from regard.evaluation.lexicon import ListSizes, add_lexicon
    from regard.text.lexicon import FILE

    coverage = add_lexicon(model, data, output, split=split, check=check, sizes=ListSizes(most, frequent))
    size = (output / FILE).stat().st_size
    if as_json:
        found = {} if coverage is None else vars(coverage)
        echo_json({"folder": str(output), "bytes": size, **found})
        return
    echo(f"{output}: written, with a lexicon of {size / 1000:,.0f} kB")
    if coverage is not None:
        contents = f"{coverage.length:,.0f} pieces in a shortlist in the mean"
        echo(f"{coverage.split}: {contents}, with {coverage.covered:.2%} of the translation")
