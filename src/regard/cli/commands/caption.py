"""``regard caption``: photos described, each word with where it looked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regard.cli.beside_photos import BesidePhotos
from regard.cli.caption_file import CaptionFile, WeightsForm, in_chunks
from regard.cli.compute_options import announce_export, with_compute_options
from regard.cli.grouped_help import OUTPUT
from regard.cli.languages import To, find_translator
from regard.cli.linefile import LineFile, continuable, model_files
from regard.cli.options import Alternatives, AsJson, Beam, Changes, Prefix, Save, search_changes
from regard.cli.photos import Photos, find_photos
from regard.cli.progress import ShownProgress
from regard.cli.report import echo, echo_error, echo_json
from regard.cli.saving import Saver
from regard.cli.served import Server, caption_served, check_served
from regard.compute import ComputeOptions
from regard.config import override
from regard.errors import ImageError, RegardError
from regard.saved.default import DEFAULT_CAPTIONER

if TYPE_CHECKING:
    from regard.pipeline import Translator
    from regard.results import Caption, TranslatedCaption

SPOKEN = "en"
"""The language of captions."""

CaptionModel = Annotated[
    str, typer.Option(metavar="NAME", help="A model by name (see: regard models), or the folder of a model or a run.")
]


Output = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        dir_okay=False,
        help="Write a row a photo there: .jsonl, .csv, .tsv, .txt or .parquet; the same command goes on where it was "
        "stopped.",
        rich_help_panel=OUTPUT,
    ),
]
Weights = Annotated[
    WeightsForm,
    typer.Option(
        "--weights",
        metavar="FORM",
        help="How --output holds where words looked: numbers in JSON lines, or float16, packed, in JSON lines and "
        "Parquet.",
        rich_help_panel=OUTPUT,
    ),
]
NoWeights = Annotated[
    bool, typer.Option("--no-weights", help="Leave out of --output where words looked.", rich_help_panel=OUTPUT)
]
Sidecar = Annotated[
    bool, typer.Option("--sidecar", help="Write photo.txt beside each photo.jpg.", rich_help_panel=OUTPUT)
]
Metadata = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Write a copy of each photo there, with the caption as the description in its XMP and EXIF.",
        rich_help_panel=OUTPUT,
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Let --sidecar and --metadata write over files that say something else.",
        rich_help_panel=OUTPUT,
    ),
]
MinEvidence = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        metavar="SHARE",
        help="Say words of less evidence more broadly (an animal, a person), or leave them out.",
        rich_help_panel=OUTPUT,
    ),
]
MinConfidence = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        metavar="SHARE",
        help="Of captions of less confidence say the sure words alone.",
        rich_help_panel=OUTPUT,
    ),
]


@with_compute_options(without=["shortlist"])
def caption(
    photos: Photos,
    model: CaptionModel = DEFAULT_CAPTIONER,
    beam: Beam = None,
    alternatives: Alternatives = None,
    prefix: Prefix = "",
    changes: Changes = None,
    to: To = None,
    min_evidence: MinEvidence = None,
    min_confidence: MinConfidence = None,
    server: Server = None,
    *,
    computing: ComputeOptions,
    save: Save = None,
    output: Output = None,
    weights: Weights = WeightsForm.NUMBERS,
    no_weights: NoWeights = False,
    sidecar: Sidecar = False,
    metadata: Metadata = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Describe photos, one line a photo. What cannot be read is said on standard error; then the exit status is 1."""
    if output is not None and (save is not None or server is not None):
        raise typer.BadParameter("--output goes without --save and --server")
    if server is not None and (sidecar or metadata is not None):
        raise typer.BadParameter("--server goes without --sidecar and --metadata")
    if server is not None:
        check_served(computing, save)
        query = {"model": None if model == DEFAULT_CAPTIONER else model, "prefix": prefix or None, "to": to}
        hedges = {"alternatives": alternatives, "min_evidence": min_evidence, "min_confidence": min_confidence}
        changed = override({} if beam is None else {"beam": beam}, changes or [])
        caption_served(server, photos, {**changed, **query, **hedges}, as_json=as_json)
        return
    from regard.pipeline import load_captioner, load_translator

    search = search_changes(beam, changes)
    found = list(find_photos(photos))
    saver = None if save is None else Saver(save, count=len(found))
    form = WeightsForm.NONE if no_weights else weights
    file = None if output is None else CaptionFile(output, weights=form)
    paths = [each for each in found if isinstance(each, str)]
    beside = BesidePhotos(paths, sidecar=sidecar, metadata=metadata, overwrite=overwrite)
    alone = replace(computing, workers=1)
    translator = None if to is None else load_translator(find_translator(SPOKEN, to), **asdict(alone))
    announce_export(model, computing)
    with load_captioner(model, **asdict(computing)) as captioner:

        def describe(chosen: Sequence[str]) -> Iterator[Caption | TranslatedCaption | ImageError]:
            results = captioner.caption_many(chosen, prefix=prefix, alternatives=alternatives, **search)
            sure = hedged(results, min_evidence=min_evidence, min_confidence=min_confidence)
            return translated(sure, translator)

        if file is not None:
            computed = (computing.runtime, computing.precision)
            written = (str(form), sidecar, metadata and str(metadata.absolute()))
            settings = (prefix, alternatives, search, to, min_evidence, min_confidence, *written, *computed)
            made_from: list[bytes | Path] = [repr((settings, paths)).encode(), *model_files(model)]
            all_read = write_captions(file, describe, found, made_from, beside)
        else:
            shown = in_place(found, describe(paths))
            all_read = show_captions(shown, count=len(found), saver=saver, beside=beside, as_json=as_json)
    if saver is not None:
        saver.finish()
    if not all_read:
        raise typer.Exit(1)


