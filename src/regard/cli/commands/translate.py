"""``regard translate``: sentences translated, each word with what it came from."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regard.cli.languages import To, find_translator
from regard.cli.linefile import LineFile, continuable, model_files
from regard.cli.option_groups import OUTPUT, SEARCH, with_option_groups
from regard.cli.options import Computing, Output, Ray, Search
from regard.cli.progress import ShownProgress
from regard.cli.report import echo, echo_error, echo_json, echo_note
from regard.cli.saving import Saver
from regard.errors import ConfigError, DataError, RegardError, TextError

if TYPE_CHECKING:
    from regard.pipeline import Translator
    from regard.pipeline.length_buckets import Pause
    from regard.results import Translation

    Translate = Callable[..., Iterator[Translation | TextError]]

_USUAL_OTHERS = 5
"""How many choices ``--instead`` shows at most."""

Texts = Annotated[
    list[str] | None, typer.Argument(metavar="TEXT", help="Sentences; without any, the lines of standard input.")
]
Source = Annotated[str, typer.Option("--from", metavar="LANGUAGE", help="From this language.")]
Model = Annotated[
    str | None, typer.Option(metavar="NAME", help="A model by name or folder, instead of one chosen by language.")
]
Instead = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Show other choices for the N-th word, and how the sentence then goes on; 5, or --alternatives.",
        rich_help_panel=SEARCH,
    ),
]
File = Annotated[Path | None, typer.Option(metavar="FILE", help="Translate the lines of a file.")]
Pharaoh = Annotated[
    bool,
    typer.Option("--pharaoh", help="Print instead of translations which source word each word comes from."),
]
Tokens = Annotated[
    str, typer.Option(metavar="NAME", help="What --pharaoh counts as words: what stands between spaces, or 13a tokens.")
]
OutputFile = Annotated[
    Path | None,
    typer.Option(
        "--output",
        metavar="FILE",
        dir_okay=False,
        help="Write the lines there; the same command goes on where it was stopped.",
        rich_help_panel=OUTPUT,
    ),
]


@dataclass(frozen=True, kw_only=True)
class TranslationSearch(Search):
    """How to search; with ``instead`` for other choices for one word."""

    instead: Instead = None

    @property
    def num_others(self) -> int:
        """How many choices ``--instead`` shows at most."""
        return _USUAL_OTHERS if self.alternatives is None else self.alternatives


@dataclass(frozen=True, kw_only=True)
class TranslationOutput(Output):
    """Where translations go, and in what form."""

    path: OutputFile = None
    pharaoh: Pharaoh = False
    tokens: Tokens = "spaces"
    ray: Ray = False


@with_option_groups()
def translate(
    texts: Texts = None,
    source: Source = "en",
    to: To = None,
    model: Model = None,
    file: File = None,
    *,
    search: TranslationSearch,
    computing: Computing,
    output: TranslationOutput,
) -> None:
    """Translate sentences, a line for each; empty lines stay empty.

    What cannot be translated is said on standard error and leaves an empty line; then the exit status is 1.
    """
    from regard.pipeline import load_translator

    _check_usage(texts, file, search, output)
    changes = search.changes()
    saver = output.saver(_count(texts, file, search))
    name = model or find_translator(source, to)
    computing.announce_export(name)
    # on a cluster, this process only makes lines of what it gets
    here = replace(computing, device="cpu", workers=1) if output.ray else computing
    with load_translator(name, **asdict(here)) as translator:
        printer = _Printer(saver, output, longest=changes.get("max_length", translator.bundle.search.max_length))
        generate: Translate = partial(
            translator.translate_many, prefix=search.prefix, alternatives=search.alternatives, **changes
        )
        if search.instead is not None and texts:
            printer.show(_others(translator, texts[0], search, number=search.instead))
        elif file is None:
            printer.show(generate(texts or _standard_input()))
        elif output.path is None:
            _print_file(file, generate, printer)
        else:
            # the number of workers and threads changes nothing, so that another may go on
            computed = (computing.runtime, computing.precision, computing.shortlist)
            settings = repr((search, output.as_json, output.pharaoh and output.tokens, computed)).encode()
            made_from: list[bytes | Path] = [settings, file, *model_files(name)]
            if output.ray:
                generate = _on_ray(name, computing, file, search)
            _write_file(file, generate, printer, output.path, made_from)
    printer.finish()


def _on_ray(name: str, computing: Computing, file: Path, search: TranslationSearch) -> Translate:
    """What translates the lines of a file on a Ray cluster, whose machines read them themselves."""
    from regard.data.lines import count_lines
    from regard.pipeline.on_ray import RayModel

    options = {"prefix": search.prefix, "alternatives": search.alternatives, **search.changes()}

    def generate(_: Iterable[str], first: int) -> Iterator[Translation | TextError]:
        return RayModel(name, computing).translate(file, count_lines(file), options, done=first)

    return generate


def _count(texts: list[str] | None, file: Path | None, search: TranslationSearch) -> int:
    """How many results there will be, at most; standard input has one at least."""
    from regard.data.lines import count_lines

    if search.instead is not None:
        return search.num_others
    return len(texts or "1") if file is None else count_lines(file)


def _standard_input() -> Iterator[str | TextError | Pause]:
    """The lines of standard input, as they arrive."""
    from regard.cli.arriving import arriving
    from regard.data.lines import decode_lines

    return arriving(decode_lines(sys.stdin.buffer, origin="standard input"))


def _print_file(file: Path, generate: Translate, printer: _Printer) -> None:
    """Print the translation of each line of a file."""
    from regard.data.lines import count_lines, iterate_lines

    with ShownProgress(beside_results=True) as progress:
        progress.start("lines", count_lines(file))
        printer.show(_counted(generate(iterate_lines(file)), progress))


def _write_file(
    file: Path, generate: Translate, printer: _Printer, output: Path, made_from: Sequence[bytes | Path]
) -> None:
    """Write the translations of the lines of a file that a stopped command has not written yet."""
    from regard.data.lines import count_lines, iterate_lines

    with LineFile(output, made_from=made_from) as lines, ShownProgress() as progress:
        progress.start("lines", count_lines(file), done=lines.num_done)
        rest = islice(iterate_lines(file), lines.num_done, None)
        with continuable(lines, output):
            printer.show(_counted(generate(rest, first=lines.num_done), progress), lines)
        lines.finish()


class _Printer:
    """Shows and saves translations, and remembers whether something could not be translated.

    Args:
        saver: None to save nothing.
        output: whether to show their data, their alignments or their texts.
        longest: after how many pieces a translation is cut off.
    """

    def __init__(self, saver: Saver | None, output: TranslationOutput, *, longest: int) -> None:
        self._saver = saver
        self._as_json = output.as_json
        self._pharaoh = output.tokens if output.pharaoh else None
        self._longest = longest
        self._failed = False

    def show(self, results: Iterable[Translation | TextError], lines: LineFile | None = None) -> None:
        """Write a line for each result to ``lines``, behind those that are there, or print it."""
        write, write_json = (echo, echo_json) if lines is None else (lines.write, lines.write_json)
        if lines is not None and lines.num_failed:
            failed = f"{lines.num_failed} of the first {lines.num_done} lines"
            echo_error(f"{failed} could not be translated before the stop")
            self._failed = True
        for number, result in enumerate(results, start=1 if lines is None else lines.num_done + 1):
            taken = result if isinstance(result, TextError) else self._take(result, number)
            if isinstance(taken, TextError):
                echo_error(f"line {number}: {taken}")
                self._failed = True
                if lines is not None:
                    lines.note_failure()
                if self._saver is not None:
                    self._saver.add_failure({"error": str(taken)})
            if self._as_json:
                write_json({"error": str(taken)} if isinstance(taken, TextError) else taken)
            else:
                write("" if isinstance(result, TextError) else self._line(result))

    def _line(self, translation: Translation) -> str:
        return translation.text if self._pharaoh is None else translation.pharaoh(self._pharaoh)

    def _take(self, translation: Translation, number: int) -> dict[str, Any] | TextError:
        """Save a translation and give its data. What goes wrong in drawing it is its own error, and no other's."""
        from regard.pipeline.isolation import REPORT, describe

        if not translation.finished:
            cut = f"line {number}: cut off after {self._longest} subwords"
            echo_note(f"{cut}; --set max_length={2 * self._longest} allows more")
        if translation.unfamiliar:
            echo_note(f"line {number}: unlike what the model learned from, so do not trust the translation")
        try:
            if self._saver is not None:
                self._saver.add(translation, str(number))
            return translation.to_dict() if self._as_json else {}
        except (RegardError, OSError):  # nothing can be written there, and nothing else could
            raise
        except Exception as error:
            return TextError(f"the translation {describe(error)}", remedy=REPORT)

    def finish(self) -> None:
        """Save what is still to be saved, and let the exit status tell of what failed."""
        if self._saver is not None:
            self._saver.finish()
        if self._failed:
            raise typer.Exit(1)


