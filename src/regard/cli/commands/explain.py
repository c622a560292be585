"""``regard explain``: is the heat map true? Every word measured without what it looked at."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regard.cli.languages import find_translator
from regard.cli.option_groups import with_option_groups
from regard.cli.options import Computing, Output, Search
from regard.cli.photos import find_photos
from regard.cli.report import echo, echo_json, table
from regard.errors import ConfigError, ImageError
from regard.saved import DEFAULT_CAPTIONER

if TYPE_CHECKING:
    from regard.faithfulness import Faithfulness
    from regard.pipeline import Captioner, Translator
    from regard.results import Caption, TargetWord, Translation, Word

Inputs = Annotated[list[str], typer.Argument(metavar="INPUT", help="Photos, or one sentence in quotes.")]
Model = Annotated[
    str | None, typer.Option(metavar="NAME", help="A model by name or folder, instead of the one that ships.")
]
To = Annotated[str, typer.Option(metavar="LANGUAGE", help="Into which language sentences are translated.")]
Source = Annotated[str, typer.Option("--from", metavar="LANGUAGE", help="The language of sentences.")]
Pixels = Annotated[bool, typer.Option("--pixels", help="Hide regions in the photo itself, too; takes a minute.")]


@with_option_groups(without=["beam", "assignments", "alternatives", "shortlist", "workers", "runtime"])
def explain(
    inputs: Inputs,
    model: Model = None,
    source: Source = "en",
    to: To = "de",
    pixels: Pixels = False,
    *,
    search: Search,
    computing: Computing,
    output: Output,
) -> None:
    """Describe photos, or translate a sentence, and test every word: how probable it is without the fifth of the input
    that it looked at most, with that alone, and without as much at random. Words that lose nothing have no evidence.
    Of a photo, also say where each word points."""
    from regard.pipeline import Captioner, Translator, load

    reads_photos = any(Path(each).exists() for each in inputs)
    with load(
        model or (DEFAULT_CAPTIONER if reads_photos else find_translator(source, to)), **asdict(computing)
    ) as loaded:
        results: list[Caption | Translation]
        match loaded:
            case Captioner():
                photos = list(find_photos(inputs))
                saver = output.saver(len(photos))
                results = [_explained(loaded, each, prefix=search.prefix, pixels=pixels) for each in photos]
            case Translator():
                saver = output.saver(len(inputs))
                results = [_translated(loaded, each, prefix=search.prefix, pixels=pixels) for each in inputs]
    for result in results:
        echo_json(result.to_dict()) if output.as_json else _show_table(result)
        if saver is not None:
            saver.add(result, Path(result.path).stem if hasattr(result, "path") else "sentence")
    if saver is not None:
        saver.finish()


def _explained(captioner: Captioner, path: str | ImageError, *, prefix: str, pixels: bool) -> Caption:
    if isinstance(path, ImageError):
        raise path
    return captioner.explain(path, prefix=prefix, pixels=pixels)


def _translated(translator: Translator, text: str, *, prefix: str, pixels: bool) -> Translation:
    if pixels:
        raise ConfigError("--pixels hides parts of photos", remedy="leave it out for sentences")
    return translator.explain(text, prefix=prefix)


def _show_table(result: Caption | Translation) -> None:
    echo(f"{result.path}: {result.text}" if hasattr(result, "path") else result.text)
    rows: list[tuple[str, ...]] = [("word", "sure", "without", "alone", "random", "points at", "evidence")]
    rows += [_row(word, word.faithfulness) for word in result.words if word.faithfulness is not None]
    for line in table(rows):
        echo(f"  {line}")


def _row(word: Word | TargetWord, measured: Faithfulness) -> tuple[str, ...]:
    from math import exp

    from regard.faithfulness import FRACTIONS, JUDGED, RANDOM, WEIGHTS

    place = FRACTIONS.index(JUDGED)
    own, random = measured.curves[WEIGHTS], measured.curves[RANDOM]
    numbers = (measured.log_probability, own.deleted[place], own.inserted[place], random.deleted[place])
    chances = (f"{100 * exp(each):.0f} %" for each in numbers)
    return (word.text, *chances, _place(word), "yes" if measured.supported else "no")


def _place(word: Word | TargetWord) -> str:
    """Where on the photo a word points; empty for words that point nowhere."""
    from regard.results import Word
    from regard.views.region_names import describe_point

    return describe_point(word.point) if isinstance(word, Word) and word.point is not None else ""
