"""``regard init``: the recipe that fits data, with comments, without training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regard.cli.commands.train import From, Source, Target, chosen
from regard.cli.options import AsJson
from regard.cli.report import echo, echo_json
from regard.errors import ConfigError

Data = Annotated[Path, typer.Argument(metavar="DATA", help="A folder or a table; see docs/data.md.")]
Output = Annotated[Path | None, typer.Option(metavar="FILE", help="The recipe; NAME-of-the-data.yaml unless given.")]


def init(
    data: Data,
    output: Output = None,
    begin_from: From = None,
    source: Source = None,
    target: Target = None,
    as_json: AsJson = False,
) -> None:
    """Write the recipe that regard train DATA would choose, with comments, to change it before training.

    A file that is there is left alone.
    """
    from regard.files import write_file

    choice = chosen(data, begin_from, source, target)
    path = output or Path(f"{choice.recipe.name}.yaml")
    if path.exists():
        raise ConfigError(f"{path}: is there already", remedy="give another --output")
    write_file(path, choice.commented().encode())
    if as_json:
        echo_json({"recipe": str(path), "reasons": list(choice.reasons)})
    else:
        echo(f"{path}: train it with: regard train {path}")
