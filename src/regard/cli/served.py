"""``regard caption --server``: photos described by a service that runs already."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from regard.cli.photos import find_photos
from regard.cli.progress import ShownProgress
from regard.cli.report import echo, echo_error, echo_json
from regard.compute import ComputeOptions
from regard.errors import ImageError

KEY_VARIABLE = "REGARD_API_KEY"

Server = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help=f"Let a running regard serve do it, such as http://127.0.0.1:8000; its key stands in {KEY_VARIABLE}.",
    ),
]


def check_served(computing: ComputeOptions, save: Path | None, *, hedged: bool) -> None:
    """Refuse what a service would leave out in silence.

    Raises:
        BadParameter: an option of computing, hedging or saving was given.
    """
    if computing != ComputeOptions():
        raise typer.BadParameter("--server computes as it was told at its start: leave out options of computing")
    if hedged:
        raise typer.BadParameter("--server tells evidence and confidence with --json, and does not act on them")
    if save is not None:
        raise typer.BadParameter("--server and --save exclude each other; use --json, or save on the page")


def caption_served(url: str, photos: Sequence[str], query: Mapping[str, Any], *, as_json: bool) -> None:
    """Print the caption of each photo as a service gives it, in order.

    Raises:
        RegardError: the service cannot be reached, or refuses.
        Exit: with 1 where a photo cannot be read.
    """
    from regard.serve.client import Client

    found = list(find_photos(photos))
    paths = [each for each in found if isinstance(each, str)]
    results = Client(url, key=os.environ.get(KEY_VARIABLE)).caption_many(paths, query)
    failed = False
    with ShownProgress(beside_results=True) as progress:
        progress.start("captions", len(found))
        for each in found:
            result = each if isinstance(each, ImageError) else next(results)
            failed |= isinstance(result, ImageError)
            if isinstance(result, ImageError):
                echo_error(result)
            elif as_json:
                echo_json(result)
            else:
                echo(f"{each}: {(result.get('translation') or result)['text']}")
            progress.advance(1)
    if failed:
        raise typer.Exit(1)
