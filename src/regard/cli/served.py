"""``regard caption --server``: photos described by a service that runs already."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
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


def check_served(computing: ComputeOptions, save: Path | None) -> None:
    """Refuse what a service does not take.

    Raises:
        BadParameter: an option of computing or saving was given.
    """
    changed = [f"--{name}" for name, value in asdict(computing).items() if value != getattr(ComputeOptions(), name)]
    if changed:
        raise typer.BadParameter(f"--server computes as it was told at its start, without {', '.join(changed)}")
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
            if isinstance(result, ImageError):
                failed = True
                echo_error(result)
            if as_json:
                echo_json({"path": result.path, "error": result.reason} if isinstance(result, ImageError) else result)
            elif not isinstance(result, ImageError):
                echo(f"{each}: {_text(result)}")
            progress.advance(1)
    if failed:
        raise typer.Exit(1)


def _text(caption: Mapping[str, Any]) -> str:
    """The caption, or its translation, as a line for people."""
    from regard.results import SURE

    doubt = " (not sure)" if caption.get("confidence", 1) < SURE else ""
    return f"{(caption.get('translation') or caption)['text']}{doubt}"
