"""Sentence pairs in tables: which columns hold the two languages, and the pair of each row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from regard.data.problems import Problem
from regard.data.tables import Row, read_table, sample_rows
from regard.errors import DataError, TextError
from regard.text.languages import language_named, script_of
from regard.text.words import require_unicode

_SOURCE_ROLES = frozenset(["source", "src", "input", "original", "from", "sentence1", "quelle"])
_TARGET_ROLES = frozenset(["target", "tgt", "trg", "output", "translation", "to", "reference", "sentence2", "ziel"])
_BARE_NAME = re.compile(r"[A-Za-z_][\w.-]{0,30}(?<![.])(?:[ ]\w{1,12})?")
"""One word as programs name columns, or two, such as ``text 1``."""
_FEW_NAMES = 0.2
"""How much of a column of sentences may look like names of columns: greetings, thanks."""


def is_pair_header(cells: Sequence[str]) -> bool:
    """Whether the cells of a first line are names of languages or of roles, two at least."""
    named = [cell for cell in cells if language_named(cell) or _plain(cell) in _SOURCE_ROLES | _TARGET_ROLES]
    return len(named) > 1


def _plain(name: str) -> str:
    return name.strip().lower().removesuffix("_text").removesuffix("_sentence")


def named_languages(table: Path) -> list[str]:
    """The languages that the columns of a table name; those of other columns are left out."""
    try:
        rows = sample_rows(table, is_pair_header)
    except DataError:
        return []
    names = [language_named(name) for name in _texts(rows[0])] if rows else []
    return [name for name in names if name]


def _texts(row: Row) -> dict[str, str]:
    """The cells of a row that hold texts, at the top or under "translation"."""
    inner = row.cells.get("translation")
    cells = inner if isinstance(inner, Mapping) else row.cells
    return {name: cell for name, cell in cells.items() if isinstance(cell, str)}


def pairs_of_table(
    table: Path, *, source: str, target: str, columns: Sequence[str | int] | None = None
) -> Iterator[tuple[int, str, str] | Problem]:
    """The line, source and target of each row of a table, and what holds no pair in its place.

    Args:
        table: the file.
        source, target: language codes.
        columns: of source and target, by name or counted from 1; None to find them.

    Raises:
        DataError: the table does not have these columns.
        DependencyError: Parquet without the package ``pyarrow``.
    """
    named = {str(column).strip() for column in columns or () if not str(column).isdecimal()}

    def is_header(cells: Sequence[str]) -> bool:
        return is_pair_header(cells) or (bool(named) and named <= {cell.strip() for cell in cells})

    sample = sample_rows(table, is_header)
    if not sample:
        yield from (each for each in read_table(table, is_header) if isinstance(each, Problem))
        return
    chosen = _chosen(table, sample, columns) if columns else _find_columns(table, sample, source, target)
    header = _unnamed_header(sample, chosen, (source, target))
    for row in read_table(table, is_header):
        if isinstance(row, Problem):
            yield row
        elif row.line != header:
            yield _pair(table, row, chosen)


def _pair(table: Path, row: Row, columns: tuple[str, str]) -> tuple[int, str, str] | Problem:
    texts = _texts(row)
    missing = [name for name in columns if name not in texts]
    if missing or row.beyond:
        held = f"holds {len(row.cells) + len(row.beyond)} cells" if row.delimiter else "holds no pair"
        reason = f"{held}, no text in {missing[0]!r}" if missing else f"{held}, more than there are columns"
        return Problem(str(table), reason, line=row.line, remedy="complete the row, and quote what holds commas")
    source, target = texts[columns[0]], texts[columns[1]]
    try:
        require_unicode(source)
        require_unicode(target)
    except TextError as error:
        return Problem(str(table), error.given, line=row.line)
    return row.line, source, target


def _chosen(table: Path, sample: Sequence[Row], columns: Sequence[str | int]) -> tuple[str, str]:
    names = list(_texts(sample[0]))
    found = []
    for column in columns:
        number = int(column) if str(column).isdecimal() else 0
        if str(column) in names:
            found.append(str(column))
        elif 1 <= number <= len(names):
            found.append(names[number - 1])
        else:
            raise DataError(f"{table}: has no column {column!r}", allowed=", ".join(names))
    if len(found) != 2 or found[0] == found[1]:
        raise DataError(f"{table}: {list(columns)} are no two columns", allowed="those of source and target, in order")
    return found[0], found[1]


def _find_columns(table: Path, sample: Sequence[Row], source: str, target: str) -> tuple[str, str]:
    """The columns of two languages: by language, by role, by being the only other one, or the first two."""
    names = list(_texts(sample[0]))
    languages = {name: language_named(name) for name in names}
    found = [
        next((name for name in names if languages[name] == wanted), None)
        or next((name for name in names if languages[name] is None and _plain(name) in roles), None)
        for wanted, roles in ((source, _SOURCE_ROLES), (target, _TARGET_ROLES))
    ]
    if None not in found:
        return str(found[0]), str(found[1])
    others = [name for name in names if name not in found and languages[name] is None]
    if any(found) and len(others) == 1:
        return str(found[0] or others[0]), str(found[1] or others[0])
    if all(name.isdecimal() for name in names) and len(names) > 1:
        return names[0], names[1]
    raise DataError(
        f"{table}: has no columns {source} and {target}",
        allowed=", ".join(names),
        remedy="name them, source first, such as --set 'data.columns=[question, answer]'",
    )


def _unnamed_header(sample: Sequence[Row], columns: tuple[str, str], languages: tuple[str, str]) -> int | None:
    """The line of a header that names no language.

    Its cell is in Latin letters, and what follows in the language's; or its cells are bare names, such as ``a`` and
    ``b`` or ``text_1`` and ``text_2``, and what follows are sentences.
    """
    first, *others = sample
    if not first.delimiter or not others:
        return None
    heads = [_texts(first).get(column, "") for column in columns]
    below = [[_texts(row).get(column, "") for row in others] for column in columns]
    names = all(map(_is_bare_name, heads)) and all(map(_are_sentences, below))
    return first.line if names or any(map(_in_other_script, heads, below, languages)) else None


def _in_other_script(head: str, cells: Sequence[str], language: str) -> bool:
    """Whether a cell is in Latin letters and no cell below it is, in a language that has other ones."""
    latin = [bool(cell.strip()) and cell.isascii() for cell in (head, *cells)]
    return script_of(language) != "LATIN" and latin[0] and not any(latin[1:])


def _is_bare_name(cell: str) -> bool:
    return _BARE_NAME.fullmatch(cell.strip()) is not None


def _are_sentences(cells: Sequence[str]) -> bool:
    """Whether nearly all cells end in a mark, have more words than a name, or are in another script."""
    texts = [cell for cell in cells if cell.strip()]
    return bool(texts) and sum(map(_is_bare_name, texts)) <= _FEW_NAMES * len(texts)
