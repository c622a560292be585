"""``regard caption``: photos described, each word with where it looked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regard.cli.beside_photos import BesidePhotos
from regard.cli.caption_file import CaptionFile, WeightsForm, in_chunks
from regard.cli.languages import To, find_translator
from regard.cli.linefile import LineFile, continuable, model_files
from regard.cli.option_groups import OUTPUT, with_option_groups
from regard.cli.options import Computing, Output, Ray, Search
from regard.cli.photos import Photos, find_photos
from regard.cli.progress import ShownProgress
from regard.cli.report import echo, echo_error, echo_json
from regard.cli.saving import Saver
from regard.cli.served import Server, caption_served, check_served
from regard.errors import ImageError, RegardError
from regard.saved import DEFAULT_CAPTIONER

if TYPE_CHECKING:
    from regard.pipeline import Translator
    from regard.results import Caption, TranslatedCaption

CAPTION_LANGUAGE = "en"
"""The language of captions."""

CaptionModel = Annotated[
    str, typer.Option(metavar="NAME", help="A model by name (see: regard models), or the folder of a model or a run.")
]


OutputFile = Annotated[
    Path | None,
    typer.Option(
        "--output",
        metavar="FILE",
        dir_okay=False,
        help="Write a row a photo there: .jsonl, .csv, .tsv, .txt or .parquet; the same command goes on where it was "
        "stopped.",
        rich_help_panel=OUTPUT,
    ),
]
Weights = Annotated[
    WeightsForm | None,
    typer.Option(
        "--weights",
        metavar="FORM",
        help="How --output holds where words looked: numbers in JSON lines, or float16, packed, in JSON lines and "
        "Parquet; numbers unless given.",
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


@dataclass(frozen=True, kw_only=True)
class CaptionOutput(Output):
    """Where captions go, in what form, and what of them is sure enough to be said."""

    path: OutputFile = None
    weights: Weights = None
    no_weights: NoWeights = False
    sidecar: Sidecar = False
    metadata: Metadata = None
    overwrite: Overwrite = False
    min_evidence: MinEvidence = None
    min_confidence: MinConfidence = None
    ray: Ray = False

    def check(self, server: str | None) -> None:
        """Refuse options that do not go together.

        Raises:
            BadParameter: there are some.
        """
        if self.path is not None and (self.save is not None or server is not None):
            raise typer.BadParameter("--output goes without --save and --server")
        if server is not None and (self.sidecar or self.metadata is not None):
            raise typer.BadParameter("--server goes without --sidecar and --metadata")
        of_file = {"--ray": self.ray, "--weights": self.weights is not None, "--no-weights": self.no_weights}
        idle = [name for name, given in of_file.items() if given and self.path is None]
        if idle:
            raise typer.BadParameter(f"{idle[0]} needs --output")
        if self.weights is not None and self.no_weights:
            raise typer.BadParameter("--weights and --no-weights exclude each other")
        if self.overwrite and not (self.sidecar or self.metadata is not None):
            raise typer.BadParameter("--overwrite needs --sidecar or --metadata")

    def file(self) -> CaptionFile | None:
        """The file of ``--output``."""
        return None if self.path is None else CaptionFile(self.path, weights=self.form)

    @property
    def form(self) -> WeightsForm | None:
        """How that file holds weights; None where it holds none."""
        return None if self.no_weights else self.weights or WeightsForm.NUMBERS

    def beside(self, photos: Sequence[str]) -> BesidePhotos:
        """What is written beside photos, and into copies of them."""
        return BesidePhotos(photos, sidecar=self.sidecar, metadata=self.metadata, overwrite=self.overwrite)

    @property
    def hedges(self) -> dict[str, float | None]:
        """The evidence and the confidence that words and captions need, by name."""
        return {"min_evidence": self.min_evidence, "min_confidence": self.min_confidence}

    def hedged(self, results: Iterator[Caption | ImageError]) -> Iterator[Caption | ImageError]:
        """The captions with what is not sure said more broadly, or left out; as they are unless that was asked for."""
        if all(each is None for each in self.hedges.values()):
            yield from results
            return
        from regard.pipeline.hedging import hedge

        for each in results:
            if isinstance(each, ImageError):
                yield each
            else:
                yield hedge(each, **self.hedges)

    @property
    def settings(self) -> tuple[object, ...]:
        """What the rows of the file depend on."""
        written = (str(self.form), self.sidecar, self.metadata and str(self.metadata.absolute()))
        return (*written, self.hedges)


@with_option_groups(without=["shortlist"])
def caption(
    photos: Photos,
    model: CaptionModel = DEFAULT_CAPTIONER,
    to: To = None,
    server: Server = None,
    *,
    search: Search,
    output: CaptionOutput,
    computing: Computing,
) -> None:
    """Describe photos, one line a photo. What cannot be read is said on standard error; then the exit status is 1."""
    output.check(server)
    if server is not None:
        check_served(computing, output.save)
        named = {"model": None if model == DEFAULT_CAPTIONER else model, "to": to}
        caption_served(server, photos, {**search.query(), **output.hedges, **named}, as_json=output.as_json)
        return
    search.changes()  # what cannot be searched is refused before a model is loaded
    found = list(find_photos(photos))
    paths = [each for each in found if isinstance(each, str)]
    saver, file, beside = output.saver(len(found)), output.file(), output.beside(paths)
    # on a cluster, this process only makes rows of what it gets
    translator = _translator(to, replace(computing, device="cpu") if output.ray else computing)
    computing.announce_export(model)
    with _captions(model, computing, search, ray=output.ray) as captions:

        def describe(chunks: Sequence[Sequence[str]]) -> Iterator[Caption | TranslatedCaption | ImageError]:
            return translated(output.hedged(captions(chunks)), translator)

        if file is not None:
            settings = (search, to, output.settings, computing.runtime, computing.precision, paths)
            made_from: list[bytes | Path] = [repr(settings).encode(), *model_files(model)]
            all_read = write_captions(file, describe, found, made_from, beside)
        else:
            shown = in_place(found, describe([paths]))
            all_read = show_captions(shown, count=len(found), saver=saver, beside=beside, as_json=output.as_json)
    if saver is not None:
        saver.finish()
    if not all_read:
        raise typer.Exit(1)


def _translator(to: str | None, computing: Computing) -> Translator | None:
    """The translator into a language, in this process."""
    from regard.pipeline import load_translator

    return (
        None
        if to is None
        else load_translator(find_translator(CAPTION_LANGUAGE, to), **asdict(replace(computing, workers=1)))
    )


@contextmanager
def _captions(
    model: str, computing: Computing, search: Search, *, ray: bool
) -> Iterator[Callable[[Sequence[Sequence[str]]], Iterator[Caption | ImageError]]]:
    """What describes chunks of photos: a model that is loaded here, or one on a Ray cluster."""
    options: dict[str, Any] = {"prefix": search.prefix, "alternatives": search.alternatives, **search.changes()}
    if ray:
        from regard.pipeline.on_ray import RayModel

        yield partial(RayModel(model, computing).caption, options=options)
        return
    from regard.pipeline import load_captioner

    with load_captioner(model, **asdict(computing)) as captioner:
        yield lambda chunks: chain.from_iterable(captioner.caption_many(chunk, **options) for chunk in chunks)


def write_captions(
    file: CaptionFile,
    describe: Callable[[Sequence[Sequence[str]]], Iterator[Caption | TranslatedCaption | ImageError]],
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
