"""``regard translate``: sentences translated, each word with what it came from."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regard.cli.compute_options import announce_export, with_compute_options
from regard.cli.grouped_help import OUTPUT, SEARCH
from regard.cli.languages import To, find_translator
from regard.cli.linefile import LineFile, continuable, model_files
from regard.cli.options import Alternatives, AsJson, Beam, Changes, Prefix, Save, search_changes
from regard.cli.progress import ShownProgress
from regard.cli.report import echo, echo_error, echo_json, echo_note
from regard.cli.saving import Saver
from regard.compute import ComputeOptions
from regard.errors import ConfigError, DataError, RegardError, TextError

if TYPE_CHECKING:
    from regard.pipeline import SearchChanges, Translator
    from regard.results import Translation

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
Output = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        dir_okay=False,
        help="Write the lines there; the same command goes on where it was stopped.",
        rich_help_panel=OUTPUT,
    ),
]


@with_compute_options()
def translate(
    texts: Texts = None,
    source: Source = "en",
    to: To = None,
    model: Model = None,
    beam: Beam = None,
    alternatives: Alternatives = None,
    prefix: Prefix = "",
    changes: Changes = None,
    instead: Instead = None,
    file: File = None,
    output: Output = None,
    pharaoh: Pharaoh = False,
    tokens: Tokens = "spaces",
    *,
    computing: ComputeOptions,
    save: Save = None,
    as_json: AsJson = False,
) -> None:
    """Translate sentences, a line for each; empty lines stay empty.

    What cannot be translated is said on standard error and leaves an empty line; then the exit status is 1.
    """
    from regard.cli.arriving import arriving
    from regard.data.lines import count_lines, decode_lines, iterate_lines
    from regard.pipeline import load_translator

    _check_usage(texts, instead=instead, alternatives=alternatives, file=file, output=output, save=save)
    _check_regular(file)
    search = search_changes(beam, changes)
    num_others = _USUAL_OTHERS if alternatives is None else alternatives
    count = num_others if instead is not None else len(texts or "1") if file is None else count_lines(file)
    saver = None if save is None else Saver(save, count=count)
    name = model or find_translator(source, to)
    announce_export(name, computing)
    with load_translator(name, **asdict(computing)) as translator:
        printer = _Printer(
            saver,
            as_json=as_json,
            pharaoh=tokens if pharaoh else None,
            longest=search.get("max_length", translator.bundle.search.max_length),
        )
        generate = partial(translator.translate_many, prefix=prefix, alternatives=alternatives, **search)
        if instead is not None and texts:
            translation = translator.translate(texts[0], prefix=prefix, alternatives=0, **search)
            printer.show(_others(translator, translation, instead, count=num_others, search=search))
        elif file is None:
            printer.show(generate(texts or arriving(decode_lines(sys.stdin.buffer, origin="standard input"))))
        elif output is None:
            with ShownProgress(beside_results=True) as progress:
                progress.start("lines", count)
                printer.show(_counted(generate(iterate_lines(file)), progress))
        else:
            # the number of workers and threads changes nothing, so that another may go on
            computed = (computing.runtime, computing.precision, computing.shortlist)
            settings = repr((prefix, alternatives, search, as_json, pharaoh and tokens, *computed)).encode()
            with LineFile(output, made_from=[settings, file, *model_files(name)]) as lines, ShownProgress() as progress:
                progress.start("lines", count, done=lines.num_done)
                rest = islice(iterate_lines(file), lines.num_done, None)
                with continuable(lines, output):
                    printer.show(_counted(generate(rest, first=lines.num_done), progress), lines)
                lines.finish()
    printer.finish()


class _Printer:
    """Shows and saves translations, and remembers whether something could not be translated.

    Args:
        saver: None to save nothing.
        as_json: show their data, not their texts.
        pharaoh: show their alignments, with words cut this way; None for their texts.
        longest: after how many pieces a translation is cut off.
    """

    def __init__(self, saver: Saver | None, *, as_json: bool, pharaoh: str | None, longest: int) -> None:
        self._saver = saver
        self._as_json = as_json
        self._pharaoh = pharaoh
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
    texts: list[str] | None,
    *,
    instead: int | None,
    alternatives: int | None,
    file: Path | None,
    output: Path | None,
    save: Path | None,
) -> None:
    if texts and file is not None:
        raise typer.BadParameter("give sentences or --file, not both")
    if instead is not None and (texts is None or len(texts) != 1):
        raise typer.BadParameter("--instead needs exactly one sentence")
    if instead is not None and alternatives == 0:
        raise typer.BadParameter("--instead with --alternatives 0 shows nothing")
    if output is not None and file is None:
        raise typer.BadParameter("--output needs --file")
    if output is not None and save is not None:
        raise typer.BadParameter("--output and --save exclude each other, a file that is continued has no page")
    if not texts and file is None and sys.stdin.isatty():
        raise typer.BadParameter("give a sentence, --file, or lines on standard input")


def _others(
    translator: Translator, translation: Translation, number: int, *, count: int, search: SearchChanges
) -> tuple[Translation, ...]:
    """Translations with another word in place of one, of which the number counts from 1.

    Raises:
        ConfigError: there is no such word.
        TextError: there is no other word.
    """
    text, num_words = f"{translation.text!r:.200}", len(translation.words)
    if number > num_words:
        raise ConfigError(f"there is no word {number} in {text}", allowed=f"numbers up to {num_words}")
    others = translator.alternatives_for(translation, number - 1, count=count, **search)
    if not others:
        raise TextError(f"no other word was found in place of word {number} of {text}")
    return others


def _check_regular(file: Path | None) -> None:
    """A file is read twice, to count its lines and to translate them, and a pipe gives its lines only once.

    Raises:
        DataError: the file is a pipe or a device. What is missing or a folder is told where it is opened.
    """
    if file is not None and file.exists() and not (file.is_file() or file.is_dir()):
        raise DataError(f"{file}: is no regular file", remedy="give its lines on standard input, without --file")


def _counted(results: Iterable[Translation | TextError], progress: ShownProgress) -> Iterator[Translation | TextError]:
    for result in results:
        yield result
        progress.advance(1)