def hedged(
    results: Iterator[Caption | ImageError], *, min_evidence: float | None, min_confidence: float | None
) -> Iterator[Caption | ImageError]:
    """The captions with what is not sure said more broadly, or left out; as they are where nothing was asked for."""
    if min_evidence is None and min_confidence is None:
        yield from results
        return
    from regard.pipeline.hedging import hedge

    for each in results:
        if isinstance(each, ImageError):
            yield each
        else:
            yield hedge(each, min_evidence=min_evidence, min_confidence=min_confidence)


def write_captions(
    file: CaptionFile,
    describe: Callable[[Sequence[str]], Iterator[Caption | TranslatedCaption | ImageError]],
    found: Sequence[str | ImageError],
    made_from: Sequence[bytes | Path],
    beside: BesidePhotos,
) -> bool:
    """Write a row for each photo, behind those that are there, and say whether all could be read and written."""
    nowhere = [each for each in found if isinstance(each, ImageError)]
    paths = [each for each in found if isinstance(each, str)]
    for each in nowhere:
        echo_error(each)
    with LineFile(file.path, made_from=made_from) as lines, ShownProgress() as progress:
        done = file.num_described(lines)
        progress.start("captions", len(paths), done=done)
        with continuable(lines, file.path):
            for path, result in in_chunks(describe, paths, done=done):
                # what stands beside a photo is there before its row says that the photo is done
                error = result if isinstance(result, ImageError) else beside.write(path, result.text)
                if error is not None:
                    echo_error(error)
                    lines.note_failure()
                file.write(lines, path, result)
                progress.advance(1)
        file.finish(lines)
        return not nowhere and not lines.num_failed


def in_place(
    found: Sequence[str | ImageError], results: Iterator[Caption | TranslatedCaption | ImageError]
) -> Iterator[Caption | TranslatedCaption | ImageError]:
    """The results of the paths among ``found``, with the errors among them where they were."""
    for each in found:
        yield each if isinstance(each, ImageError) else next(results)


def translated(
    results: Iterator[Caption | ImageError], translator: Translator | None
) -> Iterator[Caption | TranslatedCaption | ImageError]:
    """The captions in the translator's language; as they are where there is none."""
    if translator is None:
        yield from results
        return
    from regard.pipeline import translate_caption

    for each in results:
        yield each if isinstance(each, ImageError) else translate_caption(each, translator)


def show_captions(
    results: Iterator[Caption | TranslatedCaption | ImageError],
    *,
    count: int,
    saver: Saver | None,
    beside: BesidePhotos | None = None,
    as_json: bool,
) -> bool:
    """Print captions and hand them on as they come, and say whether all photos could be read."""
    all_read = True
    with ShownProgress(beside_results=True) as progress:
        progress.start("captions", count)
        for result in results:
            error = result if isinstance(result, ImageError) else _show(result, saver, as_json=as_json)
            if error is not None:
                failure = {"path": error.path, "error": error.reason}
                if as_json:
                    echo_json(failure)
                if saver is not None:
                    saver.add_failure(failure)
            if error is None and beside is not None and not isinstance(result, ImageError):
                error = beside.write(_path(result), result.text)
            if error is not None:
                echo_error(error)
                all_read = False
            progress.advance(1)
    return all_read


def doubt(result: Caption | TranslatedCaption) -> str:
    """What stands behind a caption of a kind that people mostly reject."""
    from regard.results import TranslatedCaption

    caption = result.caption if isinstance(result, TranslatedCaption) else result
    return "" if caption.is_sure else " (not sure)"


def _path(result: Caption | TranslatedCaption) -> str:
    from regard.results import TranslatedCaption

    return result.caption.path if isinstance(result, TranslatedCaption) else result.path


def _show(result: Caption | TranslatedCaption, saver: Saver | None, *, as_json: bool) -> ImageError | None:
    """Print and save one result. What goes wrong in drawing it is its own error, and no other's."""
    from regard.pipeline.isolation import REPORT, describe

    path = _path(result)
    try:
        if as_json:
            echo_json(result.to_dict())
        else:
            echo(f"{path}: {result.text}{doubt(result)}")
        if saver is not None:
            saver.add(result, Path(path).stem)
    except (RegardError, OSError):  # nothing can be written there, and nothing else could
        raise
    except Exception as error:
        return ImageError(path, describe(error), remedy=REPORT)
    return None