def _check_usage(
    texts: list[str] | None, file: Path | None, search: TranslationSearch, output: TranslationOutput
) -> None:
    """Refuse options that do not go together.

    Raises:
        BadParameter: they are the command line's own fault.
        DataError: the file is a pipe or a device, which gives its lines only once, and a file is read twice.
    """
    if texts and file is not None:
        raise typer.BadParameter("give sentences or --file, not both")
    if search.instead is not None and (texts is None or len(texts) != 1):
        raise typer.BadParameter("--instead needs exactly one sentence")
    if search.instead is not None and search.alternatives == 0:
        raise typer.BadParameter("--instead with --alternatives 0 shows nothing")
    if output.path is not None and file is None:
        raise typer.BadParameter("--output needs --file")
    if output.ray and output.path is None:
        raise typer.BadParameter("--ray needs --output")
    if output.path is not None and output.save is not None:
        raise typer.BadParameter("--output and --save exclude each other, a file that is continued has no page")
    if not texts and file is None and sys.stdin.isatty():
        raise typer.BadParameter("give a sentence, --file, or lines on standard input")
    if file is not None and file.exists() and not (file.is_file() or file.is_dir()):
        raise DataError(f"{file}: is no regular file", remedy="give its lines on standard input, without --file")


def _others(translator: Translator, source: str, search: TranslationSearch, *, number: int) -> tuple[Translation, ...]:
    """Translations with another word in place of one, of which the number counts from 1.

    Raises:
        ConfigError: there is no such word.
        TextError: there is no other word.
    """
    changes = search.changes()
    translation = translator.translate(source, prefix=search.prefix, alternatives=0, **changes)
    text, num_words = f"{translation.text!r:.200}", len(translation.words)
    if number > num_words:
        raise ConfigError(f"there is no word {number} in {text}", allowed=f"numbers up to {num_words}")
    others = translator.alternatives_for(translation, number - 1, count=search.num_others, **changes)
    if not others:
        raise TextError(f"no other word was found in place of word {number} of {text}")
    return others


def _counted(results: Iterable[Translation | TextError], progress: ShownProgress) -> Iterator[Translation | TextError]:
    for result in results:
        yield result
        progress.advance(1)
